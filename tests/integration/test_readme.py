"""The README's commands, executed as written.

Every ```sh block of the walk-through runs, in order, in network and mount namespaces of the test's
own: /etc is a copy there, /usr/local and /var/lib are empty but for dpkg's list of packages, `sudo`
runs its arguments, `certbot` is answered by the example CA, and `systemctl` starts what the
installed unit file says, as its user and with its capabilities. The policy that the README shows is compared with the one that was fetched.
"""

import os
import re
import signal
import subprocess
import sys

import pytest
from harness import BINARY, TOP

README = (TOP / "README.md").read_text(encoding="utf-8")
ID = re.compile(r'"v=STSv1; id=([0-9A-Za-z]+);"')

SUDO = '#!/bin/sh\nexec "$@"\n'

CERTBOT = """#!/bin/bash
# certonly --standalone -d NAME
set -e
name=${!#}
"$TOP"/certs-example/make-certs.sh "$STATE/ca" "$name" >/dev/null
mkdir -p /etc/letsencrypt/live
cp -r "$STATE/ca/$name" /etc/letsencrypt/live/
"""

# What the service manager would do: ExecStart of the installed unit, as User= with the
# AmbientCapabilities= alone; waits are bounded.
SYSTEMCTL = """#!/bin/bash
set -e
unit=$(find /usr/local -name mta-stsd.service)
wait_for() {
    for _ in $(seq 400); do
        "$@" && return 0
        kill -0 "$(cat "$STATE/pid")" || break
        read -rt 0.05 <> <(:) || :
    done
    cat "$STATE/log" >&2
    exit 1
}
case "$1" in
enable)
    value() { sed -n "s/^$1=//p" "$unit"; }
    user=$(value User)
    install -d -m 700 -o "$user" -g "$user" "/var/lib/$(value StateDirectory)"
    install -d -o "$user" "$STATE/run"
    capabilities=$(value AmbientCapabilities | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
    bound=$(value CapabilityBoundingSet | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')
    setpriv --reuid "$user" --regid "$user" --init-groups --no-new-privs \
        --bounding-set="-all,$bound" --inh-caps="-all,$capabilities" \
        --ambient-caps="-all,$capabilities" $(value ExecStart) --ready-file "$STATE/run/ready" >"$STATE/log" 2>&1 &
    echo $! >"$STATE/pid"
    wait_for test -e "$STATE/run/ready"
    grep -q "^Uid:.$(id -u "$user")" "/proc/$(cat "$STATE/pid")/status" ;;
reload)
    kill -HUP "$(cat "$STATE/pid")"
    wait_for grep -q 'event=reload' "$STATE/log" ;;
esac
"""

SETUP = """set -e
mount --make-rprivate / 2>/dev/null || :
cp -a /etc "$STATE/etc"
mount --bind "$STATE/etc" /etc
rm -rf /etc/mta-stsd /etc/letsencrypt
mkdir "$STATE/lib"
mount --bind /var/lib "$STATE/lib"
for d in /usr/local /var/lib; do mount -t tmpfs tmpfs "$d"; done
ln -s "$STATE/lib/dpkg" /var/lib/dpkg
mount --bind "$STATE/hosts" /etc/hosts
ip link set lo up
export PATH="$STATE/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
export CURL_CA_BUNDLE="$STATE/ca/ca.pem"
trap 'kill $(cat "$STATE/pid") 2>/dev/null || :; wait' EXIT
cd "$TOP"
"""


def blocks(kind, text):
    """The contents of all fenced blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.M | re.S)


def section(title):
    """The text of one second-level section."""
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.M | re.S)
    assert match, f"README.md has no section {title!r}"
    return match.group(1)


def environment(**more):
    """Ours without what a surrounding make would hand down."""
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    env.update(more)
    return env


@pytest.fixture(name="state")
def make_state(tmp_path):
    """A folder with the stand-ins for sudo, certbot and systemctl."""
    (tmp_path / "bin").mkdir()
    for name, text in {"sudo": SUDO, "certbot": CERTBOT, "systemctl": SYSTEMCTL}.items():
        path = tmp_path / "bin" / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    hosts = "127.0.0.1 localhost\n127.0.0.1 mta-sts.example.org\n::1 mta-sts.example.org\n"
    (tmp_path / "hosts").write_text(hosts, encoding="utf-8")
    return tmp_path


def test_one_domain_start_to_end(state):
    """The walk-through works as written, and shows the policy that it promises."""
    try:
        os.chown(state / "hosts", 65534, 65534)
    except OSError:
        pytest.skip("only one user in this namespace, and `make install` makes another")
    text = section("One domain, start to end")
    script = SETUP + "".join(f"echo @@\n{block}" for block in blocks("sh", text))
    unshare = ["unshare", "--net", "--mount", "--propagation", "unchanged"] + ([] if os.geteuid() == 0 else ["-r"])
    run = subprocess.run(unshare + ["bash", "-c", script], text=True, timeout=300, check=False,
                         env=environment(TOP=str(TOP), STATE=str(state), LC_ALL="C.UTF-8"),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    log = state / "log"
    assert run.returncode == 0, run.stdout + run.stderr + (log.read_text() if log.exists() else "")
    (policy,) = [b for b in blocks("text", text) if b.startswith("version:")]
    assert policy in run.stdout.replace("\r\n", "\n"), run.stdout
    assert len(ID.findall(run.stdout)) == 2, run.stdout


def test_enforce_step_changes_the_id(state):
    """Step 7 of the walk-through: an edited mode gives a new id (RFC 8461 §3.1)."""
    text = section("One domain, start to end")
    config = re.search(r"<<'EOF'\n(.*?)^EOF$", text, re.M | re.S).group(1)
    ids = []
    for mode in ("testing", "enforce"):
        path = state / "mta-stsd.yaml"
        path.write_text(f"ledger: {state}/ledger.db\n" + config.replace("testing", mode),
                        encoding="utf-8")
        run = subprocess.run([BINARY, "records", "-c", path, "--format", "bind"], text=True,
                             stdout=subprocess.PIPE, check=True)
        ids += ID.findall(run.stdout)
    assert len(set(ids)) == 2


def test_many_domains_example_is_accepted(tmp_path):
    """The multi-tenant configuration of the README parses, and its records are printed."""
    (config,) = blocks("yaml", section("Many domains"))
    (tmp_path / "tenants.d").mkdir()
    (tmp_path / "tenants.d/net.yaml").write_text(
        "tenants:\n  example.net: {policy: standard}\n", encoding="utf-8")
    path = tmp_path / "mta-stsd.yaml"
    path.write_text(f"ledger: {tmp_path}/ledger.db\n{config}", encoding="utf-8")
    run = subprocess.run([BINARY, "records", "-c", path, "--format", "bind"], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert run.returncode == 0, run.stderr
    for tenant in ("example.org", "example.com", "example.net"):
        record = rf"^mta-sts\.{tenant}\.\s+300\s+IN\s+CNAME\s+policy\.provider\.example\."
        assert re.search(record, run.stdout, re.M), run.stdout


@pytest.mark.parametrize("title, written", [
    ("Records for your DNS", ["records.html", "mta-sts.zone", "mta-sts.tf", "zone.yaml",
                              "letter.md", "changes", "published.txt"]),
    ("Policies hosted elsewhere", ["policies/manifest.json", "found.yaml"]),
])
def test_commands_about_records(tmp_path, title, written):
    """They run as written, one after the other, with the configuration of the README."""
    (config,) = blocks("yaml", section("Many domains"))
    path = tmp_path / "mta-stsd.yaml"
    path.write_text(f"ledger: {tmp_path}/ledger.db\n" + config.partition("include:")[0],
                    encoding="utf-8")
    (commands,) = blocks("sh", section(title))
    shell = f'mta-stsd() {{ name=$1; shift; "{BINARY}" "$name" -c "{path}" "$@"; }}\nset -e\n'
    shell = shell.replace('"$name" -c', '"$name" $([ "$name" = import ] || echo -c) ')
    shell = shell.replace(f'"{path}"', f'$([ "$name" = import ] || echo "{path}")')
    run = subprocess.run(["bash", "-c", shell + commands], text=True, cwd=tmp_path, check=False,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.returncode == 0, run.stderr
    assert "v=STSv1; id=" in run.stdout
    for name in written:
        assert (tmp_path / name).stat().st_size > 0, name


def test_publishing_example_is_accepted(tmp_path):
    """`on_change` of the README is a setting, and its nsupdate.conf one that the hook reads."""
    text = section("Publish by itself")
    (on_change,), (conf,) = blocks("yaml", text), blocks("text", text)
    (tenants,) = blocks("yaml", section("Many domains"))
    path = tmp_path / "mta-stsd.yaml"
    path.write_text(f"ledger: {tmp_path}/ledger.db\n{on_change}" + tenants.partition("include:")[0],
                    encoding="utf-8")
    run = subprocess.run([BINARY, "records", "-c", path], text=True, stderr=subprocess.PIPE,
                         stdout=subprocess.DEVNULL, check=False)
    assert run.returncode == 0, run.stderr
    key = tmp_path / "tsig.key"
    key.touch(0o600)
    key.write_text("hmac-sha256:mta-stsd:bm8gc2VjcmV0", encoding="utf-8")
    assert "/etc/mta-stsd/tsig.key" in conf
    (tmp_path / "nsupdate.conf").write_text(conf.replace("/etc/mta-stsd", str(tmp_path)),
                                            encoding="utf-8")
    nothing = '{"version": 1, "changed": [], "removed": []}'
    hook = subprocess.run([TOP / "packaging/hooks/nsupdate", tmp_path / "nsupdate.conf"], text=True,
                          input=nothing, capture_output=True, check=False)
    assert (hook.returncode, hook.stderr) == (0, "")


def test_make_run_prints_commands_that_work():
    """`make run` prints a curl line and a records line; both work; Ctrl-C ends it cleanly."""
    first, *_ = blocks("sh", section("Try it"))
    with subprocess.Popen(["bash", "-c", f"exec {first}"], cwd=TOP, env=environment(), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True) as server:
        try:
            printed, commands = [], []
            while len(commands) < 2:
                line = server.stdout.readline()
                assert line, "".join(printed)
                printed.append(line)
                if re.match(r"\s+(curl |build/\S+ records )", line):
                    commands.append(line.strip())
            curl, records = (subprocess.run(c, shell=True, cwd=TOP, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, check=True).stdout for c in commands)
            assert curl.startswith(b"version: STSv1\r\n")
            assert b"v=STSv1; id=" in records
        finally:
            os.killpg(server.pid, signal.SIGINT)
            rest = server.communicate(timeout=60)[0]
    sys.stdout.write("".join(printed) + rest)
    # make itself dies of the signal, as it should; the server must have ended well before.
    assert server.returncode in (0, -signal.SIGINT)
    assert "event=stopped drained=yes" in rest and "Error" not in rest


def test_command_table_is_what_the_program_has():
    """Each command of the README's table exists, and each command has a row."""
    rows = set(re.findall(r"^\| `mta-stsd ([a-z]+)", README, re.M))
    usage = subprocess.run([BINARY, "help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    commands = set(re.findall(r"^  (?:mta-stsd )?([a-z]+) ", usage, re.M)) - {"help"}
    assert rows == commands, usage
