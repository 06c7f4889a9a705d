"""Record formats for DNS tools: each output is read by a real parser, as the tool would, and says
the same as `records --format json`.

No octoDNS, DNSControl or provider of Terraform is in Debian: what they do with the parsed values
(escapes, quotes) is repeated here from their documentation.
"""

import csv
import html.parser
import io
import json
import re
import subprocess

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import markdown
import pytest
import yaml
from harness import DEADLINE, TOP

NODE = TOP / "tests/integration/node"
NASTY_URI = "https://acme.example/%{a}${b}$${c}%%{d}|x||`y`<b>*z*_w_'q',</script>{{e}}"
REPORTS = ["mailto:o'tls%2Creports*$$@example.net", "https://r.example.net/a?b$$&c'*'(1)%7B%25",
           "https://r.example.net/" + "0123456789" * 30]
POLICY = {"mode": "testing", "mx": ["mx.example.net"], "max_age": "1w"}
DOMAINS = ("example.org", "mail.example.org", "1-2.example.com", "163.com", "xn--bcher-kva.example")
ZONES = ("example.org", "example.com", "163.com", "xn--bcher-kva.example")

CASES = {
    "addresses": {
        "records": {
            "addresses": ["192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"],
            "ttls": {"host": "7d", "id": "5s", "caa": "1d"},
            "caa": [{"issuer": "letsencrypt.org", "account_uri": NASTY_URI},
                    {"issuer": "pki.goog", "account_uri": "https://pki.example/a|b"},
                    {"issuer": "ca.example", "account_uri": "https://ca.example/a`b"},
                    {"issuer": "other.example"}],
        },
    },
    "policy-host": {"records": {"policy_host": "policy.provider.example", "ttl": "1h"}},
    "delegated": {"records": {"policy_host": "policy.provider.example",
                              "delegation_zone": "sts.provider.example"}},
    # No id can be had.
    "pending": {"records": {"policy_host": "policy.provider.example"},
                "ledger": "/proc/none/ledger.db"},
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    return request.param


@pytest.fixture
def printed(run, write_config, tmp_path, case):
    """printed("csv"): the output of records; printed.records: what it has to say, from JSON."""
    config = {"ledger": str(tmp_path / "ledger.db"), "contact": {"tls_reports": REPORTS},
              "policies": {"all": POLICY}, "tenants": {d: {"policy": "all"} for d in DOMAINS},
              **CASES[case]}
    path = write_config(config)

    def output(name, *arguments):
        done = run("records", "-c", path, "--format", name, *arguments)
        assert done.returncode == (1 if case == "pending" else 0), done.stderr
        assert re.fullmatch(r"[\n\t -~]*", done.stdout), "not printable ASCII"
        return done.stdout

    output.records = {
        (r["name"], r["type"], r["ttl"], r["value"])
        for s in json.loads(output("json")) for r in s["records"]
    }  # fmt: skip
    assert len({name for name, *_ in output.records}) == len(DOMAINS) * (2 if case == "pending" else 3)
    return output


def value_of(kind, text):
    """The value as our JSON has it, from data as in a zone file; strings of TXT fit (RFC 1035)."""
    data = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), text)
    if kind == "TXT":
        assert all(0 < len(s) <= 255 for s in data.strings)
        return b"".join(data.strings).decode()
    if kind == "CAA":
        assert (data.flags, data.tag) == (0, b"issue")
        return data.value.decode()
    return data.to_text().removesuffix(".")


def absolute(name, zone):
    return f"{name}.{zone}" if name not in ("", "@") else zone


def node(script, text):
    done = subprocess.run(["node", NODE / script], input=text, capture_output=True, text=True,
                          timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def jq(*arguments, text):
    done = subprocess.run(["jq", *arguments], input=text, capture_output=True, text=True,
                          timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def once(items):
    """As a set, of which nothing came twice."""
    items = list(items)
    assert len(items) == len(set(items))
    return set(items)


# --- csv ---


def test_csv(printed, case):
    rows = list(csv.DictReader(io.StringIO(printed("csv"), newline=""), strict=True))
    records = [row for row in rows if row["status"] == "publish"]
    assert once((r["name"], r["type"], int(r["ttl"]), r["value"]) for r in records) == printed.records
    for row in records:
        assert row["name"] == absolute(row["relative_name"], row["zone"])
        assert row["zone"] in ZONES and row["domain"] in DOMAINS and None not in row.values()
    pending = [row for row in rows if row["status"] == "pending"]
    assert {row["domain"] for row in pending} == (set(DOMAINS) if case == "pending" else set())
    assert all(row["note"] and not row["name"] and not row["value"] for row in pending)


# --- octodns ---


class Strict(yaml.SafeLoader):
    """Refuses a key that comes twice, as octoDNS does."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), keys
        return super().construct_mapping(node, deep)


def octodns_value(kind, value):
    if kind == "TXT":
        assert not re.search(r"(?<!\\);", value)
        return value.replace("\\;", ";")
    if kind == "CAA":
        assert (value["flags"], value["tag"], len(value)) == (0, "issue", 3)
        return value["value"]
    assert value.endswith(".") == (kind == "CNAME")
    return value.removesuffix(".")


def test_octodns(printed):
    text = printed("octodns")
    zones = re.findall(r"^---\n# (\S+)\.yaml$", text, re.M)
    documents = list(yaml.load_all(text, Strict))
    assert sorted(zones) == sorted(ZONES) and len(documents) == len(zones)
    found = []
    for zone, document in zip(zones, documents):
        for name, sets in document.items():
            sets = sets if isinstance(sets, list) else [sets]
            assert [s["type"] for s in sets] == sorted({s["type"] for s in sets})
            for one in sets:
                assert list(one) == sorted(one)  # enforce_order
                assert "value" in one or len(one["values"]) > 1
                for value in one.get("values", [one.get("value")]):
                    found.append((absolute(name, zone), one["type"], one["ttl"],
                                  octodns_value(one["type"], value)))
    assert once(found) == printed.records


def test_octodns_of_one_tenant_is_in_order(printed):
    """With the provider's default, enforce_order: true."""
    document = yaml.load(printed("octodns", "163.com"), Strict)
    assert list(document) == sorted(document)
    assert "enforce_order" not in printed("octodns", "163.com")


# --- dnscontrol ---


def test_dnscontrol(printed):
    text = printed("dnscontrol")
    assert "</script" not in text and not re.search(r",\s*\)", text)
    found = []
    for zone, kind, (name, *values), ttl in node("dnscontrol.js", text):
        assert zone in ZONES and (kind != "CAA" or values.pop(0) == "issue")
        assert values[0].endswith(".") == (kind == "CNAME")
        found.append((absolute(name, zone), kind, ttl, values[0].removesuffix(".")))
    assert once(found) == printed.records


# --- terraform ---


def plain(text):
    """The text of a literal; no template in it."""
    rest = text.replace("$${", "").replace("%%{", "")
    assert "${" not in rest and "%{" not in rest, text
    return text.replace("$${", "${").replace("%%{", "%{")


def hcl(text, kind):
    """(zone reference, arguments) of each resource; each zone is looked up once."""
    parsed = node("hcl.js", text)
    assert set(parsed["resource"]) == {kind}
    resources = []
    for name, blocks in parsed["resource"][kind].items():
        assert re.fullmatch(r"[a-z_][a-z0-9_-]*", name) and len(blocks) == 1
        resources.append(blocks[0])
    assert len(resources) == len(re.findall(r"^resource ", text, re.M))  # no name came twice
    return parsed, resources


def test_terraform_aws(printed):
    parsed, resources = hcl(printed("terraform-aws"), "aws_route53_record")
    zones = {name: blocks[0]["name"] for name, blocks in parsed["data"]["aws_route53_zone"].items()}
    assert sorted(zones.values()) == sorted(ZONES)
    found = []
    for r in resources:
        zone = zones[re.fullmatch(r"\$\{data\.aws_route53_zone\.(\S+)\.zone_id\}", r["zone_id"])[1]]
        assert r["name"].endswith(zone)
        for text in map(plain, r["records"]):
            # The provider puts the outer quotes around TXT (flattenTxtEntry).
            text = f'"{text}"' if r["type"] == "TXT" else text
            found.append((r["name"], r["type"], r["ttl"], value_of(r["type"], text)))
    assert once(found) == printed.records


def test_terraform_google(printed):
    parsed, resources = hcl(printed("terraform-google"), "google_dns_record_set")
    assert len(parsed["variable"]) == len(ZONES)
    found = []
    for r in resources:
        variable = re.fullmatch(r"\$\{var\.(\S+)\}", r["managed_zone"])[1]
        zone = parsed["variable"][variable][0]["description"].split()[-1]
        assert zone in ZONES and r["name"].endswith(f"{zone}.")
        for text in map(plain, r["rrdatas"]):
            found.append((r["name"][:-1], r["type"], r["ttl"], value_of(r["type"], text)))
    assert once(found) == printed.records


def clamped(records):
    """What Cloudflare takes of TTLs."""
    return {(name, kind, min(max(ttl, 60), 86400), value) for name, kind, ttl, value in records}


def each(expression):
    """The values of toset([...]), an expression as hcl2json leaves it: in HCL."""
    values = node("hcl.js", "v = " + re.fullmatch(r"\$\{toset\((.*)\)\}", expression, re.S)[1])["v"]
    return [plain(v) for v in values]


def test_terraform_cloudflare(printed):
    text = printed("terraform-cloudflare")
    parsed, resources = hcl(text, "cloudflare_dns_record")
    zones = {name: blocks[0]["filter"]["name"]
             for name, blocks in parsed["data"]["cloudflare_zone"].items()}
    assert sorted(zones.values()) == sorted(ZONES)
    found = []
    for r in resources:
        zone = zones[re.fullmatch(r"\$\{data\.cloudflare_zone\.(\S+)\.zone_id\}", r["zone_id"])[1]]
        assert r["name"].endswith(zone) and r["proxied"] is False
        common = (r["name"], r["type"], r["ttl"])
        if r["type"] == "CAA":
            assert r["data"] == {"flags": 0, "tag": "issue", "value": "${each.value}"}
        if "for_each" in r:
            assert "content" not in r or r["content"] == "${each.value}"
            found += [(*common, value) for value in each(r["for_each"])]
        else:
            found.append((*common, value_of(r["type"], plain(r["content"]))))
    assert once(found) == clamped(printed.records)
    changed = {ttl for _, _, ttl, _ in printed.records - clamped(printed.records)}
    assert set(map(int, re.findall(r"^# a TTL of (\d+) is not", text, re.M))) == changed


# --- route53 ---


def test_route53(printed):
    text = printed("route53")
    assert text.count("\n") == len(ZONES)  # one batch each, as --change-batch takes it
    found = []
    for line in jq("-c", ".", text=text).splitlines():
        batch = json.loads(line)
        assert set(batch) == {"Comment", "Changes"} and batch["Comment"] in ZONES
        for change in batch["Changes"]:
            assert set(change) == {"Action", "ResourceRecordSet"} and change["Action"] == "UPSERT"
            r = change["ResourceRecordSet"]
            assert set(r) == {"Name", "Type", "TTL", "ResourceRecords"}
            assert r["Name"].endswith(batch["Comment"])
            found += [(r["Name"], r["Type"], r["TTL"], value_of(r["Type"], v["Value"]))
                      for v in r["ResourceRecords"]]
    assert once(found) == printed.records
    sets = jq("-r", '.Changes[].ResourceRecordSet | "\\(.Name) \\(.Type)"', text=text)
    once(sets.splitlines())  # a set twice would be an error


# --- cloudflare ---


def cloudflare_record(r):
    assert r["ttl"] == 1 or 60 <= r["ttl"] <= 86400
    assert r.get("proxied") is (False if r["type"] in ("A", "AAAA", "CNAME") else None)
    if r["type"] == "CAA":
        assert (r["data"]["flags"], r["data"]["tag"]) == (0, "issue") and "content" not in r
        return r["name"], r["type"], r["ttl"], r["data"]["value"]
    assert not r["content"].endswith(".")
    return r["name"], r["type"], r["ttl"], value_of(r["type"], r["content"])


def test_cloudflare(printed):
    lines = [json.loads(line) for line in printed("cloudflare").splitlines()]
    assert sorted(line["zone"] for line in lines) == sorted(ZONES)
    posts = [r for line in lines for r in line["posts"]]
    assert once(map(cloudflare_record, posts)) == clamped(printed.records)


def test_cloudflare_request_of_the_manual(printed, case, tmp_path):
    """The jq filter of mta-stsd(8): what there is at our names goes, and nothing else."""
    manual = (TOP / "packaging/man/mta-stsd.8").read_text(encoding="utf-8")
    program = re.search(r"^jq --slurpfile now now\.json \\\(aq\n(.*?)\\\(aq \|$", manual,
                        re.M | re.S)[1]
    assert "\\" not in program
    there = [
        ("1", "_mta-sts.163.com", "TXT", '"v=STSv1; id=old;"'),
        ("2", "mta-sts.163.com", "CNAME", "old.example.net"),
        ("3", "_smtp._tls.163.com", "CNAME", "old.example.net"),
        ("4", "_mta-sts.www.163.com", "TXT", '"v=STSv1; id=old;"'),
        ("5", "163.com", "TXT", '"v=spf1 -all"'),
        ("6", "gone.163.com", "TXT", '"v=STSv1; id=gone;"'),
        ("7", "gone.163.com", "TXT", "v=STSv1; id=gone;"),
        ("8", "gone.163.com", "TXT", '"v=STSv1; id=of another;"'),
    ]
    listing = {"result": [dict(zip(("id", "name", "type", "content"), r)) for r in there]}
    (tmp_path / "now.json").write_text(json.dumps(listing))
    arguments = ("--slurpfile", "now", tmp_path / "now.json", program)
    line = printed("cloudflare", "163.com")
    request = json.loads(jq(*arguments, text=line))
    assert set(request) == {"deletes", "posts"} and request["posts"] == json.loads(line)["posts"]
    ids = {d["id"] for d in request["deletes"]}
    assert ids == {"2", "3"} | (set() if case == "pending" else {"1"})
    gone = {"zone": "163.com", "withdrawn": [{"name": "gone.163.com", "type": "TXT", "ttl": 300,
                                              "content": '"v=STSv1; id=gone;"'}]}
    request = json.loads(jq(*arguments, text=json.dumps(gone)))
    assert request == {"deletes": [{"id": "6"}, {"id": "7"}], "posts": []}


# --- markdown ---


class Tables(html.parser.HTMLParser):
    """The cells of all tables by row, the text of headings and paragraphs, links."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.blocks, self.tags, self.links, self.into = [], [], set(), set(), None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links |= {value for name, value in attrs if name == "href"}
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.into = self.rows[-1]
            self.into.append("")
        elif tag in ("p", "h2", "h3", "li"):
            self.into = self.blocks
            self.into.append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th", "p", "h2", "h3", "li"):
            self.into = None

    def handle_data(self, data):
        if self.into is not None:
            self.into[-1] += data


def cmark(text):
    return subprocess.run(["cmark-gfm", "-e", "table", "-e", "autolink", "-e", "strikethrough",
                           "--unsafe"], input=text, capture_output=True, text=True,
                          timeout=DEADLINE, check=True).stdout


@pytest.mark.parametrize("render", [cmark, lambda t: markdown.markdown(t, extensions=["tables"])],
                         ids=["cmark-gfm", "python-markdown"])
def test_markdown(printed, case, render):
    page = Tables(render(printed("markdown")))
    rows = [row for row in page.rows if row[0] != "Host"]
    assert len(page.rows) - len(rows) == len(DOMAINS) and all(len(row) == 4 for row in page.rows)
    found = [(name, kind, int(ttl), value.removeprefix("0 issue ") if kind == "CAA" else value)
             for name, kind, ttl, value in rows]
    assert once(found) == printed.records
    # Nothing of a value became markup.
    assert page.tags <= {"a", "h2", "p", "code", "table", "thead", "tbody", "tr", "th", "td"}
    assert {b.split()[-1] for b in page.blocks if b.startswith("MTA-STS for ")} == set(DOMAINS)
    links = {f"https://mta-sts.{d}/.well-known/mta-sts.txt" for d in DOMAINS}
    assert page.links == (set() if case == "pending" else links)
    waiting = [b for b in page.blocks if "is not ready: the ledger cannot be used" in b]
    assert len(waiting) == (len(DOMAINS) if case == "pending" else 0)
