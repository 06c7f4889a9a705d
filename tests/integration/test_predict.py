"""`check` says what a reload would do, and a reload does it."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import threading

import pytest
import yaml

from harness.client import fetch as fetch_plain
from test_serve import PLAIN, get, tenant
from test_status import QUIET, hangup, socket_of, talk

EDITS = {
    "nothing": lambda c: None,
    "another mode": lambda c: c["tenants"]["a.example"].update(mode="enforce"),
    "a mistake": lambda c: c["tenants"]["a.example"].update(mode="enforced"),
    "one more": lambda c: c["tenants"].update({"n.example": tenant()}),
    "one less": lambda c: c["tenants"].pop("b.example"),
    "retired": lambda c: c["tenants"]["a.example"].update(retire=True),
    "another mx and one less": lambda c: (c["tenants"]["a.example"].update(mx=["mx9.example.org"]),
                                          c["tenants"].pop("b.example")),
    "strict with a mistake": lambda c: (c["tenants"]["a.example"].update(mode="x"),
                                        c["tenants"].pop("b.example"), c.update(strict=True)),
}


def bodies(daemon, names):
    """What is served of each: the body, or None."""
    result = {}
    for name in names:
        response = get(daemon, name)
        result[name] = response.body.decode() if response.status == 200 else None
    return result


def edit(daemon, change, path):
    """The configuration with a change, in another file of the same folder."""
    config = yaml.safe_load(daemon.config.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize("name", EDITS)
def test_a_reload_does_what_check_says(serve, run, name):
    """For each edit: predicted from a copy of the file, then done."""
    daemon = serve({"a.example": tenant(), "b.example": tenant()}, listen=PLAIN)
    names = ["a.example", "b.example", "n.example"]
    expected = bodies(daemon, names)
    copy = edit(daemon, EDITS[name], daemon.config.parent / "copy.yaml")
    done = run("check", "--format", "json", "-c", copy)
    report = json.loads(done.stdout)
    assert report["compared_with"] == "served"
    for change in report["changes"] if report["usable"] else []:
        assert change["before"] == expected[change["domain"]]
        expected[change["domain"]] = change["after"]
    lines = len(daemon.log(event="reload"))
    copy.rename(daemon.config)
    if name == "nothing":
        daemon.send_signal(signal.SIGHUP)
    daemon.wait_for("event=reload", lines + 1)
    assert bodies(daemon, names) == expected
    result = daemon.log(event="reload")[-1]["result"]
    assert result == ("refused" if name == "strict with a mistake" else "done")
    if report["usable"]:
        kept = [t["domain"] for t in report["tenants"] if t["kept"]]
        assert int(daemon.log(event="reload")[-1]["kept"]) == len(kept)


def test_diff_shows_both_policies(serve, run):
    """Old lines, new lines, and the lines that stay."""
    daemon = serve({"a.example": tenant(), "b.example": tenant()}, listen=PLAIN)
    copy = edit(daemon, EDITS["another mx and one less"], daemon.config.parent / "copy.yaml")
    done = run("check", "--diff", "-c", copy)
    assert "  ~ a.example changed\n" in done.stdout
    assert "    +mx: mx9.example.org\n" in done.stdout
    assert "    -mx: " in done.stdout and "     version: STSv1\n" in done.stdout
    assert "  - b.example removed\n    -version: STSv1\n" in done.stdout
    assert "tenant-removed" in done.stderr and "mx-removed" in done.stderr


def test_the_first_hundred_changes_are_listed(serve, run):
    """More of them only on request."""
    daemon = serve({"a.example": tenant()}, listen=PLAIN)
    copy = edit(daemon, lambda c: c["tenants"].update(
        {f"t{i}.example": tenant() for i in range(120)}), daemon.config.parent / "copy.yaml")
    short = run("check", "-c", copy).stdout
    assert short.count(" added\n") == 100 and "and 20 more (--diff shows all)" in short
    assert run("check", "--diff", "-c", copy).stdout.count(" added\n") == 120


# --- The running server does it itself -----------------------------------------------------------


class Fake:
    """A server that gives one reply to whoever connects; a context manager."""

    def __init__(self, path, reply):
        self._path, self._reply = path, reply

    def __enter__(self):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(self._reply)

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._path.unlink()


class Place:
    """A server with tenants in files and a certificate of its own for each; nothing is reloaded
    before it is asked to."""

    names = ["a.example", "b.example", "m.example"]

    def __init__(self, serve, certs, tmp_path):
        self.certificates = certs.make(*(f"mta-sts.{n}" for n in self.names),
                                       folder=tmp_path / "certificates")
        self.daemon = serve(config={
            "listen": ["127.0.0.1:0", *PLAIN], "ledger": str(tmp_path / "ledger.db"),
            "certificates": [str(self.certificates)], "reload": QUIET,
            "include": ["tenants.d/*.yaml"], "tenants": {"m.example": tenant()},
        }, start=False)
        self.main = self.daemon.config
        self.folder = self.main.parent / "tenants.d"
        self.folder.mkdir()
        for name in self.names[:2]:
            self.write(name, tenant())
        self.daemon.start()

    def file(self, name):
        return self.folder / f"{name}.yaml"

    def write(self, name, keys):
        self.file(name).write_text(yaml.safe_dump({"tenants": {name: keys}}))

    def bodies(self):
        result = {}
        for name in [*self.names, "n.example"]:
            response = fetch_plain(self.daemon.address(1), f"mta-sts.{name}")
            result[name] = response.body.decode() if response.status == 200 else None
        return result


def half_renewed(p):
    """The key of another certificate stands beside the one of a.example."""
    shutil.copy(p.certificates / "mta-sts.b.example" / "privkey.pem",
                p.certificates / "mta-sts.a.example" / "privkey.pem")


def swapped(p):
    """Another directory, an empty one: what is left of a mount point."""
    p.folder.rename(p.main.parent / "away")
    p.folder.mkdir()


def edit_main(p, change):
    config = yaml.safe_load(p.main.read_text())
    change(config)
    p.main.write_text(yaml.safe_dump(config))


ONLY_THE_SERVER_KNOWS = {
    "nothing": lambda p: None,
    "a change": lambda p: p.write("a.example", tenant("enforce")),
    "a certificate half renewed": half_renewed,
    "a certificate gone": lambda p: shutil.rmtree(p.certificates / "mta-sts.a.example"),
    "an included file emptied": lambda p: p.file("a.example").write_text(""),
    "an included file removed": lambda p: p.file("a.example").unlink(),
    "an included file broken": lambda p: p.file("a.example").write_text("tenants: ["),
    "a directory replaced by an empty one": swapped,
    "a directory gone": lambda p: p.folder.rename(p.main.parent / "away"),
    "a tenant broken": lambda p: p.write("a.example", tenant("enforced")),
    "a tenant retired": lambda p: p.write("a.example", tenant() | {"retire": True}),
    "a tenant in two files": lambda p: shutil.copy(p.file("a.example"), p.file("0")),
    "the main file broken": lambda p: p.main.write_text(p.main.read_text() + "tenants: [\n"),
    "the main file gone": lambda p: p.main.unlink(),
    "strict with a mistake": lambda p: (p.write("a.example", tenant("enforced")),
                                        edit_main(p, lambda c: c.update(strict=True))),
    "a setting for the next start": lambda p: edit_main(p, lambda c: c.update(
        limits={"connections": 77})),
    "an included file open for writing": lambda p: p.file("a.example").open("w"),
    "the main file open for writing": lambda p: p.main.open("a"),
}


# Warnings for which `check` exits with 1: mta-stsd(8) has all of them.
ALARMS = {"certificate-kept", "restart-needed", "source-kept", "tenant-kept", "tenant-removed"}


def codes(diagnostics):
    return {(d["code"], d.get("tenant"), d["where"]["line"]) for d in diagnostics}


def timeless(run, config):
    """All that the server says, but for the time it says it."""
    done = run("status", "-c", config, "--format", "json")
    return re.sub(r'"(now|days)": [^,\n]*', "", done.stdout)


def rows(path):
    with contextlib.closing(sqlite3.connect(path)) as ledger:
        return ledger.execute("SELECT domain, id, first_served, last_served FROM instance").fetchall()


@pytest.mark.parametrize("name", ONLY_THE_SERVER_KNOWS)
def test_the_server_predicts_itself(serve, certs, run, tmp_path, name):
    """Tenants, states, bodies and diagnostics are those of the reload; asking changes nothing."""
    p = Place(serve, certs, tmp_path)
    config = p.main
    if name == "the main file gone":  # another name of it finds the socket
        config = p.main.parent / "other-name.yaml"
        os.link(p.main, config)
    before = p.bodies()
    held = ONLY_THE_SERVER_KNOWS[name](p)
    status, ledger = timeless(run, config), rows(tmp_path / "ledger.db")
    done = run("check", "--format", "json", "-c", config)
    report = json.loads(done.stdout)
    assert timeless(run, config) == status
    assert rows(tmp_path / "ledger.db") == ledger
    assert p.bodies() == before and len(p.daemon.log(event="reload")) == 0
    if name == "the main file gone":
        assert report["compared_with"] == "served"
        return
    assert report["compared_with"] == "server" and report["config"] == str(p.main)
    expected = dict(before)
    for change in report["changes"]:
        assert change["before"] == expected[change["domain"]]
        expected[change["domain"]] = change["after"]
    hangup(p.daemon)
    assert p.bodies() == expected
    after = json.loads(run("status", "-c", p.main, "--format", "json").stdout)
    said = after["reload"]["diagnostics"] + after["removed"]
    if report["usable"]:
        said = said + [d for t in after["tenants"] for d in t["why"] + t["advice"]]
    assert codes(report["diagnostics"]) == codes(said)
    result = after["reload"]["result"]
    alarms = report["errors"] or {d["code"] for d in report["diagnostics"]} & ALARMS
    assert report["usable"] == (result in ("done", "unchanged"))
    assert done.returncode == (1 if alarms else 0 if report["usable"] else 3)
    if report["usable"]:
        assert ({t["domain"]: t["state"] for t in report["tenants"]}
                == {t["domain"]: t["state"] for t in after["tenants"]})
        assert report["counts"] == {k: after["snapshot"][k] for k in report["counts"]}
    if hasattr(held, "close"):
        held.close()


def test_what_it_compares_with(serve, run, tmp_path):
    """One clause: the running server, by whatever name the file is called; what it serves; the
    ledger; or nothing."""
    daemon = serve({"a.example": tenant()}, listen=PLAIN, reload=QUIET, certificates=[])
    link = tmp_path / "link.yaml"
    link.symlink_to(daemon.config)
    for path, cwd in ((daemon.config, None), (daemon.config.name, daemon.config.parent),
                      (f"../{daemon.config.parent.name}/mta-stsd.yaml", daemon.config.parent),
                      (link, None)):
        done = run("check", "-c", path, cwd=cwd)
        assert done.stdout == "1 tenant: 1 served; compared with the running server\n"
    copy = edit(daemon, EDITS["one more"], daemon.config.parent / "copy.yaml")
    assert run("check", "-c", copy).stdout == (
        "  + n.example added\n2 tenants: 2 served; "
        "compared with what the running server serves, which has another main file\n")
    daemon.stop()
    assert run("check", "-c", daemon.config).stdout == (
        "1 tenant: 1 served; compared with what the ledger says was served\n")
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    assert run("check", "-c", daemon.config).stdout == "1 tenant: 1 served\n"


def test_a_refused_change_says_that_nothing_changes(serve, run):
    daemon = serve({"a.example": tenant()}, listen=PLAIN, reload=QUIET, certificates=[])
    with daemon.config.open("a") as file:
        done = run("check", "-c", daemon.config)
        assert done.returncode == 3 and done.stdout == (
            "nothing would change: the configuration is still being written; "
            "compared with the running server\n")
        file.write("tenants: [\n")
    done = run("check", "-c", daemon.config)
    assert done.returncode == 1
    assert done.stdout == "nothing would change: 1 error; compared with the running server\n"


def test_an_old_server_is_not_believed(serve, run, tmp_path):
    """What answers makes no sense: then check looks by itself."""
    daemon = serve({"a.example": tenant()}, listen=PLAIN, reload=QUIET, certificates=[])
    path = socket_of(daemon)
    assert b"compared_with" in talk(path, json.dumps(
        {"ask": "check", "file": str(daemon.config)}).encode() + b"\n")
    for reply in b"", b"\n", b"7\n", b"[]\n", b"{}\n", b'{"diagnostics": 7}\n', b"{" * 5000:
        with Fake(tmp_path / "fake.db.sock", reply):
            config = edit(daemon, lambda c: c.update(ledger=str(tmp_path / "fake.db")),
                          tmp_path / "fake.yaml")
            assert run("check", "-c", config).stdout == "1 tenant: 1 served\n"
            done = run("status", "-c", config)
            assert done.returncode == 3 and done.stderr
