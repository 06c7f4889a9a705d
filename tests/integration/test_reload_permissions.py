"""Files and directories that may no longer be read: what is served stays."""

import ctypes
import os

import pytest
from harness.reload import body, replace, text

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _CAP_LEASE = 1, 2, 28
_libc = ctypes.CDLL(None, use_errno=True)


def without_privileges():
    """For preexec: permissions count, also for root, and other people's files take no lease."""
    for capability in _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _CAP_LEASE:
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def test_file(scene):
    s = scene(preexec=without_privileges)
    s.stays(os.chmod, s.file, 0)
    (line,) = s.diagnostics(code="file-unreadable")
    assert "permission denied" in line["message"]
    replace(s.file, text(2))  # with the permissions of a new file
    os.chmod(s.file, 0)
    s.stays()
    s.becomes(2, os.chmod, s.file, 0o644)
    assert len(s.diagnostics(code="file-unreadable")) == 1


@pytest.mark.parametrize("mode", [0, 0o444, 0o111], ids=oct)
def test_directory(scene, mode):
    """The names cannot be seen, or they can, but not the files, or the files without the names."""
    s = scene(preexec=without_privileges)
    s.stays(os.chmod, s.directory, mode)
    s.hangup()
    s.stays(os.chmod, s.directory, 0o755)
    s.becomes(2, replace, s.file, text(2))


def test_change_while_it_cannot_be_seen(scene):
    """The right comes back together with a new file: no event of the file itself was seen."""
    s = scene(preexec=without_privileges)
    s.stays(os.chmod, s.directory, 0)
    s.stays(replace, s.file, text(2))
    s.becomes(2, os.chmod, s.directory, 0o755)


def test_main_file(scene):
    s = scene(preexec=without_privileges)
    os.chmod(s.main, 0)
    assert "result=refused" in s.hangup()
    s.file.write_text(text(2))
    assert "result=refused" in s.hangup()
    s.becomes(2, os.chmod, s.main, 0o644)


def test_slow_writer_of_a_foreign_file(scene):
    """No lease can be taken on it; still nothing that is cut or empty is served."""
    s = scene(preexec=without_privileges)
    try:
        os.chown(s.file, 4242, 4242)
    except OSError:
        pytest.skip("needs to give files away")
    with open(s.file, "w", encoding="utf-8") as file:
        s.stays()
        file.write("tenants: {example.org: {mode: tes")
        file.flush()
        s.stays()
        file.write("ting, mx: [mx2.example.org], max_age: 604800}}\n")
        s.becomes(2, file.flush)
