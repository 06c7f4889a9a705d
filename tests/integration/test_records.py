"""Which tenants `records` prints: by name, pattern, zone, side, change and date; receipts."""

import json
import os
import pty
import signal
import sqlite3
import subprocess

import pytest
import yaml
from harness import BINARY
from harness.clock import Clock
from harness.process import command, environment
from test_cli import PLAIN, tenant

NAMES = ["a.example.net", "b.example.net", "example.com", "example.net", "example.org"]


class Setup:
    """A configuration that changes, and what `records` says of it."""

    def __init__(self, run, path, tenants):
        self._run = run
        self.path = path
        self.tenants = tenants
        self.env = None

    def write(self, **settings):
        config = yaml.safe_load(self.path.read_text()) if self.path.exists() else {}
        config.update({**PLAIN, "ledger": str(self.path.parent / "ledger.db"), **settings,
                       "tenants": self.tenants})
        self.path.write_text(yaml.safe_dump(config, sort_keys=False))

    def records(self, *arguments, code=0):
        done = self._run("records", "-c", self.path, "--format", "json", *arguments, env=self.env)
        assert done.returncode == code, done.stderr
        self.stderr = done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def names(self, *arguments, code=0):
        return [s["domain"] for s in self.records(*arguments, code=code)]

    def check(self, *arguments, code=0):
        done = self._run("records", "-c", self.path, "--check", *arguments, env=self.env)
        assert done.returncode == code, done.stderr
        return done.stdout

    def mark(self, receipt, code=0):
        done = self._run("records", "-c", self.path, "--mark-published", receipt, env=self.env)
        assert done.returncode == code, done.stderr
        assert not done.stdout
        return done.stderr


@pytest.fixture
def setup(run, tmp_path):
    made = Setup(run, tmp_path / "mta-stsd.yaml", {name: tenant() for name in NAMES})
    made.write()
    return made


# --- By name and place ---------------------------------------------------------------------------


def test_patterns(setup):
    """*.example.net is what is below it; a name is itself; repeated ones come once."""
    assert setup.names("*.example.net") == ["a.example.net", "b.example.net"]
    assert setup.names("*.ORG", "example.org", "example.?rg") == ["example.org"]
    assert setup.names("[ab].example.net", "example.com") == ["example.com", *NAMES[:2]]
    assert setup.names("*.example.edu", "example.org", code=1) == ["example.org"]
    assert "*.example.edu matches no tenant [tenant-unknown]" in setup.stderr


def test_zone(setup):
    """Only tenants in it, and its records belong to it."""
    assert setup.names("--zone", "Example.NET.") == ["a.example.net", "b.example.net", "example.net"]
    assert setup.names("--zone", "a.example.net") == ["a.example.net"]
    assert setup.names("--zone", "xample.net") == []
    assert setup.names("--zone", "example.net", "example.org", code=1) == []
    assert "tenant-elsewhere" in setup.stderr
    assert setup.records("--zone", "a..b", code=1) is None


def test_order_is_by_zone_then_domain(setup):
    setup.tenants = {n: tenant() for n in ("zz.example.com", "example.com", "b.example.org",
                                           "a.example.net", "example.co.uk", "a.example.com")}
    setup.write()
    assert setup.names() == ["example.co.uk", "a.example.com", "example.com", "zz.example.com",
                             "a.example.net", "b.example.org"]


def test_delegation(setup):
    """Three CNAMEs for the tenant; an id of its own for each in the provider's zone."""
    setup.write(records={"policy_host": "policy.example.edu", "delegation_zone": "sts.example.edu"},
                contact={"tls_reports": "mailto:tlsrpt@example.edu"})
    sets = setup.records("*.example.net")
    for entry in sets:
        assert [r["type"] for r in entry["records"]] == ["CNAME"] * 3
    below = setup.records("--side", "provider", "*.example.net")
    for entry, other in zip(sets, below):
        values = {r["name"]: r["value"] for r in other["records"]}
        for record in entry["records"][1:]:
            assert record["value"] in values
        assert values[f"_mta-sts.{entry['domain']}.sts.example.edu"] == (
            f"v=STSv1; id={other['id']};")
    assert sorted(setup.names("--side", "tenant")) == setup.names("--side", "provider")


def test_what_changes_of_delegated_ones_is_on_the_provider_side(serve, run, tmp_path):
    """A customer's CNAMEs never wait for an id, and never change."""
    records = {"policy_host": "policy.example.edu", "delegation_zone": "sts.example.edu"}
    daemon = serve({"example.org": tenant()}, records=records, **PLAIN)
    setup = Setup(run, daemon.config, None)
    (changed,) = setup.records("--changed")
    assert changed["zone"] == "sts.example.edu"
    assert setup.names("--changed", "--side", "tenant") == []
    receipt = tmp_path / "receipt"
    setup.records("--changed", "--receipt", receipt)
    setup.mark(receipt)
    daemon.send_signal(signal.SIGSTOP)
    daemon.config.write_text(daemon.config.read_text().replace("testing", "enforce"))
    (entry,) = setup.records()
    assert entry["pending"] is None and len(entry["records"]) == 3
    assert setup.check() == ""
    assert "does not serve this policy yet" in setup.check("--side", "provider", code=1)
    daemon.send_signal(signal.SIGCONT)
    daemon.wait_for("event=reload result=done")
    assert "is not known to be published" in setup.check("--changed", code=1)
    assert setup.names("--changed") == ["example.org"]


def test_provider_side_without_delegation(setup):
    assert setup.records("--side", "provider", code=1) is None
    assert "nothing is delegated [delegation-none]" in setup.stderr


@pytest.mark.parametrize("arguments", [
    ["--side", "both"], ["--since", "yesterday"], ["--since", "2026-13-01"], ["--since", "1969-12-31"],
    ["--mark-published", "receipt", "example.org"], ["--since", ""],
])
def test_wrong_usage(setup, arguments):
    setup.records(*arguments, code=2)


@pytest.mark.parametrize("name, near", [
    ("terraform", "terraform-aws"), ("octodn", "octodns"), ("binds", "bind"), ("zzzzzz", None),
    ("", None),
])
def test_unknown_format(run, setup, name, near):
    done = run("records", "-c", setup.path, "--format", name)
    assert done.returncode == 2 and not done.stdout
    assert (f"did you mean {near}?" in done.stderr) if near else ("did you" not in done.stderr)


# --- By what changed -----------------------------------------------------------------------------


def test_changed_until_marked(setup, tmp_path):
    """All at first, nothing when they are marked, then what changes; a receipt says which."""
    receipt = tmp_path / "receipt"
    assert len(setup.names("--changed")) == 5
    assert len(setup.names("--changed", "--receipt", receipt)) == 5
    assert len(receipt.read_text().splitlines()) == 5
    setup.mark(receipt)
    assert setup.names("--changed") == []
    assert len(setup.names()) == 5
    setup.tenants["example.org"] = tenant("enforce")
    setup.write()
    assert setup.names("--changed") == ["example.org"]
    setup.mark(receipt)  # the one of before does not know the new id
    assert setup.names("--changed") == ["example.org"]
    assert setup.names("--changed", "--receipt", receipt, "example.*") == ["example.org"]
    setup.mark(receipt)
    assert setup.names("--changed") == []
    setup.tenants["example.org"] = tenant()
    setup.write()
    assert setup.names("--changed") == ["example.org"]  # going back is a change


def test_what_changes_meanwhile_is_not_marked(setup, tmp_path):
    """Printed, changed, printed elsewhere, applied: only what the receipt names is published."""
    receipt = tmp_path / "receipt"
    setup.names("--changed", "--receipt", receipt)
    setup.tenants["example.com"] = tenant("enforce")
    setup.write()
    setup.names()
    setup.mark(receipt)
    assert setup.names("--changed") == ["example.com"]


def test_a_removed_tenant_is_withdrawn(serve, run, tmp_path):
    """While a server runs, what it no longer serves, but was announced, is to be removed."""
    daemon = serve({"example.org": tenant(), "example.com": tenant()}, **PLAIN)
    setup = Setup(run, daemon.config, None)
    receipt = tmp_path / "receipt"
    setup.names("--receipt", receipt)
    setup.mark(receipt)
    id_ = setup.records("example.org")[0]["id"]
    config = yaml.safe_load(daemon.config.read_text())
    del config["tenants"]["example.org"]
    daemon.config.write_text(yaml.safe_dump(config))
    daemon.wait_for("event=reload result=done .*removed=1")
    assert setup.names() == ["example.com"]
    (only,) = setup.records("--changed", "--receipt", receipt)
    assert only["domain"] == "example.org"
    assert only["records"][0]["name"] == "_mta-sts.example.org"
    assert only["records"][0]["value"] == f"v=STSv1; id={id_};"
    assert setup.names("--changed", "--zone", "example.com") == []
    assert receipt.read_text() == "example.org -\n"
    setup.mark(receipt)
    assert setup.names("--changed") == []


def test_changed_waits_for_the_running_server(serve, run, tmp_path):
    """A change that was just saved is among the changed ones, with its new id."""
    daemon = serve({"example.org": tenant(), "example.com": tenant()}, **PLAIN)
    setup = Setup(run, daemon.config, None)
    receipt = tmp_path / "receipt"
    setup.names("--receipt", receipt)
    setup.mark(receipt)
    before = setup.records("example.org")[0]["id"]
    daemon.config.write_text(daemon.config.read_text().replace("testing", "enforce"))
    sets = setup.records("--changed")
    assert [s["domain"] for s in sets] == ["example.com", "example.org"]
    assert sets[1]["id"] > before


@pytest.mark.parametrize("line", [
    "example.org", "example.org x-y", "nobody.example 20261123100000df45f7eeZ", "EXAMPLE..ORG -",
    "example.org 20261123100000df45f7eeZ extra", "", "\x00 -",
])
def test_a_receipt_is_believed_whole_or_not_at_all(setup, tmp_path, line):
    receipt = tmp_path / "receipt"
    setup.names("--receipt", receipt)
    with receipt.open("a") as out:
        out.write(line + "\n")
    assert f"{receipt}:6:1: error: " in setup.mark(receipt, code=1)
    assert len(setup.names("--changed")) == 5


def test_receipts_that_cannot_be_used(setup, tmp_path):
    assert "does not exist" in setup.mark(tmp_path / "none", code=1)
    setup.records("--receipt", tmp_path / "none" / "receipt", code=3)
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "regular file" in setup.mark(folder, code=1)


def test_a_damaged_announcement_is_said(serve, run, tmp_path):
    """What the ledger says was announced is checked before it is printed."""
    daemon = serve({"example.org": tenant(), "example.com": tenant()}, **PLAIN)
    setup = Setup(run, daemon.config, None)
    receipt = tmp_path / "receipt"
    setup.names("--receipt", receipt)
    setup.mark(receipt)
    config = yaml.safe_load(daemon.config.read_text())
    del config["tenants"]["example.org"]
    daemon.config.write_text(yaml.safe_dump(config))
    daemon.wait_for("event=reload result=done .*removed=1")
    with sqlite3.connect(config["ledger"]) as db:
        db.execute("UPDATE published SET id = 'a;b'")
    db.close()
    assert setup.names("--changed", code=1) == []
    assert "ledger-corrupt" in setup.stderr


# --- By date -------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.skipif("san" in BINARY.parent.name,
                    reason="the sanitizers want to be loaded before libfaketime")
def test_since(setup, tmp_path):
    """When the id was issued: a day, a time, or how long ago."""
    clock = Clock(tmp_path / "clock")
    setup.env = environment(**clock.environment)
    clock.set("@2030-06-01 12:00:00")
    setup.names()
    setup.tenants["example.org"] = tenant("enforce")
    setup.write()
    clock.set("@2030-06-03 12:00:00")
    setup.names()
    clock.set("@2030-06-04 12:00:00")
    assert setup.names("--since", "2030-06-02") == ["example.org"]
    assert setup.names("--since", "2d") == ["example.org"]
    assert setup.names("--since", "12h") == []
    assert len(setup.names("--since", "2030-06-01")) == 5
    assert setup.names("--since", "2030-06-03T11:59:00Z") == ["example.org"]
    assert setup.names("--since", "2030-06-03T12:30:00Z") == []


# --- Many ----------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.skipif("san" in BINARY.parent.name,
                    reason="the sanitizers want to be loaded before libfaketime")
def test_progress_on_a_terminal(write_config, tmp_path):
    """A line that counts when it takes longer, gone at the end; none into a file."""
    clock = Clock(tmp_path / "clock")
    path = write_config({**PLAIN, "ledger": str(tmp_path / "ledger.db"),
                         "tenants": {f"t{i}.example": tenant() for i in range(3000)}})
    environment_ = environment(**{k: v for k, v in clock.environment.items()
                                  if "MONOTONIC" not in k and "FILE" not in k},
                               FAKETIME="+0 i1.0")  # each look at the clock is a second later
    master, slave = pty.openpty()
    done = subprocess.run(command("records", "-c", path, "--format", "bind"), stderr=slave,
                          stdout=subprocess.PIPE, env=environment_, check=False)
    os.close(slave)
    said = b""
    try:
        while chunk := os.read(master, 65536):
            said += chunk
    except OSError:  # the terminal is gone
        pass
    os.close(master)
    assert done.stdout.count(b"v=STSv1") == 3000
    assert b" of 3000" in said and said.count(b"\r\x1b[K") >= 1
    quiet = subprocess.run(command("records", "-c", path, "--format", "bind"), capture_output=True,
                           env=environment_, check=False)
    assert b" of 3000" not in quiet.stderr
