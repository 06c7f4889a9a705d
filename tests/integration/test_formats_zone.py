"""Record formats for zone files and DNS servers: the programs they are for read them back."""

import json
import os
import pty
import shutil
import subprocess

import pytest

from harness import DEADLINE, process, zones
from harness.services import apex

pytestmark = pytest.mark.once

# Everything that a shell or a zone file could take for its own, as far as it can be configured.
REPORTS = [
    "mailto:tls'reports+$HOME@provider.example",
    "https://r.example/a%22%3B%5C(b)*?c&d~'$(id)",
    *(f"https://r{i}.example/{'x' * 60}" for i in range(8)),
]
CAA = [{"issuer": "ca.example"},
       {"issuer": "other.example", "account_uri": "https://ca.example/'$(id)`?a=b&c=%22|x>#"}]
ADDRESSES = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::ffff:2"]
LONG = "a-" + "b" * 59 + "-c." + "d" * 63 + ".example.org"
TENANTS = ["example.org", "a--b.example.org", LONG, "bücher.example"]
ZONES = ["example.org", "xn--bcher-kva.example"]

KINDS = {
    "addresses": {"records": {"addresses": ADDRESSES, "caa": CAA,
                              "ttls": {"host": "1d", "id": "1m", "tls_reports": "2h"}}},
    "policy-host": {"records": {"policy_host": "policy.provider.example"}},
    "delegated": {"records": {"addresses": ADDRESSES, "delegation_zone": "dlg.provider.example"}},
    "pending": {"records": {"addresses": ADDRESSES}, "ledger": "/proc/none/ledger.db"},
}
# What a zone has before: an earlier id, names that change their kind, and what is not ours.
FOREIGN = ('other.{0}. 300 IN TXT "not ours"\n'
           'mta-sts.{0}. 60 IN A 198.51.100.1\n'
           'mta-sts.{0}. 60 IN AAAA 2001:db8:1::1\n'
           '_smtp._tls.{0}. 60 IN CNAME reports.example.net.\n'
           '_mta-sts.{0}. 60 IN TXT "v=STSv1; id=1;"\n'
           '_mta-sts.other.{0}. 60 IN TXT "v=STSv1; id=2;"\n')


@pytest.fixture
def printed(run, write_config, tmp_path):
    """printed("kind", "format"): the output; one configuration a kind, so ids stay."""
    paths = {}

    def output(kind, name, tenants=TENANTS):
        if kind not in paths:
            paths[kind] = write_config({"listen": ["127.0.0.1:0"],
                                        "ledger": str(tmp_path / f"{kind}.db"),
                                        "certificates": [str(tmp_path)],
                                        "contact": {"tls_reports": REPORTS},
                                        **KINDS.get(kind, {}),
                                        "tenants": {name: {"mode": "testing", "mx": ["mx.example.org"]}
                                                    for name in tenants}})
        done = run("records", "-c", paths[kind], "--format", name)
        assert done.stdout, done.stderr
        return done.stdout

    return output


def wanted(text):
    """zone -> content, from the json format."""
    found = {}
    for tenant in json.loads(text):
        content = found.setdefault(tenant["zone"], {})
        for record in tenant["records"]:
            key = (record["name"], record["type"])
            ttl, values = content.setdefault(key, (record["ttl"], []))
            assert ttl == record["ttl"]
            values.append(record["value"])
            values.sort()
    return found


def before():
    return {zone: apex(zone) + FOREIGN.format(zone) for zone in ZONES}


def after(printed, kind):
    """zone -> content of the zones when the records of a kind have replaced what was there."""
    found = {}
    for zone, content in wanted(printed(kind, "json")).items():
        ours = {f"{label}.{zone}" for label in ("mta-sts", "_smtp._tls", "_mta-sts")}
        if kind == "pending":  # an id that is announced stays until there is another
            ours.remove(f"_mta-sts.{zone}")
        old = zones.parse(before()[zone], zone)
        found[zone] = {key: old[key] for key in old if key[0] not in ours} | content
    return found


# --- table ---


def test_table_on_a_terminal_leaves_values_whole(write_config):
    """A value is one line without anything behind it, however long."""
    path = write_config({"contact": {"tls_reports": REPORTS}, "ledger": "/proc/none/ledger.db",
                         **KINDS["policy-host"], "tenants": {"example.org": {
                             "mode": "testing", "mx": ["mx.example.org"]}}})
    ours, theirs = pty.openpty()
    done = subprocess.run(process.command("records", "-c", path), stdout=theirs,
                                  stderr=subprocess.PIPE, env=process.environment(),
                                  timeout=DEADLINE, check=False)
    os.close(theirs)
    text = os.read(ours, 65536).decode().replace("\r\n", "\n")
    os.close(ours)
    assert done.returncode == 1
    assert f"    Value  v=TLSRPTv1; rua={','.join(REPORTS)}\n" in text
    assert "    Host   mta-sts.example.org  or  mta-sts\n" in text
    assert "\n  _mta-sts.example.org is pending: " in text


# --- bind ---


@pytest.mark.parametrize("kind", KINDS)
def test_bind_is_read_by_zone_file_parsers(printed, tmp_path, kind):
    """named-checkzone, kzonecheck, nsd-checkzone and dnspython agree with the json format."""
    lines = printed(kind, "bind").splitlines(keepends=True)
    for zone, content in wanted(printed(kind, "json")).items():
        own = "".join(x for x in lines if x.startswith(";") or f".{zone}. " in x)
        path = tmp_path / zone
        path.write_text(apex(zone) + own)
        for command in (["named-checkzone", "-k", "fail", "-i", "local", zone, path],
                        ["kzonecheck", "-o", zone, path], ["nsd-checkzone", zone, path]):
            done = zones.run(*command)
            assert done.returncode == 0, f"{command[0]}: {done.stdout}"
        got = zones.parse(path.read_text(), zone)
        assert got == zones.parse(apex(zone), zone) | content
    assert sum(not x.startswith(";") for x in lines) == sum(
        len(values) for content in wanted(printed(kind, "json")).values()
        for _, values in content.values())


# --- nsupdate ---


@pytest.mark.parametrize("program", ["nsupdate", "knsupdate"])
def test_updates_into_a_live_server(printed, tmp_path, program):
    """Twice is as once, down to the serial; from each kind to the next; the rest is left alone."""
    with zones.knot_editable(tmp_path / "knot", before()):
        for kind in ("pending", "addresses", "policy-host", "delegated", "addresses"):
            expected, serials = after(printed, kind), []
            for _ in range(2):
                done = zones.run(program, stdin=printed(kind, "nsupdate"))
                assert done.returncode == 0, done.stdout
                for zone in ZONES:
                    content, serial = zones.transfer(zone)
                    assert content == expected[zone], kind
                    serials.append(serial)
            assert serials[:2] == serials[2:] and 1 not in serials


@pytest.mark.parametrize("program", ["nsupdate", "knsupdate"])
@pytest.mark.parametrize("line", ["mta-sts.{0}. 60 IN MX 10 mx.{0}.", "_mta-sts.{0}. 60 IN NS ns.{0}."])
def test_an_update_that_a_server_would_ignore_is_refused(printed, tmp_path, program, line):
    """Another record beside a CNAME, a zone cut: an error, and nothing of the zone has changed."""
    zone = ZONES[0]
    text = apex(zone) + line.format(zone) + "\n"
    with zones.knot_editable(tmp_path / "knot", {zone: text}):
        done = zones.run(program, stdin=printed("policy-host", "nsupdate", [zone]))
        assert done.returncode != 0 and "YXRRSET" in done.stdout
        assert zones.transfer(zone) == (zones.parse(text, zone), 1)


@pytest.mark.parametrize("program", ["nsupdate", "knsupdate"])
def test_updates_of_many_tenants_are_several_transactions(printed, tmp_path, program):
    """Of 16 tenants at most: each is a message of less than 64 KB."""
    tenants = [f"t{i:03}.example.org" for i in range(100)]
    text = printed("many", "nsupdate", tenants)
    assert text.count("send\n") == 7
    with zones.knot_editable(tmp_path / "knot", {ZONES[0]: apex(ZONES[0])}):
        done = zones.run(program, stdin=text)
        assert done.returncode == 0, done.stdout
        expected = wanted(printed("many", "json"))[ZONES[0]]
        assert zones.transfer(ZONES[0])[0] == zones.parse(apex(ZONES[0]), ZONES[0]) | expected


# --- knot ---


def knotc_path(tmp_path):
    return zones.wrapper(tmp_path / "bin", "knotc", "-c", tmp_path / "knot/knot.conf")


def test_knot_script_runs(printed, tmp_path):
    """knotc twice is as once; from each kind to the next; the rest is left alone."""
    path = knotc_path(tmp_path)
    with zones.knot_editable(tmp_path / "knot", before()):
        for kind in ("pending", "addresses", "policy-host", "delegated", "addresses"):
            expected, serials = after(printed, kind), []
            for _ in range(2):
                done = zones.run("sh", stdin=printed(kind, "knot"), path=path)
                assert done.returncode == 0, done.stdout
                assert "error" not in done.stdout
                for zone in ZONES:
                    content, serial = zones.transfer(zone)
                    assert content == expected[zone], kind
                    serials.append(serial)
            assert serials[:2] == serials[2:] and 1 not in serials


def test_knot_script_that_fails_changes_nothing(printed, tmp_path):
    """A zone that refuses the commit stays as it was, and no transaction is left open."""
    path, zone = knotc_path(tmp_path), ZONES[0]
    text = apex(zone) + f"mta-sts.{zone}. 60 IN MX 10 ns.{zone}.\n"
    with zones.knot_editable(tmp_path / "knot", {zone: text}):
        for _ in range(2):
            done = zones.run("sh", stdin=printed("policy-host", "knot"), path=path)
            assert done.returncode != 0 and "semantic check" in done.stdout, done.stdout
            assert zones.transfer(zone) == (zones.parse(text, zone), 1)
            assert zones.run("knotc", "zone-begin", zone, path=path).returncode == 0
            assert zones.run("knotc", "zone-abort", zone, path=path).returncode == 0


def test_a_withdrawn_record_is_removed_only_when_it_is_ours(printed, tmp_path):
    """With the announced value, by knotc and nsupdate, in the lines that the unit test expects."""
    path, zone = knotc_path(tmp_path), ZONES[0]
    prelude = printed("pending", "knot").partition("\nzone=")[0]
    kept = zones.parse(before()[zone], zone)
    less = {key: kept[key] for key in kept if key != (f"_mta-sts.{zone}", "TXT")}
    for name in ("knot", "nsupdate"):
        with zones.knot_editable(tmp_path / "knot", before()):
            for number, expected in ((7, kept), (1, less), (1, less)):
                value = f'"v=STSv1; id={number};"'
                if name == "knot":
                    done = zones.run("sh", path=path, stdin=(
                        f"{prelude}\nzone='{zone}.'\nknotc zone-begin \"$zone\"\n"
                        f"remove '_mta-sts.{zone}.' TXT '{value}'\nknotc zone-commit \"$zone\"\n"))
                else:
                    done = zones.run("nsupdate", stdin=(
                        f"zone {zone}.\nupdate delete _mta-sts.{zone}. TXT {value}\nsend\n"))
                assert done.returncode == 0, done.stdout
                assert zones.transfer(zone)[0] == expected
        shutil.rmtree(tmp_path / "knot")


def test_knot_script_leaves_the_transaction_of_another(printed, tmp_path):
    """Somebody edits the zone: the script ends, and what they did is still open."""
    path, zone = knotc_path(tmp_path), ZONES[0]
    with zones.knot_editable(tmp_path / "knot", before()):
        zones.run("knotc", "zone-begin", zone, path=path)
        zones.run("knotc", "zone-set", zone, "theirs", "60", "A", "192.0.2.9", path=path)
        done = zones.run("sh", stdin=printed("addresses", "knot"), path=path)
        assert done.returncode != 0
        assert zones.run("knotc", "zone-commit", zone, path=path).returncode == 0
        content, _ = zones.transfer(zone)
        expected = zones.parse(before()[zone], zone)
        assert content == expected | {(f"theirs.{zone}", "A"): (60, ["192.0.2.9"])}


# --- powerdns ---


def test_powerdns_script_runs(printed, tmp_path):
    """pdnsutil twice is as once; from each kind to the next; the rest is left alone."""
    path = zones.powerdns(tmp_path / "pdns", before())
    for kind in ("pending", "addresses", "policy-host", "delegated", "addresses"):
        expected = after(printed, kind)
        for _ in range(2):
            done = zones.run("sh", stdin=printed(kind, "powerdns"), path=path)
            assert done.returncode == 0, done.stdout
            for zone in ZONES:
                assert zones.powerdns_content(path, zone) == expected[zone], kind
    for zone in ZONES:
        assert zones.run("pdnsutil", "check-zone", zone, path=path).returncode == 0


def test_powerdns_script_ends_at_the_first_error(printed, tmp_path):
    """A CNAME that pdnsutil refuses is no success, and the id is not announced."""
    zone = ZONES[0]
    text = apex(zone) + f"mta-sts.{zone}. 60 IN MX 10 ns.{zone}.\n"
    path = zones.powerdns(tmp_path / "pdns", {zone: text})
    done = zones.run("sh", stdin=printed("policy-host", "powerdns", [zone]), path=path)
    assert done.returncode != 0 and "CNAME" in done.stdout
    assert zones.powerdns_content(path, zone) == zones.parse(text, zone)
