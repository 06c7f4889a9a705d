"""packaging/hooks/nsupdate by itself: what it does to zones of a real Knot, and what it says when
that cannot be done. test_publish.py has the server run it."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import pytest

from harness import DEADLINE, TOP
from harness.dns_server import DnsServer, close
from harness.services import knot

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif("MTA_STS_NAMESPACE" not in os.environ, reason="run by ./run"),
]

HOOK = TOP / "packaging/hooks/nsupdate"
README = (TOP / "packaging/hooks/README.md").read_text()
SECRET = "bm8gc2VjcmV0IGF0IGFsbCwgb25seSBhIHRlc3Q="
KEY = ("mta-stsd", SECRET)
LINE = f"hmac-sha256:mta-stsd:{SECRET}"


def changed(domain, ident, *more, ttl=300):
    announced = record(f"_mta-sts.{domain}", "TXT", f"v=STSv1; id={ident};", ttl)
    return {"domain": domain, "id": ident, "records": [*more, announced]}


def removed(domain):
    return {"domain": domain, "records": [{"name": f"_mta-sts.{domain}", "type": "TXT"}]}


def record(name, rtype, value, ttl=300):
    return {"name": name, "type": rtype, "ttl": ttl, "value": value}


def batch(*entries):
    """Of changed() and removed()."""
    return {"version": 1, "changed": [e for e in entries if "id" in e],
            "removed": [e for e in entries if "id" not in e]}  # fmt: skip


def ask(name, rtype="TXT"):
    """{(type, value)} at a name of the Knot; TXT values joined."""
    answer = dns.query.tcp(dns.message.make_query(name, rtype), "127.0.0.1", DEADLINE)
    assert answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    found = set()
    for rrset in answer.answer:
        for rdata in rrset:
            is_txt = rdata.rdtype == dns.rdatatype.TXT
            text = b"".join(rdata.strings).decode() if is_txt else rdata.to_text()
            found.add((dns.rdatatype.to_text(rdata.rdtype), text))
    return found


def txt(domain):
    return {value for rtype, value in ask(f"_mta-sts.{domain}") if rtype == "TXT"}


def ttl(name, rtype="TXT"):
    (rrset,) = dns.query.tcp(dns.message.make_query(name, rtype), "127.0.0.1", DEADLINE).answer
    return rrset.ttl


def serial(zone):
    (rrset,) = dns.query.tcp(dns.message.make_query(zone, "SOA"), "127.0.0.1", DEADLINE).answer
    return rrset[0].serial


@pytest.fixture
def configure(tmp_path):
    """configure("zones = a", key=LINE) -> path; the key is in a file of its own."""

    def write(*lines, key=LINE, server="::1", mode=0o600):
        key_file, path = tmp_path / "tsig.key", tmp_path / "nsupdate.conf"
        if key:
            key_file.write_text(key)
            key_file.chmod(mode)
            lines = (f"key = {key_file}", *lines)
        path.write_text("\n".join([f"server = {server}", "# a comment", "", *lines, ""]))
        return path

    return write


@pytest.fixture
def hook():
    """hook(configuration, batch or bytes): the program to its end, as the server would run it."""

    def run(path, what, user=None, program=HOOK, **env):
        data = what if isinstance(what, bytes) else json.dumps(what).encode()
        done = subprocess.run([program, path], input=data, capture_output=True, cwd="/", check=False,
                              env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **env},
                              timeout=DEADLINE, user=user, group=user,
                              extra_groups=None if user is None else [])
        done.out, done.err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in done.err, done.err
        assert SECRET not in done.out + done.err
        return done

    return run


def expect(done, status, *patterns):
    assert done.returncode == status, (done.out, done.err)
    assert bool(done.err) == bool(status), done.err
    for pattern in patterns:
        assert re.search(pattern, done.err if status else done.out, re.M), done.err + done.out


ZONES = {
    "example.net": (
        '_mta-sts.example.net. 900 TXT "v=spf1 -all"\n'
        '_mta-sts.example.net. 900 TXT "v=STSv1; id=old;"\n'
        '_mta-sts.example.net. 900 TXT "v=STSv1 broken"\n'
        '_mta-sts.example.net. 900 TXT "v=STSv12; id=another;"\n'
        '_mta-sts.example.net. 900 TXT "x" "v=STSv1; id=1;"\n'
    ),
    "wild.test": '*.wild.test. 77 CNAME www.wild.test.\nwww.wild.test. 77 A 192.0.2.80\n',
    "addresses.test": '*.addresses.test. 77 A 192.0.2.80\n*.addresses.test. 77 TXT "v=spf1 -all"\n',
    "elsewhere.test": "_mta-sts.elsewhere.test. 300 CNAME there.example.org.\n",
    "_mta-sts.sub.example.org": "",
    "locked.test": "",
}


@pytest.fixture
def server(tmp_path):
    """A Knot with example.org and more; locked.test takes no updates."""
    free = [zone for zone in ZONES if zone != "locked.test"]
    with knot(tmp_path / "knot", "example.org", more=ZONES, key=KEY,
              updates=["example.org", *free]) as running:
        yield running


# --- What it does --------------------------------------------------------------------------------


def test_published_changed_and_withdrawn(server, configure, hook):
    path = configure()
    expect(hook(path, batch(changed("example.org", "1"))), 0)
    assert txt("example.org") == {"v=STSv1; id=1;"} and ttl("_mta-sts.example.org") == 300
    expect(hook(path, batch(changed("example.org", "2", ttl=60))), 0)
    assert txt("example.org") == {"v=STSv1; id=2;"} and ttl("_mta-sts.example.org") == 60
    expect(hook(path, batch(removed("example.org"))), 0)
    assert not txt("example.org")
    expect(hook(path, batch(removed("example.org"))), 0)


def test_what_is_right_is_left_alone(server, configure, hook):
    """Told again, as after a lost outcome: no new serial, nothing for the secondaries to fetch."""
    path = configure()
    expect(hook(path, batch(changed("example.org", "1"))), 0)
    before = serial("example.org")
    expect(hook(path, batch(changed("example.org", "1"))), 0)
    assert serial("example.org") == before
    expect(hook(path, batch(changed("example.org", "1", ttl=60))), 0)
    assert serial("example.org") > before and ttl("_mta-sts.example.org") == 60


def test_values_of_others_stay(server, configure, hook):
    path = configure()
    foreign = {"v=spf1 -all", "v=STSv12; id=another;", "xv=STSv1; id=1;"}
    expect(hook(path, batch(changed("example.net", "1"))), 0)
    assert txt("example.net") == foreign | {"v=STSv1; id=1;"}
    assert ttl("_mta-sts.example.net") == 900  # of all of them, as the others had it
    expect(hook(path, batch(removed("example.net"))), 0)
    assert txt("example.net") == foreign


def test_wildcards_do_not_count(server, configure, hook):
    path = configure("publish = mta-sts _mta-sts")
    host = record("mta-sts.addresses.test", "A", "192.0.2.1")
    expect(hook(path, batch(changed("wild.test", "1"), changed("addresses.test", "2", host))), 0)
    assert ask("_mta-sts.wild.test") == {("TXT", "v=STSv1; id=1;")}
    assert ask("mta-sts.addresses.test", "A") == {("A", "192.0.2.1")}
    assert txt("addresses.test") == {"v=STSv1; id=2;"}
    assert ("A", "192.0.2.80") in ask("other.wild.test", "A")


def test_one_batch_for_several_zones(server, configure, hook):
    done = hook(configure(), batch(changed("example.org", "1"), changed("mail.example.org", "2"),
                                   changed("sub.example.org", "3"), changed("example.net", "4")))
    expect(done, 0, r"^4 domains are as they should be$")
    assert txt("mail.example.org") == {"v=STSv1; id=2;"}
    assert txt("sub.example.org") == {"v=STSv1; id=3;"}  # a zone of its own
    assert "v=STSv1; id=4;" in txt("example.net")


def test_nasty_and_long_values(server, configure, hook):
    rua = "v=TLSRPTv1; rua=mailto:a%22b%3Bc@x," + ",".join(f"https://r/$(id)'`{i}" for i in range(99))
    more = [record("mta-sts.example.org", "AAAA", "2001:DB8:0::1", 60),
            record("mta-sts.example.org", "A", "192.0.2.1", 60),
            record("_smtp._tls.example.org", "TXT", rua + '"\\; drop')]
    expect(hook(configure("publish = mta-sts, _smtp._tls, _mta-sts"),
                batch(changed("example.org", "1", *more))), 0)
    assert ask("_smtp._tls.example.org") == {("TXT", rua + '"\\; drop')}
    assert ask("mta-sts.example.org", "AAAA") == {("AAAA", "2001:db8::1")}
    assert ask("mta-sts.example.org", "A") == {("A", "192.0.2.1")}
    assert ttl("mta-sts.example.org", "A") == 60


def test_a_cname_for_the_policy_host(server, configure, hook):
    path = configure("publish = mta-sts _mta-sts")
    more = record("mta-sts.example.org", "CNAME", "policy.provider.example")
    for ident in "1", "2":
        expect(hook(path, batch(changed("example.org", ident, more))), 0)
    assert ask("mta-sts.example.org", "A") == {("CNAME", "policy.provider.example.")}
    assert txt("example.org") == {"v=STSv1; id=2;"}


def test_authorities_beside_the_addresses(server, configure, hook):
    """CAA with a TTL of its own; one of somebody else stops the announcement, and stays."""
    path = configure("publish = mta-sts _mta-sts")
    caa = "ca.example; accounturi=https://ca.example/1?a=b"
    more = [record("mta-sts.example.org", "A", "192.0.2.1", 60),
            record("mta-sts.example.org", "CAA", caa, 900)]
    for ident in "1", "2":
        expect(hook(path, batch(changed("example.org", ident, *more))), 0)
    assert ask("mta-sts.example.org", "CAA") == {("CAA", f'0 issue "{caa}"')}
    assert ttl("mta-sts.example.org", "CAA") == 900 and ttl("mta-sts.example.org", "A") == 60
    more[1]["value"] = "other.example"
    done = hook(path, batch(changed("example.org", "3", *more)))
    expect(done, 1, "^mta-sts.example.org: has CAA 0 issue .*ca.example.* not ours and is kept")
    assert txt("example.org") == {"v=STSv1; id=2;"}


def test_delegated_names_are_in_our_zone(server, configure, hook):
    """The customer's domain is in no zone here; the name that its CNAME leads to is."""
    entry = changed("customer.example.sts.example.org", "1",
                    record("_smtp._tls.customer.example.sts.example.org", "TXT",
                           "v=TLSRPTv1; rua=mailto:a@x"))
    entry["domain"] = "customer.example"
    path = configure("publish = _smtp._tls _mta-sts")
    expect(hook(path, batch(entry)), 0)
    assert txt("customer.example.sts.example.org") == {"v=STSv1; id=1;"}
    assert ask("_smtp._tls.customer.example.sts.example.org") == {
        ("TXT", "v=TLSRPTv1; rua=mailto:a@x")}
    gone = removed("customer.example.sts.example.org") | {"domain": "customer.example"}
    expect(hook(path, batch(gone)), 0)
    assert not txt("customer.example.sts.example.org")


def test_by_default_the_announcement_alone(server, configure, hook):
    more = [record("mta-sts.example.org", "A", "192.0.2.1"),
            record("_smtp._tls.example.org", "TXT", "v=TLSRPTv1; rua=mailto:a@x")]
    expect(hook(configure(), batch(changed("example.org", "1", *more))), 0)
    assert not ask("mta-sts.example.org", "A") and not ask("_smtp._tls.example.org")


@pytest.mark.parametrize("now, wanted", [
    (("A", "192.0.2.99"), ("A", "192.0.2.1")),
    (("A", "192.0.2.99"), ("CNAME", "policy.example.org")),
    (("CNAME", "old.example.org"), ("CNAME", "policy.example.org")),
    (("CNAME", "old.example.org"), ("AAAA", "2001:db8::1")),
])  # fmt: skip
def test_another_policy_host_is_kept_and_nothing_announced(server, configure, hook, now, wanted):
    path = configure("publish = mta-sts _mta-sts")
    name = "mta-sts.example.org"
    expect(hook(path, batch(changed("example.org", "1", record(name, *now)))), 0)
    done = hook(path, batch(changed("example.org", "2", record(name, *wanted)),
                            changed("example.net", "3")))
    expect(done, 1, rf"^{name}: has {now[0]} {now[1]}.*which is not ours and is kept; remove it$")
    assert any(now[1] in value for _, value in ask(name, now[0]))
    assert txt("example.org") == {"v=STSv1; id=1;"}
    assert "v=STSv1; id=3;" in txt("example.net")


def test_a_cname_of_the_announcement_is_kept(server, configure, hook):
    done = hook(configure(), batch(changed("elsewhere.test", "1"), changed("example.org", "1")))
    expect(done, 1, r"^_mta-sts.elsewhere.test: has CNAME there.example.org., which is not ours")
    assert txt("example.org") == {"v=STSv1; id=1;"}


def test_skipped_domains_and_given_zones(server, configure, hook):
    two = batch(changed("example.org", "1"), removed("customer.example"))
    expect(hook(configure(), two), 1, r"^_mta-sts.customer.example: asked for its zone: REFUSED; .*skip")
    expect(hook(configure("skip = Customer.example."), two), 0, r"^customer.example: skipped$")
    path = configure("zones = example.net., example.org")
    expect(hook(path, two), 1, r"^_mta-sts.customer.example: is in none of the zones; ")
    expect(hook(path, batch(changed("example.org", "2"))), 0)
    assert txt("example.org") == {"v=STSv1; id=2;"}
    expect(hook(configure("zones = example.net org"), batch(changed("example.org", "3"))), 1,
           r"^_mta-sts.example.org: update: the server does not accept the key|: update: NOTAUTH$")


def test_one_domain_that_may_not_does_not_hold_up_others(tmp_path, configure, hook):
    """The rights of README.md are enough, and what is beyond them is refused alone."""
    rule = re.search(r"^acl:.*?key: mta-stsd\n(.*?)^zone:", README, re.M | re.S)[1]
    with knot(tmp_path / "knot", "example.org", more=ZONES, key=KEY, rule=rule,
              updates=["example.org", "example.net"]):
        done = hook(configure(), batch(changed("example.org", "1"), changed("mail.example.org", "2"),
                                       removed("example.net"), changed("locked.test", "3")))
        expect(done, 1, r"^_mta-sts.mail.example.org: update: the server does not accept the key",
               r"^_mta-sts.locked.test: asked for its zone: the server does not accept the key")
        assert len(done.err.splitlines()) == 2
        assert txt("example.org") == {"v=STSv1; id=1;"}
        assert "v=STSv1; id=old;" not in txt("example.net")
        assert not txt("mail.example.org")


def test_more_than_a_message_holds(server, configure, hook):
    """Ten of them are one transaction, until that is too large."""
    def one(domain):
        rua = f"v=TLSRPTv1; rua=https://{domain}/" + "x" * 9000
        return changed(domain, "1", record(f"_smtp._tls.{domain}", "TXT", rua))

    path = configure("publish = _smtp._tls _mta-sts")
    expect(hook(path, batch(*(one(f"t{i}.example.org") for i in range(10)))), 0)
    assert ask("_smtp._tls.t9.example.org") and txt("t0.example.org")


def test_a_thousand_domains(server, configure, hook):
    domains = [f"t{i}.example.org" for i in range(1000)]
    expect(hook(configure(), batch(*(changed(d, "1") for d in domains))), 0)
    assert all(txt(d) == {"v=STSv1; id=1;"} for d in (domains[0], domains[500], domains[999]))


def test_examples_of_the_documentation(server, configure, hook):
    """What README.md and mta-stsd(8) show is what the program takes."""
    path = configure("publish = mta-sts _smtp._tls _mta-sts")
    (example,) = re.findall(r"^```json\n(.*?)^```$", README, re.M | re.S)
    expect(hook(path, json.loads(example)), 0)
    (ident,) = txt("example.org")
    assert "v=STSv1; id=old;" not in txt("example.net")
    by_hand = re.search(r"echo '(.*?)' \|", README, re.S)[1]
    expect(hook(path, by_hand.replace("example.invalid", "example.org").encode()), 0)
    assert not txt("example.org")
    manual = (TOP / "packaging/man/mta-stsd.8").read_text()
    (example,) = re.findall(r"^\.Bd -literal.*?\n({.*?)^\.Ed$", manual, re.M | re.S)
    expect(hook(path, json.loads(example)), 0)
    assert txt("example.org") == {ident}


# --- Keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    LINE,
    f"# {LINE}\nkey:\n  - id: mta-stsd\n    algorithm: hmac-sha256\n    secret: {SECRET}\n",
    f'key "mta-stsd" {{\n\talgorithm hmac-sha256;\n\tsecret "{SECRET}";\n}};\n',
])  # fmt: skip
def test_forms_of_keys(server, configure, hook, text):
    expect(hook(configure(key=text), batch(changed("example.org", "1"))), 0)
    assert txt("example.org")


def test_a_key_in_the_configuration(server, configure, hook):
    path = configure(f"key = {LINE}", key=None)
    path.chmod(0o640)
    expect(hook(path, batch(changed("example.org", "1"))), 0)
    path.chmod(0o644)
    expect(hook(path, batch(changed("example.org", "2"))), 2, "others may use this file.*chmod o=")
    assert txt("example.org") == {"v=STSv1; id=1;"}


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_key_that_others_may_use(server, configure, hook, mode):
    done = hook(configure(mode=mode), batch(changed("example.org", "1")))
    expect(done, 2, r"tsig.key: others may use this file, it holds a key: chmod o= /")
    assert not txt("example.org")


@pytest.mark.parametrize("text, said", [
    ("", "this is no key"), ("nonsense", "this is no key"),
    (LINE.replace("256", "1024"), "algorithm 'hmac-sha1024' is none of"),
    ("hmac-md5:a:YQ==", "algorithm 'hmac-md5' is none of"),
    ('key "a" { secret "YQ=="; };', "algorithm '' is none of"),
    ('key "a" { algorithm hmac-sha256; };', "no valid name or secret"),
    ("hmac-sha256:a..b:YQ==", "no valid name or secret"), ("hmac-sha256:a:YQ", "no valid name"),
])  # fmt: skip
def test_what_is_no_key(configure, hook, text, said):
    path = configure()
    (path.parent / "tsig.key").write_text(text)
    expect(hook(path, batch()), 2, rf"^nsupdate: /\S+tsig.key: .*{said}")


@pytest.mark.parametrize("key, said", [
    (f"hmac-sha256:mta-stsd:{SECRET[:-4]}AAA=", r"does not accept the key mta-stsd. \(BADSIG\)"),
    (f"hmac-sha256:other:{SECRET}", r"does not accept the key other. \(BADKEY\)"),
])  # fmt: skip
def test_a_wrong_key(server, configure, hook, key, said):
    done = hook(configure(key=key), batch(changed("example.org", "1")))
    expect(done, 1, rf"^_mta-sts.example.org: asked for its zone: the server {said}$")
    assert not txt("example.org")


def test_a_clock_that_is_wrong(server, configure, hook):
    faketime = f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketime.so.1"
    done = hook(configure(), batch(changed("example.org", "1")), LD_PRELOAD=faketime, FAKETIME="-1h")
    expect(done, 1, r"^_mta-sts.example.org: .*: the clocks of both sides differ \(BADTIME\)$")
    assert not txt("example.org")


def test_without_a_key(server, configure, hook):
    done = hook(configure(key=None), batch(changed("example.org", "1")))
    expect(done, 1, r"^_mta-sts.example.org: update: (NOTAUTH|REFUSED)$")


# --- Configuration and input ---------------------------------------------------------------------


@pytest.mark.parametrize("line, said", [
    ("colour = red", "line 5 has an unknown key 'colour'; keys: server, port"),
    ("server = ::1", "line 5 has server again"),
    ("port 53", "line 5 is no KEY = VALUE"),
    ("port = 0", "port is a number"), ("port = 65536", "port is a number"), ("port = x", "port is a"),
    ("timeout = 0", "timeout is a number"), ("publish = mta-stsd", "publish is a list of"),
    ("publish =", "publish is a list of"), ("zones = a;b", "no lower-case A-label domain name"),
    ("zones = a..b", "no lower-case A-label domain name"),
])  # fmt: skip
def test_mistakes_in_the_configuration(configure, hook, line, said):
    expect(hook(configure(line), batch()), 2, rf"^nsupdate: /\S+nsupdate.conf: .*{said}")


def test_a_configuration_that_cannot_be_used(configure, hook, tmp_path):
    expect(hook(tmp_path / "missing", batch()), 2, "missing: cannot be read: No such file")
    expect(hook(tmp_path, batch()), 2, "cannot be read: Is a directory")
    expect(hook(configure(server=""), batch()), 2, "server is missing")
    path = configure()
    (tmp_path / "tsig.key").unlink()
    expect(hook(path, batch()), 2, "tsig.key: cannot be read: No such file")
    path.write_bytes(b"\xff")
    expect(hook(path, batch()), 2, "it is not UTF-8")
    done = subprocess.run([HOOK], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("usage: ")


@pytest.mark.parametrize("group, name", [(65534, "nogroup"), (4000000, "4000000")])
def test_a_key_that_only_root_may_read(hook, group, name):
    """As it was right when the service ran as root: it says what is right now, and that helps."""
    with tempfile.TemporaryDirectory() as folder:  # one that every user may enter
        key, path = pathlib.Path(folder, "tsig.key"), pathlib.Path(folder, "nsupdate.conf")
        program = shutil.copy(HOOK, folder)
        os.chmod(folder, 0o755)
        key.write_text(f"hmac-sha256:mta-stsd:{SECRET}\n")
        key.chmod(0o600)
        path.write_text(f"server = 127.0.0.1\nkey = {key}\n")
        path.chmod(0o644)
        try:
            done = hook(path, batch(), user=group, program=program)
        except OSError:
            pytest.skip("only one user in this namespace")
        said = rf"denied; as root: (chgrp {name} {key}; chmod 640 {key})$"
        expect(done, 2, f"^nsupdate: {key}: cannot be read: Permission {said}")
        subprocess.run(re.search(said, done.err, re.M)[1], shell=True, check=True)
        expect(hook(path, batch(), user=group, program=program), 0)


def entry(**what):
    """A change with one member of its TXT record replaced."""
    made = changed("evil.test", "1")
    made["records"][0].update(what)
    return made


LONG = record("_smtp._tls.evil.test", "TXT", "v=TLSRPTv1; " + "x" * 20000)
GOOD = changed("example.org", "1")


@pytest.mark.parametrize("what, said", [
    (b"", "Expecting value"), (b"{", "Expecting"), (b"\xff\xfe\xff", ""), (b"[]", "not what on_"),
    (b'{"version": 1}', "KeyError 'changed'"), pytest.param(b"[" * 100000, "", id="deep"), (b"null", "not what on_"),
    (batch(GOOD) | {"version": 2}, "version 2 is unknown, this program knows 1"),
    (batch(GOOD) | {"version": "1"}, "version '1' is unknown"),
    (batch(GOOD) | {"removed": [5]}, "not what on_change sends"),
    (batch(GOOD, GOOD), "example.org is there twice"),
    (batch(GOOD, removed("example.org")), "example.org is there twice"),
    (batch(GOOD, changed("EVIL.test", "1")), "no lower-case A-label domain name"),
    (batch(GOOD, changed("evil test", "1")), "no lower-case A-label domain name"),
    (batch(GOOD, changed("evil;\n.test", "1")), "no lower-case A-label domain name"),
    (batch(GOOD, changed("x" * 64 + ".test", "1")), "is no domain name"),
    (batch(GOOD, changed(".".join(["x" * 60] * 4), "1")), "is no domain name"),
    (batch(GOOD, removed("evil.test") | {"records": []}), "something else than _mta-sts.evil.test"),
    (batch(GOOD, removed("evil.test") | {"records": [{"name": "evil.test", "type": "MX"}]}), "else than"),
    (batch(GOOD, entry(name="_mta-sts.example.org")), "is not one of its records"),
    (batch(GOOD, entry(name="evil.test")), "is not one of its records"),
    (batch(GOOD, entry(type="MX")), "is not one of its records"),
    (batch(GOOD, entry(ttl=-1)), "a TTL is no number"), (batch(GOOD, entry(ttl=True)), "a TTL is no"),
    (batch(GOOD, entry(ttl=1 << 31)), "a TTL is no number"),
    (batch(GOOD, entry(value="v=spf1 -all")), "does not begin with v=STSv1"),
    (batch(GOOD, entry(value="v=STSv1; id=\u00e9;")), "no printable ASCII"),
    (batch(GOOD, entry(value="v=STSv1; id=1;\n")), "no printable ASCII"),
    (batch(GOOD, entry(value="")), "no printable ASCII"), (batch(GOOD, entry(value=1)), "no printable"),
    (batch(GOOD, changed("evil.test", "1", LONG)), "no printable ASCII"),
    (batch(GOOD, changed("evil.test", "1", entry()["records"][0])), "there must be one TXT"),
    (batch(GOOD, changed("evil.test", "1") | {"records": []}), "there must be one TXT"),
    (batch(GOOD, changed("evil.test", "1", record("mta-sts.evil.test", "A", "1.2.3"))), "1.2.3"),
    (batch(GOOD, changed("evil.test", "1", record("mta-sts.evil.test", "A", "::1"))), "::1"),
    (batch(GOOD, changed("evil.test", "1", record("mta-sts.evil.test", "CNAME", "a b"))), "a b"),
])  # fmt: skip
def test_input_that_is_not_understood_changes_nothing(server, configure, hook, what, said):
    expect(hook(configure(), what), 2, rf"^nsupdate: input: .*{re.escape(said)}")
    assert not txt("example.org")


def test_without_dnspython():
    done = subprocess.run(["/usr/bin/python3", "-I", "-S", HOOK, "x"], capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stderr) == (1, "nsupdate: python3-dnspython is not installed\n")


# --- Servers that fail ---------------------------------------------------------------------------


def fake(configure, running, *lines, **options):
    return configure(f"port = {running.port}", "timeout = 1", *lines, server="127.0.0.1",
                     **{"key": None, **options})  # fmt: skip


def on(when, rcode):
    """Answers a kind of message with an rcode."""

    def spoil(question, answer, _):
        is_update = question.opcode() == dns.opcode.UPDATE
        kind = "UPDATE" if is_update else dns.rdatatype.to_text(question.question[0].rdtype)
        if kind == when:
            answer = dns.message.make_response(question)
            answer.set_rcode(rcode)
        return answer

    return spoil


@pytest.mark.parametrize("when, said", [("SOA", "asked for its zone"), ("TXT", "asked for TXT")])
@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTAUTH", "NOTIMP", "FORMERR"])
def test_answers_that_refuse(configure, hook, when, said, rcode):
    with DnsServer("example.org", on(when, dns.rcode.from_text(rcode))) as running:
        done = hook(fake(configure, running), batch(changed("example.org", "1")))
        expect(done, 1, rf"^_mta-sts.example.org: {said}: {rcode}(; if its DNS .*)?$")
        assert not running.updates


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTAUTH", "NOTIMP", "NOTZONE"])
def test_updates_that_are_refused(configure, hook, rcode):
    def spoil(question, answer, _):
        if question.opcode() == dns.opcode.UPDATE:
            running.records.clear()
            answer.set_rcode(dns.rcode.from_text(rcode))
        return answer

    with DnsServer("example.org", spoil) as running:
        done = hook(fake(configure, running), batch(changed("example.org", "1")))
        expect(done, 1, rf"^_mta-sts.example.org: update: {rcode}$")


def test_an_update_that_is_ignored(configure, hook):
    """RFC 2136 §3.4.2.2: NOERROR, and nothing was done."""

    def spoil(_, answer, __):
        running.records.clear()
        return answer

    with DnsServer("example.org", spoil) as running:
        done = hook(fake(configure, running), batch(changed("example.org", "1")))
        expect(done, 1, r"^_mta-sts.example.org: not there after the update, though the server took it")


def test_one_name_more_than_a_message_holds(configure, hook):
    name = dns.name.from_text("_smtp._tls.example.org")
    rua = "v=TLSRPTv1; rua=https://example.org/" + "x" * 15900
    with DnsServer("example.org") as running:
        running.records[name] = {rua + str(i) for i in range(4)}
        done = hook(fake(configure, running, "publish = _smtp._tls _mta-sts"),
                    batch(changed("example.org", "1", record(str(name)[:-1], "TXT", rua))))
        expect(done, 1, r"^_smtp._tls.example.org: update: too large for one message$")
        assert not running.updates


def test_a_withdrawal_that_is_ignored(configure, hook):
    def spoil(_, answer, __):
        running.records[name] = {"v=STSv1; id=1;"}
        return answer

    with DnsServer("example.org", spoil) as running:
        name = dns.name.from_text("_mta-sts.example.org")
        running.records[name] = {"v=STSv1; id=1;"}
        done = hook(fake(configure, running), batch(removed("example.org")))
        expect(done, 1, r"^_mta-sts.example.org: still there after the update; is it a wildcard's\?$")


def test_no_authority(configure, hook):
    """A resolver knows zones, too."""

    def spoil(_, answer, __):
        answer.flags &= ~dns.flags.AA
        return answer

    with DnsServer("example.org", spoil) as running:
        done = hook(fake(configure, running), batch(changed("example.org", "1")))
        expect(done, 1, r"^_mta-sts.example.org: the server is not authoritative for it; ")


def test_an_answer_that_is_not_signed(configure, hook):
    """Signed ones are fine, so it is the lack alone."""

    def spoil(_, answer, __):
        if not honest:
            answer.tsig = None
        return answer

    key = dns.tsig.Key(KEY[0], SECRET, "hmac-sha256")
    with DnsServer("example.org", spoil, key) as running:
        path, honest = fake(configure, running, key=LINE), False
        done = hook(path, batch(changed("example.org", "1")))
        expect(done, 1, r"^_mta-sts.example.org: asked for its zone: the answer is not signed$")
        assert not running.updates
        honest = True
        expect(hook(path, batch(changed("example.org", "1"))), 0)


def test_answers_to_something_else(configure, hook):
    def spoil(question, answer, _):
        return dns.message.make_response(dns.message.make_query("x.test", "SOA", id=question.id))

    with DnsServer("example.org", spoil) as running:
        done = hook(fake(configure, running), batch(changed("example.org", "1")))
        expect(done, 1, r"^_mta-sts.example.org: asked for its zone: the answer belongs to another")


@pytest.mark.parametrize("wire, said", [
    (b"", "it answers what was not asked"), (b"\0", "it answers what was not asked"),
    (b"\xff" * 12, "it answers what was not asked"), (b"\0\0" + b"\xff" * 30, "cannot be used"),
])  # fmt: skip
def test_garbage(configure, hook, wire, said):
    with DnsServer("example.org", lambda *_: wire) as running:
        expect(hook(fake(configure, running), batch(changed("example.org", "1"))), 1, said)


def test_silence(configure, hook):
    with DnsServer("example.org", lambda *_: None) as running:
        done = hook(fake(configure, running), batch(changed("example.org", "1")))
        expect(done, 1, rf"^nsupdate: server 127.0.0.1 port {running.port}: no answer within 1 s$")


def test_nobody_listens(configure, hook):
    done = hook(configure("port = 1"), batch(changed("example.org", "1")))
    expect(done, 1, r"^nsupdate: server ::1 port 1: Connection refused$")
    done = hook(configure(server="no-such-host.invalid"), batch(changed("example.org", "1")))
    expect(done, 1, r"^nsupdate: server no-such-host.invalid port 53: ")


def test_nothing_to_do_asks_nobody(configure, hook):
    expect(hook(configure("port = 1"), batch()), 0, r"^0 domains are as they should be$")


def test_a_server_that_closes_after_each_answer(configure, hook):
    def spoil(question, answer, connection):
        wire = answer.to_wire()
        connection.sendall(len(wire).to_bytes(2, "big") + wire)
        close(connection)

    domains = [f"t{i}.example.org" for i in range(40)]
    with DnsServer("example.org", spoil) as running:
        expect(hook(fake(configure, running), batch(*(changed(d, "1") for d in domains))), 0)
        assert running.updates == 1


def test_a_server_that_only_closes(configure, hook):
    with DnsServer("example.org", lambda q, a, connection: close(connection)) as running:
        done = hook(fake(configure, running), batch(changed("example.org", "1")))
        expect(done, 1, r"port \d+: (it closed the connection|Connection reset by peer|Broken pipe)$")


def test_a_lost_answer_to_an_update_that_was_done(configure, hook):
    """What counts is what the server says afterwards."""

    def spoil(question, answer, connection):
        if question.opcode() == dns.opcode.UPDATE and running.updates == 1:
            return close(connection)
        return answer

    with DnsServer("example.org", spoil) as running:
        expect(hook(fake(configure, running), batch(changed("example.org", "1"))), 0)
        assert running.updates == 2


def test_an_update_that_failed_and_was_done(configure, hook):
    """As when somebody else did the same."""

    def spoil(question, answer, _):
        if question.opcode() == dns.opcode.UPDATE:
            answer.set_rcode(dns.rcode.SERVFAIL)
        return answer

    with DnsServer("example.org", spoil) as running:
        expect(hook(fake(configure, running), batch(changed("example.org", "1"))), 0)
