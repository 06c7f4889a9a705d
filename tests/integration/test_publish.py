"""on_change with packaging/hooks/nsupdate and a real Knot: edit YAML, body live, TXT updated."""

import json
import os
import re
import shutil
import signal
import threading

import dns.message
import dns.query
import dns.rcode
import pytest
import yaml

from harness import DEADLINE, TOP
from harness.edits import rename_over
from harness.services import knot
from harness.unit_file import confine, read_unit

pytestmark = pytest.mark.skipif("MTA_STS_NAMESPACE" not in os.environ,
                                reason="run by tests/integration/run")

HOOK = TOP / "packaging/hooks/nsupdate"
SECRET = "bm8gc2VjcmV0IGF0IGFsbCwgb25seSBhIHRlc3Q="
ZONES = ["example.net", "provider.test"]
DONE = r"event=on-change result=done"
FAILED = r"event=on-change result=failed"


def policy(number, **more):
    return {"mode": "testing", "mx": [f"mx{number}.example.org"], "max_age": "4w", **more}


def all_of(domains, number):
    return {domain: policy(number) for domain in domains}


def number_of(text):
    """Which policy(number) a body has."""
    return int(re.search(rb"^mx: mx(\d+)\.", text, re.M)[1])


def txt(domain):
    """The values at _mta-sts of a domain, as Knot has them now."""
    question = dns.message.make_query(f"_mta-sts.{domain}", "TXT")
    answer = dns.query.tcp(question, "127.0.0.1", DEADLINE)
    assert answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    return {b"".join(r.strings).decode() for rrset in answer.answer for r in rrset}


class Publisher:
    """A server that publishes to a Knot, both to be started by the test."""

    def __init__(self, directory, serve, make_config):
        self.directory = directory
        self._serve = serve
        self._make_config = make_config
        self.key = directory / "tsig.key"
        self.key.write_text(f"hmac-sha256:mta-stsd:{SECRET}\n")
        self.key.chmod(0o600)
        self.conf = directory / "nsupdate.conf"
        self.conf.write_text(f"server = 127.0.0.1\nkey = {self.key}\n"
                             "publish = _smtp._tls _mta-sts\n")
        self.command = [str(HOOK), str(self.conf)]

    def knot(self, records=""):
        return knot(self.directory / "knot", "example.org", records, more=dict.fromkeys(ZONES, ""),
                    key=("mta-stsd", SECRET), updates=["example.org", *ZONES])

    def start(self, tenants, command=None, records=None, **options):
        self.config = self._make_config(tenants, records={"ttl": 60, **(records or {})},
                                        on_change=command or self.command)
        self.daemon = self._serve(config=self.config, **options)
        return self.daemon

    def edit(self, tenants):
        rename_over(self.daemon.config, yaml.safe_dump({**self.config, "tenants": tenants}))

    def records(self, run):
        """The values for _mta-sts of all tenants, as the server announces them."""
        done = run("records", "-c", self.daemon.config, "--format", "json")
        assert done.returncode == 0, done.stderr
        found = re.findall(r'"v=STSv1; id=\w+;"', done.stdout)
        assert found, done.stdout
        return {json.loads(value) for value in found}


@pytest.fixture
def publisher(tmp_path, serve, make_config):
    return Publisher(tmp_path, serve, make_config)


class Slow:
    """A program in front of the hook that waits for the test, in each run."""

    def __init__(self, directory):
        self.begun, self.go = directory / "begun", directory / "go"
        os.mkfifo(self.begun)
        os.mkfifo(self.go)
        self._program = directory / "slow"
        self._program.write_text('#!/bin/sh\necho $$ >"$1"\nread -r _ <"$2"\nshift 2\nexec "$@"\n')
        self._program.chmod(0o755)

    def command(self, behind):
        return [str(self._program), str(self.begun), str(self.go), *behind]

    def wait(self):
        """Until a run has begun; its pid."""
        return int(self.begun.read_text())

    def release(self):
        self.go.write_text("\n")


class Sender:
    """Looks at DNS without a pause, and fetches as soon as there is another id, as the eagerest
    sender would: what it must never get is an older body (RFC 8461 §8.1)."""

    def __init__(self, fetch, daemon, domain):
        self.seen = []  # (TXT value, number of the body)
        self.fault = None
        self._stop = False
        self._fetch = lambda: fetch(daemon, domain)
        self._domain = domain
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        last = set()
        try:
            while not self._stop:
                now = txt(self._domain)
                if now and now != last:
                    (value,) = now
                    self.seen.append((value, number_of(self._fetch().body)))
                last = now
        except Exception as error:  # for close()
            self.fault = error

    def close(self):
        self._stop = True
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive() and self.fault is None, self.fault


def test_the_body_is_live_before_the_record(publisher, fetch):
    """Several tenants in several zones change in one edit, again and again."""
    domains = ["example.org", "mail.example.org", "example.net", "provider.test"]
    with publisher.knot():
        daemon = publisher.start(all_of(domains, 0))
        senders = {domain: Sender(fetch, daemon, domain) for domain in domains}
        daemon.wait_for(DONE)
        announced = {domain: {txt(domain).pop(): 0} for domain in domains}
        for number in range(1, 5):
            publisher.edit(all_of(domains, number))
            daemon.wait_for(DONE, number + 1)
            for domain in domains:
                (value,) = txt(domain)
                assert value not in announced[domain]
                announced[domain][value] = number
                assert number_of(fetch(daemon, domain).body) == number
        for sender in senders.values():
            sender.close()
    for domain, sender in senders.items():
        assert sender.seen
        for value, served in sender.seen:
            assert served >= announced[domain][value], f"{domain}: {value} came before its policy"


def test_removed_and_foreign_values(publisher):
    """A tenant's end withdraws its TXT; what others have there stays, before and after."""
    foreign = {"v=spf1 -all", "something else"}
    with publisher.knot('_mta-sts.example.org. 900 TXT "v=spf1 -all"\n'
                        '_mta-sts.example.org. 900 TXT "something else"\n'
                        '_mta-sts.example.org. 900 TXT "v=STSv1; id=byhand;"\n'):
        daemon = publisher.start({"example.org": policy(1), "example.net": policy(1)})
        daemon.wait_for(DONE)
        assert txt("example.org") > foreign and len(txt("example.org")) == 3
        assert "v=STSv1; id=byhand;" not in txt("example.org")
        kept = txt("example.net")
        publisher.edit({"example.net": policy(1)})
        (line,) = daemon.wait_for(DONE + r" tenants=1 removed=1")
        assert "pending=0" in line
        assert txt("example.org") == foreign and txt("example.net") == kept
        publisher.edit({"example.org": policy(1), "example.net": policy(1)})
        daemon.wait_for(DONE, 3)
        assert len(txt("example.org")) == 3


def test_delegated_tenants(publisher):
    """Customers' zones are elsewhere; what changes is in the provider's, and goes with the tenant."""
    tenants = ["customer.example", "other.example"]
    with publisher.knot():
        daemon = publisher.start(all_of(tenants, 1), records={
            "policy_host": "policy.provider.test", "delegation_zone": "sts.provider.test"})
        daemon.wait_for(DONE)
        first = {domain: txt(f"{domain}.sts.provider.test").pop() for domain in tenants}
        publisher.edit({"other.example": policy(2)})
        daemon.wait_for(DONE + r" tenants=2 removed=1")
        assert not txt("customer.example.sts.provider.test")
        (value,) = txt("other.example.sts.provider.test")
        assert value > first["other.example"]


def test_wrong_key_mended(publisher, run):
    with publisher.knot():
        publisher.key.write_text(f"hmac-sha256:mta-stsd:{SECRET[:-4]}AAA=\n")
        daemon = publisher.start({"example.org": policy(1)})
        (line,) = daemon.wait_for(FAILED)
        assert 'reason="exit status 1"' in line and "next_try_seconds=" in line
        daemon.wait_for(r'event=on-change-output .*_mta-sts.example.org: .*the key mta-stsd. \(BADSIG\)')
        assert not txt("example.org")
        publisher.key.write_text(f"hmac-sha256:mta-stsd:{SECRET}\n")
        daemon.send_signal(signal.SIGHUP)  # what the manual says of impatience
        daemon.wait_for(DONE)
        assert txt("example.org") == publisher.records(run)


def test_a_key_that_others_may_read(publisher):
    with publisher.knot():
        publisher.key.chmod(0o644)
        daemon = publisher.start({"example.org": policy(1)})
        daemon.wait_for(FAILED + r' reason="exit status 2"')
        daemon.wait_for(r"event=on-change-output .*tsig.key: others may use this file")
        assert not txt("example.org")


def test_name_server_down_and_back(publisher, fetch, run):
    """Policies are served meanwhile; it is tried again by itself."""
    daemon = publisher.start({"example.org": policy(1)})
    daemon.wait_for(FAILED)
    daemon.wait_for(r"event=on-change-output .*server 127.0.0.1 port 53: Connection refused")
    assert number_of(fetch(daemon, "example.org").body) == 1
    with publisher.knot():
        daemon.wait_for(DONE)
        assert txt("example.org") == publisher.records(run)
    publisher.edit({"example.org": policy(2)})
    daemon.wait_for(FAILED, len(daemon.log(event="on-change", result="failed")) + 1)
    assert number_of(fetch(daemon, "example.org").body) == 2
    with publisher.knot():
        daemon.wait_for(DONE, 2)
        assert txt("example.org") == publisher.records(run)


def test_killed_between_commit_and_publication(publisher, run, tmp_path):
    """What was not told is told after the restart, removals included."""
    slow = Slow(tmp_path)
    with publisher.knot():
        first = publisher.start({"example.org": policy(1), "example.net": policy(1)})
        first.wait_for(DONE)
        before = txt("example.org")
        publisher.config["on_change"] = slow.command(publisher.command)
        publisher.edit({"example.org": policy(2)})
        pid = slow.wait()
        first.expect = -signal.SIGKILL
        first.stop(expect=first.expect, how=signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        assert txt("example.org") == before and txt("example.net")
        publisher.config["on_change"] = publisher.command
        publisher.edit({"example.org": policy(2)})
        again = publisher._serve(config=first.config.read_text())
        again.wait_for(DONE + r" tenants=2 removed=1")
        assert txt("example.org") != before and not txt("example.net")
        assert txt("example.org") == publisher.records(run)


def test_killed_between_publication_and_its_memory(publisher, run, tmp_path):
    """Told twice is as good as once."""
    slow = Slow(tmp_path)
    behind = tmp_path / "behind"
    behind.write_text(f'#!/bin/sh\n"{HOOK}" "{publisher.conf}" || exit 1\nexec "$@"\n')
    behind.chmod(0o755)
    with publisher.knot():
        command = [str(behind), *slow.command(["/bin/true"])]
        first = publisher.start({"example.org": policy(1)}, command)
        pid = slow.wait()
        published = txt("example.org")
        assert published
        first.expect = -signal.SIGKILL
        first.stop(expect=first.expect, how=signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        publisher.config["on_change"] = publisher.command
        publisher.edit({"example.org": policy(1)})
        publisher._serve(config=first.config.read_text()).wait_for(DONE)
        assert txt("example.org") == published == publisher.records(run)


def test_many_changes_while_it_runs(publisher, fetch, run, tmp_path):
    """One run at a time; what came meanwhile is one more, with the last state."""
    slow = Slow(tmp_path)
    with publisher.knot():
        domains = ["example.org", "example.net"]
        daemon = publisher.start(all_of(domains, 0), slow.command(publisher.command))
        slow.wait()
        for number in range(1, 6):
            publisher.edit(all_of(domains, number))
            daemon.wait_for("event=reload", number)
            assert number_of(fetch(daemon, "example.org").body) == number
        assert not txt("example.org")
        slow.release()
        slow.wait()
        slow.release()
        lines = daemon.wait_for(DONE, 2)
        assert "tenants=2" in lines[0] and "tenants=2" in lines[1] and "pending=0" in lines[1]
        assert txt("example.org") | txt("example.net") == publisher.records(run)
        assert len(daemon.log(event="on-change")) == 2


def test_nasty_reports_arrive_as_they_are(publisher, run):
    reports = ["mailto:a%22%3Bb%5C@example.org", "https://r.example/$(id)'?%25"]
    reports += [f"https://reports{i}.example.org/{'x' * 40}" for i in range(12)]
    with publisher.knot():
        daemon = publisher.start({"example.org": policy(1, tls_reports=reports)})
        daemon.wait_for(DONE)
        answer = dns.query.tcp(dns.message.make_query("_smtp._tls.example.org", "TXT"), "127.0.0.1",
                               DEADLINE).answer
        ((strings,),) = [[rdata.strings for rdata in rrset] for rrset in answer]
        assert len(strings) > 2
        assert b"".join(strings).decode() == f"v=TLSRPTv1; rua={','.join(reports)}"


def test_more_than_a_run_takes(publisher):
    """1000 at most are told at a time, one zone for all."""
    domains = [f"t{i}.example.org" for i in range(1100)]
    with publisher.knot():
        publisher._make_config = lambda tenants, **more: {
            "listen": [{"address": "127.0.0.1:0", "tls": False}], "tenants": tenants,
            "ledger": str(publisher.directory / "ledger.db"), **more}  # fmt: skip
        daemon = publisher.start(all_of(domains, 1))
        lines = daemon.wait_for(DONE, 2)
        assert "tenants=1000" in lines[0] and "tenants=100 " in lines[1] and "pending=0" in lines[1]
        assert txt(domains[0]) and txt(domains[1099])


@pytest.mark.once
def test_inside_the_sandbox_of_the_unit(publisher, serve_as_user, user, open_folder, run):
    """Any system call that the unit filters would kill; the key is root's and of the user's group."""
    unit = read_unit(TOP / "packaging/systemd/mta-stsd.service")
    families = unit["RestrictAddressFamilies"][-1].split()
    assert {"AF_INET", "AF_INET6"} <= set(families) and "ProtectSystem" in unit
    program = shutil.copy(HOOK, open_folder)
    key, conf = open_folder / "tsig.key", open_folder / "nsupdate.conf"
    key.write_text(publisher.key.read_text())
    os.chown(key, 0, user)
    key.chmod(0o640)
    conf.write_text(publisher.conf.read_text().replace(str(publisher.key), str(key)))
    conf.chmod(0o644)
    publisher._serve = serve_as_user
    publisher.directory.chmod(0o711)  # it is the user's now, and Knot gives up root's powers
    with publisher.knot():
        daemon = publisher.start({"example.org": policy(1)}, [program, str(conf)],
                                 preexec=confine(unit, ["setpriority"], user))
        daemon.wait_for(DONE)
        assert txt("example.org") == publisher.records(run)
