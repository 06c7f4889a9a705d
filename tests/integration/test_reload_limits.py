"""The kernel refuses something while files change: descriptors, watches, room in the queue."""

import ctypes
import os
import pathlib
import resource
import subprocess

import pytest
from harness.reload import EVENTS, FAST, body, replace, text
from test_reload_links import swap

_CLONE_NEWUSER = 0x10000000
_libc = ctypes.CDLL(None, use_errno=True)
MAX_QUEUED_EVENTS = pathlib.Path("/proc/sys/fs/inotify/max_queued_events")


def in_chroot():
    """There the kernel makes no user namespace, not for root either."""
    mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return all(line.split()[4] != "/" for line in mounts)


def limited(**limits):
    """For preexec: a user namespace of its own, with limits that do not touch the machine's."""
    if in_chroot():
        pytest.skip("a chroot has no user namespaces")
    user, group = os.geteuid(), os.getegid()

    def preexec():
        if _libc.unshare(_CLONE_NEWUSER) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        for name, value in (
            ("self/setgroups", "deny"),
            ("self/uid_map", f"0 {user} 1"),
            ("self/gid_map", f"0 {group} 1"),
            *((f"sys/user/{name}", str(value)) for name, value in limits.items()),
        ):
            fd = os.open(f"/proc/{name}", os.O_WRONLY)
            os.write(fd, value.encode())
            os.close(fd)

    return preexec


def raise_limit(s, name, value):
    """From inside of the server's user namespace."""
    subprocess.run(
        ["nsenter", "--user", f"--target={s.daemon.pid}", "--preserve-credentials",
         "sh", "-c", f"echo {value} >/proc/sys/user/{name}"],
        check=True,
    )


# --- Watches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("watches", [0, 1, 2, 3, 5])
def test_watch_limit(scene, watches):
    """ENOSPC: it says so, names the setting to raise, and looks by itself."""
    s = scene(reload=FAST, preexec=limited(max_inotify_watches=watches))
    assert s.daemon.watches() <= watches
    for number in 2, 3:
        s.becomes(number, replace, s.file, text(number))
    (line,) = s.daemon.wait_for("max_user_watches")
    assert "level=warning" in line


def test_instance_limit(scene):
    """EMFILE of inotify_init1."""
    s = scene(reload=FAST, preexec=limited(max_inotify_instances=0))
    for number in 2, 3:
        s.becomes(number, replace, s.file, text(number))
    (line,) = s.daemon.wait_for("max_user_instances")
    assert "level=warning" in line


def test_watch_limit_reached_later(scene):
    """The watches that are there stay, what is new is looked at; once, it is said."""
    probe = scene()
    used = probe.daemon.watches()
    s = scene(reload=FAST, preexec=limited(max_inotify_watches=used))
    assert s.daemon.watches() == used
    assert "max_user_watches" not in s.daemon.output
    deep = s.root / "one" / "two" / "three"
    deep.mkdir(parents=True)
    (deep / "a.yaml").write_text(text(2))
    s.becomes(2, swap, s.file, "../one/two/three/a.yaml")
    s.becomes(3, replace, deep / "a.yaml", text(3))
    s.becomes(4, replace, deep / "a.yaml", text(4))
    assert len(s.daemon.wait_for("max_user_watches")) == 1


def test_watch_limit_raised(scene):
    """sysctl, and no restart: events tell again."""
    s = scene(reload=FAST, preexec=limited(max_inotify_watches=1))
    s.becomes(2, replace, s.file, text(2))
    raise_limit(s, "max_inotify_watches", 1000)
    s.becomes(3, replace, s.file, text(3))
    s.hangup()
    assert s.daemon.watches() > 1
    s.stays(replace, s.main, s.main.read_text().replace("rescan: 1s", "rescan: 1h"))
    s.becomes(4, replace, s.file, text(4))


# --- The queue -----------------------------------------------------------------------------------


def test_queue_overflow(scene):
    """IN_Q_OVERFLOW: the change that matters is not in the queue any more."""
    s = scene(reload=EVENTS)
    enough = int(MAX_QUEUED_EVENTS.read_text()) + 1000
    one, two = s.directory / "y.yaml", s.directory / "x.yaml"
    for round_ in 2, 3:
        with s.paused():
            one.write_text(text(1, "example.edu"))
            for _ in range(enough // 4 + 1):  # two events a rename, never the same twice
                os.rename(one, two)
                os.rename(two, one)
            one.unlink()
            replace(s.file, text(round_))
            s.watcher.announce(body(round_))
        s.nudge()
        s.watcher.until(body(round_))
    s.becomes(4, replace, s.file, text(4))


# --- Descriptors ---------------------------------------------------------------------------------


def test_no_descriptors(scene):
    """EMFILE is no removal: nothing changes, and the look is repeated without an event."""
    s = scene()
    soft, hard = resource.prlimit(s.daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(s.daemon.pid, resource.RLIMIT_NOFILE, (3, hard))
    try:
        replace(s.file, text(2))
        assert "result=refused" in s.hangup()
        assert "too many open files" in s.daemon.output
        s.watcher.announce(body(2))
    finally:
        resource.prlimit(s.daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
    if not s.watches:
        s.hangup()
    s.watcher.until(body(2))


def test_few_descriptors(scene):
    """Each number of free descriptors: the reload gets to another point before it fails."""
    s = scene()
    soft, hard = resource.prlimit(s.daemon.pid, resource.RLIMIT_NOFILE)
    s.watcher.announce(*(body(number) for number in range(2, 10)))
    for number in range(2, 10):
        highest = max(int(fd) for fd in os.listdir(f"/proc/{s.daemon.pid}/fd"))
        resource.prlimit(s.daemon.pid, resource.RLIMIT_NOFILE, (highest + number - 2, hard))
        replace(s.file, text(number))
        s.hangup()
        resource.prlimit(s.daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
    s.nudge()
    s.watcher.until(body(9))
    assert not s.daemon.log(code="tenant-kept") or "kept=0" in s.hangup()
