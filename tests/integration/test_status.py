"""`status`: what the running server says of itself, for people and for scripts; and the private
socket it says it over."""

import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile

import pytest
import yaml
from cryptography import x509
from harness import BINARY, DEADLINE
from harness.clock import Clock
from harness.issue import Issuer
from harness.process import command, environment
from test_reload_limits import limited
from test_serve import PLAIN, get, tenant

# Nothing is looked at before it is asked for.
QUIET = {"settle": "1m", "settle_limit": "10m", "rescan": "1h"}
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def ask(run, daemon, *names, code=0):
    """The JSON document; `tenants` by domain."""
    done = run("status", "-c", daemon.config, "--format", "json", *names)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    found["tenants"] = {t["domain"]: t for t in found["tenants"]}
    return found


def text(run, daemon, *names, code=0):
    done = run("status", "-c", daemon.config, *names)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def edit(daemon, change):
    """Changes the configuration, and returns when it was looked at."""
    config = yaml.safe_load(daemon.config.read_text())
    change(config)
    daemon.config.write_text(yaml.safe_dump(config, sort_keys=False))
    hangup(daemon)


def hangup(daemon):
    lines = len(daemon.log(event="reload")) + 1
    daemon.send_signal(signal.SIGHUP)
    return daemon.wait_for("event=reload ", lines)[-1]


def codes(diagnostics):
    return [d["code"] for d in diagnostics]


def start(serve, *tenants, **settings):
    settings = {"listen": PLAIN, "reload": QUIET, "certificates": []} | settings
    return serve({name: tenant() for name in tenants}, **settings)


def socket_of(daemon):
    return pathlib.Path(yaml.safe_load(daemon.config.read_text())["ledger"] + ".sock")


# --- States --------------------------------------------------------------------------------------


def test_all_is_fine(serve, run, certs):
    """One line, exit code 0; in JSON everything, with the certificate's own dates."""
    daemon = serve({"example.org": tenant(), "example.com": tenant("enforce")}, reload=QUIET)
    assert re.fullmatch(
        rf"serving 2 of 2 tenants; generation 1, loaded {TIME}; last reload done at {TIME}\n",
        text(run, daemon))
    found = ask(run, daemon)
    assert found["pid"] == daemon.pid and found["config"] == str(daemon.config)
    assert found["snapshot"] | {"loaded": 0} == {
        "tenants": 2, "served": 2, "without_certificate": 0, "refused": 0, "kept": 0,
        "retiring": 0, "generation": 1, "loaded": 0}
    assert found["watch"]["mode"] == "events" and found["watch"]["directories"] > 0
    assert not found["ledger"]["pending"] and found["on_change"]["phase"] == "off"
    one = found["tenants"]["example.org"]
    records = json.loads(run("records", "-c", daemon.config, "--format", "json").stdout)
    assert one["id"] == next(r["id"] for r in records if r["domain"] == "example.org")
    assert one["state"] == "served" and one["ready"] and one["why"] == []
    assert one["host"] == "mta-sts.example.org" and one["retire"] is None
    assert one["policy"] == {"mode": "testing", "mx": ["mx.example.org"], "max_age": 604800}
    assert re.fullmatch(TIME, one["id_since"])
    (certificate,) = one["certificates"]
    leaf = x509.load_pem_x509_certificate(pathlib.Path(certificate["file"]).read_bytes())
    until = leaf.not_valid_after
    assert certificate["not_after"] == f"{until:%Y-%m-%dT%H:%M:%SZ}"
    assert certificate["not_before"] == f"{leaf.not_valid_before:%Y-%m-%dT%H:%M:%SZ}"
    now = datetime.datetime.strptime(found["now"], "%Y-%m-%dT%H:%M:%SZ")
    assert certificate["days"] == (until - now).days and certificate["key_type"] == "ec"


def test_what_the_certificate_cache_did(serve, run, fetch):
    """Each certificate is made ready once, and found again."""
    daemon = serve({"example.org": tenant(), "example.com": tenant()}, reload=QUIET)
    before = ask(run, daemon)["certificate_cache"]
    for name in ("example.org", "example.com", "example.org"):
        assert fetch(daemon, name).status == 200
    after = ask(run, daemon)["certificate_cache"]
    counted = {key: after[key] - before[key] for key in after}
    assert counted["hits"] + counted["misses"] == 3
    assert counted["misses"] == counted["entries"] >= 1 and counted["bytes"] > 0
    assert after["evicted"] == 0


def test_building_comes_after_serving(serve):
    """The thread that builds gives way to those that answer."""
    daemon = start(serve, "example.org")
    nice = {}
    for task in pathlib.Path(f"/proc/{daemon.pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(") ")[2].split()
        nice[(task / "comm").read_text().strip()] = int(fields[16])
    own = os.getpriority(os.PRIO_PROCESS, 0)
    workers = {value for name, value in nice.items() if name.startswith("http-")}
    assert workers == {own} and nice["mta-stsd"] > min(own, 18), nice


def test_one_tenant(serve, run):
    """Everything about it; names in any spelling."""
    daemon = start(serve, "bücher.example", "example.org", contact={"tls_reports": "mailto:a@b.example"})
    found = ask(run, daemon, "BÜCHER.example")
    assert list(found["tenants"]) == ["xn--bcher-kva.example"]
    assert set(found["certificate_cache"].values()) == {0}  # no TLS here
    id_ = found["tenants"]["xn--bcher-kva.example"]["id"]
    shown = text(run, daemon, "xn--bcher-kva.example")
    assert "\nxn--bcher-kva.example: served\n" in shown and "example.org:" not in shown
    assert "  policy       testing, max_age 604800\n" in shown
    assert "  mx           mx.example.org\n" in shown
    assert re.search(rf"  id           {id_}, since {TIME}\n", shown)
    assert "[mode-testing]" in shown and "[mode-testing]" not in text(run, daemon)


def test_unknown_tenant(serve, run):
    daemon = start(serve, "example.org")
    found = ask(run, daemon, "example.org", "example.net", "no domain", code=1)
    assert list(found["tenants"]) == ["example.org"]
    assert found["unknown"] == ["example.net", "no domain"]
    assert "example.net: is not a tenant" in text(run, daemon, "example.net", code=1)


def test_refused(serve, run):
    """At the first start there is nothing to keep."""
    daemon = serve({"example.org": tenant(), "example.com": tenant("enforced")}, listen=PLAIN,
                   certificates=[])
    one = ask(run, daemon, code=1)["tenants"]["example.com"]
    assert one["state"] == "refused" and not one["ready"]
    assert one["policy"] is None and one["id"] is None
    assert codes(one["why"]) == ["policy-mode"]
    shown = text(run, daemon, code=1)
    assert shown.startswith("serving 1 of 2 tenants, 1 refused; ") and ", 1 error\n" in shown
    assert re.search(r"\nexample\.com: refused\n  .*:\d+:\d+: error: .*\n      help: did you mean",
                     shown)
    assert "example.org" not in shown.replace("mx.example.org", "")
    assert text(run, daemon, "example.org")


def test_kept_because_it_is_broken(serve, run):
    daemon = start(serve, "example.org", "example.com")
    id_ = ask(run, daemon)["tenants"]["example.org"]["id"]
    edit(daemon, lambda c: c["tenants"]["example.org"].update(mode="enforced"))
    found = ask(run, daemon, code=1)
    one = found["tenants"]["example.org"]
    assert one["state"] == "kept" and one["ready"] and one["id"] == id_
    assert one["policy"]["mode"] == "testing"
    assert codes(one["why"]) == ["policy-mode", "tenant-kept"]
    assert found["snapshot"]["generation"] == 2 and found["reload"]["result"] == "done"
    shown = text(run, daemon, code=1)
    assert shown.startswith("serving 2 of 2 tenants (1 kept as before); ")
    assert "\nexample.org: kept\n" in shown
    assert text(run, daemon, "example.com")


def test_kept_because_its_file_is_gone(serve, run):
    """With its directory, as a volume that is not mounted."""
    one = yaml.safe_dump({"tenants": {"example.org": tenant()}})
    daemon = start(serve, "example.com", include=["tenants.d/*.yaml"], start=False)
    folder = daemon.directory / "tenants.d"
    folder.mkdir()
    (folder / "a.yaml").write_text(one)
    daemon.start()
    assert ask(run, daemon)["tenants"]["example.org"]["state"] == "served"
    folder.rename(daemon.directory / "elsewhere")
    hangup(daemon)
    found = ask(run, daemon, code=1)["tenants"]
    assert found["example.org"]["state"] == "kept" and found["example.com"]["state"] == "served"
    assert "source-kept" in codes(found["example.org"]["why"])
    assert "[source-kept]" in text(run, daemon, "example.org", code=1)


def test_no_certificate(serve, run, make_config):
    config = make_config({"example.org": tenant()}) | {"reload": QUIET}
    config["tenants"]["example.com"] = tenant()
    daemon = serve(config=config)
    one = ask(run, daemon, code=1)["tenants"]["example.com"]
    assert one["state"] == "no-certificate" and not one["ready"] and one["certificates"] == []
    assert codes(one["why"]) == ["tenant-no-certificate"] and one["id"] is None
    shown = text(run, daemon, code=1)
    assert "\nexample.com: no-certificate\n" in shown
    assert "put a certificate for mta-sts.example.com" in shown


@pytest.mark.once
@pytest.mark.skipif("san" in BINARY.parent.name,
                    reason="the sanitizers want to be loaded before libfaketime")
def test_retiring(serve, run, tmp_path):
    """Before the date it says the date, afterwards that it has come."""
    clock = Clock(tmp_path / "clock")
    daemon = start(serve, "example.org", env=clock.environment)
    clock.set("+1h")
    edit(daemon, lambda c: c["tenants"]["example.org"].update(retire=True))
    one = ask(run, daemon)["tenants"]["example.org"]
    assert one["state"] == "retiring" and one["ready"] and one["policy"]["mode"] == "none"
    assert one["retire"]["safe"] is False
    (line,) = daemon.log(event="retiring")
    assert one["retire"]["safe_after"] == line["safe_after"]
    assert f"  retire       safe to remove after {line['safe_after']}\n" in text(run, daemon)
    clock.set("+8d")
    assert ask(run, daemon)["tenants"]["example.org"]["retire"]["safe"] is True
    assert "safe to remove now" in text(run, daemon, "example.org")


@pytest.mark.once
def test_removed(serve, run, clock):
    """Somebody must put it back for as long as senders may hold its policy, whatever is looked at
    meanwhile; then nobody."""
    daemon = start(serve, "example.org", "example.com", env=clock.environment)
    config = daemon.config.read_text()
    edit(daemon, lambda c: c["tenants"].pop("example.com"))
    said = "example.com was removed, but senders may hold its policy until"
    for again in False, False, True:
        found = ask(run, daemon, code=1)
        assert list(found["tenants"]) == ["example.org"]
        assert codes(found["removed"]) == ["tenant-removed"] and not found["reload"]["diagnostics"]
        assert text(run, daemon, code=1).count(said) == 1
        assert text(run, daemon, "example.org")  # is not concerned
        hangup(daemon)
        if again:
            daemon.stop()
            daemon = serve(config=daemon.config.read_text(), env=clock.environment)
            assert codes(ask(run, daemon, code=1)["removed"]) == ["tenant-removed"]
    clock.set("+9d")
    assert ask(run, daemon)["removed"] == []
    assert said not in text(run, daemon)
    clock.set("+1d")
    daemon.config.write_text(config)
    hangup(daemon)
    assert ask(run, daemon)["removed"] == []


# --- Alarms: exit code 0 says that nobody is needed ----------------------------------------------


@pytest.fixture(scope="module")
def issuer(certs):
    return Issuer(certs.authority)


def own_certificates(serve, tmp_path, **pairs):
    """A server of tenants named by letters, each with its pair in a folder of its own."""
    for letter, pair in pairs.items():
        write_pair(tmp_path, letter, pair)
    tenants = {f"{letter}.example": tenant() for letter in pairs}
    return serve(tenants, certificates=[str(tmp_path / "certs")], reload=QUIET)


def write_pair(tmp_path, letter, pair, chain=None):
    folder = tmp_path / "certs" / letter
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fullchain.pem").write_text(chain or pair.chain)
    (folder / "privkey.pem").write_text(pair.key)


DAY = datetime.timedelta(days=1)


def test_certificate_near_its_end(serve, run, tmp_path, issuer):
    """Two hours before, it is the tenant's alarm, of `status` and of `check`. What lives for six
    days and has two left is about to be renewed."""
    pairs = {"a": issuer.issue("mta-sts.a.example", days=1 / 12, begins=-89 * DAY),
             "b": issuer.issue("mta-sts.b.example", days=2, begins=-4 * DAY),
             "c": issuer.issue("mta-sts.c.example", days=15, begins=-75 * DAY)}
    daemon = own_certificates(serve, tmp_path, **pairs)
    (line,) = daemon.log(event="certificate-expires")
    assert line["tenant"] == "a.example"
    found = ask(run, daemon, code=1)["tenants"]
    assert codes(found["a.example"]["why"]) == ["certificate-expires"] and found["a.example"]["ready"]
    assert found["b.example"]["why"] == found["c.example"]["why"] == []
    end = f"{pairs['a'].not_after:%Y-%m-%dT%H:%M:%SZ}"
    message = rf"the certificate of a\.example expires at {end}, in (2 hours|1\d\d minutes), and was not renewed"
    for names in (), ("a.example",):
        shown = text(run, daemon, *names, code=1)
        assert "\na.example: served\n" in shown and re.search(message, shown)
        assert "b.example" not in shown
    assert text(run, daemon, "b.example", "c.example")
    for running in True, False:
        done = run("check", "-c", daemon.config)
        assert done.returncode == 1 and len(re.findall(message, done.stderr)) == 1, running
        assert done.stderr.count("[certificate-expires]") == 1
        if running:
            daemon.stop()


def test_renewal_that_is_kept_back(serve, run, tmp_path, issuer):
    """Until the files are right again, also when somebody else's are looked at meanwhile."""
    one, other = (issuer.issue(f"mta-sts.{letter}.example") for letter in "ab")
    daemon = own_certificates(serve, tmp_path, a=one, b=other)
    assert ask(run, daemon)
    write_pair(tmp_path, "a", one, chain=issuer.issue("mta-sts.a.example").chain)
    done = run("check", "-c", daemon.config)
    assert done.returncode == 1 and "[certificate-kept]" in done.stderr
    for _ in range(2):
        hangup(daemon)
        found = ask(run, daemon, code=1)
        assert codes(found["reload"]["diagnostics"]) == ["certificate-kept"]
        assert codes(found["tenants"]["a.example"]["why"]) == ["certificate-kept"]
        assert found["tenants"]["b.example"]["why"] == []
        assert "\na.example: served\n" in text(run, daemon, code=1)
        assert "[certificate-kept]" in text(run, daemon, "a.example", code=1)
        assert text(run, daemon, "b.example")
        write_pair(tmp_path, "b", issuer.issue("mta-sts.b.example"))
    write_pair(tmp_path, "a", one)
    hangup(daemon)
    assert ask(run, daemon)


def test_certificates_that_are_gone(serve, run, tmp_path, issuer):
    """Who removes one that no tenant presents is done: it was of a tenant that left, or a neighbour
    made it for a name of somebody else. One that a tenant presents is missed until he leaves."""
    pairs = {letter: issuer.issue(f"mta-sts.{letter}.example") for letter in "ab"}
    write_pair(tmp_path, "left", issuer.issue("mta-sts.c.example"))
    write_pair(tmp_path, "neighbour", issuer.issue("*.a.example", self_signed=True))
    daemon = own_certificates(serve, tmp_path, **pairs)

    def kept(code):
        hangup(daemon)
        found = ask(run, daemon, code=code)
        done = run("check", "-c", daemon.config)
        assert found["tenants"]["a.example"]["why"] == []
        codes_found = codes(found["reload"]["diagnostics"])
        assert done.stderr.count("[certificate-kept]") == codes_found.count("certificate-kept")
        assert done.returncode == ("certificate-kept" in codes_found), done.stderr
        return codes_found

    assert kept(0) == ["certificate-self-signed"]
    for folder in "left", "neighbour":
        shutil.rmtree(tmp_path / "certs" / folder)
    assert kept(0) == []
    shutil.rmtree(tmp_path / "certs" / "b")
    assert kept(1) == ["certificate-kept"]
    assert codes(ask(run, daemon, code=1)["tenants"]["b.example"]["why"]) == ["certificate-kept"]
    edit(daemon, lambda c: c["tenants"].pop("b.example"))
    assert kept(1) == []
    assert codes(ask(run, daemon, code=1)["removed"]) == ["tenant-removed"]


def test_restart_needed(serve, run):
    """As long as the setting of the file is not the one in effect."""
    daemon = start(serve, "example.org")
    good = daemon.config.read_text()
    edit(daemon, lambda c: c.setdefault("limits", {}).update(workers=3))
    for _ in range(2):
        assert codes(ask(run, daemon, code=1)["reload"]["diagnostics"]) == ["restart-needed"]
        assert "[restart-needed]" in text(run, daemon, code=1)
        assert run("check", "-c", daemon.config).returncode == 1
        hangup(daemon)
    assert text(run, daemon, "example.org")
    daemon.config.write_text(good)
    hangup(daemon)
    assert ask(run, daemon)


def test_advice_is_no_alarm(serve, run):
    """Who looks for exit codes is not called because of what may stay as it is."""
    daemon = start(serve, "example.org", contact={})
    edit(daemon, lambda c: c["tenants"].update(
        {"example.org": {"mode": "enforce", "mx": ["other.example.org"], "max_age": "2d"}}))
    said = daemon.log(event="diagnostic", level="warning")
    assert {line["code"] for line in said} >= {"tlsrpt-missing", "max-age-below-week", "mx-removed",
                                               "max-age-shortened"}
    assert ask(run, daemon)
    done = run("check", "-c", daemon.config)
    assert done.returncode == 0 and "warning: " in done.stderr


# --- Around the tenants --------------------------------------------------------------------------


def test_refused_reload(serve, run):
    """What it says, also for a file that is no YAML any more; reasons of before are not lost."""
    daemon = start(serve, "example.org", "example.com")
    edit(daemon, lambda c: c["tenants"]["example.org"].update(mode="enforced"))
    good = daemon.config.read_text()
    daemon.config.write_text(good + "tenants: [\n")
    assert "result=refused" in hangup(daemon)
    for _ in range(2):
        found = ask(run, daemon, code=1)
        assert found["reload"]["result"] == "refused" and found["reload"]["errors"] == 1
        (diagnostic,) = found["reload"]["diagnostics"]
        assert diagnostic["code"].startswith("yaml-") and diagnostic["where"]["line"] > 1
        assert found["snapshot"]["generation"] == 2
        assert codes(found["tenants"]["example.org"]["why"]) == ["policy-mode", "tenant-kept"]
        hangup(daemon)
    shown = text(run, daemon, code=1)
    assert "last reload refused" in shown.splitlines()[0]
    assert "what was there before is served:\n  " in shown and "[yaml-" in shown
    assert text(run, daemon, "example.com", code=1)
    daemon.config.write_text(good)
    assert "result=unchanged" in hangup(daemon)
    assert ask(run, daemon, code=1)["reload"]["result"] == "unchanged"


@pytest.mark.parametrize("name", ["ledger.db", "l\u00e9dger.db"])
def test_ledger_pending(serve, run, tmp_path, name):
    """Served, and no id before the ledger has it."""
    daemon = start(serve, "example.org", "example.com", ledger=str(tmp_path / name))
    with contextlib.closing(sqlite3.connect(tmp_path / name, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        edit(daemon, lambda c: c["tenants"]["example.org"].update(mode="enforce"))
        found = ask(run, daemon, code=1)
        shown = text(run, daemon, code=1)
        other.execute("ROLLBACK")
    assert found["ledger"]["pending"] and found["ledger"]["why"]
    one = found["tenants"]["example.org"]
    assert one["state"] == "served" and not one["ready"] and one["id"] is None
    assert codes(one["why"]) == ["id-pending"] and found["ledger"]["why"] in one["why"][0]["message"]
    assert found["tenants"]["example.com"]["ready"]
    assert "\nledger: " in shown and "\nexample.org: served, not ready\n" in shown
    hangup(daemon)
    assert ask(run, daemon)["tenants"]["example.org"]["id"]


def test_on_change(serve, run, tmp_path):
    """A program that fails, and then does its work."""
    works = tmp_path / "works"
    program = tmp_path / "publish"
    program.write_text(f"#!/bin/sh\n[ -e {works} ] || exit 7\n")
    program.chmod(0o755)
    daemon = start(serve, "example.org", on_change=[str(program)])
    daemon.wait_for("event=on-change result=failed")
    found = ask(run, daemon, code=1)
    hook = found["on_change"]
    assert hook["phase"] == "waiting" and hook["pending"] == 1 and hook["failures"] >= 1
    assert hook["result"] == "exit status 7" and hook["last_success"] is None and hook["next_try"]
    one = found["tenants"]["example.org"]
    assert one["state"] == "served" and not one["ready"] and one["id"]
    assert codes(one["why"]) == ["id-unpublished"] and "exit status 7" in one["why"][0]["message"]
    shown = text(run, daemon, code=1)
    assert "\non_change: waiting, 1 to be published; last run: exit status 7" in shown
    assert "example.org: served, not ready\n" in shown
    works.touch()
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_for("event=on-change result=done")
    found = ask(run, daemon)
    assert found["tenants"]["example.org"]["ready"] and found["on_change"]["phase"] == "idle"
    assert found["on_change"]["pending"] == 0 and re.fullmatch(TIME, found["on_change"]["last_success"])
    assert "\non_change: idle; last run: done; last success " in text(run, daemon)


def test_on_change_runs(serve, run, tmp_path):
    """While it runs nothing is published yet."""
    go = tmp_path / "go"
    os.mkfifo(go)
    started = tmp_path / "started"
    os.mkfifo(started)
    program = tmp_path / "publish"
    program.write_text(f"#!/bin/sh\n: >{started}\nread -r _ <{go}\n")
    program.chmod(0o755)
    daemon = start(serve, "example.org", on_change=[str(program)])
    with open(started, "rb"):
        found = ask(run, daemon, code=1)
    assert found["on_change"]["phase"] == "running"
    assert codes(found["tenants"]["example.org"]["why"]) == ["id-unpublished"]
    go.write_text("on\n")
    daemon.wait_for("event=on-change result=done")
    assert ask(run, daemon)["tenants"]["example.org"]["ready"]


def test_polling(serve, run):
    """Without inotify changes are late: somebody must raise the limit."""
    daemon = start(serve, "example.org", preexec=limited(max_inotify_watches=0))
    watch = ask(run, daemon, code=1)["watch"]
    assert watch["mode"] == "polling" and watch["without"] > 0
    assert "max_user_watches" in watch["help"]
    shown = text(run, daemon, code=1)
    assert "\nwatch: " in shown and "max_user_watches" in shown
    assert text(run, daemon, "example.org")


def test_two_thousand_tenants(serve, run):
    """All of them in one document; people see those that need a look."""
    names = [f"t{i}.example.org" for i in range(2000)]
    daemon = start(serve, *names)
    found = ask(run, daemon)
    assert sorted(found["tenants"]) == sorted(names)
    assert all(t["ready"] and t["id"] for t in found["tenants"].values())
    assert text(run, daemon).count("\n") == 1
    edit(daemon, lambda c: c["tenants"][names[7]].update(mode="x"))
    assert re.findall(r"^(t\d+\.example\.org): kept$", text(run, daemon, code=1), re.M) == [names[7]]


# --- The socket ----------------------------------------------------------------------------------


def test_server_down(serve, run, write_config, tmp_path):
    """Never started, stopped, and killed: 3, and where nobody answered."""
    path = write_config({"listen": PLAIN, "ledger": str(tmp_path / "none.db"), "tenants": {}})
    daemon = start(serve, "example.org")
    daemon.stop()
    assert not socket_of(daemon).exists()
    for config in path, daemon.config:
        done = run("status", "-c", config)
        assert done.returncode == 3 and "no server answers at " in done.stderr
    killed = serve(config=daemon.config.read_text())
    killed.stop(expect=-signal.SIGKILL, how=signal.SIGKILL)
    assert socket_of(killed).is_socket()
    assert run("status", "-c", killed.config).returncode == 3
    again = serve(config=daemon.config.read_text())
    assert ask(run, again)["pid"] == again.pid


@pytest.mark.parametrize("make, why", [
    (lambda path: None, "does not exist"), (pathlib.Path.mkdir, "is not a regular file"),
    (lambda path: path.symlink_to(path), "is a loop of symbolic links"), (os.mkfifo, "is not a regular file")],
    ids=["missing", "directory", "loop", "fifo"])
def test_main_file_that_cannot_be_read(run, tmp_path, make, why):
    """Nobody is asked: the server of the default ledger is another one."""
    path = tmp_path / "main.yaml"
    make(path)
    done = run("status", "-c", path)
    assert done.returncode == 3 and done.stdout == ""
    (line, ) = done.stderr.splitlines()
    assert line == f"mta-stsd: {path} {why}; name the configuration of the server with -c", line


def test_server_of_another_main_file(serve, run, write_config):
    """It has the ledger that the file names, and knows nothing of the file. A link is no other."""
    daemon = start(serve, "example.org")
    config = yaml.safe_load(daemon.config.read_text())
    other = write_config(config | {"tenants": {"example.net": tenant()}})
    for arguments in (), ("example.org",), ("--format", "json"):
        done = run("status", "-c", other, *arguments)
        assert done.returncode == 3 and done.stdout == ""
        assert done.stderr == (f"mta-stsd: the server at {socket_of(daemon)} runs with another main "
                               f"file than {other}: {daemon.config}\n")
    other.unlink()
    other.symlink_to(daemon.config)
    assert run("status", "-c", other).returncode == 0
    # Where its own file is gone, the one that is named may be what it was.
    other.unlink()
    daemon.config.rename(other)
    assert "1 of 1 tenants" in run("status", "-c", other).stdout
    other.rename(daemon.config)


@pytest.mark.parametrize("make", [pathlib.Path.mkdir, pathlib.Path.touch,
                                  lambda p: p.symlink_to("/none/such")],
                         ids=["directory", "file", "link"])
def test_something_is_in_the_way(serve, run, tmp_path, make):
    """It stays; the server serves, and warns once."""
    path = tmp_path / "ledger.db.sock"
    make(path)
    before = os.lstat(path)
    daemon = start(serve, "example.org")
    assert get(daemon, "example.org").status == 200
    (line,) = daemon.log(code="socket-unusable")
    assert line["level"] == "warning" and str(path) in line["message"]
    assert run("status", "-c", daemon.config).returncode == 3
    hangup(daemon)
    hangup(daemon)
    assert os.lstat(path).st_ino == before.st_ino and len(daemon.log(code="socket-unusable")) == 1
    path.rename(tmp_path / "elsewhere")
    hangup(daemon)
    hangup(daemon)  # the one before has come to its end
    assert ask(run, daemon)["pid"] == daemon.pid


def test_no_place_for_it(serve):
    """A directory where nothing can be made."""
    daemon = start(serve, "example.org", ledger="/proc/none/ledger.db")
    assert get(daemon, "example.org").status == 200
    assert len(daemon.log(code="socket-unusable")) == 1


def test_a_left_over_of_another_server_stays(serve, run, tmp_path):
    """Without the lock nobody knows whose it is."""
    (tmp_path / "ledger.db.lock").mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "ledger.db.sock"))
        daemon = start(serve, "example.org")
        assert daemon.log(code="socket-unusable")
        assert (tmp_path / "ledger.db.sock").is_socket()
    assert get(daemon, "example.org").status == 200


def test_another_user_may_not_ask(serve):
    """Mode 0600: 3, and why."""
    if os.geteuid() != 0:
        pytest.skip("needs another user")
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        daemon = start(serve, "example.org", ledger=str(folder / "ledger.db"))
        config = folder / "mta-stsd.yaml"
        shutil.copy(daemon.config, config)
        config.chmod(0o644)
        program = shutil.copy(BINARY, folder / "mta-stsd")
        os.chmod(program, 0o755)

        def nobody():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)

        try:
            done = subprocess.run([program, *command("status", "-c", config)[-3:]],
                                  preexec_fn=nobody, env=environment(), capture_output=True,
                                  text=True, timeout=DEADLINE, check=False, cwd="/")
        except subprocess.SubprocessError:
            pytest.skip("only one user in this namespace")
        assert done.returncode == 3, done.stderr
        assert "only root and the server's own user may ask" in done.stderr
        daemon.stop()
    finally:
        shutil.rmtree(folder)


def talk(path, data):
    """The reply to raw bytes."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(DEADLINE)
        s.connect(str(path))
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        reply = b""
        while piece := s.recv(65536):
            reply += piece
    return reply


GARBAGE = [b"\n", b"status\n", b"[]\n", b"{}\n", b'{"ask":7}\n', b'{"ask":"stat\0us"}\n',
           b'{"ask":"status","ask":"status"}\n', b"[" * 30000 + b"\n", b"\xff\xfe\0\n",
           b'{"ask":"served"}garbage\n', b'{"ask":"reload"}\n']


def test_garbage(serve, run):
    """Each gets an error, and the server goes on."""
    daemon = start(serve, "example.org")
    for request in GARBAGE:
        assert "error" in json.loads(talk(socket_of(daemon), request)), request
    for odd in ({"tenants": 7}, {"tenants": [7, None, {}]}, {"tenants": {"a": 1}}, {"all": "yes"}):
        reply = talk(socket_of(daemon), json.dumps({"ask": "status"} | odd).encode() + b"\n")
        assert json.loads(reply)["pid"] == daemon.pid
    for file in (7, "", "/", "/none/such", "x" * 20000):
        reply = talk(socket_of(daemon), json.dumps({"ask": "check", "file": file}).encode() + b"\n")
        assert json.loads(reply) == {"other_file": True}
    ask(run, daemon)


def test_nothing_leaks(serve, run):
    """Hundreds of reloads, each with a status and a prediction: descriptors and watches are flat."""
    daemon = start(serve, "example.org")
    path = socket_of(daemon)
    check = json.dumps({"ask": "check", "file": str(daemon.config)}).encode() + b"\n"
    modes = "testing", "enforce"

    def round_(i):
        edit(daemon, lambda c: c["tenants"]["example.org"].update(mode=modes[i % 2]))
        assert json.loads(talk(path, check))["usable"]
        assert json.loads(talk(path, b'{"ask":"status","all":true}\n'))["snapshot"]["served"] == 1
        assert json.loads(talk(path, b'{"ask":"served"}\n'))["served"]

    round_(0)
    before = daemon.descriptors(), daemon.watches()
    for i in range(1, 300):
        round_(i)
    assert (daemon.descriptors(), daemon.watches()) == before
    assert ask(run, daemon)["snapshot"]["generation"] == 300
