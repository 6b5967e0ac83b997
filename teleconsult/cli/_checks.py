"""The single checks of `teleconsult check`. Each looks at one thing and takes seconds at most."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import col, func, select

from teleconsult.domain.roles import Role
from teleconsult.i18n import TRANSLATIONS
from teleconsult.i18n import gettext as _
from teleconsult.media import MediaConfig, MediaWorkers
from teleconsult.plugin_host import PluginConfig, PluginHost
from teleconsult.settings import LOOPBACK, Settings, TlsSource
from teleconsult.store import Store, migrate
from teleconsult.store.plugins import DatabasePluginState
from teleconsult.store.tables import AuditEntry, User
from teleconsult.sync.uplink import hub_context
from teleconsult.tls import Authority, covers, machine_names, names_of, owner_of, trouble_of_authority, troubles_of

WORKER_SECONDS = 20.0
HUB_SECONDS = 10.0
MOST_SKEW = timedelta(seconds=60)
LEAST_FREE_GB = 1
EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not bound


@dataclass(frozen=True)
class Finding:
    """`well` is True, False (has to be mended) or None (worth knowing). `advice` says what to do."""

    well: bool | None
    sentence: str
    advice: str = ""


Check = Callable[[Settings], list[Finding]]


def checks_of(settings: Settings) -> list[Check]:
    """The checks for this kind of node, in the order in which one mends things."""
    both: list[Check] = [
        check_python,
        check_data_dir,
        check_database,
        check_clock,
        check_port,
        check_tls,
        check_plugins,
    ]
    return [*both, check_media] if settings.is_hub else [*both, check_hub]


def check_python(settings: Settings) -> list[Finding]:
    """The interpreter, and the compiled translations."""
    found = [Finding(sys.version_info >= (3, 11), _("Python %(version)s.", version=sys.version.split()[0]))]
    if not (TRANSLATIONS / "zh" / "LC_MESSAGES" / "messages.mo").is_file():
        advice = _("In a checkout run: make setup")
        found.append(Finding(None, _("The translations are not compiled, so pages are in English."), advice))
    return found


def check_data_dir(settings: Settings) -> list[Finding]:
    """The data directory can be written and has room."""
    folder = settings.data_dir.absolute()
    advice = _("Create the folder and give it to the user this program runs as, or set TELECONSULT_DATA_DIR.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        sentence = _("The data directory %(path)s cannot be written: %(reason)s.", path=folder, reason=error.strerror)
        return [Finding(False, sentence, advice)]
    found = [Finding(True, _("The data directory %(path)s can be written.", path=folder))]
    free = shutil.disk_usage(folder).free / 1e9
    if free < LEAST_FREE_GB:
        sentence = _("Only %(free)s GB of disk are free.", free=f"{free:.1f}")
        found.append(Finding(False, sentence, _("Make room: the database stops when the disk is full.")))
    return found


def check_database(settings: Settings) -> list[Finding]:
    """The database answers, is migrated, and somebody can log in."""
    shown = sa.make_url(settings.url).render_as_string(hide_password=True)
    store = Store(settings.url)
    try:
        current = migrate.current(store)
        if current != migrate.head():
            sentence = _("The database %(url)s is not at this program's schema.", url=shown)
            return [Finding(False, sentence, _("Run: teleconsult db upgrade"))]
        found = [Finding(True, _("The database %(url)s answers and is up to date.", url=shown))]
        with store.read() as session:
            people = session.exec(select(func.count()).select_from(User).where(col(User.active).is_(True))).one()
            admins = session.exec(
                select(func.count())
                .select_from(User)
                .where(User.role == Role.ADMINISTRATOR, col(User.active).is_(True))
            ).one()
        if settings.is_hub and not admins:
            found.append(
                Finding(
                    None,
                    _("There is no administrator yet."),
                    _("Run: teleconsult user add admin --name NAME --role administrator"),
                )
            )
        elif not settings.is_hub and not people:
            found.append(
                Finding(
                    None, _("This vehicle knows nobody yet."), _("People come down with the first link to the hub.")
                )
            )
        return found
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        sentence = _("The database %(url)s does not answer: %(reason)s.", url=shown, reason=reason)
        return [Finding(False, sentence, _("Start the database server, or correct TELECONSULT_DATABASE_URL."))]
    finally:
        store.close()


def check_clock(settings: Settings) -> list[Finding]:
    """The clock is not before what was written last."""
    now = datetime.now(UTC)
    store = Store(settings.url)
    last = None
    with contextlib.suppress(sa.exc.SQLAlchemyError), store.read() as session:
        last = session.exec(select(func.max(AuditEntry.at))).one()
    store.close()
    shown = now.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    if last is not None and now < last - MOST_SKEW:
        return [
            Finding(
                False,
                _("The clock says %(now)s, which is before the last entry of the database.", now=shown),
                _("Set the clock, best by NTP."),
            )
        ]
    return [Finding(True, _("The clock says %(now)s.", now=shown))]


def check_port(settings: Settings) -> list[Finding]:
    """The port can be had, unless a node is serving there already."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    place = {"host": settings.host, "port": settings.port}
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return [
                Finding(
                    False,
                    _("Cannot listen on %(host)s port %(port)s: %(reason)s.", **place, reason=error.strerror),
                    _("Stop the program that has it (this node itself, perhaps), or choose another with --port."),
                )
            ]
    return [Finding(True, _("%(host)s port %(port)s is free.", **place))]


def check_tls(settings: Settings) -> list[Finding]:
    """Certificate and key can be read and fit; without them, who gets camera and microphone."""
    if settings.tls_source is TlsSource.GIVEN and settings.tls_cert:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(str(settings.tls_cert), settings.tls_key)
        except (OSError, ssl.SSLError) as error:
            sentence = _("The certificate cannot be used: %(reason)s.", reason=error.strerror or error)
            return [Finding(False, sentence, _("Correct TELECONSULT_TLS_CERT and TELECONSULT_TLS_KEY."))]
        return _check_given(settings, settings.tls_cert)
    if settings.tls_source is TlsSource.OWN:
        return _check_authority(Authority(settings.data_dir))
    if settings.https or settings.host in LOOPBACK:
        return []
    return [
        Finding(
            None,
            _("Pages are served without HTTPS: browsers on other machines get no camera and no microphone."),
            _("Set TELECONSULT_TLS_CERT and TELECONSULT_TLS_KEY, or TELECONSULT_HTTPS=true behind a proxy."),
        )
    ]


def _check_given(settings: Settings, certificate: Path) -> list[Finding]:
    """Given files that can be read: their dates, and whether they are for an address that browsers may use."""
    found = [
        Finding(False if one.is_broken else None, _(one.sentence, **one.params), _(one.advice))
        for one in troubles_of(certificate, datetime.now(UTC))
    ]
    names = names_of(certificate)
    own = [settings.host] if settings.host not in (*LOOPBACK, *EVERYWHERE) else machine_names().all()
    if names and not any(covers(names, host) for host in own if host not in LOOPBACK):
        sentence = _("The certificate is for %(names)s, and this machine has none of these names.", names=_few(names))
        advice = _("Browsers have to open it by one of them: look that the name leads here.")
        found.append(Finding(None, sentence, advice))
    if all(one.well is not False for one in found):
        found.insert(0, Finding(True, _("Certificate and key can be read and fit.")))
    return found


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def _check_authority(authority: Authority) -> list[Finding]:
    """The node's own authority: made, whole, kept from others and open to the service, good for a while."""
    if not authority.exists() and not authority.has_begun():
        sentence = _("This node makes its own certificate authority when it starts.")
        return [Finding(None, sentence, _("Each device has to trust it once: open /trust on the node."))]
    if os.name == "posix" and (bad := _wrong_files(authority)):
        return [bad]
    why = authority.why_renew()
    if trouble := trouble_of_authority(authority, datetime.now(UTC)):
        is_prepared = not trouble.is_broken and authority.next_certificate() is not None
        return [Finding(None if is_prepared else False, _(trouble.sentence, **trouble.params), _(trouble.advice))]
    if why:
        return [Finding(None, _("The certificate is renewed when the node starts."))]
    return [Finding(True, _("The certificate of this node's own authority is good."))]


def _wrong_files(authority: Authority) -> Finding | None:
    """Keys that others can read, or that the service cannot."""
    secret = [
        path
        for path in (authority.folder, authority.key_file, authority.server_file, authority.next_key_file)
        if path.exists()
    ]
    for path in secret:
        if path.stat().st_mode & 0o077:
            sentence = _("Others on this machine can read the authority's key: %(path)s.", path=path)
            advice = _("Run: chmod -R go= %(path)s, then replace it: teleconsult tls renew --authority")
            return Finding(False, sentence, advice % {"path": authority.folder})
    service = authority.folder.parent.stat().st_uid
    for path in [*secret, *authority.folder.iterdir()]:
        if path.stat().st_uid != service:
            owner = owner_of(authority.folder.parent)
            sentence = _("%(path)s does not belong to %(owner)s, who has the data directory.", path=path, owner=owner)
            return Finding(False, sentence, f"chown -R {owner} {authority.folder}")
    return None


def check_plugins(settings: Settings) -> list[Finding]:
    """Every plugin that is meant to run loads."""
    store = Store(settings.url)
    ready = False
    with contextlib.suppress(sa.exc.SQLAlchemyError):
        ready = migrate.current(store) == migrate.head()
    if not ready:
        store.close()
        return []  # said already; what is remembered of plugins is in the database
    host = PluginHost(PluginConfig(only=settings.only_plugins), DatabasePluginState(store))
    try:
        host.start()
        views = host.plugins()
    finally:
        host.stop()
        store.close()
    if not views:
        return [Finding(None, _("No plugins are installed"), _("A vehicle reads its devices through plugins."))]
    found = []
    for view in views:
        well = False if view.status.needs_a_person else True if view.status.value == "enabled" else None
        sentence = _("Plugin %(name)s %(version)s", name=view.name, version=view.version)
        advice = view.last_error if well is False else ""
        found.append(Finding(well, f"{sentence}: {_(view.status_label)}", advice))
    return found


def check_media(settings: Settings) -> list[Finding]:
    """A media worker starts. Whether calls reach it: `_network`."""
    ports = settings.media_port_range
    workers = MediaWorkers(MediaConfig(workers=1, ports=ports), lambda event: None)
    workers.start()
    try:
        deadline = time.monotonic() + WORKER_SECONDS
        while not workers.snapshot() and time.monotonic() < deadline:
            time.sleep(0.05)
        started = bool(workers.snapshot())
    finally:
        workers.stop()
    if not started:
        advice = _("Look at the log above, then at the installation of aiortc.")
        return [Finding(False, _("No media worker started, so there can be no calls."), advice)]
    found = [Finding(True, _("A media worker starts."))]
    if ports is None:
        sentence = _("Media uses any free UDP port.")
        advice = _("For a firewall set a range, such as TELECONSULT_MEDIA_PORTS=40000-40999.")
        found.append(Finding(None, sentence, advice))
    return found


def check_hub(settings: Settings) -> list[Finding]:
    """The vehicle has a key and the hub answers, with about the same time."""
    found = []
    if not settings.vehicle_key or "." not in settings.vehicle_key:
        advice = _("Make one at the hub with “teleconsult vehicle-key new CODE” and set TELECONSULT_VEHICLE_KEY.")
        found.append(Finding(False, _("This vehicle has no key."), advice))
    if not settings.hub_url:
        return [*found, Finding(False, _("It is not said where the hub is."), _("Set TELECONSULT_HUB_URL."))]
    address = settings.hub_url.rstrip("/") + "/login.json"
    try:
        context = hub_context(settings.hub_ca) if settings.hub_ca else None
        with urllib.request.urlopen(address, timeout=HUB_SECONDS, context=context) as answer:  # noqa: S310 - the operator's
            date = answer.headers.get("Date")
    except (OSError, ValueError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError):
            sentence = _(
                "The certificate of the hub %(url)s is not trusted: %(reason)s.",
                url=settings.hub_url,
                reason=reason.verify_message,
            )
            advice = _("Copy the hub's authority file here and set TELECONSULT_HUB_CA to it.")
            return [*found, Finding(False, sentence, advice)]
        sentence = _("The hub %(url)s does not answer: %(reason)s.", url=settings.hub_url, reason=reason)
        advice = _("Check the network and TELECONSULT_HUB_URL. Without a link everything but the live call works.")
        return [*found, Finding(False, sentence, advice)]
    found.append(Finding(True, _("The hub %(url)s answers.", url=settings.hub_url)))
    skew = abs(datetime.now(UTC) - parsedate_to_datetime(date)) if date else timedelta()
    if skew > MOST_SKEW:
        sentence = _("This clock and the hub's differ by %(seconds)s s.", seconds=int(skew.total_seconds()))
        found.append(Finding(False, sentence, _("Set the clock, best by NTP.")))
    return found
