"""A process confined as a service unit says: its capabilities and its system calls, no service
manager needed."""

import ctypes
import errno
import os
import re
import subprocess

from .process import die_with_parent

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000
_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 23, 24, 38
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 47, 2
_CAPABILITY_VERSION_3 = 0x20080522
# <linux/capability.h>; another one in the unit file wants its number here.
_CAPABILITIES = {"CAP_DAC_READ_SEARCH": 2, "CAP_NET_BIND_SERVICE": 10, "CAP_LEASE": 28}

_libc = ctypes.CDLL(None, use_errno=True)


def read_unit(path):
    """{key: [values in order]}; an empty value takes back the earlier ones (systemd.syntax(7))."""
    unit = {}
    for line in path.read_text().splitlines():
        found = re.fullmatch(r"(\w+)=(.*)", line)
        if found and found[2]:
            unit.setdefault(found[1], []).append(found[2])
        elif found:
            unit[found[1]] = []
    return unit


def _members(name):
    """The calls of a set like @system-service, sets within sets included."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(["systemd-analyze", "syscall-filter", name],
                            capture_output=True, text=True, check=True).stdout
    # The first line is the set's own name; some comments stand among the members.
    words = [line.strip() for line in listed.splitlines()[1:]]
    return set().union(*(_members(word) for word in words if word and not word.startswith("#")))


def allowed_calls(lines):
    """What SystemCallFilter= lines leave: each adds its sets, or takes them away after a ~."""
    assert not lines[0].startswith("~"), "the first line decides that this is a list of what may be"
    calls = set()
    for line in lines:
        sets = set().union(*(_members(word) for word in line.lstrip("~").split()))
        calls = calls - sets if line.startswith("~") else calls | sets
    return calls


def _build_filter(calls, refused, otherwise):
    """A libseccomp context: `calls` may be, `refused` fail with EPERM, all others as told."""
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(otherwise)))
    assert context
    for action, names in ((_ALLOW, calls - set(refused)), (_ERRNO | errno.EPERM, refused)):
        for name in names:
            number = lib.seccomp_syscall_resolve_name(name.encode())
            if number >= 0:  # not of another architecture
                rule = lib.seccomp_rule_add(context, ctypes.c_uint32(action), number, 0)
                assert rule == 0, f"{name}: {rule}"
    return lib, context


def _call(name, *args):
    if getattr(_libc, name)(*args) != 0:
        raise OSError(ctypes.get_errno(), f"{name} {args}")


def _become(user, ambient):
    """setpriv(1) --reuid USER --regid USER --clear-groups, with these capabilities over exec."""
    _call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    bits = sum(1 << number for number in ambient)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(bits, bits, bits)  # effective, permitted, inheritable
    _call("capset", header, data)
    for number in ambient:
        _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0)
    die_with_parent()  # setresuid(2) has taken it back


def confine(unit, refused=None, user=None):
    """For preexec: the process keeps what the unit leaves it, and is `user` (a number) if given.

    Without `refused` a filtered call does what the unit says. With it any filtered call kills
    (SIGSYS), so that none goes unnoticed, except `refused`: those whose EPERM is known to be fine.
    """
    error = unit.get("SystemCallErrorNumber", [""])[-1]
    otherwise = _ERRNO | getattr(errno, error) if error else _KILL_PROCESS
    if refused is not None:
        otherwise = _KILL_PROCESS
    lib, context = _build_filter(allowed_calls(unit["SystemCallFilter"]), refused or (), otherwise)
    kept, ambient = (
        {_CAPABILITIES[name] for name in " ".join(unit.get(key, [])).split()}
        for key in ("CapabilityBoundingSet", "AmbientCapabilities")
    )

    def preexec():
        capability = 0
        while _libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) >= 0:
            if capability not in kept and _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "PR_CAPBSET_DROP")
            capability += 1
        if user is not None:
            _become(user, ambient)
        if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
        failed = lib.seccomp_load(context)
        if failed:
            raise OSError(-failed, "seccomp_load")

    preexec.capabilities = sum(1 << number for number in kept)
    return preexec
