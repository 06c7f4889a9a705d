"""Real mail senders fetch the policy, by real DNS, over port 443: RFC 8461 §3 and §5 end to end.

Knot publishes exactly what `records --format bind` printed. Nothing here talks to a test double of
a sender: postfix-mta-sts-resolver, mailauth (Zone-MTA), chasquid and curl are the packaged ones.
"""

import contextlib
import json
import os
import re
import socket
import ssl
import subprocess

import pytest
from harness import DEADLINE, TOP
from harness.services import MailServer, Service, knot
from harness.static import SERVERS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("MTA_STS_NAMESPACE" not in os.environ, reason="run by tests/integration/run"),
]

ZONE = "example.org"
POLICIES = {
    "enforce.example.org": {
        "mode": "enforce",
        "mx": ["mx1.example.org", "*.pool.example.org"],
        "max_age": "4w",
    },
    "testing.example.org": {"mode": "testing", "mx": ["mx1.example.org"], "max_age": "1w"},
    "none.example.org": {"mode": "none", "mx": ["mx1.example.org"], "max_age": "1d"},
    "xn--bcher-kva.example.org": {"mode": "enforce", "mx": ["mx1.example.org"], "max_age": "4w"},
}
PUBLISHING = {
    "addresses": {"addresses": ["127.0.0.1", "::1"]},
    "cname": {"policy_host": "policy.example.org"},
}


class World:
    """A server, the DNS that its records ended up in, and the authority to trust."""

    def __init__(self, daemon, records, ca):
        self.daemon, self.records, self.ca = daemon, records, ca

    def ask(self, *args, env=None):
        """Runs a sender that must end well; its output."""
        trust = {"SSL_CERT_FILE": str(self.ca), "NODE_EXTRA_CA_CERTS": str(self.ca)}
        done = subprocess.run(
            [str(a) for a in args],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **trust, **(env or {})},
            check=False,
        )
        text = done.stdout + done.stderr
        assert done.returncode == 0, f"{args[0]}: exit {done.returncode}\n{text}\n{self.daemon.output}"
        return text

    def id_of(self, domain):
        found = re.findall(
            rf'^_mta-sts\.{re.escape(domain)}\.\s.*\sTXT\s+"v=STSv1; id=(\w+);"$', self.records, re.M
        )
        assert len(found) == 1, self.records
        return found[0]


@pytest.fixture(params=[*PUBLISHING, *SERVERS])
def world(request, serve, run, certs, tmp_path):
    """Ours, published in two ways; and each web server that serves what was exported."""
    static = SERVERS.get(request.param)
    daemon = serve(
        POLICIES,
        start=not static,
        listen=["127.0.0.1:443", "[::1]:443"],
        records=PUBLISHING.get(request.param, PUBLISHING["addresses"]),
        contact={"tls_reports": "mailto:tlsrpt@example.org"},
    )
    with contextlib.ExitStack() as stack:
        if static:  # export, serve, then announce
            out, folder = tmp_path / "out", tmp_path / "static"
            folder.mkdir()
            done = run("export", "-c", daemon.config, out, cwd=daemon.directory)
            assert done.returncode == 0, done.stderr
            own = certs.make(*(f"mta-sts.{d}" for d in POLICIES), folder=tmp_path / "certs")
            stack.enter_context(static(folder, out, own))
        yield stack.enter_context(published(daemon, run, certs, tmp_path))


@contextlib.contextmanager
def published(daemon, run, certs, tmp_path):
    printed = run("records", "-c", daemon.config, "--format", "bind", cwd=daemon.directory)
    assert printed.returncode == 0, printed.stderr
    around = "".join(
        f"{domain}. 300 IN MX 10 mx1.example.org.\n"
        f'{domain}. 300 IN TXT "v=spf1 mx -all"\n'  # smtp-check asks for it
        for domain in POLICIES
    )
    around += "mx1.example.org. 300 IN A 127.0.0.1\n"
    around += "policy.example.org. 300 IN A 127.0.0.1\npolicy.example.org. 300 IN AAAA ::1\n"
    with knot(tmp_path / "knot", ZONE, around + printed.stdout):
        yield World(daemon, printed.stdout, certs.ca)


def netstring(text):
    data = text.encode()
    return b"%d:%s," % (len(data), data)


def socketmap(path, name, key):
    """One query of Postfix's socketmap protocol (socketmap_table(5))."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(str(path))
        sock.sendall(netstring(f"{name} {key}"))
        reply = b""
        while b":" not in reply or len(reply) < int(reply.split(b":")[0]) + reply.index(b":") + 2:
            chunk = sock.recv(4096)
            assert chunk, reply
            reply += chunk
    return reply.split(b":", 1)[1][:-1].decode()


def test_postfix_mta_sts_resolver(world, tmp_path):
    config = tmp_path / "resolver.yml"
    config.write_text(
        f"path: {tmp_path}/map\nmode: 0600\ncache: {{type: internal}}\n"
        "default_zone: {strict_testing: false, timeout: 30}\n"
        "zones: {strict: {strict_testing: true, timeout: 30}}\n"
    )
    trust = {"SSL_CERT_FILE": str(world.ca)}
    with Service(["/usr/bin/mta-sts-daemon", "-v", "debug", "-c", config], env=trust) as resolver:

        def ask(domain, zone="plain"):
            answer = socketmap(tmp_path / "map", zone, domain)
            found = re.fullmatch(r"OK secure match=(\S+) servername=hostname", answer)
            return sorted(found.group(1).split(":")) if found else answer

        one = ["mx1.example.org"]
        assert ask("enforce.example.org") == [".pool.example.org", *one], resolver.output
        assert ask("xn--bcher-kva.example.org") == one
        # A policy in testing must not change delivery; it counts where the operator asks for it.
        assert ask("testing.example.org") == "NOTFOUND "
        assert ask("testing.example.org", "strict") == one
        assert ask("none.example.org", "strict") == "NOTFOUND "
        assert ask("unknown.example.org") == "NOTFOUND "


def test_mta_sts_query(world):
    text = world.ask("/usr/bin/mta-sts-query", "enforce.example.org")
    assert "STSFetchResult.VALID" in text
    assert world.id_of("enforce.example.org") in text
    assert "mx1.example.org" in text and "*.pool.example.org" in text
    assert "2419200" in text  # 4w


def test_mailauth(world):
    def ask(domain, *hosts):
        return json.loads(world.ask("node", TOP / "tests/integration/node/sender.js", domain, *hosts))

    for domain, policy in POLICIES.items():
        result = ask(domain)
        assert result["status"] == "found", result
        assert result["policy"]["id"] == world.id_of(domain)
        assert result["policy"]["mode"] == policy["mode"]
        assert sorted(result["policy"]["mx"]) == sorted(policy["mx"])
        assert result["policy"]["version"] == "STSv1"

    result = ask("enforce.example.org", "mx1.example.org", "a.pool.example.org", "evil.example.net")
    assert [v["valid"] for _, v in result["valid"]] == [True, True, False]
    result = ask("testing.example.org", "evil.example.net")
    assert result["valid"][0][1] == {"valid": False, "mode": "testing", "testing": True}
    assert ask("none.example.org", "anything.example.net")["valid"][0][1]["valid"] is True


def test_chasquid(world, certs):
    """smtp-check resolves the MX, fetches and checks the policy, and matches the MX against it."""
    folder = certs.make("mx1.example.org") / "mx1.example.org"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "fullchain.pem", folder / "privkey.pem")
    with MailServer(("127.0.0.1", 0), context) as mx:
        for domain, policy in POLICIES.items():
            text = world.ask("/usr/bin/smtp-check", f"-port={mx.port}", domain)
            assert "Not available" not in text, text
            assert re.search(rf"Mode:{policy['mode']}\b", text), text
            for pattern in policy["mx"]:
                assert pattern in text
            assert "Allowed by policy" in text and "=== Success" in text, text


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("family", ["-4", "-6"])
def test_curl(world, version, family):
    text = world.ask(
        "curl", "-sS", family, "--tlsv" + version, "--tls-max", version, "--http1.1",
        "--cacert", world.ca, "--max-redirs", "0", "--dump-header", "-",
        "--write-out", "%{http_code} %{ssl_verify_result} %{size_download} %{num_redirects}",
        "https://mta-sts.enforce.example.org/.well-known/mta-sts.txt",
    )  # fmt: skip
    body = (
        "version: STSv1\r\nmode: enforce\r\nmx: *.pool.example.org\r\nmx: mx1.example.org\r\n"
        "max_age: 2419200\r\n"
    ).replace("\r\n", "\n")  # text mode of the pipe
    assert text.endswith(f"{body}200 0 {len(body) + body.count(chr(10))} 0"), text


@pytest.mark.parametrize("world", PUBLISHING, indirect=True)
def test_curl_offers_http2_and_gets_http1(world):
    text = world.ask(
        "curl", "-sS", "--http2", "--cacert", world.ca, "-o", "/dev/null",
        "--write-out", "%{http_version}",
        "https://mta-sts.enforce.example.org/.well-known/mta-sts.txt",
    )  # fmt: skip
    assert text == "1.1"
