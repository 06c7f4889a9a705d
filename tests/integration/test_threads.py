"""Start, load and stop with several workers: what ThreadSanitizer is to watch."""

import signal
import ssl
import threading

import pytest
from harness import client

pytestmark = pytest.mark.threads

TENANTS = {
    f"t{i}.example.org": {"mode": "testing", "mx": [f"mx{i}.example.org"], "max_age": "1w"}
    for i in range(8)
}
LIMITS = {"workers": 4}
CLIENTS = 8
ROUNDS = 6


def in_threads(count, work):
    """Runs work(i) in `count` threads at once; the first failure is raised."""
    failures = []
    barrier = threading.Barrier(count)

    def body(i):
        try:
            barrier.wait()
            work(i)
        except BaseException as error:  # noqa: BLE001: raised below
            failures.append(error)

    threads = [threading.Thread(target=body, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def load(daemon, ca, listeners):
    """Every client asks for every tenant, by both TLS versions, kept alive or not."""

    def work(i):
        for n in range(ROUNDS):
            domain = list(TENANTS)[(i + n) % len(TENANTS)]
            name = f"mta-sts.{domain}"
            address = daemon.address((i + n) % listeners)
            version = ssl.TLSVersion.TLSv1_2 if n % 2 else ssl.TLSVersion.TLSv1_3
            with client.connect_tls(address, name, ca, maximum=version) as sock:
                for method in ("GET", "HEAD", "GET"):
                    sock.sendall(client.request_bytes(name, method))
                    response = client.read_response(sock, method)
                    assert response.status == 200
                    expected = f"mx: {TENANTS[domain]['mx'][0]}\r\n".encode()
                    assert method == "HEAD" or expected in response.body
                other = client.request_bytes("mta-sts.example.net")
                sock.sendall(other)
                assert client.read_response(sock).status == 421

    in_threads(CLIENTS, work)


def test_start_load_stop(serve, certs):
    daemon = serve(TENANTS, listen=["127.0.0.1:0", "[::1]:0"], limits=LIMITS)
    load(daemon, certs.ca, 2)
    assert daemon.stop() == 0


def test_stop_under_load(serve, certs):
    """SIGTERM while clients ask: whatever was answered is whole, and it still ends with 0."""
    daemon = serve(TENANTS, limits=LIMITS)
    name = "mta-sts.t0.example.org"
    started = threading.Event()
    whole = []

    def work(i):
        while True:
            try:
                response = client.fetch(daemon.address(), name, certs.ca)
            except OSError:
                return
            assert response.status == 200
            assert response.body.endswith(b"max_age: 604800\r\n")
            whole.append(i)
            started.set()

    def stop():
        started.wait()
        daemon.send_signal(signal.SIGTERM)

    in_threads(CLIENTS + 1, lambda i: stop() if i == CLIENTS else work(i))
    assert whole
    assert daemon.stop() == 0


def test_start_stop_again(serve):
    """Nothing that one run leaves behind stops the next."""
    for _ in range(3):
        daemon = serve(TENANTS, limits=LIMITS)
        assert daemon.stop() == 0


def test_status_under_load(serve, certs, run):
    """Commands ask, and the snapshot changes, while clients fetch."""
    daemon = serve(TENANTS, limits=LIMITS)

    def work(i):
        if i < CLIENTS:
            load(daemon, certs.ca, 1)
            return
        for _ in range(ROUNDS):
            assert run("status", "-c", daemon.config, "--format", "json").returncode == 0
            assert run("check", "-c", daemon.config).returncode == 0
            daemon.config.write_text(daemon.config.read_text() + "# more\n")
            daemon.send_signal(signal.SIGHUP)

    in_threads(CLIENTS + 1, work)
    assert daemon.stop() == 0
