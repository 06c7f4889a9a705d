"""A client that never stops fetching, and judges every single answer."""

import socket
import threading
import time

from . import DEADLINE
from .client import PATH, read_response, request_bytes, tls_context

ABSENT = None  # in place of a body: the tenant is not there, its handshake refused or 404


class Watcher:
    """Fetches one host in a loop, each time over a new connection, as senders do (verified TLS
    when a `ca` is given).

    Only whole bodies that were announced are right: the one seen last, or one announced after it.
    Once a newer one was seen, an older one is a fault (with one worker; several workers change one
    after the other, so there the order counts from `settled` only). Anything else is a fault, too:
    another body, another status, no answer. Faults are kept for `check`.
    """

    def __init__(self, address, host, ca, body, ordered=True):
        self._address = address
        self._host = host
        self._context = tls_context(ca) if ca else None
        self.first = body
        self._allowed = [body]
        self._at = 0  # of the oldest allowed body
        self._ordered = ordered
        self._stop = False
        self._news = threading.Condition()
        self.current = None
        self.fetched = 0
        self.faults = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _connect(self):
        sock = socket.create_connection(self._address, DEADLINE)
        if not self._context:
            return sock
        with sock:  # closes it when the handshake fails
            return self._context.wrap_socket(sock, server_hostname=self._host)

    def _fetch(self):
        with self._connect() as sock:
            sock.sendall(request_bytes(self._host, path=PATH, headers=["Connection: close"]))
            return self._read(sock)

    def _read(self, sock):
        return read_response(sock)

    def _once(self):
        with self._news:
            oldest = self._at  # what may no more be served when the request begins
        try:
            response = self._fetch()
        except OSError as error:
            refused = getattr(error, "reason", "") == "TLSV1_UNRECOGNIZED_NAME"
            self._judge(oldest, ABSENT, None if refused else f"{type(error).__name__}: {error}")
            return
        body = ABSENT if response.status == 404 else response.body
        wrong = None if response.status in (200, 404) else f"status {response.status}"
        self._judge(oldest, body, wrong)

    def _judge(self, oldest, body, wrong):
        with self._news:
            self.fetched += 1
            place = max((i for i, b in enumerate(self._allowed) if b == body), default=-1)
            if wrong is None and place < oldest:
                wrong = f"{'older' if place >= 0 else 'foreign'} body {body!r}"
            if wrong:
                self.faults.append(f"fetch {self.fetched} of {self._host}: {wrong}")
            else:
                self.current = body
                if self._ordered:
                    self._at = max(self._at, place)
            self._news.notify_all()

    def _run(self):
        while not self._stop:
            self._once()

    def announce(self, *bodies):
        """From now on these may be served, in this order; ABSENT for none."""
        with self._news:
            self._allowed.extend(bodies)

    def settled(self):
        """From now on only the body announced last is right."""
        with self._news:
            self._at = len(self._allowed) - 1

    def until(self, body, deadline=DEADLINE):
        """Waits until `body` is served; fails at the first fault."""
        end = time.monotonic() + deadline
        with self._news:
            while self.current != body or not self.fetched:
                left = end - time.monotonic()
                assert left > 0, f"still {self.current!r} instead of {body!r}"
                assert not self.faults, self.faults[0]
                self._news.wait(min(left, 1.0))

    def more(self, count=1):
        """Waits until `count` fetches that began from now on have ended."""
        with self._news:
            # One may be under way; it began before.
            wanted = self.fetched + count + 1
            done = self._news.wait_for(lambda: self.fetched >= wanted, DEADLINE)
        assert done, f"no answer for {self._host}"

    def check(self):
        assert self.fetched, f"{self._host} was never asked"
        assert not self.faults, "\n".join([f"{len(self.faults)} faults:", *self.faults[:5]])

    def close(self):
        self._stop = True
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), f"a fetch of {self._host} hangs"


class CertificateWatcher(Watcher):
    """Judges the certificate of each handshake; serial numbers stand in place of bodies."""

    def _read(self, sock):
        response = super()._read(sock)
        if response.status == 200:
            response.body = serial(sock)
        return response


def serial(sock):
    """Of the certificate that was presented."""
    return int(sock.getpeercert()["serialNumber"], 16)
