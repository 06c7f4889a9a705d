"""Certificates made in a moment: hundreds of them, with any dates."""

import dataclasses
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID


@dataclasses.dataclass(frozen=True)
class Pair:
    """One certificate with its chain, and its key; PEM."""

    chain: str
    key: str
    serial: int
    not_after: datetime.datetime

    @property
    def combined(self):
        return self.chain + self.key


class Issuer:
    """Signs as the throw-away authority does that make-certs.sh made in `folder`."""

    def __init__(self, folder):
        hidden = folder / ".ca"
        self._pem = (hidden / "intermediate.pem").read_text()
        self._name = x509.load_pem_x509_certificate(self._pem.encode()).subject
        self._key = serialization.load_pem_private_key(
            (hidden / "intermediate.key").read_bytes(), None
        )

    def issue(self, *names, days=90, begins=datetime.timedelta(hours=-1), key_type="ec",
              self_signed=False):
        """Valid from `begins` until `days` from now; negative ones are in the past."""
        key = (rsa.generate_private_key(65537, 2048) if key_type == "rsa"
               else ec.generate_private_key(ec.SECP256R1()))
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None, microsecond=0)
        not_after = now + datetime.timedelta(days=days)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(x509.Name([]) if self_signed else self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(not_after)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), True)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(usage, False)
            .sign(key if self_signed else self._key, hashes.SHA256())
        )
        return Pair(
            leaf.public_bytes(serialization.Encoding.PEM).decode()
            + ("" if self_signed else self._pem),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode(),
            leaf.serial_number,
            not_after,
        )
