"""import: what is corrected and said, what cannot be, zone files, and the way back from export."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from harness.process import write_files
from test_fixtures import CASES, FIXTURES, GENERATED

GOOD = "version: STSv1\r\nmode: testing\r\nmx: mx1.example.org\r\nmax_age: 604800\r\n"
TENANT = {"mode": "testing", "mx": ["mx1.example.org"], "max_age": "1w"}


@pytest.fixture
def load(run, tmp_path):
    """load({name: text}, *arguments): imports these files, by default the folder that they are in;
    returns (tenants with their policies, what was said as {(file:line, severity, code)}, exit)."""

    def do(files, *arguments):
        folder = tmp_path / "in"
        write_files(folder, files)
        done = run("import", *arguments, cwd=folder) if arguments else run("import", ".", cwd=folder)
        read = yaml.safe_load(done.stdout) or {}
        tenants = dict(read.get("tenants") or {})
        for name, tenant in tenants.items():
            if "policy" in tenant:
                tenants[name] = read["policies"][tenant["policy"]]
        said = set(re.findall(r"^(?:\./)?(\S+): (note|warning|error): .*\[([a-z-]+)\]$", done.stderr, re.M))
        assert said or not done.stderr or done.returncode == 2
        return tenants, said, done

    return do


def test_good_policy_is_taken_without_a_word(load):
    tenants, said, done = load({"example.org.txt": GOOD})
    assert (tenants, said, done.returncode) == ({"example.org": TENANT}, set(), 0)


CORRECTED = {
    "blank line": ("mode: testing", "mode: testing\r\n", {("3", "import-blank-line")}),
    "blank last line": ("max_age: 604800\r\n", "max_age: 604800\r\n\r\n", {("5", "import-blank-line")}),
    "comment": ("mode: testing", "mode: testing\r\n# x", {("3", "import-comment")}),
    "byte order mark": ("version", "\ufeffversion", {("1", "import-line")}),
    "case of names": ("mode", "Mode", {("2", "import-field-name")}),
    "name without underscore": ("max_age", "maxAge", {("4", "import-field-name")}),
    "name with hyphen": ("max_age", "max-age", {("4", "import-field-name")}),
    "case of the version": ("STSv1", "stsv1", {("1", "import-version")}),
    "no version": ("version: STSv1\r\n", "", {("", "import-version")}),
    "case of the mode": ("testing", "TESTING", {("2", "import-mode")}),
    "leading space": ("mode", "  mode", {("2", "import-line")}),
    "space before the colon": ("mode:", "mode :", {("2", "import-line")}),
    "equals sign": ("mode: ", "mode=", {("2", "import-line")}),
    "no colon": ("mode: ", "mode ", {("2", "import-line")}),
    "quotes": ("testing", '"testing"', {("2", "import-line")}),
    "repeated field": ("mode: testing", "mode: testing\r\nmode: none", {("3", "import-field-repeated")}),
    "unknown field": ("mode: testing", "mode: testing\r\nx: y", {("3", "import-field-dropped")}),
    "final dot": ("mx1.example.org", "mx1.example.org.", {("3", "import-mx")}),
    "two mx in a line": ("mx1.example.org", "mx1.example.org, MX1.example.org",
                         {("3", "import-mx"), ("3", "mx-repeated")}),
    "address": ("mx: mx1", "mx: 192.0.2.1\r\nmx: mx1", {("3", "import-mx")}),
    "IPv6 address": ("mx: mx1", "mx: [2001:db8::1]\r\nmx: mx1", {("3", "import-mx")}),
    "duration": ("604800", "7d", {("4", "import-max-age")}),
    "LF": ("\r\n", "\n", {("", "import-line-ends")}),
    "CR": ("\r\n", "\r", {("", "import-line-ends")}),
}  # fmt: skip


@pytest.mark.parametrize("case", CORRECTED)
def test_corrected_and_said(load, case):
    old, new, expected = CORRECTED[case]
    assert old in GOOD
    tenants, said, done = load({"example.org.txt": GOOD.replace(old, new)})
    assert tenants == {"example.org": TENANT} and done.returncode == 0
    assert {(place.partition(":")[2].partition(":")[0], code) for place, _, code in said} == expected


@pytest.mark.parametrize("old, new, field, value", [
    ("604800", "99999999999", "max_age", "8766h"), ("604800", "31557601", "max_age", "8766h"),
    ("604800", "9" * 30, "max_age", "8766h"), ("604800", "0", "max_age", "1d"), ("604800", "60w", "max_age", "8766h"),
    ("604800", "0604801", "max_age", "604801s"), ("604800", "90000", "max_age", "25h"),
    ("mx1.example.org", "bücher.example", "mx", ["xn--bcher-kva.example"]),
    ("mx1.example.org", ".example.net", "mx", ["*.example.net"]),
])  # fmt: skip
def test_corrected_value(load, old, new, field, value):
    tenants, _, done = load({"example.org.txt": GOOD.replace(old, new)})
    assert tenants == {"example.org": {**TENANT, field: value}} and done.returncode == 0


REFUSED = {
    "no mode": ("mode: testing\r\n", "", {("", "policy-no-mode")}),
    "mode unlike any": ("testing", "enforced", {("2", "policy-mode")}),
    "no max_age": ("max_age: 604800\r\n", "", {("", "policy-no-max-age")}),
    "max_age unlike any": ("604800", "a week", {("4", "policy-max-age")}),
    "no mx": ("mx: mx1.example.org\r\n", "", {("", "policy-no-mx")}),
    "mx with underscore": ("mx1", "mx_1", {("3", "domain-underscore")}),
    "mx with port": ("mx1.example.org", "mx1.example.org:25", None),
    "version 2": ("STSv1", "STSv2", {("1", "policy-version")}),
    "no field at all": ("mode: testing", "mode: testing\r\nhello", {("3", "policy-no-colon")}),
    "page": (GOOD, "<!DOCTYPE html>\n<html>404</html>\n", None),
    "empty": (GOOD, "", {("", "policy-empty")}),
    "too large": (GOOD, "x" * 65537, {("", "import-unreadable")}),
    "too many mx": ("mx: mx1", "".join(f"mx: a-long-name-of-a-mail-server-{i}.example.net\r\n" for i in range(300))
                    + "mx: mx1", {("", "policy-too-large")}),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_alone(load, case):
    """The other tenant comes out all the same."""
    old, new, expected = REFUSED[case]
    tenants, said, done = load({"bad.example.txt": GOOD.replace(old, new), "good.example.txt": GOOD})
    assert tenants == {"good.example": TENANT} and done.returncode == 1
    errors = {(place.partition(":")[2].partition(":")[0], code) for place, kind, code in said if kind == "error"}
    assert errors and (expected is None or errors == expected), done.stderr
    assert all(place.startswith("bad.example.txt") for place, _, _ in said)


def test_control_characters_cannot_forge_output(load):
    hostile = GOOD.replace("mx1", "mx\x1b[31m").replace("mode", "x\u2028\x07: y\r\nmode")
    tenants, _, done = load({"bad.example.txt": hostile})
    assert not tenants and done.returncode == 1
    assert done.stderr.isascii() and all(c.isprintable() or c == "\n" for c in done.stderr)


# --- Where policies are ---
LAYOUTS = {
    "web server": ("mta-sts.example.org/.well-known/mta-sts.txt", "."),
    "one host": ("mta-sts.example.org/.well-known/mta-sts.txt", "mta-sts.example.org"),
    "one host with slash": ("mta-sts.example.org/.well-known/mta-sts.txt", "mta-sts.example.org/"),
    "its folder": ("mta-sts.example.org/.well-known/mta-sts.txt", "mta-sts.example.org/.well-known"),
    "its file": ("mta-sts.example.org/.well-known/mta-sts.txt",) * 2,
    "name of the domain": ("example.org.txt", "."),
    "file of the domain": ("example.org.txt", "example.org.txt"),
    "name of the host": ("mta-sts.example.org.txt", "."),
    "upper case": ("MTA.Example.ORG.txt", "MTA.Example.ORG.txt"),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layout(load, case):
    name, argument = LAYOUTS[case]
    tenants, said, done = load({name: GOOD, "robots.txt": "x", "mta-sts.other/index.html": "x"}, argument)
    assert list(tenants) == ["mta.example.org" if case == "upper case" else "example.org"], done.stderr
    assert not said and done.returncode == 0


def test_domain_that_the_path_does_not_say(load):
    for name in ("policy", "mta-sts.txt", "public/.well-known/mta-sts.txt", "a_b.example.txt"):
        tenants, said, done = load({name: GOOD}, name)
        assert not tenants and done.returncode == 1 and {k for _, k, _ in said} == {"error"}
        tenants, said, done = load({name: GOOD}, "--domain", "Bücher.Example", name)
        assert tenants == {"xn--bcher-kva.example": TENANT} and done.returncode == 0


def test_wrong_usage(load):
    for arguments in (["--zone-file", "x"], ["--domain", "a.example", "a", "b"], ["--domain", "a b", "a"]):
        assert load({"a": GOOD}, *arguments)[2].returncode == 2


def test_folder_without_policies(load):
    _, said, done = load({"robots.txt": "x"})
    assert done.returncode == 1 and {c for _, _, c in said} == {"import-nothing"}


def test_what_cannot_be_read(load, tmp_path):
    tenants, said, done = load({"a.example.txt": GOOD}, "none.example.txt", "a.example.txt")
    assert list(tenants) == ["a.example"] and done.returncode == 3
    assert said == {("none.example.txt", "error", "import-unreadable")}
    done = load({"a.example.txt": GOOD}, "--zone-file", "none", "a.example.txt")[2]
    assert done.returncode == 3 and '"a.example":' in done.stdout
    assert load({}, "--zone-file", ".", "a.example.txt")[2].returncode == 3


def test_links_in_a_folder_are_not_followed(load, tmp_path):
    """What is outside stays outside, and a device cannot hang us."""
    outside = tmp_path / "outside"
    write_files(outside, {".well-known/mta-sts.txt": GOOD, "x": GOOD})
    folder = tmp_path / "in"
    (folder / "mta-sts.b.example").mkdir(parents=True)
    (folder / "mta-sts.a.example").symlink_to(outside)
    (folder / "mta-sts.b.example/.well-known").symlink_to(outside / ".well-known")
    (folder / "c.example.txt").symlink_to(outside / "x")
    (folder / "d.example.txt").symlink_to("/dev/zero")
    subprocess.run(["mkfifo", folder / "e.example.txt"], check=True)
    tenants, said, done = load({"good.example.txt": GOOD})
    assert list(tenants) == ["good.example"] and done.returncode == 1
    assert {(p, c) for p, _, c in said} == {(n, "import-unreadable") for n in (
        "mta-sts.a.example", "c.example.txt", "d.example.txt", "e.example.txt")}  # fmt: skip


def test_one_domain_in_two_files(load):
    files = {"example.org.txt": GOOD, "mta-sts.example.org.txt": GOOD}
    tenants, said, done = load(files)
    assert list(tenants) == ["example.org"] and done.returncode == 0
    assert said == {("mta-sts.example.org.txt", "warning", "import-repeated")}
    files["mta-sts.example.org.txt"] = GOOD.replace("604800", "86400")
    tenants, said, done = load(files)
    assert tenants == {"example.org": TENANT} and done.returncode == 1
    assert said == {("mta-sts.example.org.txt", "error", "import-repeated")}


def test_shared_policies_get_a_name(load):
    """Readable, sorted, and the same each time."""
    other = GOOD.replace("testing", "none")
    files = {"d.example.txt": other, "c.example.txt": GOOD, "b.example.txt": other, "a.example.txt": GOOD,
             "e.example.txt": GOOD.replace("mx1", "mx2")}  # fmt: skip
    _, _, done = load(files)
    read = yaml.safe_load(done.stdout)
    assert list(read["policies"]) == ["imported-1", "imported-2"]
    assert read["policies"]["imported-1"] == TENANT
    assert {d: t.get("policy") for d, t in read["tenants"].items()} == {
        "a.example": "imported-1", "b.example": "imported-2", "c.example": "imported-1",
        "d.example": "imported-2", "e.example": None}  # fmt: skip
    assert load(files)[2].stdout == done.stdout


# --- Zone files ---
ZONE = """$TTL 300
@ SOA ns hostmaster ( 1 2 ; comment
    3 4 5 )
"""


def zone_said(load, records, name="example.org.zone", domains=("a.example.org",)):
    files = {f"policies/{d}.txt": GOOD for d in domains}
    tenants, said, done = load({**files, name: records}, "--zone-file", name, "policies")
    assert set(tenants) == set(domains) and done.returncode == 0
    ids = dict(re.findall(r'^  "(\S+)": # was announced with id (\w+)$', done.stdout, re.M))
    return ids, {(place, code) for place, _, code in said}


@pytest.mark.parametrize("record", [
    '_mta-sts.a TXT "v=STSv1; id=20260101;"', '_mta-sts.a.example.org. 300 IN TXT "v=STSv1; id=20260101"',
    '_MTA-STS.A 1h IN TXT ( "v=STSv1; "\n  "id=2026"\n  "0101;" )', '$ORIGIN _mta-sts.a\n@ TXT v=STSv1\\;id=20260101',
    '$ORIGIN example.org.\n_mta-sts.a TXT "other"\n TXT "v=STSv1; id=20260\\049\\048\\049;" ; comment',
    '$ORIGIN org.\n$ORIGIN example ; comment\n_mta-sts.a TXT "v=STSv1; id=20260101;"',
    'x TXT "a ; b"\n_mta-sts.a TXT "v=STSv1; id=20260101;"\nb ALIAS c',
])  # fmt: skip
def test_id_is_found(load, record):
    ids, said = zone_said(load, ZONE + record + "\n")
    assert ids == {"a.example.org": "20260101"} and {c for _, c in said} <= {"import-zone"}


@pytest.mark.parametrize("record, code, line", [
    ('_mta-sts.a TXT "v=STSv1; id=2026-01;"', "txt-id", ":4"),
    ('_mta-sts.a TXT "v=STSv1 ; id=1;"', "txt-none", ":4"), ('_mta-sts.a TXT "v=spf1 -all"', "txt-none", ":4"),
    ('_mta-sts.a TXT "v=STSv1; id=1;"\n_mta-sts.a TXT "v=STSv1; id=2;"', "txt-several", ":4"),
    ("_mta-sts.a CNAME b", "import-txt-alias", ":4"),
    ("a TXT x", "import-txt-missing", None),
])  # fmt: skip
def test_record_that_does_not_fit(load, record, code, line):
    ids, said = zone_said(load, ZONE + record + "\n")
    assert ids == {}
    assert said == {("example.org.zone" + line if line else "policies/a.example.org.txt", code)}


def test_record_without_a_policy(load):
    ids, said = zone_said(load, ZONE + '_mta-sts.a TXT "v=STSv1; id=1;"\n_mta-sts.b TXT "v=STSv1; id=2;"\n')
    assert ids == {"a.example.org": "1"} and said == {("example.org.zone:5", "import-txt-alone")}


def test_policies_of_other_zones_are_not_missed(load):
    ids, said = zone_said(load, ZONE + '_mta-sts.a TXT "v=STSv1; id=1;"\n', name="db.example.org",
                          domains=("a.example.org", "a.example.net"))  # fmt: skip
    assert ids == {"a.example.org": "1"} and said == set()


def test_include_is_not_followed(load):
    ids, said = zone_said(load, ZONE + '$INCLUDE /etc/passwd\n_mta-sts.a TXT "v=STSv1; id=1;"\n')
    assert ids == {"a.example.org": "1"} and said == {("example.org.zone:4", "import-zone")}


@pytest.mark.parametrize("records", ["", "\0\0\0", "(" * 70000, '"' * 70000, "@ " * 70000, "\n" * 1000 + ")",
                                     "a" * 70000 + " TXT x\n", "$ORIGIN " + "a." * 300 + "\nx TXT y", "$TTL x\n$ORIGIN"])
def test_hostile_zone_file(load, records):
    ids, _ = zone_said(load, records)
    assert ids == {}


def test_zone_file_of_records_is_read_back(load, run, write_config, tmp_path):
    """What `records` printed is what `import` finds."""
    tenants = {f"{n}.example.org": TENANT for n in "abc"}
    path = write_config(json.dumps({"ledger": str(tmp_path / "l.db"), "tenants": tenants}))
    printed = run("records", "-c", path, "--format", "bind").stdout
    ids, said = zone_said(load, printed, domains=tenants)
    assert ids == dict(re.findall(r'^_mta-sts\.(\S+)\.\s.*"v=STSv1; id=(\w+);"$', printed, re.M)) and len(ids) == 3
    assert said == set()


# --- The way back ---
def bodies(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.glob("mta-sts.*/.well-known/mta-sts.txt")}


@pytest.mark.parametrize("case", CASES)
def test_import_of_export_serves_the_same(run, tmp_path, case):
    """For every golden case with a policy: export, import, check and export again."""
    source = tmp_path / case
    shutil.copytree(FIXTURES / case, source, ignore=shutil.ignore_patterns(*GENERATED))
    config = source / "mta-stsd.yaml"
    exported = run("export", "-c", config, tmp_path / "one")
    if not bodies(tmp_path / "one"):
        assert exported.returncode != 0 or "0 written" in exported.stdout
        return
    imported = run("import", tmp_path / "one")
    assert (imported.returncode, imported.stderr) == (0, "")
    again = tmp_path / "again.yaml"
    again.write_text(f'listen: [{{address: "127.0.0.1:0", tls: off}}]\nledger: {tmp_path}/l.db\n{imported.stdout}')
    checked = run("check", "-c", again)
    assert checked.returncode == 0, checked.stderr
    assert run("export", "-c", again, tmp_path / "two").returncode == 0
    assert bodies(tmp_path / "two") == bodies(tmp_path / "one")
