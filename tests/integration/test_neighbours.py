"""Two customers have a folder for certificates each: what one of them puts there takes nothing from
the hosts of the other, whichever names, dates and kinds of keys he writes into his pairs."""

import os
import ssl

import pytest
import yaml
from cryptography import x509
from harness import client
from harness.reload import FAST, policy, replace
from test_reload_certificates import HOST, in_place
from test_reload_certificates import issuer, subject  # noqa: F401, fixtures

REFUSED = "refused"
KEY_TYPES = ["ec", "rsa"]
OTHER_HOST = "mta-sts.other.example"


def presented(c, key_type, host=HOST):
    """The serial number of what a client that takes this key type only gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers({"ec": "ECDHE-ECDSA-AES128-GCM-SHA256",
                         "rsa": "ECDHE-RSA-AES128-GCM-SHA256"}[key_type])
    try:
        with client.connect(c.daemon.address()) as sock:
            with context.wrap_socket(sock, server_hostname=host) as tls:
                certificate = tls.getpeercert(binary_form=True)
    except ssl.SSLError:
        return REFUSED
    return x509.load_der_x509_certificate(certificate).serial_number


class Neighbour:
    """A second folder of the configuration, and what its owner puts there."""

    def __init__(self, root):
        self.root = root / "neighbour"
        in_place(self.root / "README", "there is nothing yet")

    def put(self, pairs):
        for key_type, pair in pairs.items():
            replace(self.root / f"{key_type}.pem", pair.combined)

    def remove(self):
        for key_type in KEY_TYPES:
            (self.root / f"{key_type}.pem").unlink()


def forge(issuer, host=HOST):
    """Both kinds of keys, for ten years."""
    return {kind: issuer.issue(host, days=3650, key_type=kind, self_signed=True)
            for kind in KEY_TYPES}


@pytest.fixture
def pair_of_folders(subject):  # noqa: F811
    """The owner's folder is below certs/; a client of his judges each handshake."""

    def build(owner="ec", arrange=None, **options):
        def both(c):
            c.neighbour = Neighbour(c.root.parent)
            main = c.root.parent / "mta-stsd.yaml"
            config = yaml.safe_load(main.read_text())
            config["certificates"].append("neighbour")
            main.write_text(yaml.safe_dump(config))
            if arrange:
                arrange(c)

        return subject(arrange=both, issue={"key_type": owner}, **options)

    return build


def assert_owner_only(c, owner, pair):
    """Whatever the client can take: the owner's, or nothing."""
    for kind in KEY_TYPES:
        assert presented(c, kind) == (pair.serial if kind == owner else REFUSED)


@pytest.mark.parametrize("owner", KEY_TYPES)
def test_self_signed_pair_of_a_neighbour(pair_of_folders, issuer, owner):  # noqa: F811
    """By event, SIGHUP and at a start; he takes it away again; the owner renews meanwhile."""
    c = pair_of_folders(owner)
    c.stays(c.neighbour.put, forge(issuer))
    assert_owner_only(c, owner, c.pair)
    c.scene.hangup()
    assert_owner_only(c, owner, c.pair)
    renewed = c.issue(key_type=owner)
    c.becomes(renewed, c.write, renewed)
    assert_owner_only(c, owner, renewed)
    c.daemon = c.scene.restart(1).daemon
    assert_owner_only(c, owner, renewed)
    c.scene.change(c.neighbour.remove)
    c.scene.look()
    assert_owner_only(c, owner, renewed)
    assert not c.kept()
    last = c.issue(key_type=owner)
    c.scene.change(c.write, last)
    c.scene.look()
    assert_owner_only(c, owner, last)
    c.scene.hangup()
    assert not c.kept()


@pytest.mark.parametrize("owner", KEY_TYPES)
def test_self_signed_pair_that_was_there_first(pair_of_folders, issuer, owner):  # noqa: F811
    """It is presented as long as there is no other; nothing of it stays."""
    host = "mta-sts.new.example"
    pairs = forge(issuer, host)

    def arrange(c):
        c.neighbour.put(pairs)
        tenants = yaml.safe_dump({"tenants": {"new.example": policy(1)}})
        (c.root.parent / "other.d" / "new.yaml").write_text(tenants)

    def is_presented(pair):
        return [presented(c, kind, host) for kind in KEY_TYPES] == [
            pair.serial if kind == owner else REFUSED for kind in KEY_TYPES
        ]

    def write(days):
        pair = issuer.issue(host, key_type=owner, days=days)
        replace(c.root / f"{host}.pem", pair.combined)
        return pair

    c = pair_of_folders(arrange=arrange)
    for kind in KEY_TYPES:
        assert presented(c, kind, host) == pairs[kind].serial
    for days, meanwhile in ((30, None), (31, c.neighbour.remove), (32, None)):
        pair = write(days)
        c.scene.look()
        assert is_presented(pair)
        if meanwhile:
            meanwhile()
            c.scene.look()
            assert is_presented(pair)
    c.scene.hangup()
    assert is_presented(pair)
    assert not c.kept()
    c.daemon = c.scene.restart(1).daemon
    assert is_presented(pair)


def test_half_a_renewal_of_the_owner(pair_of_folders, issuer):  # noqa: F811
    """A neighbour waits for the moment in which the owner's pair is only kept."""
    c = pair_of_folders()
    c.stays(c.neighbour.put, forge(issuer))
    for edit in (lambda: replace(c.key, c.issue().key)), c.chain.unlink:
        c.stays(edit)
        assert c.kept()
        assert_owner_only(c, "ec", c.pair)
        c.scene.hangup()
        assert_owner_only(c, "ec", c.pair)
        c.renew()
        assert_owner_only(c, "ec", c.pair)


def test_found_by_a_rescan(pair_of_folders, issuer):  # noqa: F811
    """The neighbour's file is written under another name of it, of which no event tells."""

    def arrange(c):
        in_place(c.root.parent / "elsewhere.pem", issuer.issue(OTHER_HOST).combined)
        os.link(c.root.parent / "elsewhere.pem", c.neighbour.root / "ec.pem")

    c = pair_of_folders(arrange=arrange, reload=FAST)
    in_place(c.root.parent / "elsewhere.pem", forge(issuer)["ec"].combined)
    c.daemon.wait_for("code=certificate-self-signed")
    c.stays()
    assert_owner_only(c, "ec", c.pair)
