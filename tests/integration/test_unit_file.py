"""packaging/systemd/mta-stsd.service: the program can do its work with what the unit leaves it."""

import os
import pathlib
import re
import signal
import subprocess

import pytest
import yaml

from harness import DEADLINE, TOP
from harness.process import command, environment
from harness.unit_file import allowed_calls, confine, read_unit

pytestmark = pytest.mark.once  # a sanitizer's own calls are not the program's

UNIT = TOP / "packaging/systemd/mta-stsd.service"
POLICY = {"mode": "testing", "mx": ["mx.example.org"], "max_age": "1w"}
TENANTS = {"example.org": POLICY}
# SQLite as root gives each journal to the owner of the database, who is root already.
REFUSED = ["fchown"]


@pytest.fixture(scope="module")
def unit():
    return read_unit(UNIT)


def status_of(daemon):
    return dict(re.findall(r"^(\w+):\s*(.*)$", pathlib.Path(f"/proc/{daemon.pid}/status").read_text(),
                           re.M))


def confined_run(preexec, *args):
    return subprocess.run(command(*args), preexec_fn=preexec, env=environment(), timeout=DEADLINE,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_the_first_start_as_the_unit_says(unit, serve, fetch):
    """What is filtered fails with an error that programs expect: nothing dies of SIGSYS."""
    daemon = serve(TENANTS, preexec=confine(unit))
    assert fetch(daemon, "example.org").status == 200
    assert unit["SystemCallErrorNumber"] == ["EPERM"]


def test_the_filter_of_these_tests_kills(unit, write_config, make_config):
    """Root makes a ledger; SQLite calls fchown. Without this the tests below prove nothing."""
    assert not allowed_calls(unit["SystemCallFilter"]) & set(REFUSED)
    config = write_config(make_config(TENANTS))
    killed = confined_run(confine(unit, []), "records", "-c", config)
    assert killed.returncode == -signal.SIGSYS, killed.stderr


def test_start_reload_and_stop(unit, serve, fetch, run):
    """From an empty directory: the first ledger, a policy, a reload, a second policy, the end."""
    preexec = confine(unit, REFUSED)
    daemon = serve(TENANTS, preexec=preexec)
    status = status_of(daemon)
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == preexec.capabilities
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
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


def test_restart_on_its_own_ledger(unit, serve, fetch):
    """A ledger with a journal, as a killed server leaves it."""
    preexec = confine(unit, REFUSED)
    daemon = serve(TENANTS, preexec=preexec)
    daemon.stop(expect=-signal.SIGKILL, how=signal.SIGKILL)
    again = serve(config=daemon.config.read_text(), preexec=preexec)
    assert fetch(again, "example.org").status == 200


@pytest.mark.parametrize("args", [("records",), ("check",), ("records", "--format", "bind")])
def test_commands(unit, write_config, make_config, args):
    """The commands under the same restrictions, as in a unit of one's own."""
    config = write_config(make_config(TENANTS))
    done = confined_run(confine(unit, REFUSED), args[0], "-c", config, *args[1:])
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
    done = confined_run(confine(unit, REFUSED), "records", "-c", config)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    assert (folder / "ledger.db").stat().st_uid == 0
