"""A file that is no good: the tenant in it keeps its policy, nobody else notices, and the log says
what to do, once."""

import os
import socket

import pytest
from harness.reload import body, replace, text

def said(s):
    """What the log says about the file, and not about what stays served because of it."""
    lines = s.diagnostics()
    lines = [d for d in lines if s.file.name in d.get("where", "") + d["message"]]
    return [d for d in lines if d["code"] not in ("tenant-kept", "source-kept")]


def check_said_once(s):
    """The log names the file, and says nothing new about it when it is looked at again."""
    before = said(s)
    assert before
    s.hangup()
    s.stays()
    assert said(s) == before


BROKEN = {
    "a syntax error": b"tenants:\n  example.org: {mode: testing\n",
    "a tab": b"tenants:\n\texample.org: {}\n",
    "NULs": b"tenants:\n  example.org: {mode: testing, mx: [mx2.example.org]}\n" + b"\0" * 512,
    "only NULs": b"\0" * 4096,
    "another encoding": text(2).encode("utf-16"),
    "no UTF-8": b"tenants: {example.org: {mode: testing, mx: [\xff\xfe]}}\n",
    "two documents": text(2).encode() + b"---\n" + text(3).encode(),
    "an unknown key": text(2).encode() + b"tennants: {}\n",
    "a list": b"- tenants\n",
    "a number": b"17\n",
    "80 MB": text(2).encode() + b"#" + b"x" * 80_000_000,
    "many levels": b"[" * 100_000,
    "merge conflict": b"<<<<<<< HEAD\n" + text(2).encode() + b"=======\n>>>>>>> other\n",
    "a picture": bytes(range(256)) * 64,
}
BAD_TENANT = {
    "a wrong mode": "tenants: {example.org: {mode: enforced, mx: [mx2.example.org]}}\n",
    "no mx": "tenants: {example.org: {mode: enforce, mx: []}}\n",
    "a bad mx": "tenants: {example.org: {mode: testing, mx: ['*.*.example.org']}}\n",
    "a too long max_age": "tenants: {example.org: {mode: testing, mx: mx, max_age: 99w}}\n",
    "an unknown policy": "tenants: {example.org: {policy: none-such}}\n",
    "nothing": "tenants: {example.org: {}}\n",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_file(scene, content):
    s = scene()
    s.stays(replace, s.file, content)
    check_said_once(s)
    assert "kept=1" in s.hangup()
    s.becomes(2, replace, s.file, text(2))
    assert "kept=0" in s.hangup()


@pytest.mark.parametrize("content", BAD_TENANT.values(), ids=BAD_TENANT)
def test_bad_tenant(scene, content):
    s = scene()
    s.stays(replace, s.file, content)
    check_said_once(s)
    assert "kept=1" in s.hangup()
    s.becomes(2, replace, s.file, text(2))


def test_broken_in_another_way(scene):
    """Each new mistake is said, and the way back is seen."""
    s = scene()
    for content in BROKEN["a tab"], BROKEN["NULs"], BROKEN["a tab"]:
        before = len(s.diagnostics(level="error"))
        s.stays(replace, s.file, content)
        assert len(s.diagnostics(level="error")) > before
    s.becomes(2, replace, s.file, text(2))


def test_cut_file(scene):
    """Every prefix of a file, as after a crash of the machine: the old or a whole new policy.

    A prefix that is a valid file is what the operator wrote, as far as anyone can tell.
    """
    s = scene()
    whole = "tenants:\n  example.org:\n    mx: [mx2.example.org]\n    mode: testing\n"
    for end in range(1, len(whole) - len("testing\n")):
        replace(s.file, whole[:end])
        if end % 7 == 0:
            s.stays()
    s.becomes(2, replace, s.file, whole, max_age=2419200)


def test_empty_file(scene):
    """A file that became empty is what a full disk or a crash leaves, and how a write begins."""
    s = scene()
    s.stays(s.file.write_bytes, b"")
    check_said_once(s)
    s.becomes(2, s.file.write_text, text(2))


def test_a_file_without_tenants_removes_them(scene):
    """Somebody wrote that there are none."""
    s = scene()
    s.disappears(replace, s.file, "tenants: {}\n")
    s.becomes(2, replace, s.file, text(2))


def test_removed_on_purpose(scene):
    """rm of one file in a directory that stays: the tenant goes."""
    s = scene()
    s.disappears(s.file.unlink)
    s.becomes(2, s.file.write_text, text(2))


# --- Not a readable regular file -----------------------------------------------------------------


def make_fifo(path):
    new = path.with_name("fifo")
    os.mkfifo(new)
    os.rename(new, path)


def make_device(path):
    """/dev/zero would never end. A link, because a user namespace may make no device."""
    new = path.with_name("device")
    os.symlink("/dev/zero", new)
    os.rename(new, path)


def make_terminal(path):
    new = path.with_name("device")
    os.symlink("/dev/tty", new)
    os.rename(new, path)


def make_directory(path):
    path.unlink()
    path.mkdir()


def make_socket(path):
    path.unlink()
    folder = os.open(path.parent, os.O_PATH)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


ODD = [make_fifo, make_device, make_terminal, make_directory, make_socket]


def remove(path):
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()


@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
def test_not_a_file(scene, make):
    """Nothing hangs, nothing is removed."""
    s = scene()

    def without_a_gap(action, *arguments):
        with s.paused():
            action(*arguments)

    def mend():
        remove(s.file)
        s.file.write_text(text(2))

    s.stays(without_a_gap, make, s.file)
    check_said_once(s)
    s.becomes(2, without_a_gap, mend)


# --- The main file -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [*BROKEN.values(), b"", b"# nothing\n"],
    ids=[*BROKEN, "empty", "a comment"],
)
def test_broken_main_file(scene, content):
    """All or nothing: nothing of a broken main file counts, nor does anything that it includes."""
    s = scene()
    good = s.main.read_text()
    s.change(replace, s.main, content)
    s.daemon.wait_for("result=refused")
    replace(s.file, text(2))
    assert "result=refused" in s.hangup()
    s.watcher.more()
    s.watcher.check()
    s.watcher.announce(body(2))
    s.change(replace, s.main, good)
    s.watcher.until(body(2))


def test_main_file_removed(scene):
    s = scene()
    good = s.main.read_text()
    s.change(s.main.unlink)
    s.daemon.wait_for("result=refused")
    assert "result=refused" in s.hangup()
    s.watcher.more()
    s.file.write_text(text(2))
    s.watcher.announce(body(2))
    s.change(s.main.write_text, good)
    s.watcher.until(body(2))
