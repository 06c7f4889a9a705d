"""What clients of all kinds get from the running server: handshakes, odd requests, slow clients."""

import http.client
import os
import resource
import select
import signal
import socket
import ssl
import struct
import time

import pytest

from harness import DEADLINE, client

ORG = {"mode": "testing", "mx": ["mx.example.org"], "max_age": "1w"}
NET = {"mode": "enforce", "mx": ["mx.example.net"], "max_age": "2w"}
TENANTS = {"example.org": ORG, "example.net": NET}
A = "mta-sts.example.org"
B = "mta-sts.example.net"
BODY = b"version: STSv1\r\nmode: testing\r\nmx: mx.example.org\r\nmax_age: 604800\r\n"
TLS12 = ssl.TLSVersion.TLSv1_2
TLS13 = ssl.TLSVersion.TLSv1_3
ALERTS = {
    "handshake_failure": 40,
    "protocol_version": 70,
    "unrecognized_name": 112,
    "no_application_protocol": 120,
}


class Handshake:
    """A TLS client over memory, so that a test decides which bytes go into which segment."""

    def __init__(self, address, name, context, session=None):
        self.sock = client.connect(address)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.received = b""
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_hostname=name, session=session
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def flush(self):
        self.sock.sendall(self.outgoing.read())

    def feed(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.received += data
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    def step(self, function, *args):
        """Runs an operation to its end; what it wants to send last is not sent yet."""
        while True:
            try:
                return function(*args)
            except ssl.SSLWantReadError:
                self.flush()
                self.feed()

    def read_response(self):
        data = b""
        while not data.endswith(BODY):
            chunk = self.step(self.tls.read, 65536)
            assert chunk, f"ended after {data!r}"
            data += chunk
        return data


def lenient_context(certs, **options):
    """A client that would speak anything: what is refused is refused by the server."""
    context = client.tls_context(certs.ca, **options)
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def alert_of(daemon, name, context):
    """The code of the fatal alert in clear text that answers the ClientHello."""
    with Handshake(daemon.address(), name, context) as handshake:
        with pytest.raises(ssl.SSLError):
            handshake.step(handshake.tls.do_handshake)
        record = handshake.received
        assert record[:2] == b"\x15\x03" and record[3:6] == b"\x00\x02\x02", record
        assert client.read_all(handshake.sock) == b""
        return record[6]


def half_close(daemon, data):
    """Sends bytes and the end of them; whatever comes back, the connection ends."""
    with client.connect(daemon.address()) as sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return client.read_all(sock)


def cpu_seconds(daemon):
    fields = open(f"/proc/{daemon.pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stays_silent(daemon, sock):
    """Nothing comes for a second, and the server does not burn CPU meanwhile."""
    before = cpu_seconds(daemon)
    silent = not select.select([sock], [], [], 1)[0]
    return silent and cpu_seconds(daemon) - before < 0.3


# --- TLS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version, name", [(TLS12, "TLSv1.2"), (TLS13, "TLSv1.3")])
def test_policy_over_both_versions(serve, fetch, version, name):
    daemon = serve(TENANTS)
    response = fetch(
        daemon, "example.org", minimum=version, maximum=version, headers=["User-Agent: a \"b\" c"]
    )
    assert (response.status, response.body) == (200, BODY)
    assert response.header("Content-Type") == "text/plain"
    assert response.header("Content-Length") == str(len(BODY))
    assert response.header("Cache-Control") == "max-age=60"
    assert response.header("X-Content-Type-Options") == "nosniff"
    unwanted = {"server", "etag", "last-modified", "location", "content-encoding", "vary"}
    assert not unwanted & {field.lower() for field, _ in response.headers}
    daemon.wait_for("request")
    (line,) = daemon.log(event="request")
    assert line["tenant"] == "example.org"
    assert (line["status"], line["bytes"], line["tls"]) == ("200", str(len(BODY)), name)
    assert line["client"] == "127.0.0.1" and int(line["us"]) >= 0
    assert "agent" in line


def test_head(serve, fetch):
    daemon = serve(TENANTS)
    response = fetch(daemon, "example.org", method="HEAD")
    assert (response.status, response.body) == (200, b"")
    assert response.header("Content-Length") == str(len(BODY))


def test_every_family(serve, certs):
    daemon = serve(TENANTS, listen=["127.0.0.1:0", "[::1]:0", "[::]:0"])
    for index in range(3):
        response = client.fetch(daemon.address(index), A, ca=certs.ca)
        assert (response.status, response.body) == (200, BODY)
    both = ("127.0.0.1", daemon.address(2)[1])
    assert client.fetch(both, A, ca=certs.ca).status == 200


def test_unknown_and_missing_names_are_refused(serve, certs, tmp_path):
    """RFC 8461 §7.1, RFC 6066 §3: no default certificate; T7: the alert arrives."""
    folder = certs.make(A)
    daemon = serve(TENANTS, certificates=[str(folder / A)])
    for version in TLS12, TLS13:
        context = client.tls_context(certs.ca, minimum=version, maximum=version)
        for name in "mta-sts.unknown.example", "example.org", "x." + A, B:
            assert alert_of(daemon, name, context) == ALERTS["unrecognized_name"]
        context.check_hostname = False
        for name in None, "127.0.0.1":
            assert alert_of(daemon, name, context) == ALERTS["unrecognized_name"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(serve, certs, version):
    """RFC 8996"""
    daemon = serve(TENANTS)
    context = lenient_context(certs)
    context.minimum_version = version
    context.maximum_version = version
    assert alert_of(daemon, A, context) == ALERTS["protocol_version"]


def test_suites_without_forward_secrecy_are_refused(serve, certs):
    daemon = serve(TENANTS)
    for suites in "kRSA", "ECDHE+AES128+SHA1", "DHE":
        context = client.tls_context(certs.ca, maximum=TLS12)
        context.set_ciphers(suites + ":@SECLEVEL=0")
        assert alert_of(daemon, A, context) == ALERTS["handshake_failure"]


def test_http2_is_not_offered(serve, certs):
    daemon = serve(TENANTS)
    with client.connect_tls(daemon.address(), A, certs.ca, alpn=["h2", "http/1.1"]) as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"
    context = client.tls_context(certs.ca, alpn=["h2"])
    assert alert_of(daemon, A, context) == ALERTS["no_application_protocol"]


@pytest.mark.parametrize("alpn", [None, ["http/1.1"]])
def test_the_http2_preface_is_a_bad_request(serve, certs, alpn):
    """T3: leaving h2 out of ALPN does not switch it off in the library."""
    daemon = serve(TENANTS)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
    answer = client.exchange(daemon.address(), preface, A, certs.ca, alpn=alpn)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_tickets_belong_to_their_tenant(serve, certs):
    """As CVE-2023-41337: a ticket of A must not open a session for B."""
    daemon = serve(TENANTS)
    context = client.tls_context(certs.ca, maximum=TLS12)

    def fetch(name, session):
        with Handshake(daemon.address(), name, context, session) as handshake:
            handshake.step(handshake.tls.do_handshake)
            handshake.tls.write(client.request_bytes(name, headers=["Connection: close"]))
            handshake.flush()
            answer = b""
            while chunk := handshake.step(handshake.tls.read, 65536):
                answer += chunk
            assert answer.startswith(b"HTTP/1.1 200 ")
            names = handshake.tls.getpeercert()["subjectAltName"]
            assert ("DNS", name) in names
            return handshake.tls.session_reused, handshake.tls.session

    reused, session = fetch(A, None)
    assert not reused and session.has_ticket
    assert fetch(A, session)[0]
    assert not fetch(B, session)[0]


def test_tls13_gives_no_tickets(serve, certs):
    """They cost more than they save, and senders do not come back with them."""
    daemon = serve(TENANTS)
    context = client.tls_context(certs.ca, minimum=TLS13)
    with Handshake(daemon.address(), A, context) as handshake:
        handshake.step(handshake.tls.do_handshake)
        handshake.tls.write(client.request_bytes(A))
        handshake.flush()
        assert handshake.read_response().startswith(b"HTTP/1.1 200 ")  # tickets come before it
        assert not handshake.tls.session.has_ticket


def test_last_answer_and_end_are_one_packet(serve, certs):
    """Each packet costs both ends; without care they are three: answer, close_notify, end."""
    daemon = serve(TENANTS)

    def packets(sock):
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
        return struct.unpack_from("=I", info, 152)[0]  # tcpi_data_segs_in (linux/tcp.h)

    with client.connect_tls(daemon.address(), A, certs.ca, minimum=TLS13) as sock:
        sock.sendall(client.request_bytes(A))
        assert client.read_response(sock).status == 200
        before = packets(sock)
        sock.sendall(client.request_bytes(A, headers=["Connection: close"]))
        assert client.read_response(sock).status == 200
        assert sock.recv(1) == b""
        assert packets(sock) - before == 1


def test_finished_and_request_in_one_segment(serve, certs):
    """T6: with read-ahead the request would wait inside OpenSSL for ever."""
    daemon = serve(TENANTS)
    request = client.request_bytes(A)
    context = client.tls_context(certs.ca, minimum=TLS13)
    with Handshake(daemon.address(), A, context) as handshake:
        handshake.step(handshake.tls.do_handshake)
        handshake.tls.write(request)
        handshake.flush()
        assert handshake.read_response().startswith(b"HTTP/1.1 200 ")

    context = client.tls_context(certs.ca, maximum=TLS12)
    with Handshake(daemon.address(), A, context) as handshake:
        handshake.step(handshake.tls.do_handshake)
        session = handshake.tls.session
    with Handshake(daemon.address(), A, context, session) as handshake:
        handshake.step(handshake.tls.do_handshake)  # resumed: the client's Finished comes last
        assert handshake.tls.session_reused
        handshake.tls.write(request)
        handshake.flush()
        assert handshake.read_response().startswith(b"HTTP/1.1 200 ")


def test_a_handshake_may_come_byte_by_byte(serve, certs):
    daemon = serve(TENANTS)
    with Handshake(daemon.address(), A, client.tls_context(certs.ca)) as handshake:
        handshake.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def flush():
            for byte in handshake.outgoing.read():
                handshake.sock.sendall(bytes([byte]))

        handshake.flush = flush
        handshake.step(handshake.tls.do_handshake)
        handshake.tls.write(client.request_bytes(A))
        handshake.flush()
        assert handshake.read_response().startswith(b"HTTP/1.1 200 ")


def test_garbage_is_survived(serve, certs, fetch):
    daemon = serve(TENANTS)
    for data in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\xff\xff" + b"x" * 70000,
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x80\x2e\x01\x00\x02",
        b"\0" * 100,
        os.urandom(1000),
    ):
        half_close(daemon, data)
    with client.connect_tls(daemon.address(), A, certs.ca) as sock:
        sock.sendall(b"GET / HT")
        raw = sock.detach()
        os.write(raw, os.urandom(500))  # no record that decrypts
        os.close(raw)
    assert fetch(daemon, "example.org").status == 200


# --- Requests ------------------------------------------------------------------------------------


def test_host_and_server_name_must_agree(serve, certs):
    """RFC 9110 §15.5.20; the connection goes on, and the policy is always the connection's."""
    daemon = serve(TENANTS)
    with client.connect_tls(daemon.address(), A, certs.ca) as sock:
        for host, status in (
            (B, 421),
            (A, 200),
            ("example.org", 421),
            (A.upper() + ".:443", 200),
            ("127.0.0.1", 421),
        ):
            sock.sendall(client.request_bytes(host))
            response = client.read_response(sock)
            assert response.status == status, host
            assert (response.body == BODY) == (status == 200)


REQUESTS = {
    "path": (b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n", 404),
    "percent-nul": (b"GET /.well-known/mta-sts.txt%%00 HTTP/1.1\r\nHost: %s\r\n\r\n", 404),
    "nul": (b"GET /.well-known/mta-sts.txt\0 HTTP/1.1\r\nHost: %s\r\n\r\n", 400),
    "post": (b"POST /.well-known/mta-sts.txt HTTP/1.1\r\nHost: %s\r\n\r\n", 405),
    "two hosts": (b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: x\r\nHost: %s\r\n\r\n", 400),
    "no host": (b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nX: %s\r\n\r\n", 400),
    "host with path": (b"GET / HTTP/1.1\r\nHost: %s/.well-known/mta-sts.txt\r\n\r\n", 400),
    "body": (
        b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: %s\r\nContent-Length: 1\r\n\r\nx",
        400,
    ),
    "two lengths": (
        b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: %s\r\n"
        b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n",
        400,
    ),
    "chunked": (
        b"POST /.well-known/mta-sts.txt HTTP/1.1\r\nHost: %s\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
}


@pytest.mark.parametrize("request_, status", REQUESTS.values(), ids=REQUESTS)
def test_odd_requests(serve, certs, request_, status):
    """RFC 9112 §3.2, §6.3, §11.2: after a 400 nothing that follows is read as a request."""
    daemon = serve(TENANTS)
    data = request_ % A.encode() + client.request_bytes(A, headers=["Connection: close"])
    answer = client.exchange(daemon.address(), data, A, certs.ca)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1 ") == (1 if status == 400 else 2)
    assert answer.endswith(BODY) == (status != 400)


def test_half_a_megabyte_of_head(serve, certs, fetch):
    daemon = serve(TENANTS)
    data = b"GET / HTTP/1.1\r\nHost: %s\r\nX: %s\r\n\r\n" % (A.encode(), b"y" * 500_000)
    with client.connect_tls(daemon.address(), A, certs.ca) as sock:
        try:
            sock.sendall(data)
        except OSError:
            pass
        assert b" 200 " not in client.read_all(sock)
    assert fetch(daemon, "example.org").status == 200


# --- Listeners -----------------------------------------------------------------------------------


def test_behind_a_terminator(serve, tmp_path):
    """`tls: off`: Host decides; the client's address comes by the PROXY protocol."""
    path = tmp_path / "plain.sock"
    daemon = serve(
        TENANTS,
        listen=[
            {"address": "127.0.0.1:0", "tls": "off"},
            {"address": "127.0.0.1:0", "tls": "off", "proxy_protocol": "on"},
            {"address": f"unix:{path}", "tls": "off"},
        ],
    )
    request = client.request_bytes(A, headers=["Connection: close"])
    assert client.exchange(daemon.address(0), request).endswith(BODY)
    assert client.fetch(daemon.address(0), "mta-sts.unknown.example").status == 404
    line = b"PROXY TCP6 2001:db8::25 2001:db8::1 40000 443\r\n"
    assert client.exchange(daemon.address(1), line + request).endswith(BODY)
    assert client.exchange(daemon.address(1), request) == b""
    assert client.exchange(daemon.address(2), request).endswith(BODY)
    daemon.wait_for("status=", count=4)
    clients = [entry["client"] for entry in daemon.log(event="request")]
    assert clients == ["127.0.0.1", "127.0.0.1", "2001:db8::25", "unix"]


def test_proxy_line_before_tls(serve, certs):
    daemon = serve(TENANTS, listen=[{"address": "127.0.0.1:0", "proxy_protocol": "on"}])
    context = client.tls_context(certs.ca)
    for together in True, False:
        with Handshake(daemon.address(), A, context) as handshake:
            line = b"PROXY TCP4 192.0.2.25 192.0.2.1 40000 443\r\n"
            if together:  # with the ClientHello in one segment
                with pytest.raises(ssl.SSLWantReadError):
                    handshake.tls.do_handshake()
                handshake.sock.sendall(line + handshake.outgoing.read())
            else:
                handshake.sock.sendall(line)
            handshake.step(handshake.tls.do_handshake)
            handshake.tls.write(client.request_bytes(A))
            handshake.flush()
            handshake.read_response()
    daemon.wait_for("status=200", count=2)
    assert {entry["client"] for entry in daemon.log(event="request")} == {"192.0.2.25"}


# --- Slow clients and limits ---------------------------------------------------------------------

SHORT = {"handshake_timeout": "1s", "request_timeout": "1s", "idle_timeout": "1s"}


def test_slow_clients_are_cut(serve, certs):
    daemon = serve(TENANTS, limits=SHORT)
    hello = Handshake(daemon.address(), A, client.tls_context(certs.ca))
    with pytest.raises(ssl.SSLWantReadError):
        hello.tls.do_handshake()
    hello.sock.sendall(hello.outgoing.read()[:100])
    head = client.connect_tls(daemon.address(), A, certs.ca)
    head.sendall(b"GET / HTTP/1.1\r\nHost: ")
    silent = client.connect_tls(daemon.address(), A, certs.ca)
    idle = client.connect_tls(daemon.address(), A, certs.ca)
    idle.sendall(client.request_bytes(A))
    assert client.read_response(idle).status == 200
    for sock in hello.sock, head, silent, idle:
        assert client.read_all(sock) == b""  # the deadline of the socket itself is far longer
        sock.close()


def test_connections_end_with_their_lifetime(serve, certs):
    daemon = serve(TENANTS, limits={"lifetime": "1s"})
    with client.connect_tls(daemon.address(), A, certs.ca) as sock:
        end = time.monotonic() + DEADLINE
        with pytest.raises((OSError, http.client.HTTPException)):
            while time.monotonic() < end:
                sock.sendall(client.request_bytes(A))
                client.read_response(sock)


def test_a_client_that_never_reads_is_reset(serve, certs):
    """The library has no deadline for writing; unsent answers must not stay in the kernel either."""
    large = {"mode": "testing", "mx": [f"mx{i}.{'x' * 60}.example.org" for i in range(100)]}
    daemon = serve({"example.org": large}, limits={"lifetime": "2s"})
    with Handshake(daemon.address(), A, client.tls_context(certs.ca)) as handshake:
        handshake.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        handshake.step(handshake.tls.do_handshake)
        for _ in range(99):
            handshake.tls.write(client.request_bytes(A))
        handshake.flush()
        ended = select.poll()
        ended.register(handshake.sock, select.POLLRDHUP)
        assert ended.poll(DEADLINE * 1000)
        assert len(client.read_all(handshake.sock)) < 99 * 7000  # it was not simply all sent
    assert daemon.descriptors() < 100


def test_descriptor_exhaustion_recovers(serve, certs, fetch):
    """T8: no spin while there are none, service as soon as there are some."""
    daemon = serve(TENANTS, limits={"connections_per_ip": 0})
    before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    few = daemon.descriptors() + 4
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (few, before[1]))
    held = [client.connect_tls(daemon.address(), A, certs.ca) for _ in range(4)]
    waiting = [client.connect(daemon.address()) for _ in range(20)]
    for sock in waiting:
        sock.sendall(b"\x16\x03\x01")
    assert stays_silent(daemon, waiting[0])
    for sock in held + waiting:
        sock.close()
    assert fetch(daemon, "example.org").status == 200
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)
    assert fetch(daemon, "example.org").status == 200


def test_connection_cap_follows_the_descriptor_limit(serve, certs, fetch):
    daemon = serve(
        TENANTS,
        limits={"connections_per_ip": 0},
        preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)),
    )
    waiting = [client.connect(daemon.address()) for _ in range(200)]
    for sock in waiting:
        sock.sendall(b"\x16\x03\x01")
    assert stays_silent(daemon, waiting[-1])
    assert daemon.descriptors() < 128
    for sock in waiting:
        sock.close()
    assert fetch(daemon, "example.org").status == 200


# --- The end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_does_not_wait_for_idle_clients(serve, certs, number):
    daemon = serve(TENANTS)
    idle = client.connect_tls(daemon.address(), A, certs.ca)
    idle.sendall(client.request_bytes(A))
    assert client.read_response(idle).status == 200
    silent = client.connect_tls(daemon.address(), A, certs.ca)
    hello = client.connect(daemon.address())
    hello.sendall(b"\x16\x03\x01")
    start = time.monotonic()
    assert daemon.stop(how=number) == 0
    assert time.monotonic() - start < 10  # the timeouts for them are longer
    assert client.read_all(idle) == b""  # closed in good order: close_notify, then the end
    for sock in idle, silent, hello:
        sock.close()


def test_a_request_that_came_before_the_end_is_answered(serve, certs):
    daemon = serve(TENANTS)
    with client.connect_tls(daemon.address(), A, certs.ca) as sock:
        sock.sendall(client.request_bytes(A))
        daemon.send_signal(signal.SIGTERM)
        response = client.read_response(sock)
        assert (response.status, response.body) == (200, BODY)
    assert daemon.stop() == 0
