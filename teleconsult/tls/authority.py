"""The node's own certificate authority and the server certificate that it signs, as files of the data directory.

    tls/authority.key   the authority's private key: whoever has it can pretend to be this machine
    tls/authority.crt   the authority, to be trusted on every device
    tls/server.pem      the server's key and certificate, in one file so that they change together
    tls/names           names that a person added, one a line

The folder and the keys are readable by the service's own user alone. The authority is bound by name constraints:
should its key be stolen, it still cannot vouch for anything but this machine's names, `.local` names and private
addresses. Chromium, Firefox, Windows, iOS and macOS keep to that; Android does not look at a root's constraints.

Keys are EC P-256, which all of them take. Nothing here serves or watches.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from teleconsult.domain.errors import N_, Conflict, InvalidInput, NotFound, Unavailable
from teleconsult.tls.machine import Address, Names, machine_names, parse

AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=396)
"""Apple refuses server certificates of more than 398 days; browsers follow its lead."""

RENEW_BEFORE = timedelta(days=60)
"""A vehicle may stand in its garage for weeks; it renews at its next start anyway."""

BACKDATED = timedelta(days=1)
"""Tablets' clocks are not always right."""

UNSET_CLOCK = datetime(2026, 1, 1, tzinfo=UTC)
"""A machine that says an earlier time has lost its clock; an authority made then would have ended before it is used."""

ALWAYS_ALLOWED = ("localhost", "local")
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
        _names_in(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


class Authority:
    """The authority kept in one folder. Reading never makes one; `make()` and `renew()` write."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "tls"
        self.key_file = self.folder / "authority.key"
        self.file = self.folder / "authority.crt"
        self.server_file = self.folder / "server.pem"
        self._names_file = self.folder / "names"

    def exists(self) -> bool:
        """Whether one was made here."""
        return self.file.is_file() and self.key_file.is_file()

    def make(self, extra: Iterable[str] = ()) -> None:
        """Make the authority, and the server's certificate for this machine and the added names.

        Raises Conflict if there is one already, Unavailable while the clock is not set, InvalidInput for a bad name.
        """
        if self.exists():
            raise Conflict(N_("There is an authority already. “teleconsult tls renew --authority” replaces it."))
        self._make_authority(list(extra))

    def replace(self, extra: Iterable[str] = ()) -> None:
        """Make another authority in the place of this one: every device has to trust the new one."""
        self._make_authority([*self.added_names(), *extra])

    def renew(self, extra: Iterable[str] = ()) -> tuple[str, ...]:
        """Make a new server certificate for the names of now. Gives those of the machine's own names that the
        authority may not vouch for and that are therefore left out.

        Raises NotFound without an authority, InvalidInput for an added name that cannot be vouched for, Unavailable
        when the authority has expired.
        """
        authority, key = self._load()
        new = list(extra)
        added = list(dict.fromkeys([*self.added_names(), *new]))
        wanted = machine_names(added)
        allowed, refused = _within(authority, wanted)
        for text in new:
            name, address = parse(text)
            if (name or str(address)) in refused:
                raise InvalidInput(
                    N_("The authority may not vouch for %(name)s. Make another: teleconsult tls renew --authority"),
                    name=text,
                )
        now = datetime.now(UTC)
        if authority.not_valid_after_utc <= now:
            raise Unavailable(
                N_("The authority has expired. Make another: teleconsult tls renew --authority"),
            )
        server_key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(f"teleconsult {wanted.names[-1]}"[:64], authority.subject, server_key.public_key())
            .not_valid_before(max(now - BACKDATED, authority.not_valid_before_utc))
            .not_valid_after(min(now - BACKDATED + SERVER_LIFE, authority.not_valid_after_utc))
            .add_extension(x509.SubjectAlternativeName(_general(allowed)), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_key_name_of(authority), critical=False)
            .sign(key, hashes.SHA256())
        )
        self._write(self._names_file, "".join(f"{name}\n" for name in added).encode())
        self._write(self.server_file, _key_pem(server_key) + certificate.public_bytes(serialization.Encoding.PEM))
        return refused

    def why_renew(self) -> str | None:
        """Why the server's certificate has to be made anew now: "missing", "time" or "names"; None if it is good."""
        authority, _ = self._load()
        try:
            certificate = self.server_certificate()
        except NotFound:
            return "missing"
        now = datetime.now(UTC)
        if certificate.issuer != authority.subject or not certificate.not_valid_before_utc <= now:
            return "time"
        # An authority near its own end signs only up to it: renewing earlier would gain nothing.
        longest = min(now + RENEW_BEFORE, authority.not_valid_after_utc)
        if certificate.not_valid_after_utc < longest:
            return "time"
        allowed, _ = _within(authority, machine_names(self.added_names()))
        return "names" if set(allowed.all()) != set(_names_in(certificate)) else None

    def certificate(self) -> x509.Certificate:
        """The authority's certificate. Raises NotFound."""
        return self._read_certificate(self.file)

    def server_certificate(self) -> x509.Certificate:
        """The server's certificate. Raises NotFound."""
        return self._read_certificate(self.server_file)

    def added_names(self) -> tuple[str, ...]:
        """What a person added to the machine's own names."""
        try:
            return tuple(line for line in self._names_file.read_text().split() if line)
        except FileNotFoundError:
            return ()

    def _make_authority(self, extra: list[str]) -> None:
        now = datetime.now(UTC)
        if now < UNSET_CLOCK:
            raise Unavailable(N_("This machine's clock is not set. Set it, best by NTP, and start again."))
        names = machine_names(extra)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(f"teleconsult {names.names[-1]} {secrets.token_hex(2)}"[:64])
        certificate = (
            _builder(subject, subject, key.public_key())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now - BACKDATED + AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.NameConstraints(list(_permitted(names)), None), critical=True)
            .sign(key, hashes.SHA256())
        )
        # Another authority's certificates go first: nothing may be served that no device will ever trust.
        with contextlib.suppress(FileNotFoundError):
            self.server_file.unlink()
        self._write(self.key_file, _key_pem(key))
        self._write(self.file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
        self.renew(extra)

    def _load(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        certificate = self.certificate()
        key = serialization.load_pem_private_key(self.key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise Unavailable(
                N_("Key and certificate of the authority do not belong together: %(path)s."), path=self.folder
            )
        return certificate, key

    def _read_certificate(self, path: Path) -> x509.Certificate:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise NotFound(N_("There is no authority here. Make one: teleconsult tls init")) from None
        try:
            return x509.load_pem_x509_certificate(content)
        except ValueError:
            raise Unavailable(N_("The certificate in %(path)s cannot be read."), path=path) from None

    def _write(self, path: Path, content: bytes, mode: int = 0o600) -> None:
        """Write a file that nobody sees half written, and keys that nobody else can open even for a moment."""
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def _subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "teleconsult"),
        ]
    )


def _builder(
    subject: x509.Name | str, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject if isinstance(subject, x509.Name) else _subject(subject))
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


def _key_name_of(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    named = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _general(names: Names) -> list[x509.GeneralName]:
    return [*map(x509.DNSName, names.names), *map(x509.IPAddress, names.addresses)]


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


def _within(authority: x509.Certificate, wanted: Names) -> tuple[Names, tuple[str, ...]]:
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


def _names_in(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (*found.get_values_for_type(x509.DNSName), *(str(one) for one in found.get_values_for_type(x509.IPAddress)))
