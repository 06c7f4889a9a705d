"""A start that comes to nothing half-way, and what a server inherits from who started it."""

import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import threading

import pytest
from harness import DEADLINE
from harness.inotify import IN_CREATE, IN_MOVED_TO, IN_OPEN, Watch
from harness.process import check_clean, command, die_with_parent, environment

PLAIN = [{"address": "127.0.0.1:0", "tls": False}]
TENANT = {"mode": "none", "mx": "mx.example.org"}


def test_too_few_descriptors(serve):
    """Whatever cannot be opened: exit 3 with a message, or a server that serves."""
    ends = []
    for limit in range(7, 36):
        daemon = serve({"example.org": TENANT}, listen=PLAIN, limits={"workers": 1}, start=False,
                       preexec=lambda n=limit: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)))
        if daemon.launch():
            daemon.stop()
        else:
            assert daemon.returncode == 3, f"{limit}: {daemon.returncode}\n{daemon.output}"
            assert daemon.log(level="error"), daemon.output
        ends.append((daemon.returncode, bool(daemon.log(event="start-failed"))))
    # Also between the sockets and the last worker, and at last it serves.
    assert (3, True) in ends and ends[-1] == (0, False)


def test_sigchld_is_ignored_by_who_starts_it(serve, tmp_path):
    """Inherited, and the kernel then says of no child how it ended: on_change runs, and is done."""
    program = tmp_path / "hook"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    daemon = serve({"example.org": TENANT}, listen=PLAIN, on_change=[str(program)],
                   preexec=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    (line,) = daemon.wait_for("event=on-change")
    assert "result=done" in line


class Start:
    """A start that the test interrupts."""

    def __init__(self, config, folder, events):
        self.directory = config.parent
        self._watch = Watch(folder, events)
        self.process = subprocess.Popen(
            command("serve", "-c", config, "--ready-file", self.directory / "ready"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=self.directory, env=environment(), preexec_fn=die_with_parent,
        )

    def wait_until(self, ready):
        assert self._watch.wait_until(ready, self.process, DEADLINE), self.end()

    def wait_for_event(self):
        news = iter([None, True])
        self.wait_until(lambda: next(news))

    def stopped(self):
        """Where it is now; returns whether it has said nothing yet."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        os.set_blocking(self.process.stdout.fileno(), False)
        silent = not self.process.stdout.read(1)
        os.set_blocking(self.process.stdout.fileno(), True)
        return silent

    def end(self):
        """What it wrote."""
        self._watch.close()
        output = self.process.communicate(timeout=DEADLINE)[0]
        check_clean(output, "mta-stsd serve")
        return output


@pytest.fixture
def build(tmp_path):
    """build(signal): a start that got it in its first build."""
    starts = []

    def interrupt(number):
        for count in 500, 5000, 50000:
            folder = tmp_path / str(count)
            (folder / "t.d").mkdir(parents=True)
            for i in range(count):
                text = f"tenants: {{t{i}.example: {{mode: none, mx: mx.example.org}}}}\n"
                (folder / f"t.d/{i}.yaml").write_text(text)
            config = folder / "mta-stsd.yaml"
            config.write_text("listen: [{address: 127.0.0.1:0, tls: off}]\nledger: ledger.db\n"
                              "include: t.d/*.yaml\n")
            start = Start(config, folder / "t.d", IN_OPEN)
            starts.append(start)
            start.wait_for_event()
            building = start.stopped()
            start.process.send_signal(number)
            start.process.send_signal(signal.SIGCONT)
            if building:
                return start
            start.process.terminate()
            start.end()
        raise AssertionError("it was always quicker")

    yield interrupt
    for start in starts:
        start.process.kill()
        start.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_in_the_first_build(build, number):
    """It ends there and then: nothing was built, bound or written, and nothing is left behind."""
    start = build(number)
    output = start.end()
    assert start.process.returncode == 0 and "event=" not in output
    assert sorted(path.name for path in start.directory.iterdir()) == ["mta-stsd.yaml", "t.d"]


def test_hangup_in_the_first_build(build):
    """It waits, and is heard when the server runs."""
    start = build(signal.SIGHUP)
    guard = threading.Timer(DEADLINE, start.process.kill)
    guard.start()
    assert any("event=reload" in line for line in start.process.stdout)
    guard.cancel()
    start.process.terminate()
    start.end()
    assert start.process.returncode == 0


def test_ended_in_the_first_commit(tmp_path):
    """Somebody else writes to the ledger: it waits for him, but not when it is to end."""
    config = tmp_path / "mta-stsd.yaml"
    text = (f"listen: [{{address: \"unix:{tmp_path}/web\", tls: off}}]\nledger: ledger.db\n"
            "tenants: {one.example: {mode: none, mx: mx.example.org}%s}\n")
    config.write_text(text % "")
    start = Start(config, tmp_path, IN_CREATE | IN_MOVED_TO)
    start.wait_until((tmp_path / "ready").exists)
    start.process.terminate()
    start.end()
    (tmp_path / "ready").unlink()
    config.write_text(text % ", two.example: {mode: none, mx: mx.example.org}")
    before = sorted(path.name for path in tmp_path.iterdir())
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        start = Start(config, tmp_path, IN_CREATE | IN_MOVED_TO)
        start.wait_until((tmp_path / "web").exists)
        start.process.terminate()
        output = start.end()
        assert start.process.returncode == 0
        assert "event=stopped" in output
        assert "event=listening" not in output and "ledger-busy" not in output
        other.execute("ROLLBACK")
        assert other.execute("SELECT domain FROM instance").fetchall() == [("one.example",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == before
