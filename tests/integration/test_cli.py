"""Commands from outside: what they print, where, and their exit codes (0 fine, 1 errors found,
2 wrong usage, 3 could not look)."""

import json
import os
import re
import subprocess

import pytest
from harness.process import command, environment

PLAIN = {"listen": [{"address": "127.0.0.1:0", "tls": False}]}
GOOD = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\nmax_age: 2419200\r\n"
ID = re.compile(r"v=STSv1; id=([0-9A-Za-z]+);")


def tenant(mode="testing", mx=("mx.example.org",), **more):
    """One tenant's keys."""
    return {"mode": mode, "mx": list(mx), **more}


@pytest.fixture(name="config")
def make_plain(write_config, tmp_path):
    """config({"example.org": ...}, key=value) -> path; plain HTTP, a ledger that stays."""

    def make(tenants, **settings):
        return write_config({**PLAIN, "ledger": str(tmp_path / "ledger.db"), **settings,
                             "tenants": tenants})

    return make


# --- usage ---


@pytest.mark.parametrize("arguments", [
    ["frobnicate"], ["check", "extra"], ["check", "--format", "xml"], ["check", "--nonsense"],
    ["lint"], ["lint", "a", "b"], ["lint", "--txt", "--tlsrpt", "-"], ["serve", "extra"],
    ["records", "--format", "xml"], ["version", "extra"], ["help", "nothing"], ["check", "--txt"],
    ["check", "-c"], [], ["status", "--format", "xml"], ["status", "--check"],
])
def test_wrong_usage_is_2(run, arguments):
    """And it says something on standard error or shows usage, never a stack of other output."""
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr or done.stdout.startswith("usage:")


def test_unknown_command_suggests(run):
    """A typing mistake gets the command that was meant."""
    assert "did you mean records?" in run("record").stderr


def test_help_lists_every_command(run):
    """help, --help and a command's --help are on standard output with 0."""
    usage = run("help")
    assert usage.returncode == 0 and run("--help").stdout == usage.stdout
    for name in re.findall(r"^  ([a-z]+) ", usage.stdout, re.M):
        done = run(name, "--help")
        assert done.returncode == 0 and done.stdout.startswith(f"usage: mta-stsd {name}")


def test_version_names_the_libraries(run):
    """version and --version are the same."""
    done = run("version")
    assert done.returncode == 0 and run("--version").stdout == done.stdout
    for word in ("mta-stsd ", "OpenSSL ", "SQLite ", "libyaml ", "jansson "):
        assert word in done.stdout


def test_full_output_device_is_3(run):
    """What cannot be written is not success."""
    for arguments in (["help"], ["version"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(command(*arguments), stdout=full, stderr=subprocess.PIPE,
                                  env=environment(), check=False)
        assert done.returncode == 3 and b"cannot be written" in done.stderr


# --- check ---


def test_check_counts_states(run, config):
    """A good and a bad tenant: 1, and the summary on standard output."""
    done = run("check", "-c", config({"example.org": tenant(), "example.com": tenant("enforced")}))
    assert done.returncode == 1
    assert done.stdout == "2 tenants: 1 served, 1 refused\n"
    assert re.search(r"mta-stsd\.yaml:\d+:\d+: error: .*enforced", done.stderr)
    assert "did you mean enforce?" in done.stderr
    assert "\033" not in done.stderr


def test_check_json(run, config):
    """One JSON document on standard output, nothing on standard error."""
    done = run("check", "--format", "json", "-c",
               config({"example.org": tenant(), "example.com": tenant("enforced")}))
    report = json.loads(done.stdout)
    assert done.returncode == 1 and done.stderr == ""
    assert report["usable"] is True and report["errors"] == 1
    assert report["tenants"] == [
        {"domain": "example.com", "state": "refused", "kept": False},
        {"domain": "example.org", "state": "served", "kept": False}]
    assert report["changes"] == [{"domain": "example.org", "change": "added", "before": None,
                                  "after": report["changes"][0]["after"]}]
    (error,) = [d for d in report["diagnostics"] if d["severity"] == "error"]
    assert error["code"] == "policy-mode" and error["tenant"] == "example.com"
    assert error["where"]["line"] > 0 and error["where"]["column"] > 0


def test_check_of_what_is_not_there_is_3(run, tmp_path):
    """Missing, a directory, a FIFO: at once, and said."""
    os.mkfifo(tmp_path / "fifo")
    for name, words in (("missing", "does not exist"), (".", "not a regular file"),
                        ("fifo", "not a regular file")):
        done = run("check", "-c", tmp_path / name)
        assert done.returncode == 3 and words in done.stderr


@pytest.mark.parametrize("command", [["serve"], ["check"], ["records"], ["records", "--check"],
                                     ["plan", "example.org"], ["log"], ["status"], ["export", "out"]],
                         ids=" ".join)
def test_missing_configuration_is_said(run, tmp_path, command):
    """By every command that takes one, and no other one is used instead."""
    done = run(command[0], "-c", tmp_path / "missing.yaml", *command[1:])
    assert done.returncode == 3 and not re.search("tenant|serving", done.stdout)
    assert f"{tmp_path}/missing.yaml does not exist" in done.stderr


def test_strict_refuses_all(run, config):
    """strict: true makes one tenant's error everybody's."""
    done = run("check", "-c", config({"example.org": tenant(), "example.com": tenant("x")},
                                     strict=True))
    assert done.returncode == 1 and done.stdout.startswith("nothing would be served")


# --- lint ---


@pytest.mark.parametrize("option,text,code", [
    (None, GOOD, 0),
    (None, GOOD.replace("enforce", "enforced"), 1),
    (None, GOOD.replace("\r\n", "\n"), 0),
    (None, "", 1),
    ("--txt", "v=STSv1; id=20260101000000Z;", 0),
    ("--txt", "v=STSv1; id=20260101000000Z;\n", 0),
    ("--txt", "v=STSv1; id=2026-01-01;", 1),
    ("--txt", "v=STSv1 ; id=1;", 1),
    ("--tlsrpt", "v=TLSRPTv1; rua=mailto:a@example.org", 0),
    ("--tlsrpt", "v=TLSRPTv1; rua=a@example.org", 1),
])
def test_lint_judges(run, tmp_path, option, text, code):
    """From a file and from standard input alike."""
    path = tmp_path / "input"
    path.write_bytes(text.encode())
    options = [option] if option else []
    done = run("lint", *options, path)
    assert done.returncode == code, done.stderr
    assert bool("error:" in done.stderr) == bool(code)
    piped = run("lint", *options, "-", stdin=text.encode())
    assert piped.returncode == code


def test_lint_warns_with_0(run, tmp_path):
    """LF line ends are allowed; who is hurt is said."""
    path = tmp_path / "policy"
    path.write_text(GOOD.replace("\r\n", "\n"), newline="")
    done = run("lint", path)
    assert done.returncode == 0 and "warning:" in done.stderr


def test_lint_of_what_is_not_there_is_3(run, tmp_path):
    """Unreadable or far too large."""
    assert run("lint", tmp_path / "missing").returncode == 3
    large = tmp_path / "large"
    large.write_bytes(b"x" * (2 << 20))
    assert run("lint", large).returncode == 3
    assert run("lint", "-", stdin=b"x" * (2 << 20)).returncode == 3


# --- records ---


def records(run, path, *arguments):
    """Parsed JSON output and exit code."""
    done = run("records", "-c", path, "--format", "json", *arguments)
    return json.loads(done.stdout), done


def test_id_changes_with_the_policy_and_only_then(run, config):
    """RFC 8461 section 3.1: formatting, order and comments keep the id; changes and reverts do not."""
    first = tenant(mx=("a.example.org", "b.example.org"))
    ids = []
    for keys in (first, tenant(mx=("b.example.org", "a.example.org", "A.example.org.")),
                 tenant(mx=("a.example.org",)), first):
        ((only,), done) = records(run, config({"example.org": keys}))
        assert done.returncode == 0
        ids.append(only["id"])
    assert ids[0] == ids[1] and len(set(ids)) == 3
    assert ids == sorted(ids)


def test_records_of_named_tenants(run, config):
    """Names in any spelling choose; unknown and refused ones are errors, the others print."""
    path = config({"bücher.example": tenant(), "example.org": tenant(),
                   "example.com": tenant("x")})
    (sets, done) = records(run, path, "BÜCHER.example")
    assert [s["domain"] for s in sets] == ["xn--bcher-kva.example"]
    assert done.returncode == 0 and "policy-mode" in done.stderr
    assert records(run, path)[1].returncode == 1
    for name in ("example.net", "example.com", "not a domain"):
        (sets, done) = records(run, path, name)
        assert sets == [] and done.returncode == 1


def test_records_without_a_writable_ledger(run, config):
    """No id is announced that is not durable (exit 1); the other records print."""
    ((only,), done) = records(run, config({"example.org": tenant()}, ledger="/proc/none/ledger.db",
                                          contact={"tls_reports": "mailto:a@example.org"}))
    assert done.returncode == 1 and "[ledger-" in done.stderr
    assert only["id"] is None and only["pending"]
    assert [r["name"] for r in only["records"]] == ["_smtp._tls.example.org"]


def test_records_table_is_plain_without_a_terminal(run, config):
    """Tab-separated lines, stable for scripts."""
    done = run("records", "-c", config({"example.org": tenant()}))
    assert re.fullmatch(r"_mta-sts\.example\.org\tTXT\t300\tv=STSv1; id=\w+;\n", done.stdout)


def test_records_check_without_a_server(run, config, tmp_path):
    """What was never served is pending, one line each; looking issues no id."""
    path = config({"example.org": tenant(), "example.com": tenant()})
    done = run("records", "--check", "-c", path)
    assert done.returncode == 1 and not (tmp_path / "ledger.db").exists()
    assert run("records", "-c", path).returncode == 0
    done = run("records", "--check", "-c", path)
    assert done.returncode == 0 and done.stdout == ""
    path = config({"example.org": tenant("enforce"), "example.com": tenant(), "n.example": tenant()})
    done = run("records", "--check", "-c", path)
    assert done.returncode == 1
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == ["example.org", "n.example"]
    assert run("records", "--check", "-c", path, "example.com").returncode == 0
    assert run("records", "--check", "-c", path, "unknown.example").returncode == 1
