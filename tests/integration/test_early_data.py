"""Clients that send TLS 1.3 early data with a ticket of another server: they get a full handshake
and the policy, and nothing of what they sent early is answered (RFC 8446 section 4.2.10)."""

import contextlib
import re
import subprocess

import pytest
from harness import DEADLINE, client
from harness.inotify import Watch
from harness.process import die_with_parent, environment

ORG = {"mode": "testing", "mx": ["mx.example.org"], "max_age": "1w"}
HOST = "mta-sts.example.org"
REQUEST = client.request_bytes(HOST, headers=("Connection: close",))


def openssl(*arguments, **options):
    return subprocess.Popen(["openssl", *map(str, arguments)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, env=environment(),
                            preexec_fn=die_with_parent, **options)


@contextlib.contextmanager
def another_server(folder):
    """With the same certificate, and willing to take a megabyte of early data; its address."""
    with openssl("s_server", "-accept", "127.0.0.1:0", "-tls1_3", "-early_data",
                 "-max_early_data", 1 << 20, "-cert", folder / "fullchain.pem",
                 "-key", folder / "privkey.pem", stderr=subprocess.DEVNULL) as server:
        try:
            for line in server.stdout:
                if listening := re.match(rb"ACCEPT (\S+)", line):
                    break
            yield listening[1].decode()
        finally:
            server.kill()


def s_client(address, *arguments, **options):
    return openssl("s_client", "-connect", address, "-tls1_3", "-servername", HOST, *arguments,
                   **options)


@pytest.fixture
def ticket(tmp_path, certs):
    """A file with a session of another server."""
    folder = tmp_path / "tickets"
    folder.mkdir()
    path = folder / "session.pem"
    watch = Watch(folder)
    with another_server(certs.make(HOST) / HOST) as address:
        with s_client(address, "-sess_out", path, stderr=subprocess.DEVNULL) as got:
            watch.wait_until(lambda: path.exists() and path.stat().st_size, got, DEADLINE)
            got.communicate(timeout=DEADLINE)
    watch.close()
    return path


def fetch_early(daemon, ticket, early, *options):
    """What openssl says, and the answer to a request after the handshake."""
    path = ticket.with_name("early")
    path.write_bytes(early)
    host, port = daemon.address()
    with s_client(f"{host}:{port}", "-sess_in", ticket, "-early_data", path, "-ign_eof", *options,
                  stderr=subprocess.STDOUT) as got:
        return got.communicate(REQUEST, timeout=DEADLINE)[0]


@pytest.mark.parametrize("groups", ["X25519", "P-521:P-256"], ids=["at once", "after a retry"])
@pytest.mark.parametrize("size", [1, 300, 16384])
def test_a_ticket_of_another_server(serve, ticket, size, groups):
    daemon = serve({"example.org": ORG})
    early = (REQUEST * size)[:size]
    said = fetch_early(daemon, ticket, early, "-groups", groups)
    assert b"Early data was rejected" in said
    assert said.count(b"HTTP/1.1 200 OK") == 1 and b"mode: testing" in said
    daemon.wait_for("event=request ")
    assert len(daemon.log(event="request")) == 1


def test_too_much_early_data(serve, ticket, fetch):
    """The connection is ended, and no other one notices."""
    daemon = serve({"example.org": ORG})
    said = fetch_early(daemon, ticket, REQUEST * (500000 // len(REQUEST)))
    assert b"Early data was rejected" in said and b"HTTP/1.1" not in said
    assert fetch(daemon, "example.org").status == 200
    daemon.wait_for("event=request ")
    assert len(daemon.log(event="request")) == 1
