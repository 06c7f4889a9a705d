"""The harness itself: it must notice what it is there to notice."""

import os
import socket

import pytest
from harness import process


def test_a_sanitizer_report_fails():
    for text in (
        "==1==ERROR: AddressSanitizer: heap-use-after-free",
        "==1==ERROR: LeakSanitizer: detected memory leaks",
        "WARNING: ThreadSanitizer: data race (pid=1)",
        "a.c:1:2: runtime error: signed integer overflow",
        "mta-stsd: a.c:12: f: Assertion `x' failed.",
    ):
        with pytest.raises(AssertionError):
            process.check_clean(f"before\n{text}\nafter", "test")
    process.check_clean("level=info event=started", "test")


@pytest.mark.skipif("MTA_STS_NAMESPACE" not in os.environ, reason="run by tests/integration/run")
def test_nothing_but_loopback_is_reachable():
    assert socket.if_nameindex() == [(1, "lo")]
    for address in ("127.0.0.1", "::1"):
        with socket.create_server((address, 0), family=socket.getaddrinfo(address, 0)[0][0]):
            pass


def test_certificates_verify(certs, tmp_path):
    folder = certs.make("mta-sts.example.org")
    assert (folder / "mta-sts.example.org" / "fullchain.pem").exists()
    assert (folder / "mta-sts.example.org" / "privkey.pem").exists()
    assert certs.ca.exists()
    assert certs.make("mta-sts.example.org") == folder
