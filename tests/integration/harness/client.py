"""A plain HTTPS client that shows what a sender would see, and raw bytes when that is needed."""

import http.client
import socket
import ssl
from dataclasses import dataclass, field

from . import DEADLINE

PATH = "/.well-known/mta-sts.txt"


def tls_context(ca, minimum=None, maximum=None, alpn=None):
    """A strict client context: RFC 8461 §3.3 asks for a certificate valid for the name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca)
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def connect(address, timeout=DEADLINE):
    """A TCP (host, port) or Unix (path) connection."""
    if isinstance(address, tuple):
        return socket.create_connection(address, timeout)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout)
    sock.connect(str(address))
    return sock


def connect_tls(address, name, ca, **options):
    """A verified TLS connection that asks for `name` by SNI."""
    sock = connect(address)
    try:
        return tls_context(ca, **options).wrap_socket(sock, server_hostname=name)
    except BaseException:
        sock.close()
        raise


@dataclass
class Response:
    status: int
    headers: list = field(default_factory=list)  # (name, value) in order, as received
    body: bytes = b""

    def header(self, name):
        """The value of a header that must not be repeated, or None."""
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        assert len(values) <= 1, f"{name} {len(values)} times"
        return values[0] if values else None


def read_response(sock, method="GET"):
    """One response from a connection."""
    response = http.client.HTTPResponse(sock, method=method)
    response.begin()
    return Response(response.status, response.getheaders(), response.read())


def request_bytes(name, method="GET", path=PATH, headers=()):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {name}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def fetch(address, name, ca=None, method="GET", path=PATH, host=None, headers=(), **options):
    """Fetches once: over verified TLS with SNI `name` when `ca` is given, else plain HTTP."""
    opened = connect_tls(address, name, ca, **options) if ca else connect(address)
    with opened as sock:
        sock.sendall(request_bytes(host or name, method, path, ("Connection: close", *headers)))
        return read_response(sock, method)


def read_all(sock):
    """Everything until the peer closes (a reset counts as closing)."""
    data = b""
    while True:
        try:
            chunk = sock.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            return data
        if not chunk:
            return data
        data += chunk


def exchange(address, data, name=None, ca=None, **options):
    """Sends raw bytes and returns all that comes back until the peer closes."""
    opened = connect_tls(address, name, ca, **options) if ca else connect(address)
    with opened as sock:
        sock.sendall(data)
        return read_all(sock)
