"""`log`: the policies that were served, and what each changed."""

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess

import pytest
from harness import BINARY
from harness.process import environment

pytestmark = pytest.mark.once

DOMAIN = "example.org"
A, B, C = "mx1.example.org", "mx2.example.org", "mx3.example.org"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def policy(mode, *mx, max_age="4w", **keys):
    return {"mode": mode, "mx": list(mx), "max_age": max_age, **keys}


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def served(run, write_config, ledger):
    """served({...}, {...}): these configurations, one after the other; the path of the last."""

    def serve(*configurations):
        for tenants in configurations:
            path = write_config({"ledger": str(ledger), "tenants": tenants})
            done = run("records", "-c", path)
            assert done.returncode == 0, done.stderr
        return path

    return serve


def entries(run, path, *tenants, expect=0):
    done = run("log", "-c", path, "--format", "json", *tenants)
    assert done.returncode == expect, done.stderr
    return json.loads(done.stdout)


def test_the_oldest_first_and_what_changed(run, served):
    path = served(
        {DOMAIN: policy("testing", A, max_age="1w")},
        {DOMAIN: policy("testing", B, A, max_age="1w")},
        {DOMAIN: policy("enforce", A, B)},
        {DOMAIN: policy("enforce", C, B)},
        {DOMAIN: policy("enforce", C, B, retire=True)},
    )
    log = entries(run, path, DOMAIN)
    assert [(e["mode"], e["max_age"], e["mx"], e["added"], e["removed"]) for e in log] == [
        ("testing", 604800, [A], [A], []),
        ("testing", 604800, [A, B], [B], []),
        ("enforce", 2419200, [A, B], [], []),
        ("enforce", 2419200, [B, C], [C], [A]),
        ("none", 86400, [B, C], [], []),
    ]
    assert [e["domain"] for e in log] == [DOMAIN] * 5
    assert len({e["id"] for e in log}) == 5
    assert [e["last_served"] is None for e in log] == [False] * 4 + [True]
    assert [e["cached_until"] is None for e in log] == [False] * 4 + [True]
    assert all(re.fullmatch(TIME, e["first_served"]) for e in log)
    assert [e["last_served"] for e in log[:4]] == [e["first_served"] for e in log[1:]]

    lines = run("log", "-c", path, DOMAIN).stdout.splitlines()
    assert lines[0] == DOMAIN
    assert lines[1].split() == "FIRST SERVED LAST SERVED ID MODE MAX_AGE MX".split()
    for line, entry, rest in zip(
        lines[2:],
        log,
        (f"testing  1 week      +{A}", f"testing  1 week      +{B}", "enforce  4 weeks     =",
         f"enforce  4 weeks     +{C} -{A}", "none     1 day       ="),
        strict=True,
    ):
        last = entry["last_served"] or "now"
        assert line == f"  {entry['first_served']}  {last:20}  {entry['id']}  {rest}"


def test_all_tenants(run, served):
    """Also what was removed; each begins with all of its mx."""
    path = served({"b.example": policy("testing", A), DOMAIN: policy("testing", A)},
                  {"a.example": policy("testing", A, B), DOMAIN: policy("testing", B)})
    expected = ["a.example", "b.example", DOMAIN, DOMAIN]
    log = entries(run, path)
    assert [e["domain"] for e in log] == expected
    assert [e["added"] for e in log] == [[A, B], [A], [A], [B]]
    text = run("log", "-c", path).stdout
    assert re.findall(r"^\S+$", text, re.M) == ["a.example", "b.example", DOMAIN]
    assert text.count("\n\n") == 2


def test_tenants_in_the_order_asked_for(run, served):
    path = served({"bücher.example": policy("testing", A), DOMAIN: policy("testing", A)})
    log = entries(run, path, DOMAIN, "Bücher.example.")
    assert [e["domain"] for e in log] == [DOMAIN, "xn--bcher-kva.example"]


def test_unknown_tenants(run, served):
    path = served({DOMAIN: policy("testing", A)})
    done = run("log", "-c", path, "nobody.example", DOMAIN, "no domain")
    assert done.returncode == 1
    assert done.stdout.startswith(DOMAIN)
    assert "nobody.example never was served [tenant-unknown]" in done.stderr
    assert "[domain-" in done.stderr
    assert entries(run, path, "nobody.example", expect=1) == []


def test_many_mx_are_cut_in_the_text_alone(run, served):
    many = [f"mx{i}.example.net" for i in range(10, 40)]
    path = served({DOMAIN: policy("testing", *many)}, {DOMAIN: policy("testing", A, *many[1:])},
                  {DOMAIN: policy("testing", A)})
    lines = run("log", "-c", path).stdout.splitlines()
    assert lines[2].endswith(" +mx14.example.net +mx15.example.net and 24 more")
    assert lines[3].endswith(f" +{A} -mx10.example.net")
    assert lines[4].endswith(" -mx15.example.net -mx16.example.net and 23 more")
    log = entries(run, path)
    assert log[0]["mx"] == log[0]["added"] == many
    assert log[2]["removed"] == many[1:]


def test_damaged_entries(run, served, ledger):
    """They are shown as such, the others whole; the one after is compared with the one before."""
    path = served({DOMAIN: policy("testing", A)}, {DOMAIN: policy("testing", B)},
                  {DOMAIN: policy("testing", A, B)})
    with sqlite3.connect(ledger) as db:
        db.execute("UPDATE instance SET body = 'x' WHERE seq = 2")
    log = entries(run, path, expect=1)
    assert [e["damaged"] for e in log] == [False, True, False]
    assert log[2]["added"] == [B] and "mx" not in log[1]
    done = run("log", "-c", path)
    assert done.returncode == 1
    assert re.search(rf"^  {TIME}  {TIME}  \(damaged\)$", done.stdout, re.M)
    assert "has a damaged entry [ledger-corrupt]" in done.stderr


def insert(db, domain, body, mode="testing", first=1, last="NULL", id_="1"):
    body = body.encode()
    db.execute(
        "INSERT INTO instance (domain, id, digest, body, mode, max_age, first_served, last_served) "
        f"VALUES (?, ?, ?, ?, ?, 86400, ?, {last})",
        (domain, id_, hashlib.sha256(body).digest(), body.decode(), mode, first),
    )


BODY = "version: STSv1\r\nmode: testing\r\nmx: mx.example\r\nmax_age: 86400\r\n"


def test_what_somebody_wrote_into_the_ledger(run, served, ledger):
    """No byte of it reaches the terminal as it is, and no time is too large."""
    path = served({DOMAIN: policy("testing", A)})
    with sqlite3.connect(ledger) as db:
        insert(db, "a\x1b[31m\nb", BODY, first=2**63 - 1)
        insert(db, "c.example", BODY, mode="none")
        insert(db, "b.example", "mode: testing\r\nmx: \x1b[31m\r\n", first=-(2**63), last=5)
    done = run("log", "-c", path)
    assert done.returncode == 0
    assert all(c == "\n" or " " <= c <= "~" for c in done.stdout)
    assert "a\\x1B[31m\\x0Ab\n" in done.stdout
    assert "\n  9999-12-31T23:59:59Z  now" in done.stdout
    assert "\n  1970-01-01T00:00:00Z  1970-01-01T00:00:05Z  (damaged)\n" in done.stdout
    assert [e["damaged"] for e in entries(run, path)] == [
        False, True, True, False
    ]


@pytest.mark.skipif("san" in BINARY.parent.name, reason="the sanitizers need memory")
@pytest.mark.parametrize("tenants", [1, 50000], ids=["of one tenant", "of many tenants"])
def test_any_number_in_bounded_memory(served, ledger, tenants):
    count = 100000
    path = served({DOMAIN: policy("testing", A)})
    with sqlite3.connect(ledger) as db:
        for i in range(count):
            insert(db, f"t{i % tenants}.example", BODY, first=i, last=i + 1, id_=str(i))
    for form in "text", "json":
        done = subprocess.run(
            [shutil.which("prlimit"), "--data=12000000", BINARY, "log", "-c", path, "--format",
             form],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), check=True,
        )
        assert done.stdout.count(b"mx.example") == tenants + (count if form == "json" else 0)


def test_broken_tenants_do_not_matter(run, served, write_config, ledger):
    served({DOMAIN: policy("testing", A)})
    path = write_config({"ledger": str(ledger), "tenants": {DOMAIN: policy("tasting")}})
    assert len(entries(run, path)) == 1


def test_a_relative_ledger(run, write_config):
    path = write_config({"ledger": "l.db", "tenants": {DOMAIN: policy("testing", A)}})
    assert run("records", "-c", path).returncode == 0
    assert len(entries(run, path)) == 1


def test_beside_a_running_server(serve, run, tmp_path):
    daemon = serve({DOMAIN: policy("testing", A)})
    assert run("records", "-c", daemon.config).returncode == 0
    (entry,) = entries(run, daemon.config)
    assert entry["last_served"] is None and entry["mx"] == [A]


def test_cannot_look(run, write_config, ledger, tmp_path):
    path = write_config({"ledger": str(ledger), "tenants": {DOMAIN: policy("testing", A)}})
    done = run("log", "-c", path)
    assert done.returncode == 3 and "[ledger-missing]" in done.stderr
    assert not ledger.exists()
    ledger.write_text("no ledger\n" * 1000)
    done = run("log", "-c", path)
    assert done.returncode == 3 and "[ledger-" in done.stderr
    done = run("log", "-c", tmp_path / "nowhere.yaml")
    assert done.returncode == 3 and "nowhere.yaml" in done.stderr
    path.write_text("tenants: [")
    assert run("log", "-c", path).returncode == 1
    assert run("log", "-c", path, "--format", "yaml").returncode == 2


def test_output_that_cannot_be_written(served):
    path = served({DOMAIN: policy("testing", A)})
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(BINARY), "log", "-c", path], stdout=full,
                              stderr=subprocess.PIPE, env=environment(), check=False)
    assert done.returncode == 3 and b"cannot be written" in done.stderr
