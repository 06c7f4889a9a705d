"""What was served before a start stays while its file cannot be used, at every look and every start
after that, and is never withdrawn; what was removed on purpose goes. A tenant is its file's."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3

import pytest
from harness.daemon import Daemon
from harness.reload import ABSENT, NEIGHBOUR, SUBJECT, body, replace, text

MORE = "more.example.org"
OLD = "+60s"  # the server's clock, for which a file that was written just now has long been at rest


@pytest.fixture
def published(tmp_path):
    """A program for on_change that notes what it is told."""
    notes = tmp_path / "notes"
    program = tmp_path / "note"
    program.write_text(f"#!/bin/sh\ncat >>{notes}\n")
    program.chmod(0o755)

    def withdrawn():
        """The domains whose records were withdrawn, in the order of that."""
        rest, domains = notes.read_text(), []
        while rest.strip():
            document, end = json.JSONDecoder().raw_decode(rest)
            domains += [each["domain"] for each in document["removed"]]
            rest = rest[end:].lstrip()
        return domains

    withdrawn.command = [str(program)]
    return withdrawn


@pytest.fixture
def kept(scene, published, clock):
    """A scene whose files are old for the server from the next start on."""

    def build(**options):
        options.setdefault("tls", False)
        settings = {"on_change": published.command} | options.pop("settings", {})
        s = scene(settings=settings, env=clock.environment, **options)
        s.daemon.wait_for("event=on-change result=done")
        clock.set(OLD)
        return s

    return build


def look_in_every_way(s):
    """The look after the start, that at a file which an event names, at a new one, at all."""
    s.stays()
    s.stays()
    s.stays((s.directory / "new.yaml").write_text, "tenants: {}\n")
    s.hangup()
    s.stays((s.directory / "new.yaml").unlink)


def owner(s, domain=SUBJECT):
    """The file that the ledger knows the tenant from."""
    with contextlib.closing(sqlite3.connect(s.ledger)) as ledger:
        (row,) = ledger.execute("SELECT file FROM instance WHERE domain = ? AND last_served IS NULL",
                                (domain,))
    return row[0]


def instances(s, domain=SUBJECT):
    """The ids that the tenant ever had."""
    with contextlib.closing(sqlite3.connect(s.ledger)) as ledger:
        return ledger.execute("SELECT id FROM instance WHERE domain = ?", (domain,)).fetchall()


def write_as_it_was(path, content):
    """In place, as the file would be left by a full disk or a crash."""
    path.write_bytes(content)


def make_fifo(path, _):
    path.unlink()
    os.mkfifo(path)


def make_folder(path, _):
    path.unlink()
    path.mkdir()


UNUSABLE = {
    "cut": (write_as_it_was, text(1).encode().replace(b"\n", b" ")[:-8]),
    "a bracket less": (write_as_it_was, b"tenants: {example.org: {mode: testing, mx: mx1.example.org}"),
    "empty": (write_as_it_was, b""),
    "a comment": (write_as_it_was, b"# later\n"),
    "no UTF-8": (write_as_it_was, b"tenants: {example.org: {mode: testing, mx: [\xff]}}\n"),
    "an unknown key": (write_as_it_was, text(2).encode() + b"tennants: {}\n"),
    "a FIFO": (make_fifo, None),
    "a folder": (make_folder, None),
}


def mend(s):
    with s.paused():
        if s.file.is_dir():
            s.file.rmdir()
        replace(s.file, text(2))


@pytest.mark.parametrize("spoil, content", UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_at_a_start(kept, published, spoil, content):
    s = kept()
    s.restart(1, meanwhile=lambda: spoil(s.file, content))
    look_in_every_way(s)
    assert "kept=1" in s.hangup()
    s.restart(1)
    look_in_every_way(s)
    s.restart(1)
    s.stays()
    s.becomes(2, mend, s)
    assert "kept=0" in s.hangup()
    assert len(instances(s)) == 2
    assert published() == []


def test_spoilt_in_another_way_after_a_start(kept, published):
    """The tenant is declared in the broken file first, then it is not, then there is no file."""
    s = kept()
    s.restart(1, meanwhile=lambda: s.file.write_bytes(UNUSABLE["an unknown key"][1]))
    s.stays()
    s.stays(s.file.write_text, "tenants: {")
    s.stays(make_fifo, s.file, None)
    s.hangup()
    s.restart(1)
    s.stays()
    s.becomes(2, mend, s)
    assert published() == []


def test_mended_without_the_tenant(kept, published):
    """Whoever mends the file and leaves the tenant out removes it."""
    s = kept()
    s.restart(1, meanwhile=lambda: s.file.write_text("tenants: {"))
    s.stays()
    s.disappears(replace, s.file, "tenants: {}\n")
    s.daemon.wait_for("event=on-change result=done .*removed=1")
    assert published() == [SUBJECT]


@pytest.mark.parametrize("how", ["a bracket less", "empty", "a FIFO"])
def test_removed_on_purpose_beside_an_unusable_file(kept, published, how):
    """Only the tenants of the file that cannot be used stay."""
    spoil, content = UNUSABLE[how]
    s = kept(arrange=lambda s: (s.directory / "c.yaml").write_text(text(1, MORE)))
    assert owner(s) == "tenants.d/a.yaml" and owner(s, MORE) == "tenants.d/c.yaml"

    def spoil_and_remove():
        spoil(s.file, content)
        (s.directory / "c.yaml").unlink()

    s.restart(1, meanwhile=spoil_and_remove)
    s.daemon.wait_for("event=on-change result=done .*removed=1")
    look_in_every_way(s)
    s.restart(1)
    s.stays()
    assert "kept=1" in s.hangup()
    assert published() == [MORE]


def test_taken_out_of_a_file_beside_an_unusable_one(kept, published):
    """A file that is readable and names the tenant no more has removed it."""
    both = text(1, NEIGHBOUR) + "  " + text(1, MORE).partition("\n  ")[2]
    s = kept(arrange=lambda s: s.neighbour_file.write_text(both))
    assert owner(s, MORE) == "tenants.d/b.yaml"

    def spoil_and_remove():
        s.file.write_bytes(b"")
        s.neighbour_file.write_text(text(1, NEIGHBOUR))

    s.restart(1, meanwhile=spoil_and_remove)
    s.daemon.wait_for("event=on-change result=done .*removed=1")
    look_in_every_way(s)
    assert published() == [MORE]


def empty_folder(s):
    s.directory.rename(s.root / "away")
    s.directory.mkdir()


@pytest.mark.parametrize("take", [lambda s: s.directory.rename(s.root / "away"), empty_folder],
                         ids=["gone", "empty"])
def test_folder_that_is_missing_at_a_start(kept, published, take):
    """Not mounted: nothing was removed on purpose, however often it is started."""
    s = kept()
    s.restart(1, meanwhile=lambda: take(s))
    s.stays()
    s.hangup()
    s.restart(1)
    s.stays()
    assert "kept=2" in s.hangup()
    if s.directory.exists():
        s.directory.rmdir()
    s.stays((s.root / "away").rename, s.directory)
    assert "kept=0" in s.hangup()
    s.becomes(2, replace, s.file, text(2))
    assert published() == []


def test_pattern_taken_out_while_down(kept, published):
    """Files that nothing includes any more are no files that cannot be read."""
    s = kept()

    def take_out():
        s.file.write_text("tenants: {")
        shutil.copy(s.neighbour_file, s.sentinel_file.with_name("b.yaml"))
        s.main.write_text(s.main.read_text().replace("- tenants.d/*.yaml\n", ""))

    s.restart(ABSENT, meanwhile=take_out)
    s.daemon.wait_for("event=on-change result=done .*removed=1")
    s.stays()
    assert published() == [SUBJECT]


def forget_files(s):
    """As a ledger is from before files were remembered."""
    with contextlib.closing(sqlite3.connect(s.ledger)) as ledger:
        ledger.executescript("ALTER TABLE instance DROP COLUMN file; PRAGMA user_version = 2;")


def test_ledger_of_before(kept, published):
    """Nobody knows what was in the broken file: nobody is gone, and that does not change by looking;
    once the file was good, its tenants are known."""
    s = kept(arrange=lambda s: (s.directory / "c.yaml").write_text(text(1, MORE)))

    def spoil():
        s.file.write_bytes(b"")
        (s.directory / "c.yaml").unlink()
        forget_files(s)

    s.restart(1, meanwhile=spoil)
    look_in_every_way(s)
    assert "kept=2" in s.hangup()
    assert owner(s, NEIGHBOUR) == "tenants.d/b.yaml" and owner(s) is None
    s.restart(1)
    s.stays()
    assert published() == []
    s.becomes(2, replace, s.file, text(2))
    s.daemon.wait_for("event=on-change result=done .*removed=1")
    assert published() == [MORE] and owner(s) == "tenants.d/a.yaml"


@pytest.mark.parametrize("folder", ["", "{root}/"], ids=["relative", "absolute"])
def test_folder_by_another_name(kept, published, tmp_path, folder):
    """-c names the same folder in another way: nothing is refused, and nothing lost."""

    def arrange(s):
        (s.directory / "c.yaml").write_text(text(1, MORE))
        begin = folder.format(root=s.root)
        s.main.write_text(s.main.read_text().replace("- tenants.d", f"- {begin}tenants.d"))

    s = kept(arrange=arrange)
    s.close()
    alias = tmp_path / "alias"
    alias.symlink_to(s.root)
    s.file.write_text("tenants: {")
    (s.directory / "c.yaml").unlink()
    (s.directory / "0.yaml").write_text(text(2))
    s.daemon = Daemon(None, alias, env=s.daemon._env)
    s.start()
    s.daemon.wait_for("event=on-change result=done .*removed=1")
    s.stays()
    assert s.diagnostics(code="tenant-duplicate")
    s.becomes(3, replace, s.file, text(3))
    assert published() == [MORE] and owner(s) == folder.format(root=s.root) + "tenants.d/a.yaml"


# --- A tenant is its file's ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["0.yaml", "z.yaml"])
def test_second_claim(kept, name):
    """Whatever the other file says: also the policy of before, when the first one changes it."""
    s = kept()
    other = s.directory / name
    s.stays(other.write_text, text(1))
    assert s.diagnostics(code="tenant-duplicate")
    s.becomes(2, replace, s.file, text(2))
    s.stays(replace, other, text(3))
    s.restart(2)
    s.stays()
    s.restart(4, meanwhile=lambda: (replace(other, text(2)), replace(s.file, text(4))))
    s.stays()
    s.stays(replace, s.file, "tenants: {example.org: {mode: enforced}}\n")
    s.stays(replace, s.file, "tenants: {")
    s.restart(4)
    s.stays(replace, other, text(5))
    assert f"{name}:" in s.diagnostics(code="tenant-duplicate")[-1]["where"]
    assert owner(s) == "tenants.d/a.yaml"
    s.becomes(6, replace, s.file, text(6))
    s.stays(other.unlink)
    assert not [d for d in s.diagnostics(code="tenant-duplicate") if "a.yaml:" in d["where"]]


def test_claim_of_a_tenant_in_the_main_file(kept):
    s = kept(arrange=lambda s: (s.file.unlink(), replace(s.main, s.main.read_text() + text(1))))
    assert owner(s) == "mta-stsd.yaml"
    main = s.main.read_text()
    s.stays(s.file.write_text, text(1))
    s.becomes(2, replace, s.main, main.replace("mx1.example.org", "mx2.example.org"))
    s.restart(3, meanwhile=lambda: replace(s.main, main.replace("mx1.", "mx3.")))
    s.stays()


@pytest.mark.parametrize("name", ["0.yaml", "z.yaml"])
def test_moved_on_purpose(kept, name, published):
    """In one go, or here first: never gone, the same id, and from then on the other file's."""
    s = kept()
    other = s.directory / name
    (before,) = instances(s)
    s.stays(other.write_text, text(1))
    s.stays(replace, s.file, "tenants: {}\n")
    s.hangup()
    assert owner(s) == f"tenants.d/{name}"
    s.stays(replace, s.file, text(2))
    s.becomes(3, replace, other, text(3))

    def move_back():
        with s.paused():
            replace(s.file, text(3))
            replace(other, "tenants: {}\n")

    s.stays(move_back)
    s.hangup()
    assert owner(s) == "tenants.d/a.yaml"
    s.restart(3, meanwhile=lambda: (s.file.unlink(), replace(other, text(3))))
    s.stays()
    assert owner(s) == f"tenants.d/{name}"
    assert instances(s)[0] == before and len(instances(s)) == 2
    assert published() == []


def test_folder_renamed(kept):
    """A pattern finds it by its new name: it is the same file."""

    def include_all(s):
        s.main.write_text(s.main.read_text().replace("tenants.d/*.yaml", '"*.d/*.yaml"'))

    s = kept(arrange=include_all)
    ids = instances(s)
    new = s.root / "a.d"
    s.stays(s.directory.rename, new)
    s.becomes(2, replace, new / "a.yaml", text(2))
    s.hangup()
    assert owner(s) == "a.d/a.yaml" and len(instances(s)) == len(ids) + 1
    s.restart(2)
    s.stays()
    assert "kept=0" in s.hangup() and not s.diagnostics(level="error")


def test_moved_in_two_saves_removed_first(kept):
    """Gone in between, then served from the other file."""
    s = kept()
    s.disappears(replace, s.file, "tenants: {}\n")
    s.becomes(1, (s.directory / "z.yaml").write_text, text(1))
    s.hangup()
    assert owner(s) == "tenants.d/z.yaml"


# --- strict --------------------------------------------------------------------------------------


def test_strict_promises_what_it_keeps(kept, published):
    """A refused change keeps no tenant: all stays as it was, and a start is refused."""
    s = kept(settings={"strict": True})
    replace(s.file, "tenants: {example.org: {mode: enforced, mx: mx1.example.org}}\n")
    s.daemon.wait_for("code=strict-refused")
    assert not s.diagnostics(code="tenant-kept") and not s.diagnostics(code="source-kept")
    s.watcher.more()
    s.close()
    daemon = s.daemon.again()
    assert not daemon.launch()
    assert "code=strict-refused" in daemon.output and "code=tenant-kept" not in daemon.output
    replace(s.file, b"")  # no error: kept, also by a start
    s.daemon = daemon.again()
    s.start()
    s.stays()
    assert s.diagnostics(code="tenant-kept")
    assert published() == []


# --- Half-written, emptied, called otherwise ------------------------------------------------------


@pytest.mark.parametrize("main", [False, True], ids=["included", "main file"])
def test_being_written_at_a_start(kept, published, main):
    """What a start finds of a file that somebody writes at this moment is not all of it."""
    both = text(1) + "  " + text(1, MORE).partition("\n  ")[2]

    def arrange(s):
        if main:
            s.file.unlink()
        s.subject = s.main if main else s.file
        begin = s.main.read_text() if main else ""
        s.half, s.whole = begin + text(1), begin + both
        replace(s.subject, s.whole)

    s = kept(arrange=arrange)
    ids = instances(s, MORE)
    s.close()
    with s.subject.open("w") as writer:
        writer.write(s.half)
        writer.flush()
        s.restart(1)
        more = s.watch(MORE, body(1, MORE))
        more.until(more.first)
        s.daemon.send_signal(signal.SIGHUP)
        s.daemon.wait_for("event=reload ")
        more.more()
        writer.write(s.whole[len(s.half):])
    s.stays()
    assert "kept=0" in s.hangup()
    more.more()
    more.check()
    assert instances(s, MORE) == ids and published() == []


def test_policy_cut_at_a_start(kept):
    """A part of a policy that is a policy, too, is no change of it."""
    s = kept()
    ids = instances(s)
    s.close()
    with s.file.open("w") as writer:
        writer.write("tenants:\n  example.org: {mode: testing, mx: mx1.example.org}\n")
        writer.flush()
        s.restart(1)
        s.stays()
        assert s.diagnostics(code="file-busy")
        writer.seek(0)
        writer.write(text(1))
        writer.truncate()
    s.stays()
    assert instances(s) == ids


def test_only_file_of_a_folder_removed(kept, published):
    """As tenant-kept says how a tenant is ended; that its folder is empty then means nothing."""
    s = kept(arrange=lambda s: s.neighbour_file.rename(s.sentinel_file.with_name("b.yaml")))
    s.restart(1, meanwhile=lambda: s.file.write_text("tenants: {"))
    s.stays()
    s.disappears(s.file.unlink)
    s.daemon.wait_for("event=on-change result=done .*removed=1")
    assert published() == [SUBJECT]


def respell(s):
    """Another pattern for the same files."""
    replace(s.main, s.main.read_text().replace("- tenants.d/", "- ./tenants.d/"))


def test_pattern_written_otherwise(kept, published):
    """The same file has another name then: what is known of it stays known, at a look or a start."""
    s = kept()
    s.stays(s.file.write_text, "tenants: {")
    s.stays(respell, s)
    s.hangup()
    s.hangup()
    s.stays()
    s.restart(1)
    look_in_every_way(s)
    s.becomes(2, replace, s.file, text(2))
    s.hangup()
    assert owner(s) == "./tenants.d/a.yaml" and published() == []


@pytest.mark.parametrize("down", [False, True], ids=["running", "restart"])
def test_claim_and_a_pattern_written_otherwise(kept, down):
    """Who copies a policy and waits for that gets nothing."""
    s = kept()
    other = s.directory / "0.yaml"
    s.stays(other.write_text, text(1))
    if down:
        s.restart(1, meanwhile=lambda: respell(s))
    else:
        s.stays(respell, s)
    s.stays(replace, other, text(3))
    s.becomes(2, replace, s.file, text(2))


def test_claim_and_a_folder_renamed_while_down(kept):
    s = kept()
    s.stays((s.directory / "0.yaml").write_text, text(1))

    def rename():
        s.directory.rename(s.root / "new.d")
        replace(s.main, s.main.read_text().replace("- tenants.d/", "- new.d/"))

    s.restart(1, meanwhile=rename)
    s.stays(replace, s.root / "new.d" / "0.yaml", text(3))
    s.becomes(2, replace, s.root / "new.d" / "a.yaml", text(2))
