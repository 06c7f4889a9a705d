#!/usr/bin/python3
"""A machine for the tests that is like this one, and whose every change is noticed.

    tests/machine.py FOLDER PLACE... -- COMMAND...

runs a command that sees this machine, but writes to layers over PLACE (overlayfs), to a /tmp of its
own in FOLDER, and mounts in a name space of its own. What differs at the end from the beginning is
said, and is an error: files written, removed or left in /tmp, mounts, processes. Those hold every
name space that is not mounted. Since nothing else writes there, no other program on the machine is
ever blamed; and what a test does wrong does not reach the machine.

The checkout is left out. FOLDER/tmp stays, for a look at what failed. It needs root or unprivileged
user namespaces, as the integration tests do; without root, only what its user may write has a layer.
"""

import ctypes
import os
import pathlib
import pickle
import select
import shutil
import signal
import stat
import subprocess
import sys
import traceback

TOP = pathlib.Path(__file__).resolve().parents[1]
PLACES = ("/etc", "/usr", "/var", "/srv", "/opt", "/root", os.path.expanduser("~"))
GRACE_S = float(os.environ.get("MTA_STS_GRACE", 20))  # for processes that are about to end
OF_PYTEST = "pytest-of-"  # its folders of the last three runs

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind=None, flags=0, data=None):
    """mount(2): mount(8) does nothing for a user without root, whatever the capabilities are."""
    words = [None if w is None else os.fsencode(w) for w in (source, target, kind)]
    if _libc.mount(*words, ctypes.c_ulong(flags), None if data is None else data.encode()) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"mounting {kind or source}: {os.strerror(error)}", os.fspath(target))


def own_name_spaces():
    """Of mounts; a user without root gets one of users for it, and is the same user there. Programs
    that this user starts have no capabilities in it."""
    user, group = os.geteuid(), os.getegid()
    if _libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if user else 0)) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"unshare: {os.strerror(error)}")
    if user:
        own = pathlib.Path("/proc/self")
        (own / "setgroups").write_text("deny")
        (own / "uid_map").write_text(f"{user} {user} 1")
        (own / "gid_map").write_text(f"{group} {group} 1")


def outermost(places):
    """Folders that may be written and lie in no other of them."""
    real = sorted({os.path.realpath(place) for place in places})
    real = [place for place in real if place != "/" and os.path.isdir(place)]
    real = [place for place in real if os.access(place, os.W_OK)]
    return [p for p in real if not any(p.startswith(f"{other}/") for other in real)]


def leaves(folder):
    """What lies in a folder; of folders only the empty ones."""
    for path, folders, files in os.walk(folder):
        for name in files:
            yield os.path.join(path, name)
        if not folders and not files and path != os.fspath(folder):
            yield path
        yield from (os.path.join(path, n) for n in folders if os.path.islink(f"{path}/{n}"))


def children():
    """The processes whose parent is this one."""
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has just ended
            continue
        if int(parent) == os.getpid() and state != "Z":
            yield int(path.parent.name)


class Machine:
    """Entered by the process that makes it, which has one thread and never leaves it."""

    def __init__(self, folder, places):
        self.folder = pathlib.Path(folder).resolve()
        try:
            own_name_spaces()
            self._build(outermost(places))
        except OSError as error:
            sys.exit(f"{sys.argv[0]}: no machine for the tests (it needs overlayfs): {error}")
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._mounts = self._mounted()
        self._written = set(self._writes())

    def _build(self, places):
        try:
            mount(None, "/", flags=MS_REC | MS_PRIVATE)
        except OSError:  # in a chroot / is no mount point; nothing is shared with the outside there
            pass
        temporary, layers = self.folder / "tmp", self.folder / "layers"
        if temporary.exists():
            subprocess.run(["chmod", "-R", "u+rwX", temporary], check=False)
            shutil.rmtree(temporary)
        for path in (temporary, layers):
            path.mkdir(parents=True, exist_ok=True)
        temporary.chmod(0o1777)
        mount("layers", layers, "tmpfs", data="mode=700")
        # By descriptor they are found when a layer covers their path.
        top, self._tmp, self._layers = (os.open(p, os.O_PATH) for p in (TOP, temporary, layers))
        root = f"/proc/self/fd/{self._layers}"
        self._places = {place: f"{root}/{number}" for number, place in enumerate(places)}
        self._below = {place: os.open(place, os.O_PATH) for place in places}
        for place, upper in self._places.items():
            status = os.stat(place)
            os.mkdir(upper)
            os.chmod(upper, stat.S_IMODE(status.st_mode))
            os.chown(upper, status.st_uid, status.st_gid)
            os.mkdir(f"{upper}-work")
            data = f"lowerdir={place},upperdir={upper},workdir={upper}-work"
            mount("overlay", place, "overlay", data=data + ",userxattr" * (os.geteuid() != 0))
        mount(f"/proc/self/fd/{self._tmp}", "/tmp", flags=MS_BIND)
        if not TOP.exists() or not os.path.samestat(os.stat(TOP), os.fstat(top)):
            TOP.mkdir(parents=True, exist_ok=True)
            mount(f"/proc/self/fd/{top}", TOP, flags=MS_BIND | MS_REC)
        os.chdir(TOP)
        # tests/integration/run mounts its own over these, and makes them where there are none.
        for name in ("resolv.conf", "nsswitch.conf"):
            if "/etc" in self._places and not os.path.exists(f"/etc/{name}"):
                pathlib.Path("/etc", name).touch()

    def _writes(self):
        """The paths that were written or, as the kernel notes it, removed."""
        for place, upper in self._places.items():
            for path in leaves(upper):
                inner = path[len(upper):]
                if not self._is_as_before(place, inner):
                    yield place + inner
        for name in os.listdir("/tmp"):
            path = os.path.join("/tmp", name)
            if not name.startswith(OF_PYTEST) and not TOP.is_relative_to(path):
                yield path

    def _is_as_before(self, place, inner):
        """A folder has a layer, too, when a file in it was made and taken away again."""
        now, before = place + inner, f"/proc/self/fd/{self._below[place]}{inner}"
        if not os.path.isdir(now) or os.path.islink(now) or not os.path.isdir(before):
            return False
        one, other = os.lstat(now), os.lstat(before)
        same = all(getattr(one, f) == getattr(other, f) for f in ("st_mode", "st_uid", "st_gid"))
        return same and set(os.listdir(now)) == set(os.listdir(before))

    @staticmethod
    def _mounted():
        return {line.split()[4] for line in open("/proc/self/mountinfo", encoding="utf-8")}

    def run(self, function):
        """function() in a child process, what it returns, and what differs afterwards."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with open(writing, "wb") as pipe:
                    pickle.dump(function(), pipe)
            except BaseException:  # also an interrupt: this process ends here
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(0)
        os.close(writing)
        with open(reading, "rb") as pipe:
            result = pipe.read()
        # Orphans come to this process, and end here as they would at that of pid 1.
        while os.wait()[0] != child:
            pass
        if not result:
            sys.exit(1)
        return pickle.loads(result), self.differences()

    def differences(self):
        found = [f"still runs: {words}" for words in self._remaining()]
        found += [f"is mounted: {path}" for path in self._mounted() - self._mounts]
        found += [f"is unmounted: {path}" for path in self._mounts - self._mounted()]
        found += [f"was written: {path}" for path in set(self._writes()) - self._written]
        return sorted(found)

    def _remaining(self):
        """The command lines of processes that do not end; then they are killed."""
        while pids := list(children()):  # those of a process that ended come after it
            for pid in pids:
                descriptor = os.pidfd_open(pid)
                if not select.select([descriptor], [], [], GRACE_S)[0]:
                    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    yield b" ".join(words).decode(errors="replace").strip()
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                os.waitpid(pid, 0)
                os.close(descriptor)


def main():
    split = sys.argv.index("--") if "--" in sys.argv else 0
    if split < 2:
        sys.exit(__doc__)
    folder, *places = sys.argv[1:split]
    machine = Machine(folder, places)
    code, found = machine.run(lambda: subprocess.call(sys.argv[split + 1 :]))
    print(*found, sep="\n", end="\n" * bool(found))
    return code or bool(found)


if __name__ == "__main__":
    sys.exit(main())
