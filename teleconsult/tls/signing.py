"""The certificates themselves: an authority, what it signs, and what it may vouch for. Pure; files are `authority`'s.

Keys are EC P-256, which every browser takes. An authority is bound twice: by its extended key usage to servers, and by
name constraints to this machine's names, `.local` names and private addresses. Chromium, Firefox, Windows, iOS and
macOS keep to the constraints; Android does not look at a root's.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from teleconsult.domain.errors import N_, Unavailable
from teleconsult.tls.machine import Address, Names

AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=396)
"""Apple refuses server certificates of more than 398 days; browsers follow its lead."""

BACKDATED = timedelta(days=1)
"""Tablets' clocks are not always right."""

UNSET_CLOCK = datetime(2026, 1, 1, tzinfo=UTC)
"""A machine that says an earlier time has lost its clock; an authority made then would have ended before it is used."""

ALWAYS_ALLOWED = ("localhost", "local")
NOTHING = "invalid"
"""A name that nobody has (RFC 2606): allowing it alone for e-mail and URIs forbids all of them."""

PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)

ORGANIZATION = "teleconsult"
"""Stands in the subject of everything made here."""

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Certificate:
    """What a person wants to know of a certificate. Times are UTC; `fingerprint` is the SHA-256 as AB:CD:…"""

    subject: str
    fingerprint: str
    names: tuple[str, ...]
    valid_from: datetime
    valid_until: datetime


def describe(certificate: x509.Certificate) -> Certificate:
    """The certificate in words."""
    digest = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        str(common[0].value) if common else "",
        digest,
        names_in(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def names_in(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names and addresses that a certificate is for."""
    try:
        general = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(one.value) for one in general if isinstance(one, x509.DNSName | x509.IPAddress))


def is_made_by_a_node(certificate: x509.Certificate) -> bool:
    """Whether an authority that this program has made, here or elsewhere, signed this."""
    named = certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return any(one.value == ORGANIZATION for one in named)


def new_authority(names: Names, now: datetime) -> tuple[Key, x509.Certificate]:
    """An authority that may vouch for these names, `.local` and private addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(f"teleconsult {names.names[-1]} {secrets.token_hex(2)}"[:64])
    certificate = (
        _builder(subject, subject, key.public_key())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now - BACKDATED + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.NameConstraints(list(_permitted(names)), None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def new_server(authority: x509.Certificate, authority_key: Key, names: Names, now: datetime) -> bytes:
    """Key and certificate (PEM) of a server under these names. A machine whose clock is behind the authority's
    beginning gets one that begins with the authority. Raises Unavailable when the authority has expired."""
    begins = max(now - BACKDATED, authority.not_valid_before_utc)
    ends = min(begins + SERVER_LIFE, authority.not_valid_after_utc)
    if ends <= now:
        raise Unavailable(N_("The authority has expired. Make another: teleconsult tls renew --authority"))
    key = ec.generate_private_key(ec.SECP256R1())
    named = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        _server_builder(names, authority.subject, key)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return key_pem(key) + certificate_pem(certificate)


def stopgap(names: Names, now: datetime) -> bytes:
    """Key and certificate (PEM) that vouch for themselves: nobody trusts them, and the node can be served."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _server_builder(names, _subject(f"teleconsult {names.names[-1]}"[:64]), key)
        .not_valid_before(min(now, UNSET_CLOCK) - BACKDATED)
        .not_valid_after(max(now, UNSET_CLOCK) + SERVER_LIFE)
        .sign(key, hashes.SHA256())
    )
    return key_pem(key) + certificate_pem(certificate)


def within(authority: x509.Certificate, wanted: Names) -> tuple[Names, tuple[str, ...]]:
    """The names that the authority may vouch for, and those that it may not."""
    permitted = authority.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    domains = [one.value for one in permitted if isinstance(one, x509.DNSName)]
    networks = [one.value for one in permitted if isinstance(one, x509.IPAddress)]

    def allows(name: str) -> bool:
        return any(name == domain or name.endswith(f".{domain}") for domain in domains)

    def reaches(address: Address) -> bool:
        return any(
            address in network
            for network in networks
            if isinstance(network, ipaddress.IPv4Network | ipaddress.IPv6Network)
        )

    allowed = Names(tuple(filter(allows, wanted.names)), tuple(filter(reaches, wanted.addresses)))
    kept = set(allowed.all())
    return allowed, tuple(name for name in wanted.all() if name not in kept)


def key_pem(key: Key) -> bytes:
    """A private key as it is kept in a file."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as it is kept in a file."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _server_builder(names: Names, issuer: x509.Name, key: Key) -> x509.CertificateBuilder:
    general = [*map(x509.DNSName, names.names), *map(x509.IPAddress, names.addresses)]
    return (
        _builder(_subject(f"teleconsult {names.names[-1]}"[:64]), issuer, key.public_key())
        .add_extension(x509.SubjectAlternativeName(general), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )


def _subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
        ]
    )


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _permitted(names: Names) -> Iterator[x509.GeneralName]:
    """What the authority may vouch for: names of this machine and of local networks, and private addresses."""
    for name in dict.fromkeys((*ALWAYS_ALLOWED, *names.names)):
        if name not in ALWAYS_ALLOWED and name.endswith(".local"):
            continue  # within `local` already
        yield x509.DNSName(name)
    for network in PRIVATE_NETWORKS:
        yield x509.IPAddress(network)
    for address in names.addresses:
        if not any(address in network for network in PRIVATE_NETWORKS):
            yield x509.IPAddress(ipaddress.ip_network(address))
    yield x509.RFC822Name(NOTHING)
    yield x509.UniformResourceIdentifier(NOTHING)
