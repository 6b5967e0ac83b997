"""Certificates for tests: of an authority that is not a node's own, as a public one is, and forged ones."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from teleconsult.tls import Authority
from teleconsult.tls.signing import certificate_pem, key_pem


class PublicAuthority:
    """`file` is what a trust store would hold."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Test Public Root")
        self.file = folder / "public-root.pem"
        now = datetime.now(UTC)
        root = (
            _builder(self._name, self._name, self._key, now - timedelta(days=2000), now + timedelta(days=2000))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file.write_bytes(certificate_pem(root))

    def sign(self, *names: str, days: float = 90, from_days: float = -1, own: bool = False) -> Path:
        """Key and certificate (PEM) for these names, valid from and until so many days from now; `own`: signed by
        itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(names[0] if names else "nameless")
        now = datetime.now(UTC)
        builder = _builder(
            subject, subject if own else self._name, key, now + timedelta(days=from_days), now + timedelta(days=days)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([*map(_general, names)]), critical=False)
        certificate = builder.sign(key if own else self._key, hashes.SHA256())
        path = self._folder / f"{certificate.serial_number:x}.pem"
        path.write_bytes(key_pem(key) + certificate_pem(certificate))
        return path


def forge(authority: Authority, path: Path, *names: str) -> Path:
    """Key and certificate (PEM) for these names, as somebody makes them who has stolen the authority's key."""
    key = serialization.load_pem_private_key(authority.key_file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    root = authority.certificate()
    begins = root.not_valid_before_utc
    forged = (
        _builder(_name(names[0]), root.subject, key, begins, begins + timedelta(days=300))
        .add_extension(x509.SubjectAlternativeName([*map(_general, names)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(key_pem(key) + certificate_pem(forged))
    return path


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general(name: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)
