"""`plan`: what to do next, and from when on it is safe, as time goes by."""

import datetime
import json
import signal
import sqlite3
import subprocess

import pytest
import yaml
from harness import BINARY
from harness.process import environment
from harness.reload import replace

pytestmark = pytest.mark.once

DOMAIN = "example.org"
A, B = "mx1.example.org", "mx2.example.org"
BEGIN = datetime.datetime(2030, 1, 1, 12)
DAY = datetime.timedelta(days=1)
HOUR = datetime.timedelta(hours=1)


def policy(mode, *mx, max_age="4w", **keys):
    return {"mode": mode, "mx": list(mx), "max_age": max_age, **keys}


def moment(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")


class Plan:
    """The JSON of one tenant."""

    def __init__(self, value):
        self.domain = value["domain"]
        self.situation = value["situation"]
        self.served = value["served"]
        self.codes = [step["code"] for step in value["steps"]]
        self._steps = {step["code"]: step for step in value["steps"]}
        self._safe = {step["code"]: step for step in value["safe"]}

    def state(self, code):
        return self._steps[code]["state"]

    def at(self, code):
        return moment(self._steps[code]["at"])

    def text(self, code):
        return self._steps[code]["text"]

    def safe(self, code):
        """The date, or None while another step must come first."""
        at = self._safe[code]["at"]
        return at and moment(at)

    def safe_now(self, code):
        return self._safe[code]["state"] == "now"


class Site:
    """A server under a clock of its own, whose tenant changes."""

    def __init__(self, serve, run, clock, tmp_path):
        self.clock = clock
        self._run = run
        self._serve = serve
        self._env = environment(**clock.environment)
        self.ledger = tmp_path / "ledger.db"

    def _config(self, tenants, **settings):
        return {"listen": [{"address": "127.0.0.1:0", "tls": False}],
                "ledger": str(self.ledger),
                "contact": {"tls_reports": "mailto:reports@example.org"},
                "tenants": {"example.net": policy("testing", A)} | tenants} | settings

    def start(self, tenants, at=BEGIN):
        self.clock.at(at)
        self.daemon = self._serve(config=self._config(tenants), env=self.clock.environment)
        return self

    def change(self, tenants, at, **settings):
        """Other tenants, served from this moment on."""
        self.clock.at(at)
        replace(self.daemon.config, yaml.safe_dump(self._config(tenants, **settings)))
        # The first look may have begun before.
        count = len(self.daemon.log(event="reload"))
        for _ in range(2):
            count += 1
            self.daemon.send_signal(signal.SIGHUP)
            self.daemon.wait_for("event=reload ", count)

    def run(self, *args, expect=0):
        done = self._run(args[0], "-c", self.daemon.config, *args[1:], env=self._env)
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    def plan(self, at, expect=0):
        self.clock.at(at)
        done = self.run("plan", "--format", "json", DOMAIN, expect=expect)
        return Plan(json.loads(done.stdout)[0])

    def text(self, at):
        self.clock.at(at)
        return self.run("plan", DOMAIN).stdout


@pytest.fixture
def site(serve, run, clock, tmp_path):
    return Site(serve, run, clock, tmp_path)


def soon_after(at, expected):
    """A date that comes from a change at a known moment; the clock went on for some seconds."""
    return expected <= at < expected + HOUR


def test_testing_to_enforce(site):
    site.start({DOMAIN: policy("testing", A)})
    plan = site.plan(BEGIN + DAY)
    assert plan.situation == "testing"
    assert plan.served["mode"] == "testing" and plan.served["mx"] == [A]
    assert plan.state("served") == "done" and soon_after(plan.at("served"), BEGIN)
    assert plan.state("tls-reports") == "done"
    assert plan.served["id"] in plan.text("published")
    date = plan.at("enforce")
    assert soon_after(date, BEGIN + 14 * DAY) and plan.safe("enforce") == date
    assert soon_after(plan.safe("remove"), BEGIN + 29 * DAY)
    text = site.text(BEGIN + DAY)
    assert text.startswith(f"{DOMAIN}: testing\n")
    assert "\n  wait until 2030-01-16  write mode: enforce" in text
    assert "\nSafe to enforce, if the TLS reports are clean: from 2030-01-16 on\n" in text

    for when, state in ((date - HOUR, "wait"), (date + HOUR, "now")):
        plan = site.plan(when)
        assert plan.state("enforce") == state
        assert plan.at("enforce") == date
        assert plan.safe_now("enforce") == (state == "now")
        assert plan.state("observed") == ("done" if state == "now" else "wait")
    assert "\n  now                    write mode: enforce" in site.text(date + HOUR)

    site.change({DOMAIN: policy("enforce", A, max_age="1w")}, BEGIN + 20 * DAY)
    plan = site.plan(BEGIN + 21 * DAY)
    assert plan.situation == "enforce"
    assert plan.state("max-age") == "now"
    everywhere = plan.at("enforced")
    assert soon_after(everywhere, BEGIN + 48 * DAY)
    assert plan.state("enforced") == "wait"
    assert plan.at("max-age-shortened") == everywhere
    assert site.plan(everywhere - HOUR).state("enforced") == "wait"
    plan = site.plan(everywhere + HOUR)
    assert plan.state("enforced") == "done"
    assert "max-age-shortened" not in plan.codes


def test_without_an_address_for_reports(site):
    """What is missing comes first, however long the wait was."""
    site.start({DOMAIN: policy("testing", A, tls_reports=[])})
    plan = site.plan(BEGIN + 30 * DAY)
    assert plan.state("tls-reports") == "now"
    assert plan.state("enforce") == "wait" and plan.safe("enforce") is None
    assert "Safe to enforce, if the TLS reports are clean: after the steps before it\n" in site.text(
        BEGIN + 30 * DAY
    )


def test_other_hosts(site):
    site.start({DOMAIN: policy("enforce", A)})
    site.change({DOMAIN: policy("enforce", A, B)}, BEGIN + 10 * DAY)
    plan = site.plan(BEGIN + 11 * DAY)
    assert plan.situation == "mx migration"
    date = plan.at("mx-known")
    assert soon_after(date, BEGIN + 38 * DAY)
    for code in ("mx-switch", "mx-drop"):
        assert plan.at(code) == date and plan.safe(code) == date
    assert f"must go on naming {A}" in plan.text("mx-known")
    assert "\n  wait until 2030-02-09  point the MX records to mx2.example.org\n" in site.text(
        BEGIN + 11 * DAY
    )

    for when, known, others in ((date - HOUR, "wait", "wait"), (date + HOUR, "done", "now")):
        plan = site.plan(when)
        assert plan.state("mx-known") == known
        assert plan.state("mx-switch") == plan.state("mx-drop") == others
        assert plan.safe_now("mx-switch") == (others == "now")

    site.change({DOMAIN: policy("enforce", B)}, date + 2 * DAY)
    plan = site.plan(date + 3 * DAY)
    assert plan.situation == "mx migration"
    assert plan.state("mx-known") == plan.state("mx-dropped") == "done"
    assert plan.state("mx-off") == "now"
    assert "mx-early" not in plan.codes
    # When nobody remembers, it is an enforced policy like any other.
    plan = site.plan(date + 200 * DAY)
    assert plan.situation == "enforce"
    assert not [code for code in plan.codes if code.startswith("mx-")]


def test_a_host_that_left_too_early(site):
    site.start({DOMAIN: policy("enforce", A)})
    site.change({DOMAIN: policy("enforce", B)}, BEGIN + 10 * DAY)
    plan = site.plan(BEGIN + 11 * DAY)
    assert plan.situation == "mx migration"
    date = plan.at("mx-off")
    assert soon_after(date, BEGIN + 38 * DAY)
    assert f"{A} left the policy too early: until 2030-02-09" in plan.text("mx-early")
    site.change({DOMAIN: policy("enforce", A, B)}, BEGIN + 12 * DAY)
    plan = site.plan(BEGIN + 13 * DAY)
    assert "mx-early" not in plan.codes
    # Who holds the one between refuses the old host, so none is safe alone until that has run out.
    assert soon_after(plan.at("mx-known"), BEGIN + 40 * DAY)
    assert "no host is accepted by all" in plan.text("mx-known")
    assert site.plan(BEGIN + 41 * DAY).state("mx-switch") == "now"


def test_other_hosts_in_testing(site):
    """Nothing refuses mail, so there is no wait."""
    site.start({DOMAIN: policy("testing", A)})
    site.change({DOMAIN: policy("testing", A, B)}, BEGIN + 10 * DAY)
    plan = site.plan(BEGIN + 11 * DAY)
    assert plan.situation == "testing"
    assert plan.state("mx-known") == "done" and "no wait" in plan.text("mx-known")
    assert plan.state("mx-switch") == "now"
    assert soon_after(plan.at("enforce"), BEGIN + 24 * DAY)


def test_the_end(site):
    site.start({DOMAIN: policy("enforce", A, max_age="8w")})
    site.change({DOMAIN: policy("enforce", A, max_age="1d")}, BEGIN + 10 * DAY)
    assert soon_after(site.plan(BEGIN + 11 * DAY).safe("remove"), BEGIN + 66 * DAY)
    site.change({DOMAIN: policy("enforce", A, retire=True)}, BEGIN + 12 * DAY)
    plan = site.plan(BEGIN + 13 * DAY)
    assert plan.situation == "retiring"
    assert plan.served["mode"] == "none"
    date = plan.at("remove")
    assert soon_after(date, BEGIN + 66 * DAY)
    (retiring,) = site.daemon.log(event="retiring", tenant=DOMAIN)
    assert moment(retiring["safe_after"]) == date

    assert site.plan(date - HOUR).state("remove") == "wait"
    assert "\n  wait until 2030-03-09  remove the records, then the tenant\n" in site.text(
        date - HOUR
    )
    plan = site.plan(date + HOUR)
    assert plan.situation == "retired"
    assert plan.state("remove") == "now" and plan.safe_now("remove")
    assert "\nSafe to remove the records, then the tenant: now\n" in site.text(date + HOUR)

    site.change({}, date + DAY)
    plan = site.plan(date + 2 * DAY)
    assert plan.situation == "retired" and plan.served is None
    assert plan.state("removed") == "done" and plan.state("remove") == "now"


def test_removed_too_early(site):
    site.start({DOMAIN: policy("enforce", A)})
    site.change({}, BEGIN + 10 * DAY)
    plan = site.plan(BEGIN + 11 * DAY)
    assert plan.situation == "removed too early"
    date = plan.at("remove")
    assert soon_after(date, BEGIN + 38 * DAY)
    assert "put it back with retire: on until 2030-02-09" in plan.text("put-back")
    site.change({DOMAIN: policy("enforce", A, retire=True)}, BEGIN + 12 * DAY)
    plan = site.plan(BEGIN + 13 * DAY)
    assert plan.situation == "retiring" and plan.at("remove") == date
    site.change({}, BEGIN + 14 * DAY)
    assert site.plan(BEGIN + 15 * DAY).situation == "removed too early"
    assert site.plan(date + HOUR).situation == "retired"


def test_the_same_without_the_server(site):
    site.start({DOMAIN: policy("enforce", A)})
    site.change({DOMAIN: policy("enforce", A, B)}, BEGIN + 10 * DAY)
    before = site.text(BEGIN + 11 * DAY)
    site.daemon.stop()
    assert site.text(BEGIN + 11 * DAY) == before


def test_what_is_not_loaded_is_said(site):
    """The configuration has moved on, and the server does not look."""
    site.start({DOMAIN: policy("testing", A)})
    site.daemon.stop()
    replace(site.daemon.config, yaml.safe_dump(site._config({DOMAIN: policy("enforce", A)})))
    plan = site.plan(BEGIN + DAY)
    assert plan.state("load") == "now"
    assert plan.situation == "testing"


def test_told_by_on_change(site, tmp_path):
    """Once somebody tells the ledger what is in DNS, the plan knows."""
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\nexit 0\n")
    hook.chmod(0o755)
    site.start({DOMAIN: policy("testing", A)})
    assert site.plan(BEGIN + DAY).state("published") == "now"
    site.change({DOMAIN: policy("testing", A)}, BEGIN + DAY, on_change=[str(hook)])
    site.daemon.wait_for("event=on-change result=done")
    plan = site.plan(BEGIN + DAY)
    assert plan.state("published") == "done"
    assert plan.served["id"] in plan.text("published")


def test_the_clock_is_wrong(site):
    site.start({DOMAIN: policy("testing", A)})
    plan = site.plan(BEGIN - 400 * DAY)
    assert plan.state("clock") == "now"
    assert soon_after(plan.at("enforce"), BEGIN + 14 * DAY)


# --- without a clock of its own: these run under the sanitizers, too ---


@pytest.fixture
def config(write_config, tmp_path):
    """config(tenants): a configuration whose ledger is the same each time."""

    def write(tenants, **settings):
        return write_config({"ledger": str(tmp_path / "ledger.db"), "tenants": tenants} | settings)

    return write


def one(done):
    return Plan(json.loads(done.stdout)[0])


def test_no_ledger_yet(run, config):
    path = config({DOMAIN: policy("testing", A)})
    done = run("plan", "-c", path, "--format", "json", DOMAIN)
    assert done.returncode == 0 and done.stderr == ""
    plan = one(done)
    assert plan.situation == "not served yet" and plan.served is None
    assert plan.state("serve") == "now" and plan.state("published") == "wait"


def test_nothing_is_written(run, config, tmp_path):
    path = config({DOMAIN: policy("testing", A)})
    assert run("plan", "-c", path, DOMAIN).returncode == 0
    assert not list(tmp_path.glob("ledger*"))


def test_unknown_tenants(run, config):
    """The others are planned all the same."""
    path = config({DOMAIN: policy("testing", A)})
    assert run("records", "-c", path).returncode == 0
    done = run("plan", "-c", path, "nobody.example", DOMAIN, "not a domain")
    assert done.returncode == 1
    assert done.stdout.startswith(f"{DOMAIN}: testing\n")
    assert "nobody.example is not a tenant, and never was served [tenant-unknown]" in done.stderr
    assert "[domain-" in done.stderr
    done = run("plan", "-c", path, "--format", "json", "nobody.example")
    assert done.returncode == 1 and json.loads(done.stdout) == []


def test_several_tenants(run, config):
    path = config({DOMAIN: policy("testing", A), "xn--bcher-kva.example": policy("enforce", A)})
    assert run("records", "-c", path).returncode == 0
    done = run("plan", "-c", path, "--format", "json", "bücher.example", DOMAIN)
    plans = [Plan(value) for value in json.loads(done.stdout)]
    assert [p.domain for p in plans] == ["xn--bcher-kva.example", DOMAIN]
    assert [p.situation for p in plans] == ["enforce", "testing"]
    done = run("plan", "-c", path, "bücher.example", DOMAIN)
    assert f"\n\n{DOMAIN}: testing\n" in done.stdout


def test_a_broken_tenant(run, config):
    """It has a plan by what was served, and a first step."""
    assert run("records", "-c", config({DOMAIN: policy("testing", A)})).returncode == 0
    path = config({DOMAIN: policy("tasting", A), "new.example": policy("tasting", A)})
    done = run("plan", "-c", path, "--format", "json", DOMAIN, "new.example")
    old, new = (Plan(value) for value in json.loads(done.stdout))
    assert old.situation == "testing" and old.codes[0] == new.codes[0] == "mend"
    assert new.situation == "not served yet" and new.state("serve") == "wait"


def test_damaged_entries(run, config, tmp_path):
    path = config({DOMAIN: policy("enforce", A)})
    assert run("records", "-c", path).returncode == 0
    path = config({DOMAIN: policy("enforce", B)})
    assert run("records", "-c", path).returncode == 0
    with sqlite3.connect(tmp_path / "ledger.db") as ledger:
        ledger.execute("UPDATE instance SET body = 'mode: none' WHERE last_served IS NOT NULL")
    done = run("plan", "-c", path, "--format", "json", DOMAIN)
    assert done.returncode == 1 and "[ledger-corrupt]" in done.stderr
    assert one(done).state("damaged") == "now"
    with sqlite3.connect(tmp_path / "ledger.db") as ledger:
        ledger.execute("UPDATE instance SET mode = 'none', digest = x'00'")
    done = run("plan", "-c", path, "--format", "json", DOMAIN)
    assert done.returncode == 1
    assert one(done).codes == ["damaged"] and one(done).served is None
    # A removed one counts as if it had been enforced, whatever the entry says now.
    done = run("plan", "-c", config({}), "--format", "json", DOMAIN)
    assert one(done).situation == "removed too early"


def test_what_was_announced_is_damaged(run, config, tmp_path):
    path = config({DOMAIN: policy("enforce", A)})
    assert run("records", "-c", path).returncode == 0
    with sqlite3.connect(tmp_path / "ledger.db") as ledger:
        ledger.execute("INSERT INTO published VALUES (?, 'no-id', 1)", (DOMAIN,))
    done = run("plan", "-c", path, DOMAIN)
    assert done.returncode == 1 and "[ledger-corrupt]" in done.stderr
    assert done.stdout.startswith(f"{DOMAIN}: enforce\n")


def test_cannot_look(run, config, tmp_path):
    path = config({DOMAIN: policy("testing", A)})
    (tmp_path / "ledger.db").write_text("no ledger\n" * 1000)
    done = run("plan", "-c", path, DOMAIN)
    assert done.returncode == 3 and "[ledger-" in done.stderr and done.stdout == ""
    done = run("plan", "-c", tmp_path / "nowhere.yaml", DOMAIN)
    assert done.returncode == 3 and "nowhere.yaml" in done.stderr
    path.write_text("tenants: [")
    assert run("plan", "-c", path, DOMAIN).returncode == 1


def test_usage(run, config):
    path = config({DOMAIN: policy("testing", A)})
    for args in (), ("--format", "yaml", DOMAIN):
        done = run("plan", "-c", path, *args)
        assert done.returncode == 2 and "TENANT" in done.stderr


def test_output_that_cannot_be_written(config):
    path = config({DOMAIN: policy("testing", A)})
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(BINARY), "plan", "-c", path, DOMAIN], stdout=full,
                              stderr=subprocess.PIPE, env=environment(), check=False)
    assert done.returncode == 3 and b"cannot be written" in done.stderr
