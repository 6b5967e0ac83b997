"""How programmes, routes, panels and consult events behave, called as a node calls them.

Each function shows the rules of one step. Deadlines are those of `PluginConfig`; a call that never ends is ended by
whoever started this process.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from teleconsult.domain import measurement
from teleconsult.domain.consult import Action, State, Urgency
from teleconsult.domain.errors import N_
from teleconsult.domain.roles import Role
from teleconsult.plugin_api import (
    ConsultEvent,
    DeliveryReceipt,
    FollowupAssessment,
    FollowupProgramme,
    FollowupVisit,
    Page,
    PageContext,
    Panel,
    RankedTarget,
    Reading,
    Referral,
    ReferralRequest,
    ReferralRoute,
    ReferralTarget,
    Text,
    make_reading,
)
from teleconsult.plugin_api.checking import NotSimulated, SimulatedReceiver
from teleconsult.plugin_host import PluginConfig
from teleconsult.plugin_host._loader import LoadedPlugin, describe_error
from teleconsult.plugin_host.plugin_worker import MAX_PANELS
from teleconsult.plugin_kit._leaks import calls_leave_nothing
from teleconsult.plugin_kit._report import Line, falls_short, holds, sentence
from teleconsult.plugin_kit._runs import Shown
from teleconsult.plugin_kit._visits import check_form, invented_visits
from teleconsult.plugin_kit._watch import CallWatch, texts_in

R = TypeVar("R")
LIMITS = PluginConfig()
NOW = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)
TARGETS = (
    ReferralTarget(
        organization_id="county", name="县人民医院", level="core", departments=("心内科", "急诊科"), distance_km=42.5
    ),
    ReferralTarget(
        organization_id="township", name="中心卫生院", level="branch", departments=("全科",), distance_km=8.0
    ),
    ReferralTarget(organization_id="clinic", name="村卫生室", level="clinic", distance_km=0.4),
    ReferralTarget(organization_id="unknown", name="另一机构", level="branch"),
)


PATIENCE = 2.0
"""Seconds beyond its deadline after which a call is taken for hanging, and its process ended."""
WATCH = CallWatch()
"""The process in which a plugin is checked starts it."""
DEADLINES = {
    "page_panels()": LIMITS.panel_deadline,
    "consult_event()": LIMITS.event_deadline,
    "deliver()": LIMITS.deliver_deadline,
}


def _called(what: str, call: Callable[[], R], times: list[float] | None = None) -> R:
    """Call, and note how long it took. Raises Shown for whatever the plugin raises, `sys.exit` too."""
    began = time.monotonic()
    try:
        with WATCH.limited(what, DEADLINES.get(what, LIMITS.rule_deadline) + PATIENCE):
            return call()
    except Shown:
        raise
    except Exception as error:
        raise Shown(N_("%(what)s raised %(error)s"), what=what, error=describe_error(error)) from error
    except SystemExit as error:
        raise Shown(N_("%(what)s called sys.exit: %(error)s"), what=what, error=describe_error(error)) from error
    finally:
        if times is not None:
            times.append(time.monotonic() - began)


def _wanted(what: str, value: Any, kind: type[R]) -> R:
    if not isinstance(value, kind):
        raise Shown(
            N_("%(what)s returned %(value)s and not a %(kind)s."), what=what, value=repr(value)[:80], kind=kind.__name__
        )
    return value


def _in_time(rule: str, subject: str, slowest: float, deadline: float) -> Line:
    if slowest > deadline:
        why = N_("The slowest call took %(seconds).1f s; the deadline is %(deadline)g s.")
        return falls_short(rule, subject, why, seconds=slowest, deadline=deadline)
    return holds(rule, subject, N_("slowest call %(ms)d ms"), ms=round(slowest * 1000))


# Follow-up


def form(programme: FollowupProgramme) -> list[Line]:
    """`form-valid`."""
    form = _called("questionnaire()", programme.questionnaire)
    check_form(form)
    if _called("questionnaire()", programme.questionnaire) != form:
        raise Shown(N_("questionnaire() gives another form each time."))
    return [holds("form-valid", programme.key)]


def assessing(programme: FollowupProgramme, texts: set[Text]) -> list[Line]:
    """`assess-valid`, `assess-in-time`."""
    times: list[float] = []
    lines = []
    try:
        visits = invented_visits(_called("questionnaire()", programme.questionnaire))
        for visit in visits:
            result = _called("assess()", partial(programme.assess, visit), times)
            assessment = _wanted("assess()", result, FollowupAssessment)
            texts.update(texts_in(assessment))
            for due in (assessment.next_due, assessment.check_referral_by):
                if due is not None and due < visit.visited_on:
                    why = N_("A visit on %(day)s makes the next one due on %(due)s.")
                    raise Shown(why, day=visit.visited_on.isoformat(), due=due.isoformat())
        lines.append(holds("assess-valid", programme.key, N_("%(count)d visits"), count=len(visits)))
    except Shown as shown:
        lines.append(falls_short("assess-valid", programme.key, shown.why, **shown.params))
    return [*lines, _in_time("assess-in-time", programme.key, max(times, default=0.0), LIMITS.rule_deadline)]


def assessing_again(programme: FollowupProgramme) -> list[Line]:
    """`assess-repeatable`: the same visits again, in another order, and none of them altered."""
    visits = invented_visits(_called("questionnaire()", programme.questionnaire))
    before = [visit.model_dump_json() for visit in visits]
    first = [_outcome(programme, visit) for visit in visits]
    again = [_outcome(programme, visit) for visit in reversed(visits)][::-1]
    for visit, one, other in zip(visits, first, again, strict=True):
        if one != other:
            why = N_("The same visit was first “%(one)s” and then “%(other)s”.")
            raise Shown(why, one=_brief(one), other=_brief(other), visit=visit.patient_id)
    if before != [visit.model_dump_json() for visit in visits]:
        raise Shown(N_("assess() alters the visit that it is given."))
    return [holds("assess-repeatable", programme.key, N_("%(count)d visits"), count=len(visits))]


def _outcome(programme: FollowupProgramme, visit: Any) -> Any:
    try:
        return _called("assess()", partial(programme.assess, visit))
    except Shown as shown:
        return sentence(shown.why, shown.params)


def _brief(outcome: Any) -> str:
    return (
        f"{outcome.classification} {outcome.next_due or ''}".strip() if hasattr(outcome, "next_due") else str(outcome)
    )


# Referral


def _requests() -> list[ReferralRequest]:
    return [
        ReferralRequest(
            direction=direction,
            urgency=urgency,
            specialty=specialty,
            reason="胸痛",
            age_years=67,
            from_organization_id="clinic",
        )
        for direction in ("up", "back")
        for urgency in Urgency
        for specialty in ("", "心内科")
    ]


def _ranking(
    route: ReferralRoute, request: ReferralRequest, targets: Sequence[ReferralTarget], times: list[float]
) -> list[RankedTarget]:
    ranked = _wanted("rank()", _called("rank()", lambda: route.rank(request, targets), times), list)
    known = {target.organization_id for target in targets}
    for item in ranked:
        _wanted("rank()", item, RankedTarget)
        if item.organization_id not in known:
            raise Shown(N_("rank() returned %(id)s, which is none of its targets."), id=item.organization_id)
    ids = [item.organization_id for item in ranked]
    if len(set(ids)) < len(ids):
        raise Shown(N_("rank() returned a target twice."))
    fits = [item.fit for item in ranked]
    if fits != sorted(fits, reverse=True):
        raise Shown(N_("rank() does not put the best target first."))
    return ranked


def ranking(route: ReferralRoute, texts: set[Text]) -> list[Line]:
    """`ranking-valid`, `ranking-in-time`: all directions and urgencies, many targets, none."""
    times: list[float] = []
    many = tuple(
        t.model_copy(update={"organization_id": f"{t.organization_id}-{i}"}) for i in range(50) for t in TARGETS
    )
    try:
        for request in _requests():
            for targets in (TARGETS, (), many):
                texts.update(texts_in(_ranking(route, request, targets, times)))
        line = holds("ranking-valid", route.key, N_("%(count)d requests"), count=len(times))
    except Shown as shown:
        line = falls_short("ranking-valid", route.key, shown.why, **shown.params)
    return [line, _in_time("ranking-in-time", route.key, max(times, default=0.0), LIMITS.rule_deadline)]


def ranking_again(route: ReferralRoute) -> list[Line]:
    """`ranking-repeatable`: the same request again, also with the targets in another order."""
    for request in _requests():
        first = _called("rank()", partial(route.rank, request, TARGETS))
        for targets in (TARGETS, TARGETS[::-1]):
            if _called("rank()", partial(route.rank, request, targets)) != first:
                raise Shown(N_("The same targets are ranked differently the second time."))
    return [holds("ranking-repeatable", route.key)]


def _referral(number: int) -> Referral:
    return Referral(
        referral_id=f"0192f0c8-0000-7000-8000-{number:012d}",
        direction="up",
        urgency=Urgency.URGENT,
        patient_id="invented",
        from_organization_id="clinic",
        to_organization_id="county",
        signed_at=NOW,
        form={"resourceType": "ServiceRequest", "status": "active", "intent": "order"},
    )


def _delivered(route: ReferralRoute, referral: Referral, texts: set[Text]) -> DeliveryReceipt:
    times: list[float] = []
    receipt = _wanted("deliver()", _called("deliver()", lambda: route.deliver(referral), times), DeliveryReceipt)
    texts.update(texts_in(receipt))
    if times[0] > LIMITS.deliver_deadline:
        raise Shown(N_("deliver() took %(seconds)g s; the deadline is %(deadline)g s."), seconds=times[0], deadline=60)
    return receipt


def delivering(route: ReferralRoute, receiver: SimulatedReceiver, texts: set[Text]) -> list[Line]:
    """`delivery`: it arrives, and arrives once though it is delivered twice."""
    referral = _referral(1)
    receipt = _delivered(route, referral, texts)
    if not receipt.delivered:
        raise Shown(N_("A receiver that was there did not get the referral: %(why)s"), why=str(receipt.sentence or ""))
    again = _delivered(route, referral, texts)
    if receiver.received() != [referral.referral_id]:
        raise Shown(N_("Delivered twice, the receiver holds: %(ids)s"), ids=", ".join(receiver.received()) or "–")
    if not again.delivered or again.reference != receipt.reference:
        raise Shown(N_("The second delivery of the same referral got another receipt."))
    return [holds("delivery", route.key)]


def delivery_failing(route: ReferralRoute, receiver: SimulatedReceiver, texts: set[Text]) -> list[Line]:
    """`delivery-failure`: out of reach, there again, refused."""
    receiver.switch_off()
    _check_refusal(_delivered(route, _referral(2), texts))
    receiver.switch_on()
    if not _delivered(route, _referral(2), texts).delivered:
        raise Shown(N_("After the receiver was there again the referral was not delivered."))
    try:
        receiver.refuse()
    except NotSimulated:
        return [holds("delivery-failure", route.key)]
    _check_refusal(_delivered(route, _referral(3), texts))
    return [holds("delivery-failure", route.key)]


def _check_refusal(receipt: DeliveryReceipt) -> None:
    if receipt.delivered:
        raise Shown(N_("A referral that nobody took is reported as delivered."))
    if receipt.sentence is None:
        raise Shown(N_("A failed delivery comes without a sentence for the doctor."))


# Panels and events


def _readings() -> tuple[Reading, ...]:
    """A good reading of each kind."""
    found = []
    for kind in measurement.KINDS.values():
        components = kind.required or kind.one_of[:1]
        values = {c.key: ((c.low + c.high) / 2, c.unit) for c in components}
        found.append(make_reading("invented", kind.key, values, taken_at=NOW))
    return tuple(found)


def _contexts() -> list[PageContext]:
    each = _readings()
    many = tuple(r.model_copy(update={"taken_at": NOW - timedelta(hours=i)}) for i in range(30) for r in each)[:200]
    return [
        PageContext(page=page, language=language, patient_id="p", age_years=age, encounter_id="e", readings=readings)
        for page in Page
        for language in ("zh", "en")
        for age, readings in ((67, each), (None, ()), (3, many))
    ]


def _panels(plugin: LoadedPlugin, context: PageContext) -> list[Panel]:
    found: list[Panel] = []
    for result in plugin.manager.hook.page_panels(context=context, settings=plugin.settings):
        found += [_wanted("page_panels()", panel, Panel) for panel in _wanted("page_panels()", result, list)]
    return found


def panels_in_time(plugin: LoadedPlugin) -> list[Line]:
    """`panels-in-time`. The better of two calls counts: the machine may have been busy with something else."""
    slowest = 0.0
    for context in _contexts():
        times: list[float] = []
        for _ in range(2):
            began = time.monotonic()
            with contextlib.suppress(Shown):  # what it raises is the other rule's matter
                _called("page_panels()", partial(_panels, plugin, context))
            times.append(time.monotonic() - began)
        slowest = max(slowest, min(times))
    return [_in_time("panels-in-time", "", slowest, LIMITS.panel_deadline)]


def panels_valid(plugin: LoadedPlugin, texts: set[Text]) -> list[Line]:
    """`panels-valid`."""
    most = 0
    for context in _contexts():
        panels = _called("page_panels()", partial(_panels, plugin, context))
        most = max(most, len(panels))
        if len(panels) > MAX_PANELS:
            raise Shown(
                N_("page_panels() returned %(count)d panels; %(most)d fit."), count=len(panels), most=MAX_PANELS
            )
        keys = [panel.key for panel in panels]
        if len(set(keys)) < len(keys):
            raise Shown(N_("Two panels have the same key."))
        for panel in panels:
            texts.update(texts_in(panel))
    return [holds("panels-valid", "", N_("panels at once: %(count)d"), count=most)]


def events(plugin: LoadedPlugin) -> list[Line]:
    """`events-taken`: every action, told in no sensible order."""
    times: list[float] = []
    for number in range(len(Action)):
        _told(plugin, number, times)
    return [_in_time("events-taken", "", max(times), LIMITS.event_deadline)]


def _told(plugin: LoadedPlugin, number: int, times: list[float] | None = None) -> None:
    event = ConsultEvent(
        event_id=f"e{number}",
        consult_id="c",
        action=list(Action)[number % len(Action)],
        state=list(State)[number % len(State)],
        at=NOW,
        urgency=Urgency.ROUTINE,
        actor_role=Role.VEHICLE_DOCTOR,
    )
    told = partial(plugin.manager.hook.consult_event, event=event, settings=plugin.settings)
    _called("consult_event()", told, times)


def leaks(plugin: LoadedPlugin) -> list[Line]:
    """`hooks-leak-nothing`: all that is called on pages and by rules, again and again."""
    calls: dict[str, Callable[[int], object]] = {}
    if "page_panels" in plugin.hooks:
        contexts = _contexts()
        calls["page_panels()"] = lambda n: _called(
            "page_panels()", partial(_panels, plugin, contexts[n % len(contexts)])
        )
    if "consult_event" in plugin.hooks:
        calls["consult_event()"] = partial(_told, plugin)
    for key, programme in plugin.programmes.items():
        calls[f"assess() · {key}"] = partial(_assess, programme, invented_visits(programme.questionnaire()))
    for key, route in plugin.routes.items():
        calls[f"rank() · {key}"] = partial(_rank, route, _requests())
    return calls_leave_nothing(calls)


def _assess(programme: FollowupProgramme, visits: Sequence[FollowupVisit], number: int) -> None:
    _called("assess()", partial(programme.assess, visits[number % len(visits)]))


def _rank(route: ReferralRoute, requests: Sequence[ReferralRequest], number: int) -> None:
    _called("rank()", partial(route.rank, requests[number % len(requests)], TARGETS))
