"""The ledger fails, or the server dies, at any moment of a change: what is served stays whole, and
an id is announced only for what is served (RFC 8461 section 8.1)."""

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess

import pytest
from harness.reload import SUBJECT, body, replace, text


def record(run, s):
    """The id of the subject that may be announced, or None."""
    done = run("records", "-c", s.main, "--format", "json", SUBJECT)
    (only,) = json.loads(done.stdout)
    assert (done.returncode == 0) == (only["id"] is not None), done.stderr
    return only["id"]


@contextlib.contextmanager
def busy(s):
    """Somebody else writes to the ledger, so that nobody can commit."""
    with contextlib.closing(sqlite3.connect(s.ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def check_ledger(s, number):
    """Sound, and its current instance is what is served."""
    with contextlib.closing(sqlite3.connect(s.ledger)) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = ledger.execute(
            "SELECT body FROM instance WHERE domain = ? AND last_served IS NULL", (SUBJECT,)
        ).fetchall()
        ids = ledger.execute("SELECT id FROM instance WHERE domain = ?", (SUBJECT,)).fetchall()
    assert [bytes(row[0]) if isinstance(row[0], bytes) else row[0].encode() for row in rows] == [
        body(number)
    ]
    assert len(set(ids)) == len(ids)


# --- Ends at the worst moment --------------------------------------------------------------------


def test_killed_between_serving_and_committing(scene, run):
    """The new body was fetched by somebody, its id was never issued: the next start does."""
    s = scene()
    first = record(run, s)
    with busy(s):
        s.becomes(2, replace, s.file, text(2))
        assert record(run, s) is None
        s.leave()
        s.daemon.stop(expect=-signal.SIGKILL, how=signal.SIGKILL)
    s.restart(2)
    s.hangup()
    assert record(run, s) not in (None, first)
    check_ledger(s, 2)


def test_killed_and_reverted(scene, run):
    """Served, not committed, killed, and back to the version before: some sender may have the other
    one, but no id of it was ever announced, so the old id is still right."""
    s = scene()
    first = record(run, s)
    with busy(s):
        s.becomes(2, replace, s.file, text(2))
        s.leave()
        s.daemon.stop(expect=-signal.SIGKILL, how=signal.SIGKILL)
    replace(s.file, text(1))
    s.restart(1)
    s.hangup()
    assert record(run, s) == first


def test_killed_at_any_moment(scene, run):
    """Again and again, during reloads and commits; each start repairs what is there."""
    s = scene()
    chance = random.Random(8461)
    number, ids = 1, [record(run, s)]
    for _ in range(12):
        s.leave()
        for _ in range(chance.randrange(1, 6)):
            number += 1
            replace(s.file, text(number))
            s.daemon.send_signal(signal.SIGHUP)
        # Not a wait for anything: the moment is to be any.
        for _ in range(chance.randrange(0, 40)):
            s.reloads()
        s.daemon.stop(expect=-signal.SIGKILL, how=signal.SIGKILL)
        s.restart(number)
        s.hangup()
        ids.append(record(run, s))
        check_ledger(s, number)
    assert len(set(ids)) == len(ids)


def test_killed_while_the_kept_policy_is_served(scene, run):
    """The file is broken, the server dies: the ledger knows what was served."""
    s = scene()
    s.becomes(2, replace, s.file, text(2))
    s.stays(replace, s.file, "tenants: {\n")
    s.restart(2, how=signal.SIGKILL)
    s.stays()
    s.becomes(3, replace, s.file, text(3))
    s.hangup()
    check_ledger(s, 3)


# --- The ledger cannot be written ----------------------------------------------------------------


def test_busy_ledger(scene, run):
    """The body is live at once; the id follows when the ledger can be written."""
    s = scene()
    first = record(run, s)
    with busy(s):
        s.becomes(2, replace, s.file, text(2))
        assert record(run, s) is None
    s.hangup()
    assert record(run, s) not in (None, first)
    check_ledger(s, 2)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB, and a way to fill and to empty it."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    """To the last byte, and down to none that a rounding left."""
    with open(folder / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in 65536, 4096, 1:
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass


def test_disk_full(scene, run, small_disk):
    """ENOSPC: served all the same, announced when there is room."""
    s = scene(ledger=small_disk / "ledger.db")
    first = record(run, s)
    fill(small_disk)
    s.becomes(2, replace, s.file, text(2))
    s.becomes(3, replace, s.file, text(3))
    while "is full" not in s.daemon.output:  # the log files of SQLite may have had some room
        number = len(s.reloads()) + 10
        s.becomes(number, replace, s.file, text(number))
        s.hangup()
    s.becomes(4, replace, s.file, text(4))
    s.hangup()
    assert record(run, s) is None
    (small_disk / "filler").unlink()
    s.becomes(5, replace, s.file, text(5))
    s.hangup()
    assert record(run, s) not in (None, first)
    check_ledger(s, 5)


def test_disk_full_at_the_start(scene, run, small_disk):
    s = scene(ledger=small_disk / "ledger.db", start=False)
    fill(small_disk)
    s.start()
    s.becomes(2, replace, s.file, text(2))
    (small_disk / "filler").unlink()
    s.hangup()
    assert record(run, s) is not None
    check_ledger(s, 2)


def test_read_only_disk(scene, run, small_disk):
    """What a kernel does with a disk that fails."""
    s = scene(ledger=small_disk / "ledger.db")
    s.becomes(2, replace, s.file, text(2))
    s.close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    replace(s.file, text(3))
    s.restart(3)
    s.becomes(4, replace, s.file, text(4))
    s.hangup()
    assert record(run, s) is None
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    s.hangup()
    assert record(run, s)
    check_ledger(s, 4)


def check_rescued(run, s, first):
    """Said once, also by status; the subject has its id, a change gives another one."""
    assert record(run, s) == first
    found = run("status", "-c", s.main)
    assert "was deleted while in use" in found.stdout, found.stderr
    s.becomes(2, replace, s.file, text(2))
    s.hangup()
    assert record(run, s) not in (None, first)
    check_ledger(s, 2)
    assert len(s.daemon.log(code="ledger-rescued")) == 1
    assert not s.daemon.log(code="ledger-replaced")


@pytest.mark.parametrize("suffixes", [("",), ("", "-wal", "-shm", ".lock", ".sock", ".certs")])
def test_ledger_removed(scene, run, suffixes):
    """rm while it is open: the server has all of it, and nothing but the names is gone."""
    s = scene()
    first = record(run, s)
    for suffix in suffixes:
        os.unlink(f"{s.ledger}{suffix}")
    s.hangup()
    check_rescued(run, s, first)
    # Nobody may issue ids beside it.
    other = scene(ledger=s.ledger, start=False)
    assert not other.daemon.launch() and "ledger-in-use" in other.daemon.output


def test_ledger_removed_and_a_change(scene, run):
    """The change comes before anybody looked: its neighbour keeps its id, too."""
    s = scene()
    s.becomes(2, replace, s.file, text(2))
    s.hangup()
    with contextlib.closing(sqlite3.connect(s.ledger)) as ledger:
        before = ledger.execute("SELECT domain, id FROM instance WHERE domain != ?", (SUBJECT,))
        before = set(before)
    os.unlink(s.ledger)
    s.becomes(3, replace, s.file, text(3))
    s.hangup()
    check_ledger(s, 3)
    with contextlib.closing(sqlite3.connect(s.ledger)) as ledger:
        assert before <= set(ledger.execute("SELECT domain, id FROM instance"))
    assert len(s.daemon.log(code="ledger-rescued")) == 1


def test_folder_of_the_ledger_removed(scene, run, tmp_path):
    """It cannot be written again before the folder is back; until then no id, and all is served."""
    folder = tmp_path / "state"
    folder.mkdir()
    s = scene(ledger=folder / "ledger.db")
    first = record(run, s)
    shutil.rmtree(folder)
    s.hangup()
    (line,) = s.daemon.log(code="ledger-lock")
    assert "do not stop the server" in line["help"]
    folder.mkdir()
    s.hangup()
    check_rescued(run, s, first)


def test_ledger_replaced_by_a_backup(scene, run):
    """It is used, and told what is served; said once, whoever was the first to look."""
    s = scene()
    with contextlib.closing(sqlite3.connect(s.ledger)) as ledger:
        ledger.execute("VACUUM INTO ?", (f"{s.ledger}.backup",))
    s.becomes(2, replace, s.file, text(2))
    s.hangup()
    os.rename(f"{s.ledger}.backup", s.ledger)
    run("status", "-c", s.main)
    s.hangup()
    s.hangup()
    assert record(run, s)
    check_ledger(s, 2)
    assert len(s.daemon.log(level="warning", code="ledger-replaced")) == 1
    assert "was replaced while in use" in run("status", "-c", s.main).stdout


def test_another_ledger_while_the_first_is_unusable(serve):
    """Help says to name another file; it counts after a restart, as `ledger` is said to. Nobody may
    issue ids in a file that another server holds the lock of, or `records` believes to be free."""
    daemon = serve({"example.org": {"mode": "none", "mx": "mx.example.org"}}, ledger="first.db",
                   files={"first.db/in-the-way": ""})
    assert daemon.log(code="ledger-foreign")
    daemon.config.write_text(daemon.config.read_text().replace("first.db", "second.db"))
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_for("code=restart-needed")
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_for("event=reload", 2)
    assert not list(daemon.directory.glob("second.db*"))
    # The first one is mended: it is the one that counts.
    (daemon.directory / "first.db/in-the-way").unlink()
    (daemon.directory / "first.db").rmdir()
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_for("event=ledger-recovered")
    with contextlib.closing(sqlite3.connect(daemon.directory / "first.db")) as ledger:
        assert ledger.execute("SELECT count(*) FROM instance").fetchone() == (1,)
    assert (daemon.directory / "first.db.certs").exists()
    assert not list(daemon.directory.glob("second.db*"))
    daemon.stop()
    again = daemon.again().start()
    assert (daemon.directory / "second.db").exists()
    again.stop()


# --- Two of them ---------------------------------------------------------------------------------


def test_two_servers(scene, run):
    """The second one refuses to start, and the first one does not notice."""
    s = scene()
    other = scene(ledger=s.ledger, start=False)
    assert not other.daemon.launch()
    assert other.daemon.returncode == 3 and "ledger-in-use" in other.daemon.output
    s.becomes(2, replace, s.file, text(2))
    s.hangup()
    assert record(run, s)
    s.close()
    assert other.start()


def test_the_next_one_after_a_kill(scene):
    """A lock ends with its process."""
    s = scene()
    s.leave()
    s.daemon.stop(expect=-signal.SIGKILL, how=signal.SIGKILL)
    scene(ledger=s.ledger)
