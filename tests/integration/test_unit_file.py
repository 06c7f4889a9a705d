"""packaging/systemd/mta-stsd.service: the program can do its work with what the unit leaves it."""

import os
import pathlib
import re
import signal
import subprocess

import pytest
import yaml

from harness import DEADLINE, TOP
from harness.issue import Issuer
from harness.process import command, environment
from harness.unit_file import allowed_calls, confine, read_unit

pytestmark = pytest.mark.once  # a sanitizer's own calls are not the program's

UNIT = TOP / "packaging/systemd/mta-stsd.service"
POLICY = {"mode": "testing", "mx": ["mx.example.org"], "max_age": "1w"}
TENANTS = {"example.org": POLICY}
# The thread that builds gives way by a call that is filtered; the unit does it instead.
REFUSED = ["setpriority"]
# SQLite as root gives each journal to the owner of the database.
REFUSED_TO_ROOT = [*REFUSED, "fchown"]


@pytest.fixture(scope="module")
def unit():
    return read_unit(UNIT)


def owners(folder, name="ledger.db*"):
    return {path.name: path.lstat().st_uid for path in folder.glob(name)}


def status_of(daemon):
    return dict(re.findall(r"^(\w+):[ \t]*(.*)$", pathlib.Path(f"/proc/{daemon.pid}/status").read_text(),
                           re.M))


def confined_run(preexec, *args):
    return subprocess.run(command(*args), preexec_fn=preexec, env=environment(), timeout=DEADLINE,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_exposure(unit):
    """What systemd itself thinks of it, from 0 to 10; it rounds up."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", UNIT],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-200:] + done.stderr
    assert unit["User"] == ["mta-stsd"] and unit["LimitCORE"] == ["0"]
    assert int(unit["TasksMax"][0]) > 2 * 256 - 1  # limits.workers at most, and the rest
    assert unit["MemoryMax"] == ["2G"]


def test_the_first_start_as_the_unit_says(unit, serve_as_user, user, fetch):
    """What is filtered fails with an error that programs expect: nothing dies of SIGSYS."""
    daemon = serve_as_user(TENANTS, preexec=confine(unit, user=user))
    assert fetch(daemon, "example.org").status == 200
    assert unit["SystemCallErrorNumber"] == ["EPERM"]


def test_the_filter_of_these_tests_kills(unit, serve_as_user, user):
    """Without this the tests below prove nothing."""
    assert not allowed_calls(unit["SystemCallFilter"]) & set(REFUSED_TO_ROOT)
    with pytest.raises(AssertionError, match=rf"exit {-signal.SIGSYS}"):
        serve_as_user(TENANTS, preexec=confine(unit, [], user), expect=-signal.SIGSYS)


def test_start_reload_and_stop(unit, serve_as_user, user, fetch, run):
    """From an empty directory: the first ledger, a policy, a reload, a second policy, the end."""
    preexec = confine(unit, REFUSED, user)
    daemon = serve_as_user(TENANTS, preexec=preexec)
    status = status_of(daemon)
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == preexec.capabilities
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    assert status["Uid"].split() == [str(user)] * 4 and status["Groups"] == ""
    assert fetch(daemon, "example.org").status == 200
    before = run("records", "-c", daemon.config, "--format", "json")
    assert before.returncode == 0, before.stdout + before.stderr

    config = yaml.safe_load(daemon.config.read_text())
    config["tenants"]["example.org"]["mode"] = "enforce"
    daemon.config.write_text(yaml.safe_dump(config))
    daemon.send_signal(signal.SIGHUP)
    daemon.wait_for(r"event=reload")
    assert b"mode: enforce" in fetch(daemon, "example.org").body
    after = run("records", "-c", daemon.config, "--format", "json")
    assert after.returncode == 0 and after.stdout != before.stdout
    for asked in ("status",), ("status", "example.org"), ("check",):
        done = confined_run(preexec, *asked, "-c", daemon.config)
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    assert "compared with the running server" in done.stdout
    daemon.stop()


def test_restart_on_its_own_ledger(unit, serve_as_user, user, fetch):
    """A ledger with a journal, as a killed server leaves it."""
    preexec = confine(unit, REFUSED, user)
    daemon = serve_as_user(TENANTS, preexec=preexec)
    daemon.stop(expect=-signal.SIGKILL, how=signal.SIGKILL)
    again = serve_as_user(config=daemon.config.read_text(), preexec=preexec)
    assert fetch(again, "example.org").status == 200


def test_keys_and_ports_of_root(unit, serve_as_user, user, certs, fetch):
    """Certificates as certbot leaves them, readable by root alone, and port 443."""
    folder = certs.make("mta-sts.example.org")
    (folder / "mta-sts.example.org").chmod(0o700)
    (folder / "mta-sts.example.org/privkey.pem").chmod(0o600)
    daemon = serve_as_user(TENANTS, listen=["127.0.0.1:443"], preexec=confine(unit, REFUSED, user))
    assert daemon.port == 443 and fetch(daemon, "example.org").status == 200


def test_root_leaves_the_ledger_to_the_server(unit, serve_as_user, user, tmp_path, fetch, run,
                                              make_config, write_config):
    """Commands of root before, while and after the server runs: it can write every file there."""
    text = yaml.safe_dump(make_config(TENANTS))
    commands = ("check",), ("records",), ("plan", "example.org"), ("log",)

    def by_root(path, *more):
        for args in (*commands, *more):
            done = run(*args, "-c", path)
            assert done.returncode == 0, (args, done.stdout, done.stderr)
        assert set(owners(tmp_path).values()) == {user}, owners(tmp_path)

    by_root(write_config(text))
    preexec = confine(unit, REFUSED, user)
    daemon = serve_as_user(config=text, preexec=preexec)
    assert fetch(daemon, "example.org").status == 200
    by_root(daemon.config, ("status",))
    assert len(owners(tmp_path)) >= 4  # the socket and the journal, too
    daemon.stop()
    by_root(daemon.config)
    changed = text.replace("mode: testing", "mode: enforce")
    again = serve_as_user(config=changed, preexec=preexec)
    assert b"mode: enforce" in fetch(again, "example.org").body
    assert not again.log(level="error"), again.output


def test_root_served_before(unit, serve, serve_as_user, user, certs, tmp_path, fetch):
    """The index of certificates that root left can be read, and not written: there is a new one."""
    issuer, folder = Issuer(certs.authority), tmp_path / "certs"
    folder.mkdir()

    def renew():
        (folder / "example.org.pem").write_text(issuer.issue("mta-sts.example.org").combined)

    renew()
    daemon = serve(TENANTS, certificates=[str(folder)])
    daemon.stop()
    for path in tmp_path.glob("ledger.db*"):
        if path.suffix != ".certs":
            os.chown(path, user, user)
    assert owners(tmp_path)["ledger.db.certs"] == 0
    again = serve_as_user(config=daemon.config.read_text(), preexec=confine(unit, REFUSED, user))
    renew()
    again.wait_for(r"renewed=1")
    assert fetch(again, "example.org").status == 200
    assert not again.log(event="certificate-index"), again.output
    assert owners(tmp_path)["ledger.db.certs"] == user


def test_the_builder_gives_way(unit, serve):
    """By a command of the service manager, since the call is filtered: to those that answer."""
    daemon = serve(TENANTS, preexec=confine(unit, REFUSED_TO_ROOT))
    (command_line,) = unit["ExecStartPost"]
    words = command_line.removeprefix("-+").replace("$MAINPID", str(daemon.pid)).split()
    subprocess.run(words, check=True, capture_output=True)
    nice = {int(thread.name): os.getpriority(os.PRIO_PROCESS, int(thread.name))
            for thread in pathlib.Path(f"/proc/{daemon.pid}/task").iterdir()}  # fmt: skip
    assert nice.pop(daemon.pid) == 5
    assert nice and set(nice.values()) == {os.getpriority(os.PRIO_PROCESS, 0)}


# For on_change: what it may, one word a line.
HOOK = """#!/bin/sh
exec 2>&1
sed -n 's/^\\(Cap[A-Z][a-z]*\\|Uid\\):/\\1/p' /proc/self/status | tr '\t' ' '
cat "$1" && echo "read $1"
exit 1
"""


def test_a_program_of_on_change_has_no_capabilities(unit, serve_as_user, user, open_folder):
    """It reads what its user and group may read; root's alone, keys of TLS among it, it does not."""
    hook, mine, roots = (open_folder / name for name in ("hook", "mine", "roots"))
    hook.write_text(HOOK)
    hook.chmod(0o755)
    for file, group in (mine, user), (roots, 0):
        file.write_text("secret\n")
        os.chown(file, 0, group)
        file.chmod(0o640)
    said = {}
    for file in mine, roots:
        daemon = serve_as_user(TENANTS, on_change=[str(hook), str(file)],
                               preexec=confine(unit, REFUSED, user))
        daemon.wait_for(r"event=on-change-output .*(read |denied)")
        said[file] = daemon.output
        daemon.stop()
    for text in said.values():
        assert f"Uid {user} {user} {user} {user}" in text
        for name in ("CapPrm", "CapEff", "CapAmb"):
            assert re.search(rf"{name} 0{{16}}\b", text), text
    assert f"read {mine}" in said[mine]
    assert "Permission denied" in said[roots] and f"read {roots}" not in said[roots]


@pytest.mark.parametrize("args", [("records",), ("check",), ("records", "--format", "bind")])
def test_commands(unit, write_config, make_config, args):
    """The commands under the same restrictions, as in a unit of one's own."""
    config = write_config(make_config(TENANTS))
    done = confined_run(confine(unit, REFUSED_TO_ROOT), args[0], "-c", config, *args[1:])
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)


def test_root_makes_nothing_that_is_another_users(unit, tmp_path, write_config, make_config):
    """In another user's directory, without the capability to give files away: said, not died of."""
    folder = tmp_path / "of-another"
    folder.mkdir()
    try:
        os.chown(folder, 65534, 65534)
    except OSError:
        pytest.skip("only one user in this namespace")
    folder.chmod(0o777)
    config = write_config(make_config(TENANTS, ledger=str(folder / "ledger.db")))
    done = confined_run(confine(unit, REFUSED_TO_ROOT), "records", "-c", config)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    assert (folder / "ledger.db").stat().st_uid == 0
