"""The server and what it announces: start with broken tenants, ids after serving, SIGHUP, ledger
trouble. (TLS and HTTP have test_serving.py.)"""

import json
import signal
import sqlite3

from harness import process
from harness.client import fetch as fetch_plain

PLAIN = [{"address": "127.0.0.1:0", "tls": False}]


def tenant(mode="testing", mx="mx.example.org"):
    """One tenant's keys."""
    return {"mode": mode, "mx": [mx], "max_age": "1w"}


def get(daemon, domain):
    """The response for a tenant over the plain listener."""
    return fetch_plain(daemon.address(), f"mta-sts.{domain}")


def rewrite(daemon, old, new):
    """Edits the configuration and asks for a reload; returns its log line."""
    count = len(daemon.log(event="reload")) + 1
    daemon.config.write_text(daemon.config.read_text().replace(old, new))
    daemon.send_signal(signal.SIGHUP)
    return daemon.wait_for("event=reload", count)[-1]


def record_set(run, daemon, domain):
    """What `records` says of a tenant, and its exit code."""
    done = run("records", "-c", daemon.config, "--format", "json", domain)
    return json.loads(done.stdout)[0], done.returncode


def test_a_broken_tenant_hurts_nobody_else(serve):
    """The others are served, the broken one is 404, and the log says why."""
    daemon = serve({"example.org": tenant(), "example.com": tenant("enforced")}, listen=PLAIN)
    assert get(daemon, "example.org").status == 200
    assert get(daemon, "example.com").status == 404
    assert daemon.log(event="diagnostic", code="policy-mode", tenant="example.com")


def test_what_is_quoted_is_escaped_once(serve, run, make_config):
    """In the log, in text and in JSON it is the same line."""
    config = make_config({"example.org": tenant()}, listen=PLAIN, certificates=[])
    config["tenants"]["example.com"] = tenant() | {'m\u00e9x"\\': 1}
    daemon = serve(config=config)
    (line,) = daemon.log(event="diagnostic", code="key-unknown")
    assert r"m\xC3\xA9x" in line["message"] and r"\x5C" in line["message"]
    assert "x5Cx" not in line["message"]
    for running in True, False:
        done = run("check", "-c", daemon.config)
        assert line["message"] in done.stderr, done.stderr
        report = json.loads(run("check", "-c", daemon.config, "--format", "json").stdout)
        assert line["message"] in [d["message"] for d in report["diagnostics"]], running
        if running:
            (one,) = json.loads(run("status", "-c", daemon.config, "--format", "json",
                                    "example.com").stdout)["tenants"]
            assert line["message"] in [d["message"] for d in one["why"]]
            daemon.stop()


def test_strict_refuses_to_start(serve):
    """strict: true: exit 1, nothing listens."""
    daemon = serve({"example.org": tenant(), "example.com": tenant("enforced")}, listen=PLAIN,
                   strict=True, start=False)
    assert not daemon.launch()
    assert daemon.returncode == 1


def test_missing_configuration_is_3(run, tmp_path):
    """Could not look."""
    assert run("serve", "-c", tmp_path / "none.yaml").returncode == 3


def test_taken_address_is_3(serve, run, write_config, tmp_path):
    """Could not listen; the first server goes on."""
    daemon = serve({"example.org": tenant()}, listen=PLAIN)
    other = write_config({"listen": [{"address": f"127.0.0.1:{daemon.port}", "tls": False}],
                          "ledger": str(tmp_path / "other.db"),
                          "tenants": {"example.org": tenant()}})
    done = run("serve", "-c", other)
    assert done.returncode == 3 and "code=listen-" in done.stderr
    assert get(daemon, "example.org").status == 200


def test_tenant_without_certificate_is_named(serve, fetch, make_config):
    """The one with a certificate is served; the other is in the log."""
    config = make_config({"example.org": tenant()})
    config["tenants"]["example.com"] = tenant()
    daemon = serve(config=config)
    assert fetch(daemon, "example.org").status == 200
    assert daemon.log(code="tenant-no-certificate", tenant="example.com")


def test_served_first_announced_second(serve, run):
    """RFC 8461 section 8.1: an id is printed only when the running server serves its body."""
    daemon = serve({"example.org": tenant()}, listen=PLAIN,
                   reload={"settle_limit": "200ms"})
    before, code = record_set(run, daemon, "example.org")
    assert code == 0 and before["id"]
    daemon.send_signal(signal.SIGSTOP)
    daemon.config.write_text(daemon.config.read_text().replace("testing", "enforce"))
    pending, code = record_set(run, daemon, "example.org")
    assert code == 1 and pending["id"] is None and pending["pending"]
    checked = run("records", "--check", "-c", daemon.config)
    assert checked.returncode == 1
    assert checked.stdout == f"example.org: {pending['pending']}\n"
    daemon.send_signal(signal.SIGCONT)
    daemon.wait_for("event=reload result=done")
    checked = run("records", "--check", "-c", daemon.config)
    assert checked.returncode == 0 and checked.stdout == ""
    after, code = record_set(run, daemon, "example.org")
    assert code == 0 and after["id"] != before["id"]
    assert b"mode: enforce\r\n" in get(daemon, "example.org").body


def test_records_wait_for_a_change_just_saved(serve, run):
    """Save and ask: the new id, not "pending"."""
    daemon = serve({"example.org": tenant()}, listen=PLAIN)
    before, code = record_set(run, daemon, "example.org")
    daemon.config.write_text(daemon.config.read_text().replace("testing", "enforce"))
    after, code = record_set(run, daemon, "example.org")
    assert code == 0 and after["id"] and after["id"] != before["id"]


def test_id_stays_across_a_restart(serve, run):
    """And across formatting."""
    daemon = serve({"example.org": tenant()}, listen=PLAIN)
    before, _ = record_set(run, daemon, "example.org")
    config = daemon.config.read_text()
    daemon.stop()
    again = serve(config="# a comment\n" + config)
    assert record_set(run, again, "example.org")[0]["id"] == before["id"]


def test_a_tenant_removed_while_the_server_is_down_ends(serve, tmp_path):
    """Or its removal date would move on for ever (RFC 8461 section 8.3)."""
    daemon = serve({"example.org": tenant(), "example.com": tenant()}, listen=PLAIN)
    config = daemon.config.read_text()
    daemon.stop()
    serve(config=config.replace("example.com:", "example.net:"))
    with sqlite3.connect(tmp_path / "ledger.db") as ledger:
        rows = ledger.execute("SELECT domain FROM instance WHERE last_served IS NULL ORDER BY 1")
        assert rows.fetchall() == [("example.net",), ("example.org",)]


def test_a_broken_main_file_changes_nothing(serve):
    """SIGHUP with a syntax error: refused, logged with its place, the old policy stays."""
    daemon = serve({"example.org": tenant()}, listen=PLAIN)
    body = get(daemon, "example.org").body
    assert "result=refused" in rewrite(daemon, "tenants:", "tenants: [")
    assert get(daemon, "example.org").body == body
    assert [d for d in daemon.log(event="diagnostic") if d["code"].startswith("yaml-")]
    assert "result=unchanged" in rewrite(daemon, "tenants: [", "tenants:")


def test_a_tenant_that_breaks_keeps_its_last_good_policy(serve, run):
    """SIGHUP with one broken tenant: it stays as it was, the others move on, ids stay true."""
    daemon = serve({"example.org": tenant(), "example.com": tenant()}, listen=PLAIN)
    body = get(daemon, "example.org").body
    daemon.config.write_text(daemon.config.read_text().replace("mode: testing", "mode: enforced", 1))
    line = rewrite(daemon, "mode: testing", "mode: enforce")
    assert "result=done" in line and "kept=1" in line
    assert get(daemon, "example.org").body == body
    assert b"mode: enforce\r\n" in get(daemon, "example.com").body
    assert daemon.log(code="tenant-kept", tenant="example.org")
    assert record_set(run, daemon, "example.com")[1] == 0


def test_tenants_come_and_go(serve):
    """A reload adds and removes."""
    daemon = serve({"example.org": tenant()}, listen=PLAIN)
    assert get(daemon, "example.com").status == 404
    rewrite(daemon, "example.org:", "example.com:")
    assert get(daemon, "example.com").status == 200
    assert get(daemon, "example.org").status == 404


def test_unwritable_ledger_serves_and_announces_nothing(serve, run):
    """What is served stays served; no id is announced; said once."""
    daemon = serve({"example.org": tenant()}, listen=PLAIN, ledger="/proc/none/ledger.db")
    assert get(daemon, "example.org").status == 200
    assert [d for d in daemon.log(event="diagnostic") if d["code"].startswith("ledger-")]
    only, code = record_set(run, daemon, "example.org")
    assert code == 1 and only["id"] is None


def test_lock_that_cannot_be_taken_announces_nothing(serve, run, tmp_path):
    """Without the lock, `records` could not know of the server: served, but no id from it."""
    (tmp_path / "ledger.db.lock").mkdir()
    daemon = serve({"example.org": tenant()}, listen=PLAIN)
    assert get(daemon, "example.org").status == 200
    assert daemon.log(code="ledger-lock")
    assert not run("records", "-c", daemon.config, "--format", "json").stdout.count("v=STSv1")


def test_ready_file_that_cannot_be_written(serve, tmp_path):
    """Whoever waits for it would wait for ever, so it is an error."""
    daemon = serve({"example.org": tenant()}, listen=PLAIN, start=False)
    done = process.run("serve", "-c", daemon.config, "--ready-file", tmp_path / "no/such/ready")
    assert done.returncode == 3 and "event=ready-file" in done.stderr
