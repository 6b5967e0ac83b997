"""How a person lets a browser trust this node's own certificate authority: the page, the file, the QR code, a probe.

Public, and served over plain HTTP too: whoever needs it has a browser that does not trust the node yet. Nothing here
reads a record, and the probe is the only address of a node that other origins may ask.
"""

from __future__ import annotations

import io
import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from flask import Blueprint, Response, jsonify, render_template, request
from flask_babel import force_locale, get_locale

from teleconsult.domain.errors import N_, InvalidInput, NotFound, Unavailable
from teleconsult.http.auth import LANGUAGES
from teleconsult.http.security import current_node, public
from teleconsult.media import host_addresses
from teleconsult.settings import LOOPBACK, TlsSource
from teleconsult.tls import Authority, covers, describe, names_in, parse_name

bp = Blueprint("trust", __name__, url_prefix="/trust")


@dataclass(frozen=True)
class Platform:
    """A kind of device. `agent` is what its browsers say of themselves; the first that fits is taken."""

    name: str
    label: str
    agent: str


PLATFORMS = (
    Platform("android", N_("Android"), r"Android|HarmonyOS|OpenHarmony"),
    Platform("ios", N_("iPad or iPhone"), r"iPad|iPhone"),
    Platform("windows", N_("Windows"), r"Windows"),
    Platform("macos", N_("Mac"), r"Macintosh"),
    Platform("linux", N_("Linux"), r"Linux|X11"),
)


@bp.get("")
@public
def show() -> str:
    """The steps for this device (or `?platform=`), in the node's language (or `?language=`)."""
    chosen = request.args.get("language", "")
    locale = get_locale()
    language = chosen if chosen in LANGUAGES else (locale.language if locale else "zh")
    with force_locale(language):
        return _page(language)


@bp.get("/authority.crt")
@public
def authority_der() -> Response:
    """The authority's certificate as devices take it (DER)."""
    return _download_der(_authority().certificate())


@bp.get("/next.crt")
@public
def next_der() -> Response:
    """The certificate (DER) of the authority that comes after this one, where it was made beforehand."""
    coming = _authority().next_certificate()
    if coming is None:
        raise NotFound(N_("No next authority has been made."))
    return _download_der(coming)


@bp.get("/authority.pem")
@public
def authority_pem() -> Response:
    """The same as text (PEM), for Linux and for the TELECONSULT_HUB_CA of a vehicle; with the next one's if there is
    one, so that a vehicle trusts both."""
    authority = _authority()
    return _download(authority.bundle(), "application/x-pem-file", f"{_stem(authority.certificate())}.pem")


@bp.get("/qr.svg")
@public
def qr() -> Response:
    """The address of the page as a QR code, for the tablet in the other hand."""
    _authority()
    drawing = io.BytesIO()
    segno.make(_page_address(), error="m", micro=False).save(drawing, kind="svg", scale=1, border=4, omitsize=True)
    return Response(drawing.getvalue(), mimetype="image/svg+xml")


@bp.get("/probe")
@public
def probe() -> Response:
    """Says yes. A page from plain HTTP asks it over HTTPS: an answer means that this browser trusts the node."""
    answer = jsonify(ok=True)
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


def _page(language: str) -> str:
    wanted = request.args.get("platform") or _platform_of(request.user_agent.string)
    platform = next((one for one in PLATFORMS if one.name == wanted), PLATFORMS[0])
    own = current_node().settings.tls_source is TlsSource.OWN
    certificate = coming = None
    names: tuple[str, ...] = ()
    if own:
        authority = _authority()
        with suppress(NotFound, Unavailable):  # what is wrong with it stands in the log
            certificate = authority.certificate()
            coming = authority.next_certificate()
            names = names_in(authority.server_certificate())
    return render_template(
        "trust.html",
        language=language,
        other_language="en" if language == "zh" else "zh",
        platforms=PLATFORMS,
        platform=platform.name,
        own=own,
        authority=describe(certificate) if certificate else None,
        coming=describe(coming) if coming else None,
        sha1=certificate.fingerprint(hashes.SHA1()).hex().upper() if certificate else "",  # noqa: S303 - Windows shows it
        file_name=_stem(certificate) if certificate else "",
        page_address=_page_address(),
        secure_origin=f"https://{request.host}",
        uncovered=_uncovered_host(names),
        in_wechat="MicroMessenger" in request.user_agent.string,
    )


def _uncovered_host(names: tuple[str, ...]) -> str:
    """The name or address by which this page was opened, if the node's certificate lacks it: then no browser will ever
    accept the node under it, whatever it trusts."""
    host = urlsplit(f"//{request.host}").hostname or ""
    try:
        name, address = parse_name(host)
    except InvalidInput:
        return ""
    return "" if not names or covers(names, name or str(address)) else name or str(address)


def _platform_of(agent: str) -> str:
    """The kind of device a browser says it runs on. An iPad may call itself a Mac: the page corrects that by touch."""
    return next((platform.name for platform in PLATFORMS if re.search(platform.agent, agent)), "windows")


def _authority() -> Authority:
    settings = current_node().settings
    if settings.tls_source is not TlsSource.OWN:
        raise NotFound(N_("This node has no certificate authority of its own."))
    return Authority(settings.data_dir)


def _stem(certificate: x509.Certificate) -> str:
    """The file's name: devices list it under that, so it says whose it is."""
    return re.sub(r"[^a-z0-9]+", "-", describe(certificate).subject.lower()).strip("-") or "teleconsult"


def _download_der(certificate: x509.Certificate) -> Response:
    content = certificate.public_bytes(serialization.Encoding.DER)
    return _download(content, "application/x-x509-ca-cert", f"{_stem(certificate)}.crt")


def _download(content: bytes, mimetype: str, name: str) -> Response:
    return Response(content, mimetype=mimetype, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _page_address() -> str:
    """Over plain HTTP, which needs no trust. HTTP and HTTPS share a port."""
    return f"http://{_reachable_host()}/trust"


def _reachable_host() -> str:
    """Host and port as other devices can use them: for a page on this very machine the best address of its network."""
    parts = urlsplit(f"//{request.host}")
    if parts.hostname not in LOOPBACK:
        return request.host
    first = host_addresses()[0]
    if first in LOOPBACK:
        return request.host
    shown = f"[{first}]" if ":" in first else first
    return f"{shown}:{parts.port}" if parts.port else shown
