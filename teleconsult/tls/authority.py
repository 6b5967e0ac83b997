"""The node's own certificate authority and the server certificate that it signs, as files of the data directory.

    tls/authority.key   the authority's private key: whoever has it can pretend to be this machine
    tls/authority.crt   the authority, to be trusted on every device
    tls/server.pem      the server's key and certificate, in one file so that they change together
    tls/next.key, .crt  the authority that comes after this one, where it was made beforehand
    tls/names           names that a person added, one a line

The folder and the keys are readable by the service's own user alone: what root makes is given to the owner of the
data directory. An authority that devices trust is never replaced but by a person's command. Nothing here serves or
watches.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from teleconsult.domain.errors import N_, Conflict, InvalidInput, NotFound, Unavailable
from teleconsult.tls import signing
from teleconsult.tls.machine import Address, Names, machine_names, parse_name
from teleconsult.tls.signing import UNSET_CLOCK, certificate_pem, key_pem, names_in, within

RENEW_BEFORE = timedelta(days=60)
"""A vehicle may stand in its garage for weeks; it renews at its next start anyway."""

MOST_EARLIER = 8
"""Earlier addresses that a certificate keeps."""

NOT_WHOLE = N_(
    "The authority in %(path)s is not whole: a file is missing, or its key belongs to another one. Restore both from a "
    "backup, or make another, which every device has to trust anew: teleconsult tls renew --authority"
)


class Authority:
    """The authority kept in one folder. Reading never makes one; `make()`, `renew()` and the like write.

    Everything may raise Unavailable where this user cannot open the files.
    """

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "tls"
        self.key_file = self.folder / "authority.key"
        self.file = self.folder / "authority.crt"
        self.next_key_file = self.folder / "next.key"
        self.next_file = self.folder / "next.crt"
        self.server_file = self.folder / "server.pem"
        self._names_file = self.folder / "names"

    def exists(self) -> bool:
        """Whether one was made here and is whole."""
        with self._opening():
            return self.file.is_file() and self.key_file.is_file()

    def has_begun(self) -> bool:
        """Whether devices may trust one that was made here, though its key may be gone."""
        with self._opening():
            return self.file.is_file() or self.server_file.is_file()

    def make(self, extra: Iterable[str] = ()) -> None:
        """Make the authority, and the server's certificate for this machine and the added names.

        Raises Conflict if there is one already, also one without its key; Unavailable while the clock is not set;
        InvalidInput for a bad name.
        """
        if self.exists():
            raise Conflict(N_("There is an authority already. “teleconsult tls renew --authority” replaces it."))
        if self.has_begun():
            raise Conflict(NOT_WHOLE, path=self.folder)
        self._make_authority(list(extra))

    def replace(self, extra: Iterable[str] = ()) -> None:
        """Put the next authority in the place of this one, or a new one where none was made beforehand: then every
        device has to trust it. Raises InvalidInput for a name that the next one may not vouch for."""
        names = [*self.added_names(), *extra]
        coming = self.next_certificate()
        if coming is None:
            self._make_authority(names)
            return
        _refuse_beyond(coming, names, N_("The next authority may not vouch for %(name)s: teleconsult tls next --name"))
        with self._opening():
            self.next_key_file.replace(self.key_file)
            self.next_file.replace(self.file)
        self.renew(extra)

    def prepare_next(self, extra: Iterable[str] = ()) -> x509.Certificate:
        """Make the authority that `replace()` will put in force, so that devices can trust it before. Raises NotFound
        without an authority of today, Unavailable while the clock is not set, InvalidInput for a bad name."""
        self.certificate()
        key, certificate = signing.new_authority(machine_names([*self.added_names(), *extra]), _now())
        with contextlib.suppress(FileNotFoundError):
            self.next_file.unlink()
        self._write(self.next_key_file, key_pem(key))
        self._write(self.next_file, certificate_pem(certificate), mode=0o644)
        return certificate

    def renew(self, extra: Iterable[str] = (), *, keep_earlier: bool = False) -> tuple[str, ...]:
        """Make a new server certificate for the names of now. Gives those of the machine's own names that the
        authority may not vouch for and that are therefore left out.

        `keep_earlier` adds addresses of the certificate in force that this machine does not have now: its network may
        be down for the moment. Raises NotFound without an authority, InvalidInput for an added name that cannot be
        vouched for, Unavailable when the authority has expired or its key is not there.
        """
        authority, key = self._load()
        new = list(extra)
        added = list(dict.fromkeys([*self.added_names(), *new]))
        _refuse_beyond(
            authority,
            new,
            N_("The authority may not vouch for %(name)s. Make another: teleconsult tls renew --authority"),
        )
        wanted = machine_names(added)
        allowed, refused = within(authority, wanted)
        if keep_earlier:
            allowed = self._with_earlier(authority, allowed)
        server = signing.new_server(authority, key, allowed, datetime.now(UTC))
        self._write(self._names_file, "".join(f"{name}\n" for name in added).encode())
        self._write(self.server_file, server)
        return refused

    def why_renew(self) -> str | None:
        """Why the server's certificate has to be made anew now: "missing", "time" or "names"; None if it is good, or
        if the clock is not set: what was made with a right clock is better than what is made with a wrong one.

        An address that is gone is no reason: it may be back when the network is.
        """
        authority, _ = self._load()
        certificate = self._usable_server_certificate()
        if certificate is None or certificate.issuer != authority.subject:
            return "missing"
        now = datetime.now(UTC)
        if now < max(UNSET_CLOCK, authority.not_valid_before_utc):
            return None
        # An authority near its own end signs only up to it: renewing earlier would gain nothing.
        longest = min(now + RENEW_BEFORE, authority.not_valid_after_utc)
        if certificate.not_valid_before_utc > now or certificate.not_valid_after_utc < longest:
            return "time"
        allowed, _ = within(authority, machine_names(self.added_names()))
        names, addresses = _sorted(certificate)
        same = set(allowed.names) == set(names) and set(allowed.addresses) <= set(addresses)
        return None if same else "names"

    def certificate(self) -> x509.Certificate:
        """The authority's certificate. Raises NotFound."""
        return self._read_certificate(self.file)

    def next_certificate(self) -> x509.Certificate | None:
        """The next authority's, if one was made."""
        with self._opening():
            if not (self.next_file.is_file() and self.next_key_file.is_file()):
                return None
        return self._read_certificate(self.next_file)

    def bundle(self) -> bytes:
        """What a vehicle has to trust, now and later (PEM): the authority, and the next one. Raises NotFound."""
        coming = self.next_certificate()
        return certificate_pem(self.certificate()) + (certificate_pem(coming) if coming else b"")

    def server_certificate(self) -> x509.Certificate:
        """The server's certificate. Raises NotFound."""
        return self._read_certificate(self.server_file)

    def added_names(self) -> tuple[str, ...]:
        """What a person added to the machine's own names."""
        try:
            with self._opening():
                return tuple(self._names_file.read_text().split())
        except FileNotFoundError:
            return ()

    def _make_authority(self, extra: list[str]) -> None:
        """Every file is made before the first is written. A crash between them leaves a server certificate that is
        served still, and an authority that says what to do."""
        names = machine_names(extra)
        now = _now()
        key, certificate = signing.new_authority(names, now)
        server = signing.new_server(certificate, key, names, now)
        with self._opening():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._give_away(self.folder)
            self.folder.chmod(0o700)
        self._write(self.key_file, key_pem(key))
        self._write(self.file, certificate_pem(certificate), mode=0o644)
        self._write(self._names_file, "".join(f"{name}\n" for name in dict.fromkeys(extra)).encode())
        self._write(self.server_file, server)

    def _with_earlier(self, authority: x509.Certificate, names: Names) -> Names:
        certificate = self._usable_server_certificate()
        if certificate is None:
            return names
        gone = tuple(one for one in _sorted(certificate)[1] if one not in names.addresses)
        kept, _ = within(authority, Names((), gone))
        return Names(names.names, (*names.addresses, *kept.addresses[:MOST_EARLIER]))

    def _load(self) -> tuple[x509.Certificate, signing.Key]:
        certificate = self.certificate()
        key = None
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError), self._opening():
            key = serialization.load_pem_private_key(self.key_file.read_bytes(), None)
        if not isinstance(key, signing.Key) or key.public_key() != certificate.public_key():
            raise Unavailable(NOT_WHOLE, path=self.folder)
        return certificate, key

    def _usable_server_certificate(self) -> x509.Certificate | None:
        """The server's certificate, if its file can be served with."""
        try:
            certificate = self.server_certificate()
            with self._opening():
                key = serialization.load_pem_private_key(self.server_file.read_bytes(), None)
        except (NotFound, Unavailable, ValueError, TypeError):
            return None
        return certificate if key.public_key() == certificate.public_key() else None

    def _read_certificate(self, path: Path) -> x509.Certificate:
        try:
            with self._opening():
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
        with self._opening():
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                self._give_away(draft)
                draft.replace(path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise

    def _give_away(self, path: Path) -> None:
        """What root makes belongs to whoever has the data directory: the service's own user."""
        if os.name == "posix" and os.geteuid() == 0:
            owner = self.folder.parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid)

    @contextlib.contextmanager
    def _opening(self) -> Iterator[None]:
        """Says whose files these are where this user cannot open them."""
        try:
            yield
        except PermissionError as error:
            path, service, owner = self.folder.absolute(), owner_of(self.folder.parent), owner_of(self.folder)
            if owner == service:
                raise Unavailable(
                    N_("%(path)s belongs to %(owner)s and can be opened by nobody else: run this as that user."),
                    path=path,
                    owner=owner,
                ) from error
            raise Unavailable(
                N_("%(path)s belongs to %(owner)s and not to %(service)s. Run as root: chown -R %(service)s %(path)s"),
                path=path,
                owner=owner,
                service=service,
            ) from error


def _now() -> datetime:
    """The time, for an authority that is to last years. Raises Unavailable while the clock is not set."""
    now = datetime.now(UTC)
    if now < UNSET_CLOCK:
        raise Unavailable(N_("This machine's clock is not set. Set it, best by NTP, and start again."))
    return now


def _refuse_beyond(authority: x509.Certificate, names: Iterable[str], sentence: str) -> None:
    """Raises InvalidInput with the sentence for the first name that the authority may not vouch for."""
    for text in names:
        name, address = parse_name(text)
        wanted = Names((name,) if name else (), (address,) if address else ())
        if within(authority, wanted)[1]:
            raise InvalidInput(sentence, name=text)


def _sorted(certificate: x509.Certificate) -> tuple[list[str], list[Address]]:
    """The names and the addresses in a certificate."""
    both = [parse_name(text) for text in names_in(certificate)]
    return [name for name, _ in both if name], [address for _, address in both if address]


def owner_of(path: Path) -> str:
    """The user who has this file; a question mark where that has no name."""
    try:
        return path.owner()
    except (OSError, KeyError, NotImplementedError):
        return "?"
