"""Record formats for zone files and DNS servers: the programs they are for read them back."""

import json
import os
import pty
import subprocess

import pytest

from harness import DEADLINE, process, zones

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

KINDS = {
    "addresses": {"records": {"addresses": ADDRESSES, "caa": CAA,
                              "ttls": {"host": "1d", "id": "1m", "tls_reports": "2h"}}},
    "policy-host": {"records": {"policy_host": "policy.provider.example"}},
    "delegated": {"records": {"addresses": ADDRESSES, "delegation_zone": "dlg.provider.example"}},
    "pending": {"records": {"addresses": ADDRESSES}, "ledger": "/proc/none/ledger.db"},
}


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
        path.write_text(zones.apex(zone) + own)
        for command in (["named-checkzone", "-k", "fail", "-i", "local", zone, path],
                        ["kzonecheck", "-o", zone, path], ["nsd-checkzone", zone, path]):
            done = zones.run(*command)
            assert done.returncode == 0, f"{command[0]}: {done.stdout}"
        got = zones.parse(path.read_text(), zone)
        assert got == zones.parse(zones.apex(zone), zone) | content
    assert sum(not x.startswith(";") for x in lines) == sum(
        len(values) for content in wanted(printed(kind, "json")).values()
        for _, values in content.values())
