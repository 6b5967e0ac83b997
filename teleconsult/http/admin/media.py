"""The call network: by which addresses calls reach this hub, whether each works, and what the media workers do."""

from __future__ import annotations

from contextlib import suppress

from flask import flash, make_response, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from teleconsult import media as engine
from teleconsult.domain.errors import N_, NotFound, Unavailable
from teleconsult.http.admin import administrators, bp
from teleconsult.http.security import current_node
from teleconsult.services.media_health import MediaHealth, MediaReport
from teleconsult.services.node import Node
from teleconsult.settings import TlsSource
from teleconsult.tls import Authority, Trouble, trouble_of_authority, troubles_of

LOOK_AGAIN_SECONDS = 3
"""While a test runs the page is loaded again after so many seconds."""


@bp.get("/media")
@administrators
def media() -> Response:
    """The last self-test, and the workers."""
    node = current_node()
    health = node.media_health
    ports = node.settings.media_port_range
    report = health.report if health else None
    page = render_template(
        "admin/media.html",
        report=report,
        missing=_missing(report) if report else [],
        certificate=_certificate_troubles(node),
        problem=_(report.problem, **report.problem_params) if report and report.problem else "",
        is_testing=health.is_testing if health else False,
        ports=f"UDP {ports[0]}–{ports[1]}" if ports else _("UDP, any free port"),
        turn=bool(node.settings.ice_servers),
        workers=node.media.snapshot() if node.media else [],
        levels={True: "ok", False: "danger", None: "info"},
        words={True: _("works"), False: _("to be mended"), None: _("not known from here")},
    )
    response = make_response(page)
    if health and health.is_testing:
        response.headers["Refresh"] = str(LOOK_AGAIN_SECONDS)
    return response


@bp.post("/media/test")
@administrators
def test_media() -> Response:
    """Test now; the page shows the result when it is there."""
    _health().run_soon()
    flash(_("The media test has begun."), "ok")
    return redirect(url_for("admin.media"))


def _missing(report: MediaReport) -> list[str]:
    """What is named as a media address and cannot be used."""
    unknown = [_(engine.UNKNOWN_NAME, name=name) for name in report.unknown_names]
    return [*unknown, *(_(engine.AWAY, address=host) for host in report.away)]


def _certificate_troubles(node: Node) -> list[tuple[str, str]]:
    """What browsers find wrong, now or soon, with the certificate that this hub serves with: without it there is no
    camera. Each with its level."""
    given = node.settings.tls_cert
    if node.settings.tls_source is TlsSource.OWN:
        with suppress(NotFound, Unavailable):  # one that cannot be read is told by the log and by `check`
            trouble = trouble_of_authority(Authority(node.settings.data_dir), node.clock())
            return [_told(trouble)] if trouble else []
        return []
    if given is None or node.settings.tls_source is not TlsSource.GIVEN:
        return []
    with suppress(OSError, ValueError):
        return [_told(one) for one in troubles_of(given, node.clock())]
    return [("danger", _("The certificate in %(path)s cannot be read.", path=given))]


def _told(trouble: Trouble) -> tuple[str, str]:
    level = "danger" if trouble.is_broken else "warning"
    return level, f"{_(trouble.sentence, **trouble.params)} {_(trouble.advice)}"


def _health() -> MediaHealth:
    health = current_node().media_health
    if health is None:
        raise Unavailable(N_("The hub has no media worker running. Voice and picture come as soon as it has."))
    return health
