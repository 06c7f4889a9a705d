"""Many tenants: one that is bad harms no other, and a change of all of them is one reload."""

import contextlib
import json
import pathlib
import re

import pytest
import yaml
from harness.reload import ABSENT, SUBJECT, body, policy, replace, text

MANY = [f"t{i}.example.org" for i in range(200)]


def many_files(s, number, names, bad=()):
    """A file for each name, written one after the other."""
    for name in names:
        replace(s.directory / f"{name}.yaml", "tenants: {\n" if name in bad else text(number, name))


def test_one_bad_among_many(scene):
    """The others move on, in the same reload."""
    s = scene(arrange=lambda s: many_files(s, 1, MANY), tls=False)
    bad = MANY[77]
    with s.paused():
        many_files(s, 2, MANY, bad=[bad])
        replace(s.file, text(2))
        s.watcher.announce(body(2))
    s.nudge()
    s.watcher.until(body(2))
    s.daemon.wait_for("event=reload result=done .* refused=0 kept=1 ")
    assert [d for d in s.diagnostics(code="source-kept") if bad in d["where"]]
    s.becomes(3, replace, s.file, text(3))
    replace(s.directory / f"{bad}.yaml", text(2, bad))
    assert "kept=0" in s.hangup()


def test_a_whole_file_of_many(scene):
    """All tenants of a broken file stay; the neighbours in other files move on."""
    tenants = {name: policy(1, name) for name in MANY}

    def arrange(s):
        (s.directory / "many.yaml").write_text(json.dumps({"tenants": tenants}))

    s = scene(arrange=arrange, tls=False)
    s.becomes(2, lambda: (replace(s.directory / "many.yaml", "tenants:\n  - x\n"),
                          replace(s.file, text(2))))
    assert f"kept={len(MANY)}" in s.hangup()
    s.becomes(3, replace, s.file, text(3))


def test_two_thousand_files_at_once(scene):
    """git pull, rsync: an event storm is one look, not thousands; every file counts."""
    names = [f"t{i}.example.org" for i in range(2000)]
    s = scene(arrange=lambda s: many_files(s, 1, names), tls=False)
    before = len(s.reloads())
    with s.paused():
        many_files(s, 2, names)
        replace(s.file, text(2))
        s.watcher.announce(body(2))
    s.nudge()
    s.watcher.until(body(2))
    s.hangup()
    lines = s.reloads()[before:]
    assert sum(int(line.get("changed", 0)) for line in lines) == len(names) + 1
    assert len(lines) <= 3, lines  # a signal's; a look may begin before the last event is there


@pytest.mark.parametrize("name", ["0.yaml", "z.yaml"])
def test_duplicate_that_appears(scene, name):
    """A second file claims the tenant: it takes nothing over."""
    s = scene()
    other = s.directory / name
    s.stays(other.write_text, text(2))
    assert s.diagnostics(code="tenant-duplicate")
    s.stays(other.unlink)
    s.becomes(3, replace, s.file, text(3))


def test_move_to_another_file(scene):
    """From one file to another in one go: never gone in between."""
    s = scene()

    def move():
        with s.paused():
            s.file.unlink()
            (s.directory / "moved.yaml").write_text(text(2))

    s.becomes(2, move)


def test_strict(scene):
    """strict: on: any error refuses all of it, and the way back is by itself."""
    s = scene(settings={"strict": True}, tls=False)
    good = s.neighbour_file.read_text()
    s.change(replace, s.neighbour_file, "tenants: {example.net: {mode: enforced}}\n")
    s.daemon.wait_for("result=refused")
    replace(s.file, text(2))
    assert "result=refused" in s.hangup()
    s.watcher.more()
    s.watcher.check()
    s.becomes(2, replace, s.neighbour_file, good)


@pytest.mark.parametrize("broken", ["tenants: {\n", "tenants: {example.org: {mode: enforced}}\n"])
def test_start_with_a_broken_tenant(scene, broken):
    """Nothing good was ever served: its neighbours are, and it follows when it is mended."""
    s = scene(arrange=lambda s: s.file.write_text(broken), first=ABSENT)
    assert s.diagnostics(level="error")
    s.stays()
    s.becomes(2, replace, s.file, text(2))


@pytest.mark.parametrize("broken", ["tenants: {\n", "tenants: {example.org: {mode: enforced}}\n"])
def test_kept_across_a_restart(scene, broken):
    """What was served is in the ledger: the same body, reported as kept."""
    s = scene()
    s.becomes(2, replace, s.file, text(2))
    s.stays(replace, s.file, broken)
    s.restart(2)
    assert "kept=1" in s.hangup()
    assert s.diagnostics(code="tenant-kept") + s.diagnostics(code="source-kept")
    s.becomes(3, replace, s.file, text(3))


@pytest.mark.parametrize("broken", ["tenants: {\n", "tenants: {example.org: {mode: enforced}}\n", ""])
def test_records_of_a_kept_tenant(scene, run, broken):
    """Its record is still right, and stays in what is printed: a missing line might delete it."""
    s = scene()
    s.becomes(2, replace, s.file, text(2))
    s.hangup()
    before = run("records", "-c", s.main, "--format", "json").stdout
    s.stays(replace, s.file, broken)
    s.hangup()
    assert announced(run, s, SUBJECT) == announced(None, before, SUBJECT)
    s.restart(2)
    assert announced(run, s, SUBJECT) == announced(None, before, SUBJECT)


def announced(run, s, domain):
    """What `records` says of one tenant (or said, when `s` is its output), but how it is served."""
    out = run("records", "-c", s.main, "--format", "json").stdout if run else s
    (only,) = [each for each in json.loads(out) if each["domain"] == domain]
    assert only.pop("state") == ("kept" if run else "served")
    return only


def watched_inodes(pid):
    """The inodes of the directories that a process watches."""
    inodes = set()
    for path in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found = re.findall(r"^inotify .*ino:([0-9a-f]+)", path.read_text(), re.M)
            inodes |= {int(inode, 16) for inode in found}
    return inodes


def test_a_refused_change_is_watched_where_it_leads(scene):
    """strict, and a mistake in a directory that is newly included: mended there, it is noticed."""
    s = scene(settings={"strict": True}, tls=False)
    more = s.root / "more.d"
    more.mkdir()
    (more / "c.yaml").write_text("tenants: {\n")
    new = s.config | {"include": [*s.config["include"], "more.d/*.yaml"]}
    replace(s.main, yaml.safe_dump(new))
    s.daemon.wait_for("event=reload result=refused")
    assert "result=refused" in s.hangup()  # looks again, and that begins with the watches
    assert more.stat().st_ino in watched_inodes(s.daemon.pid)
    replace(more / "c.yaml", text(1, "more.example.org"))
    s.daemon.wait_for("event=reload result=done .* added=1 ")
