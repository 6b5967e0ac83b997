"""A well-behaved plugin that implements every hook."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from teleconsult.plugin_api import (
    ConsultEvent,
    DeliveryReceipt,
    DeviceReader,
    FollowupAssessment,
    FollowupProgramme,
    PageContext,
    Panel,
    PanelRow,
    PanelTable,
    PluginInfo,
    RankedTarget,
    ReaderType,
    ReferralRoute,
    Text,
    Tone,
    hookimpl,
)


class Settings(BaseModel):
    log: str = ""
    limit: int = 3


class Silent(DeviceReader):
    async def run(self, session):
        await session.next_command()


class Walking(FollowupProgramme):
    key = "walking"
    title = Text(en="Walking", zh="步行")
    conditions = ("E66",)

    def questionnaire(self):
        item = {"linkId": "steps", "text": "Steps", "type": "integer"}
        return {"resourceType": "Questionnaire", "status": "active", "item": [item]}

    def assess(self, visit):
        steps = visit.response["item"][0]["answer"][0]["valueInteger"]
        good = steps >= 5000
        return FollowupAssessment(classification="1" if good else "2", label="good" if good else "too few")


class Nearest(ReferralRoute):
    key = "nearest"
    title = "Nearest"

    def rank(self, request, targets):
        near = sorted((t for t in targets if t.distance_km is not None), key=lambda t: t.distance_km)
        return [RankedTarget(organization_id=t.organization_id, fit=1 / (1 + t.distance_km), why="near") for t in near]

    def deliver(self, referral):
        return DeliveryReceipt(delivered=True, reference=f"R-{referral.referral_id[:4]}")


@hookimpl
def describe_plugin() -> PluginInfo:
    return PluginInfo(
        title=Text(en="Every hook", zh="全部"),
        summary=Text(en="For tests", zh="用于测试"),
        api_version="1.0",
        settings=Settings,
    )


@hookimpl
def register_device_readers() -> list[ReaderType]:
    return [ReaderType("silent", Text(en="Silent scale", zh="静默秤"), Silent, kinds=("body_weight",))]


@hookimpl
def register_followup_programmes(settings: Settings) -> list[FollowupProgramme]:
    return [Walking()]


@hookimpl
def register_referral_routes() -> list[ReferralRoute]:
    return [Nearest()]


@hookimpl
def consult_event(event: ConsultEvent, settings: Settings) -> None:
    with Path(settings.log).open("a") as log:
        log.write(f"{event.action} {event.state}\n")


@hookimpl
def page_panels(context: PageContext, settings: Settings) -> list[Panel]:
    count = len(context.readings)
    tone = Tone.ATTENTION if count > settings.limit else Tone.PLAIN
    return [
        Panel(
            key="count",
            title=Text(en="Readings", zh="测量"),
            rows=(PanelRow(label=Text(en="Count", zh="次数"), value=str(count), tone=tone),),
            table=PanelTable(columns=("a", "b"), lines=(("1", "2"),)),
        )
    ]
