"""A file changes in every way that programs change files: the new policy is served soon, whole, and
nobody else notices."""

import os
import signal

import pytest
import yaml
from harness import edits
from harness.reload import FAST, SUBJECT, body, policy, replace, text
from test_serve import PLAIN, get, tenant

PATIENT = {"settle": "1s", "settle_limit": "10s", "rescan": "1h"}


@pytest.mark.parametrize("edit", edits.WHOLE, ids=lambda edit: edit.__name__)
def test_edit(scene, edit):
    """Three times: a watch that stays with the old inode sees the first change only."""
    s = scene()
    for number in 2, 3, 4:
        s.becomes(number, edit, s.file, text(number))
    assert not s.diagnostics(level="error")


@pytest.mark.parametrize("edit", edits.WITH_GAP, ids=lambda edit: edit.__name__)
def test_edit_with_a_gap(scene, edit):
    """A file that is gone for less than the quiet time was never gone."""
    s = scene(reload=PATIENT)
    for number in 2, 3:
        s.becomes(number, edit, s.file, text(number))
    assert not s.diagnostics(level="error")


@pytest.mark.parametrize("edit", [*edits.WHOLE, *edits.WITH_GAP], ids=lambda edit: edit.__name__)
def test_edit_of_the_main_file(scene, edit):
    """The same for a tenant in the main file."""

    def main(number):
        own = text(number).partition("\n")[2]
        return f"{others}tenants:\n{own}"

    def arrange(s):
        nonlocal others
        others = s.main.read_text()
        s.file.unlink()
        s.main.write_text(main(1))

    others = ""
    s = scene(reload=PATIENT if edit in edits.WITH_GAP else None, arrange=arrange)
    for number in 2, 3:
        s.becomes(number, edit, s.main, main(number))
    assert not s.diagnostics(level="error")


def test_the_main_file_alone_is_looked_at(scene):
    """However many files and certificates it leads to, as long as it leads to the same."""

    def main(s, number):
        s.config["policies"] = {"shared": policy(number)}
        return yaml.safe_dump(s.config, sort_keys=False)

    def arrange(s):
        s.file.write_text("tenants: {example.org: {policy: shared}}\n")
        s.main.write_text(main(s, 1))

    s = scene(arrange=arrange)
    s.look()  # the wide look after the start is over
    for number in 2, 3:
        s.becomes(number, replace, s.main, main(s, number))
        s.daemon.wait_for(f"generation={number + 1} ", 1)
        line = s.reloads()[-1]
        assert (line["files_read"], line["files_parsed"]) == ("1", "1"), line
        assert line["certificate_folders"] == "told", line


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_the_main_file_leads_elsewhere(scene, tls):
    """What it names now is read, and watched from then on."""
    s = scene(tls=tls)
    elsewhere = s.root / "elsewhere.d"
    elsewhere.mkdir()
    (elsewhere / "a.yaml").write_text(text(2))
    include = ["elsewhere.d/*.yaml", "other.d/*.yaml", "tenants.d/b.yaml"]
    s.becomes(2, replace, s.main, yaml.safe_dump(s.config | {"include": include}, sort_keys=False))
    s.becomes(3, replace, elsewhere / "a.yaml", text(3))
    s.stays(replace, s.file, text(4))


def test_another_name_of_the_inode(scene):
    """Written in a directory that nobody watches: no event tells; the slow look sees it."""
    s = scene(reload=FAST)
    s.becomes(2, edits.hard_link_elsewhere, s.file, text(2))
    s.becomes(3, edits.hard_link_elsewhere, s.file, text(3))


def test_append(scene):
    """A whole file before and after."""
    s = scene()
    start = "tenants:\n  example.org:\n    mode: testing\n    mx: mx2.example.org\n"
    s.becomes(2, replace, s.file, start, max_age=2419200)

    def append():
        with open(s.file, "a", encoding="utf-8") as file:
            file.write("    max_age: 604800\n")

    s.becomes(2, append)


def test_touch(scene, run):
    """Nothing changed: the same id, the same body, and no tenant counts as changed."""
    s = scene()
    before = run("records", "-c", s.main, "--format", "json", SUBJECT).stdout
    s.stays(os.utime, s.file, (0, 0))
    s.stays(os.chmod, s.file, 0o600)
    s.hangup()  # a body is served before the log has its line
    done = len(s.daemon.log(event="reload", result="done"))
    replace(s.file, s.file.read_text())
    assert "result=unchanged" in s.hangup()
    assert len(s.daemon.log(event="reload", result="done")) == done
    assert run("records", "-c", s.main, "--format", "json", SUBJECT).stdout == before


def test_formatting_makes_no_new_id(scene, run):
    s = scene()
    before = run("records", "-c", s.main, "--format", "json", SUBJECT).stdout
    s.stays(replace, s.file, "# a comment\n\n" + s.file.read_text())
    assert run("records", "-c", s.main, "--format", "json", SUBJECT).stdout == before


def test_a_signal_looks_at_once(scene):
    """Also when nothing changed, and when all waits are long."""
    s = scene(reload={"settle": "60s", "settle_limit": "60s", "rescan": "1h"})
    replace(s.file, text(2))
    s.watcher.announce(body(2))
    s.daemon.send_signal(signal.SIGHUP)
    s.watcher.until(body(2))
    s.hangup()


@pytest.mark.parametrize("name", ["[1]", "a[b", "*", "a\\b"])
@pytest.mark.parametrize("pattern", ["t.d/*.yaml", "*/a[bc].yaml", "t.d/ab.yaml"])
def test_a_folder_named_like_a_pattern(serve, run, tmp_path, name, pattern):
    """The include pattern is one; the directory of the main file is what it is called."""
    daemon = serve(config={"listen": PLAIN, "certificates": [], "ledger": str(tmp_path / "l.db"),
                           "reload": FAST | {"rescan": "1h"}, "include": [pattern]}, start=False)
    files = {"t.d/ab.yaml": "example.org", "t.d/ac.yaml": "example.com"}
    wanted = 1 if pattern == "t.d/ab.yaml" else 2
    daemon.directory = daemon.directory.rename(tmp_path / name)
    daemon.config = daemon.directory / daemon.config.name
    for folder in daemon.directory, tmp_path / "other":
        (folder / "t.d").mkdir(parents=True)
    (tmp_path / "other/t.d/ab.yaml").write_text(yaml.safe_dump({"tenants": {"example.net": tenant()}}))
    first, second = (daemon.directory / file for file in files)
    first.write_text(yaml.safe_dump({"tenants": {"example.org": tenant()}}))
    assert "1 tenant: 1 served" in run("check", "-c", daemon.config).stdout
    daemon.start()
    assert get(daemon, "example.org").status == 200
    replace(second, yaml.safe_dump({"tenants": {"example.com": tenant()}}))
    if wanted == 2:
        daemon.wait_for("event=reload result=done .* added=1 ")
    daemon.directory.joinpath("t.d").rename(tmp_path / "elsewhere")
    daemon.wait_for("code=file-gone", wanted)
    assert get(daemon, "example.org").status == 200
    if wanted == 2:
        assert get(daemon, "example.com").status == 200
