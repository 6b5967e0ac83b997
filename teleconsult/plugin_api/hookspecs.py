"""The whole contract with plugins: every hook, each named for a place or an event. Stubs only.

A plugin implements any of these with `@hookimpl`, with these very argument names; it may leave arguments out.
`settings` is the plugin's own settings model, filled, or None if it has none. Hooks of one plugin run in a
process of its own, one at a time, each with a deadline; what they raise is shown to the administrator and
counted, and never ends a consult.

The example of each is a whole module, and a test runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy

from teleconsult.plugin_api._events import ConsultEvent
from teleconsult.plugin_api._followup import FollowupProgramme
from teleconsult.plugin_api._panels import PageContext, Panel
from teleconsult.plugin_api._plugin import PluginInfo
from teleconsult.plugin_api._readers import ReaderType
from teleconsult.plugin_api._referral import ReferralRoute

PROJECT = "teleconsult"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def describe_plugin() -> PluginInfo:
    """Says what the plugin is and which version of the border it is written for. Every plugin has it.

    Example:

        from pydantic import BaseModel, Field

        from teleconsult.plugin_api import PluginInfo, Text, hookimpl


        class Settings(BaseModel):
            port: str = Field(default="/dev/ttyUSB0", title="Port · 端口")


        @hookimpl
        def describe_plugin() -> PluginInfo:
            return PluginInfo(
                title=Text(en="Village scale", zh="村级体重秤"),
                summary=Text(en="Reads one sort of scale on a cable.", zh="读取一种有线体重秤。"),
                api_version="1.0",
                settings=Settings,
            )
    """
    raise NotImplementedError


@hookspec
def register_device_readers() -> Sequence[ReaderType]:
    """Returns the sorts of devices that the plugin reads. Called once, when the plugin is loaded.

    Example:

        from teleconsult.plugin_api import Command, DeviceReader, DeviceSession, ReaderType, Text, hookimpl


        class Scale(DeviceReader):
            async def run(self, session: DeviceSession) -> None:
                await session.status("idle")
                while True:
                    await session.next_command()  # only what is declared below is ever asked
                    line = "0007 070.45 kg"  # your device's bytes come here
                    number, weight, unit = line.split()
                    await session.reading("body_weight", {"body_weight": (float(weight), unit)}, sequence=number)


        @hookimpl
        def register_device_readers() -> list[ReaderType]:
            title = Text(en="Scale", zh="体重秤")
            return [ReaderType("scale", title, Scale, kinds=("body_weight",), commands=(Command.MEASURE,))]
    """
    raise NotImplementedError


@hookspec
def register_followup_programmes(settings: Any) -> Sequence[FollowupProgramme]:
    """Returns the follow-up programmes that the plugin offers. Called once, when the plugin is loaded.

    Example:

        from datetime import timedelta
        from typing import Any

        from teleconsult.plugin_api import (
            FollowupAssessment,
            FollowupProgramme,
            FollowupVisit,
            Text,
            hookimpl,
            translated,
        )


        class Walking(FollowupProgramme):
            key = "walking"
            title = Text(en="Walking", zh="步行")
            conditions = ("E66",)

            def questionnaire(self) -> dict[str, Any]:
                words = translated("text", Text(en="Steps a day", zh="每日步数"))
                steps = {"linkId": "steps", **words, "type": "integer", "required": True}
                return {"resourceType": "Questionnaire", "status": "active", "item": [steps]}

            def assess(self, visit: FollowupVisit) -> FollowupAssessment:
                steps = visit.response["item"][0]["answer"][0]["valueInteger"]
                due = visit.visited_on + timedelta(days=90)
                if steps >= 5000:
                    return FollowupAssessment(classification="1", label=Text(en="enough", zh="达标"), next_due=due)
                return FollowupAssessment(classification="2", label=Text(en="too few", zh="不足"), next_due=due)


        @hookimpl
        def register_followup_programmes() -> list[FollowupProgramme]:
            return [Walking()]
    """
    raise NotImplementedError


@hookspec
def register_referral_routes(settings: Any) -> Sequence[ReferralRoute]:
    """Returns the referral routes that the plugin offers. Called once, when the plugin is loaded.

    Example:

        from collections.abc import Sequence

        from teleconsult.plugin_api import (
            DeliveryReceipt,
            RankedTarget,
            Referral,
            ReferralRequest,
            ReferralRoute,
            ReferralTarget,
            Text,
            hookimpl,
        )


        class Nearest(ReferralRoute):
            key = "nearest"
            title = Text(en="The nearest", zh="就近转诊")

            def rank(self, request: ReferralRequest, targets: Sequence[ReferralTarget]) -> list[RankedTarget]:
                near = [(t.distance_km, t.organization_id) for t in targets if t.distance_km is not None]
                return [
                    RankedTarget(organization_id=name, fit=1 / (1 + km), why=Text(en=f"{km:g} km", zh=f"{km:g} 公里"))
                    for km, name in sorted(near)
                ]

            def deliver(self, referral: Referral) -> DeliveryReceipt:
                said = Text(en="This route only advises: call the hospital.", zh="本通道仅提供建议，请电话联系医院。")
                return DeliveryReceipt(delivered=False, sentence=said)


        @hookimpl
        def register_referral_routes() -> list[ReferralRoute]:
            return [Nearest()]
    """
    raise NotImplementedError


@hookspec
def consult_event(event: ConsultEvent, settings: Any) -> None:
    """Told after each stored step of a consult, in order. Deadline 10 s. Not told again after a failure.

    Example:

        import logging

        from teleconsult.plugin_api import Action, ConsultEvent, Urgency, hookimpl

        log = logging.getLogger(__name__)


        @hookimpl
        def consult_event(event: ConsultEvent) -> None:
            if event.action is Action.REQUEST and event.urgency is not Urgency.ROUTINE:
                log.warning("%s consult requested: %s", event.urgency, event.consult_id)
    """


@hookspec
def page_panels(context: PageContext, settings: Any) -> Sequence[Panel]:
    """Returns at most eight panels for a person's page. The page waits for at most one second.

    Example:

        from teleconsult.plugin_api import PageContext, Panel, PanelRow, Text, Tone, hookimpl


        @hookimpl
        def page_panels(context: PageContext) -> list[Panel]:
            weights = [r.value("body_weight") for r in context.readings if r.kind == "body_weight"]
            if len(weights) < 2 or weights[0] is None or weights[-1] is None:
                return []
            change = weights[0] - weights[-1]  # the latest reading stands first
            tone = Tone.ATTENTION if abs(change) >= 2 else Tone.PLAIN
            row = PanelRow(label=Text(en="Since the first", zh="与首次相比"), value=f"{change:+} kg", tone=tone)
            return [Panel(key="change", title=Text(en="Weight", zh="体重"), rows=(row,))]
    """
    raise NotImplementedError
