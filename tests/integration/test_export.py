"""export: the tree, what it never touches, and web servers that serve it."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import signal
import ssl
import subprocess

import pytest
from harness import DEADLINE, client
from harness.process import command, environment
from harness.static import SERVERS

POLICY = {"mode": "enforce", "mx": ["mx1.example.org", "*.pool.example.org"], "max_age": "4w"}
TENANTS = {
    "example.org": POLICY,
    "example.com": POLICY,
    "xn--bcher-kva.example.org": {"mode": "testing", "mx": ["mx.example.net"], "max_age": "1w"},
    "none.example.org": {"mode": "none", "mx": ["mx.example.net"], "max_age": "1d"},
}
SNIPPETS = {"nginx.conf", "Caddyfile", "haproxy.cfg", "haproxy.map"}
BODY = (
    b"version: STSv1\r\nmode: enforce\r\nmx: *.pool.example.org\r\nmx: mx1.example.org\r\n"
    b"max_age: 2419200\r\n"
)


def config_of(tenants, folder):
    """As JSON, which is YAML without anchors."""
    contact = {"tls_reports": "mailto:a@example.org"}
    return json.dumps({"ledger": str(folder / "ledger.db"), "contact": contact, "tenants": tenants})


@pytest.fixture
def export(run, write_config, tmp_path):
    """export({...tenants...}): exports into tmp_path/out; the finished process."""

    def do(tenants, *options, out=None):
        config = tenants if isinstance(tenants, str) else config_of(tenants, tmp_path)
        return run("export", "-c", write_config(config), *options, out or tmp_path / "out")

    return do


def tree(folder):
    """{relative name: bytes} of all files, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stamps(folder):
    return {
        p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in sorted(folder.rglob("*")) if p.is_file()
    }


def name_of(domain):
    return f"mta-sts.{domain}/.well-known/mta-sts.txt"


def manifest(folder):
    return json.loads((folder / "manifest.json").read_bytes())


# --- The tree ---
def test_tree_has_the_bodies_and_a_manifest(export, tmp_path):
    done = export(TENANTS)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("4 written")
    files = tree(tmp_path / "out")
    assert set(files) == {name_of(d) for d in TENANTS} | SNIPPETS | {"manifest.json"}
    assert files[name_of("example.org")] == BODY
    for entry in manifest(tmp_path / "out")["tenants"]:
        body = files[entry["path"]]
        assert entry["path"] == name_of(entry["domain"])
        assert entry["bytes"] == len(body) and entry["sha256"] == hashlib.sha256(body).hexdigest()
        assert entry["id"] is None  # nothing has been announced, and export announces nothing
    assert not (tmp_path / "ledger.db").exists()


def test_modes_do_not_depend_on_the_umask(export, tmp_path):
    old = os.umask(0o077)
    try:
        assert export(TENANTS).returncode == 0
    finally:
        os.umask(old)
    for path in (tmp_path / "out").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_ids_are_those_that_records_announced(export, run, write_config, tmp_path):
    export(TENANTS)
    printed = run("records", "-c", write_config(config_of(TENANTS, tmp_path)), "--format", "bind")
    before = stamps(tmp_path / "out")
    assert export(TENANTS).returncode == 0
    for entry in manifest(tmp_path / "out")["tenants"]:
        assert f'_mta-sts.{entry["domain"]}. ' in printed.stdout.replace("\t", " ")
        assert f'id={entry["id"]};' in printed.stdout
    changed = {p.name for p, s in stamps(tmp_path / "out").items() if before.get(p) != s}
    assert changed == {"manifest.json"}
    # A change of the policy has no id before it is announced.
    export({**TENANTS, "example.org": {**POLICY, "max_age": "5w"}})
    ids = {e["domain"]: e["id"] for e in manifest(tmp_path / "out")["tenants"]}
    assert ids["example.org"] is None and ids["example.com"]


def test_unchanged_files_are_not_touched(export, tmp_path):
    export(TENANTS)
    before = stamps(tmp_path / "out")
    done = export(TENANTS)
    assert done.stdout == "0 written, 4 unchanged, 0 removed\n" and stamps(tmp_path / "out") == before
    export({**TENANTS, "example.com": {**POLICY, "max_age": "5w"}})
    changed = {str(p.relative_to(tmp_path / "out")) for p, s in stamps(tmp_path / "out").items()
               if before[p] != s}  # fmt: skip
    assert changed == {name_of("example.com"), "manifest.json", "haproxy.cfg", "haproxy.map"}


def test_removed_tenants_are_removed_with_their_directories(export, tmp_path):
    export(TENANTS)
    out = tmp_path / "out"
    (out / "mta-sts.example.com" / "index.html").write_text("somebody's")
    done = export({"example.org": POLICY})
    assert done.returncode == 0 and done.stdout == "0 written, 1 unchanged, 3 removed\n"
    assert set(tree(out)) == {name_of("example.org"), "mta-sts.example.com/index.html",
                              "manifest.json"} | SNIPPETS  # fmt: skip
    assert not (out / "mta-sts.none.example.org").exists()
    assert not (out / "mta-sts.example.com/.well-known").exists()


def test_nothing_is_removed_while_there_are_errors(export, tmp_path):
    """A tenant that was never announced has no last good policy but the exported one."""
    export(TENANTS)
    broken = {"example.org": {**POLICY, "mode": "enforced"}, "example.com": {**POLICY, "max_age": "5w"}}
    done = export(broken)
    assert done.returncode == 1 and "[policy-mode]" in done.stderr
    assert "1 written, 3 unchanged, 0 removed; nothing is removed" in done.stdout
    assert tree(tmp_path / "out")[name_of("example.org")] == BODY
    assert {e["domain"] for e in manifest(tmp_path / "out")["tenants"]} == set(TENANTS)
    assert "mta-sts.none.example.org" in (tmp_path / "out/haproxy.map").read_text()
    assert export({"example.com": POLICY}).stdout == "1 written, 0 unchanged, 3 removed\n"


def test_nothing_is_removed_when_there_are_no_tenants(export, tmp_path):
    """As when the directory of an include lost its files."""
    export(TENANTS)
    before = stamps(tmp_path / "out")
    done = export({})
    assert done.returncode == 0 and "0 written, 4 unchanged, 0 removed; nothing" in done.stdout
    assert stamps(tmp_path / "out") == before


def test_last_good_of_the_ledger_is_exported(export, run, write_config, tmp_path):
    run("records", "-c", write_config(config_of({"example.org": POLICY}, tmp_path)))
    done = export({"example.org": {**POLICY, "mode": "enforced"}})
    assert done.returncode == 1 and "[tenant-kept]" in done.stderr
    assert tree(tmp_path / "out")[name_of("example.org")] == BODY


def test_retiring_tenant_is_exported_as_it_would_be_served(export, tmp_path):
    assert export({"example.org": {**POLICY, "retire": True}}).returncode == 0
    assert b"mode: none\r\n" in tree(tmp_path / "out")[name_of("example.org")]


def test_configuration_that_cannot_be_used_changes_nothing(export, run, tmp_path):
    export(TENANTS)
    before = stamps(tmp_path / "out")
    assert export("tenants: [\n").returncode == 1
    assert run("export", "-c", tmp_path / "none.yaml", tmp_path / "out").returncode == 3
    assert stamps(tmp_path / "out") == before


# --- What is not ours ---
@pytest.mark.parametrize("name", sorted(SNIPPETS))
def test_foreign_file_in_place_of_a_snippet(export, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("somebody's")
    done = export(TENANTS)
    assert done.returncode == 3 and f"out/{name}: error: a file that is not ours" in done.stderr
    assert tree(tmp_path / "out") == {name: b"somebody's"}


def test_foreign_policy_is_neither_replaced_nor_removed(export, tmp_path):
    """The others are exported all the same."""
    path = tmp_path / "out" / name_of("example.com")
    path.parent.mkdir(parents=True)
    path.write_text("somebody's")
    for tenants in (TENANTS, TENANTS, {"example.org": POLICY}):
        done = export(tenants)
        assert path.read_text() == "somebody's"
        if "example.com" in tenants:
            assert done.returncode == 1 and "mta-sts.example.com: error: a file that is not" in done.stderr
            assert "example.com" not in {e["domain"] for e in manifest(tmp_path / "out")["tenants"]}
        assert tree(tmp_path / "out")[name_of("example.org")] == BODY


def test_the_very_bytes_are_adopted(export, tmp_path):
    path = tmp_path / "out" / name_of("example.org")
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    assert export(TENANTS).stdout == "3 written, 1 unchanged, 0 removed\n"


@pytest.mark.parametrize("what", ["host", "well-known", "file"])
def test_links_are_not_followed(export, tmp_path, what):
    outside = tmp_path / "outside"
    (outside / ".well-known").mkdir(parents=True)
    (outside / "mta-sts.txt").write_text("somebody's")
    link = tmp_path / "out" / "mta-sts.example.org"
    link = {"host": link, "well-known": link / ".well-known", "file": link / ".well-known/mta-sts.txt"}[what]
    link.parent.mkdir(parents=True)
    link.symlink_to(outside / "mta-sts.txt" if what == "file" else outside)
    before = tree(outside)
    done = export(TENANTS)
    assert done.returncode == 1 and "mta-sts.example.org: error: something other than" in done.stderr
    assert tree(outside) == before and link.is_symlink()
    assert name_of("example.com") in tree(tmp_path / "out")


def test_link_put_there_later_is_not_followed(export, tmp_path):
    """The manifest says that the file is ours; what the link leads to is not."""
    export(TENANTS)
    host, outside = tmp_path / "out/mta-sts.example.com", tmp_path / "outside"
    host.rename(outside)
    host.symlink_to(outside)
    before = tree(outside)
    assert export({"example.org": POLICY}).returncode == 0
    assert tree(outside) == before and host.is_symlink()
    done = export(TENANTS)
    assert done.returncode == 1 and "something other than" in done.stderr and tree(outside) == before


@pytest.mark.parametrize("slash", ["", "/"])
def test_directory_that_is_a_link_is_refused(export, tmp_path, slash):
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    done = export(TENANTS, out=f"{tmp_path}/out{slash}")
    assert done.returncode == 3 and "is a link to one" in done.stderr
    assert tree(tmp_path / "real") == {}


def test_directory_that_is_a_file_or_oddly_named_is_refused(export, tmp_path):
    (tmp_path / "out").write_text("x")
    assert "is not a directory" in export(TENANTS).stderr
    done = export(TENANTS, out=tmp_path / "with blank")
    assert done.returncode == 3 and "has characters that web servers" in done.stderr
    assert export(TENANTS, out=tmp_path / "no/parent").returncode == 3


@pytest.mark.parametrize("text", [
    "{}", "", "[1]", '{"mta-stsd-export": 2, "files": [], "tenants": []}',
    '{"mta-stsd-export": 1, "files": [], "tenants": [{"domain": "../../x"}]}',
    '{"mta-stsd-export": 1, "files": [], "tenants": [{"domain": "a.example", "sha256": "x", "bytes": 1}]}',
    '{"mta-stsd-export": 1, "files": [], "tenants": [%s, %s]}' % (
        ('{"domain": "a.example", "bytes": 1, "sha256": "%s"}' % ("0" * 64),) * 2),
])  # fmt: skip
@pytest.mark.parametrize("name", ["manifest.json", ".manifest.json.next"])
def test_foreign_manifest(export, tmp_path, name, text):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text(text)
    done = export(TENANTS)
    assert done.returncode == 3 and f"{name}: error: is not a manifest of mta-stsd" in done.stderr
    assert tree(tmp_path / "out") == {name: text.encode()}


def test_two_exports_at_once(export, tmp_path):
    export(TENANTS)
    fd = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    done = export(TENANTS)
    os.close(fd)
    assert done.returncode == 3 and "another export is writing here" in done.stderr
    assert export(TENANTS).returncode == 0


# --- Faults ---
@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=755", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    with open(folder / "filler", "wb", buffering=0) as out:
        with pytest.raises(OSError) as caught:
            while True:
                out.write(bytes(4096))
        assert caught.value.errno == errno.ENOSPC


def test_disk_full_leaves_the_old_files_whole(export, small_disk):
    out = small_disk / "out"
    export(TENANTS, out=out)
    before = tree(out)
    fill(small_disk)
    new = {d: {**p, "max_age": "6w"} for d, p in TENANTS.items()}
    done = export(new, out=out)
    assert done.returncode == 3 and "cannot be written: the disk is full" in done.stderr
    assert tree(out) == before
    (small_disk / "filler").unlink()
    assert export(new, out=out).stdout == "4 written, 0 unchanged, 0 removed\n"


def test_read_only_disk(export, small_disk):
    out = small_disk / "out"
    export(TENANTS, out=out)
    before = tree(out)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    try:
        assert export(TENANTS, out=out).returncode == 0  # nothing to write
        done = export({"example.org": POLICY}, out=out)
        assert done.returncode == 3 and "is on a read-only file system" in done.stderr
        assert tree(out) == before
    finally:
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)


def test_killed_anywhere_each_file_is_old_or_new(write_config, export, tmp_path):
    """SIGKILL in place of the n-th rename or unlink, for every n: each file is one of the two, the
    manifest is the old one until all is done, and the next run ends what this one began."""
    out = tmp_path / "out"
    old = {"example.org": POLICY, "gone.example": POLICY}
    new = {"example.org": {**POLICY, "max_age": "5w"}, "new.example": POLICY}
    export(old)
    before = tree(out)
    export(new)
    after = tree(out)
    path = write_config(config_of(new, tmp_path))
    kills = 0
    for call in ("renameat", "fsync", "unlinkat", "mkdirat"):
        for n in range(1, 100):
            shutil.rmtree(out)
            for name, data in before.items():
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                (out / name).write_bytes(data)
            done = subprocess.run(
                ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                 "-e", f"inject={call}:signal=KILL:when={n}", *command("export", "-c", path, out)],
                capture_output=True, text=True, env=environment(ASAN_OPTIONS="detect_leaks=0"),
                timeout=DEADLINE,
            )  # fmt: skip
            if done.returncode == 0:
                break
            assert done.returncode == -signal.SIGKILL, done.stderr
            kills += 1
            for name, data in tree(out).items():
                if not name.endswith((".mta-stsd.tmp", ".manifest.json.next")):
                    assert data in (before.get(name), after.get(name)), (call, n, name)
            if tree(out)["manifest.json"] == after["manifest.json"]:
                assert {**tree(out), ".manifest.json.next": b""} == {**after, ".manifest.json.next": b""}
            assert export(new).returncode == 0
            assert tree(out) == after, (call, n)
        else:
            pytest.fail(f"{call} does not end")
    assert kills > 20


# --- Snippets and the other format ---
def test_snippets_are_those_of_the_formats(export, run, write_config, tmp_path):
    export(TENANTS)
    for name, file in (("nginx", "nginx.conf"), ("caddy", "Caddyfile"), ("haproxy", "haproxy.cfg")):
        done = export(TENANTS, "--format", name)
        assert done.returncode == 0 and done.stdout == (tmp_path / "out" / file).read_text()
        other = export(TENANTS, "--format", name, out="/srv/policies")
        assert other.stdout == done.stdout.replace(str(tmp_path / "out"), "/srv/policies")


@pytest.mark.parametrize("arguments", [
    (), ("a", "b"), ("--format", "nginx"), ("--format", "nginx", "relative"), ("--format", "apache", "/a"),
    ("--format", "caddy", "/a b"), ("--format", "haproxy", "/$a"), ("--format", "starttls-everywhere", "/a"),
])  # fmt: skip
def test_wrong_usage(run, write_config, tmp_path, arguments):
    done = run("export", "-c", write_config(config_of(TENANTS, tmp_path)), *arguments)
    assert done.returncode == 2 and done.stderr.startswith("mta-stsd: ")


def test_starttls_everywhere_list(run, write_config, tmp_path):
    path = write_config(config_of(TENANTS, tmp_path))
    done = run("export", "-c", path, "--format", "starttls-everywhere")
    assert done.returncode == 0 and "discontinued since 2020" in done.stderr
    assert "1 in mode none left out" in done.stderr
    made = json.loads(done.stdout)
    assert set(made) == {"timestamp", "expires", "version", "author", "policy-aliases", "policies"}
    assert made["version"] == "0.1" and made["policy-aliases"] == {} and made["timestamp"] < made["expires"]
    assert made["policies"]["example.org"] == {"mode": "enforce", "mxs": [".pool.example.org", "mx1.example.org"]}
    assert {p["mode"] for p in made["policies"].values()} == {"enforce", "testing"}
    assert set(made["policies"]) == set(TENANTS) - {"none.example.org"}


# --- Real web servers ---
ADDRESSES = [("127.0.0.1", 443), ("::1", 443)]
NO_CERTIFICATE = "nocert.example.org"


@pytest.fixture(params=SERVERS)
def served(request, export, certs, tmp_path):
    """One of the servers, serving the exported tree on port 443; the function that fetches."""
    if "MTA_STS_NAMESPACE" not in os.environ:
        pytest.skip("run by tests/integration/run")
    folder = certs.make(*(f"mta-sts.{d}" for d in TENANTS), "www.example.org", folder=tmp_path / "certs")
    assert export({**TENANTS, NO_CERTIFICATE: POLICY}).returncode == 0
    (tmp_path / "server").mkdir()
    with SERVERS[request.param](tmp_path / "server", tmp_path / "out", folder):
        yield lambda domain, address=ADDRESSES[0], **options: client.fetch(
            address, f"mta-sts.{domain}", ca=certs.ca, **options
        )


@pytest.mark.slow
def test_web_server_serves_the_very_bytes(served, tmp_path):
    files = tree(tmp_path / "out")
    for address in ADDRESSES:
        for domain in TENANTS:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                answer = served(domain, address, minimum=version, maximum=version)
                assert (answer.status, answer.body) == (200, files[name_of(domain)])
                assert answer.header("Content-Type") == "text/plain"
                assert answer.header("Content-Length") == str(len(answer.body))
                assert answer.header("Location") is None and answer.header("Content-Encoding") is None
    head = served("example.org", method="HEAD")
    assert (head.status, head.body, head.header("Content-Length")) == (200, b"", str(len(BODY)))


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/", "/.well-known", "/.well-known/", "/.well-known/mta-sts", "/mta-sts.txt",
                                  "/.well-known/mta-sts.txt/", "/manifest.json", "/../manifest.json",
                                  "/.well-known/mta-sts.txt%00", "/.well-known/../../manifest.json"])
def test_web_server_has_nothing_else(served, path):
    answer = served("example.org", path=path)
    assert answer.status in (404, 400), (answer.status, answer.headers)
    assert answer.header("Location") is None


@pytest.mark.slow
def test_web_server_ignores_what_would_make_it_answer_otherwise(served):
    """No 304, no 206, no compression; the case of the name and a port do not matter."""
    modified = served("example.org").header("Last-Modified")
    etag = served("example.org").header("ETag")
    for headers in (
        [f"If-Modified-Since: {modified}"], [f"If-None-Match: {etag}"],
        ["Range: bytes=0-9"], ["Accept-Encoding: gzip, br"], ["Accept: text/html"],
    ):  # fmt: skip
        answer = served("example.org", headers=headers)
        assert (answer.status, answer.body) == (200, BODY), headers
        assert answer.header("Content-Type") == "text/plain"
    for host in ("MTA-STS.Example.ORG", "mta-sts.example.org:443"):
        assert served("example.org", host=host).body == BODY
    assert served("example.org", method="POST", headers=["Content-Length: 0"]).status != 200


@pytest.mark.slow
def test_web_server_refuses_other_names(served, certs):
    """No certificate, no connection (RFC 8461 §7.1); no tenant, no policy."""
    for domain in (NO_CERTIFICATE, "unknown.example.org"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            served(domain)
    for host in ("mta-sts.unknown.example.org", "www.example.org", "mta-sts."):
        assert served("example.org", host=host).status in (400, 404, 421), host
    context = client.tls_context(certs.ca)
    context.check_hostname = False
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with client.connect(ADDRESSES[0]) as sock, context.wrap_socket(sock):
            pass
