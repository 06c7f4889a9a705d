"""Runs the program under test so that a sanitizer report never goes unnoticed."""

import ctypes
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess

from . import BINARY, DEADLINE

SANITIZER = re.compile(
    r"ERROR: \w*Sanitizer|WARNING: ThreadSanitizer|runtime error:|Assertion .* failed"
)
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """For preexec_fn: an interrupted test run leaves no process behind."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _group(leader):
    """Descriptors of the processes of a group."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == leader:
                yield os.pidfd_open(int(stat.parent.name))
        except OSError:  # it has just ended
            pass


def kill_group(process):
    """Ends a process that leads its group, and waits until all others of it have ended."""
    members = list(_group(process.pid))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for descriptor in members:
        select.select([descriptor], [], [], DEADLINE)
        os.close(descriptor)


def environment(**extra):
    """A small, fixed environment: nothing of the caller's leaks into a test."""
    env = {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
        "HOME": os.environ.get("HOME", "/nonexistent"),
        "LC_ALL": "C.UTF-8",
        "ASAN_OPTIONS": "exitcode=99:detect_leaks=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "exitcode=99:print_stacktrace=1",
        "LSAN_OPTIONS": "exitcode=99",
        "TSAN_OPTIONS": "exitcode=99",
    }
    env.update(extra)
    return env


def command(*args):
    """The argument vector of the program under test with `args`."""
    prefix = []
    if "tsan" in BINARY.parts:  # its fixed address map and strong randomisation do not agree
        setarch = shutil.which("setarch")
        if setarch and subprocess.run([setarch, "-R", "true"], capture_output=True).returncode == 0:
            prefix = [setarch, "-R"]
    return prefix + [str(BINARY), *map(str, args)]


def check_clean(text, what):
    """Fails when `text` (output of the program) contains a sanitizer's report."""
    found = SANITIZER.search(text)
    assert not found, f"{what}: {found.group(0)}\n{text[-8000:]}"


def run(*args, stdin=None, cwd=None, env=None, timeout=DEADLINE):
    """Runs a command of the program to its end; text in, text out, the exit code is not judged."""
    done = subprocess.run(
        command(*args),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=not isinstance(stdin, bytes),
        cwd=cwd,
        env=env or environment(),
        timeout=timeout,
        preexec_fn=die_with_parent,
    )
    stderr = done.stderr if isinstance(done.stderr, str) else done.stderr.decode("utf-8", "replace")
    check_clean(stderr, f"mta-stsd {' '.join(map(str, args))}")
    assert done.returncode >= 0, f"killed by signal {-done.returncode}\n{stderr}"
    return done


def write_files(folder, files):
    """Writes {relative name: text or bytes} below `folder`."""
    for name, content in files.items():
        path = pathlib.Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
