"""A worker that is busy for long holds nobody but its own clients: neither a reload nor the end of the
service waits for it, and no id is announced that it could still contradict."""

import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess

import pytest
from harness.edits import rename_over

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000  # threads, too (waitpid(2))

DOMAIN = "a.example"


@contextlib.contextmanager
def hold_worker(daemon):
    """Stops the only worker, and nothing else; gives its thread. Ends when that has ended, too."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def ptrace(request):
        assert libc.ptrace(request, thread, None, None) == 0, os.strerror(ctypes.get_errno())

    tasks = pathlib.Path(f"/proc/{daemon.pid}/task")
    (thread,) = [int(t.name) for t in tasks.iterdir() if (t / "comm").read_text() == "http-0\n"]
    ptrace(PTRACE_SEIZE)
    ptrace(PTRACE_INTERRUPT)
    assert os.WIFSTOPPED(os.waitpid(thread, WALL)[1])
    ended = False
    try:
        yield thread
        ended = not (tasks / str(thread)).exists()
    finally:
        if not ended:
            ptrace(PTRACE_DETACH)


def client_hello(host):
    context = ssl.create_default_context()
    client, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(client, out, server_hostname=host).do_handshake()
    return out.read()


def policy(weeks):
    return {"mode": "testing", "mx": ["mx.a.example"], "max_age": f"{weeks}w"}


@pytest.fixture
def one_worker(serve):
    return serve({DOMAIN: policy(1)}, limits={"workers": 1, "shutdown_timeout": "1s"},
                 reload={"settle": "20ms", "settle_limit": "200ms"})


def rewrite(daemon, before, after):
    text = daemon.config.read_text()
    assert before in text
    rename_over(daemon.config, text.replace(before, after))


def served_max_ages(run, daemon):
    """What the ledger was told."""
    done = run("log", "-c", daemon.config, "--format", "json")
    assert done.returncode == 0, done.stderr
    return [entry["max_age"] // 604800 for entry in json.loads(done.stdout)]


def test_a_reload_goes_on(one_worker, run, fetch):
    daemon = one_worker
    assert served_max_ages(run, daemon) == [1]
    with hold_worker(daemon):
        rewrite(daemon, "1w", "2w")
        daemon.wait_for("event=worker-busy")
        daemon.wait_for("event=reload result=done generation=2")
        rewrite(daemon, "2w", "3w")
        daemon.wait_for("event=reload result=done generation=3")
        assert served_max_ages(run, daemon) == [1]
        done = run("status", "-c", daemon.config)
        assert done.returncode == 1 and "mend the ledger" not in done.stdout
        assert "no id is announced: a worker is busy and may still serve" in done.stdout
    daemon.wait_for("event=worker-ready")
    assert b"max_age: 1814400" in fetch(daemon, DOMAIN).body
    daemon.send_signal(signal.SIGHUP)  # what comes before its answer is done
    daemon.wait_for("event=reload result=unchanged")
    assert served_max_ages(run, daemon) == [1, 3]  # the one between was never served
    assert len(daemon.log(event="worker-busy")) == 1


def test_the_end_keeps_its_deadline(one_worker):
    daemon = one_worker
    with hold_worker(daemon) as thread:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait_for("event=stopped drained=no")
        os.waitpid(thread, WALL)  # the process is there until its tracer has seen this one end
        daemon.stop()


def test_the_end_comes_in_the_midst_of_handshakes(serve, tmp_path):
    """Nothing that a worker computes with is taken down under it."""
    host = f"mta-sts.{DOMAIN}"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:4096", "-nodes", "-subj", "/CN=x",
                    "-addext", f"subjectAltName=DNS:{host}", "-days", "9",
                    "-keyout", tmp_path / "a.key", "-out", tmp_path / "a.crt"],
                   check=True, capture_output=True)
    daemon = serve({DOMAIN: policy(1)}, certificates=[str(tmp_path / "a.crt")],
                   limits={"workers": 1, "shutdown_timeout": "1s", "connections_per_ip": 1000})
    hello = client_hello(host)
    with contextlib.ExitStack() as stack:
        for _ in range(400):  # more than two seconds of signatures
            client = stack.enter_context(socket.create_connection(daemon.address()))
            client.sendall(hello)
        daemon.stop()
