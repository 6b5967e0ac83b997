"""Everything a plugin may import. A plugin that imports anything else of teleconsult breaks without notice.

A plugin is a distribution with an entry point in the group `teleconsult.plugins` that names a module; the
module implements hooks of `teleconsult.plugin_api.hookspecs` with `@hookimpl`. docs/plugins/ shows how.
"""

from teleconsult.domain.consult import Action, Mode, State, Urgency
from teleconsult.domain.people import Sex
from teleconsult.domain.roles import Role
from teleconsult.plugin_api._devices import (
    Command,
    DeviceInfo,
    DeviceState,
    DeviceStatus,
    Quantity,
    Reading,
    ReadingFlag,
    Waveform,
    make_reading,
)
from teleconsult.plugin_api._events import ConsultEvent
from teleconsult.plugin_api._followup import FollowupAssessment, FollowupProgramme, FollowupVisit, translated
from teleconsult.plugin_api._panels import Page, PageContext, Panel, PanelRow, PanelTable, Tone
from teleconsult.plugin_api._plugin import API_VERSION, PluginInfo, supports
from teleconsult.plugin_api._readers import DeviceReader, ReaderType
from teleconsult.plugin_api._referral import (
    DeliveryReceipt,
    RankedTarget,
    Referral,
    ReferralDirection,
    ReferralRequest,
    ReferralRoute,
    ReferralTarget,
)
from teleconsult.plugin_api._session import (
    DeviceSession,
    DeviceUnavailable,
    Limits,
    ReadingNotTaken,
    SentTooMuch,
)
from teleconsult.plugin_api._text import Key, Text, UtcDatetime, Value
from teleconsult.plugin_api.hookspecs import hookimpl

__all__ = [
    "API_VERSION",
    "Action",
    "Command",
    "ConsultEvent",
    "DeliveryReceipt",
    "DeviceInfo",
    "DeviceReader",
    "DeviceSession",
    "DeviceState",
    "DeviceStatus",
    "DeviceUnavailable",
    "FollowupAssessment",
    "FollowupProgramme",
    "FollowupVisit",
    "Key",
    "Limits",
    "Mode",
    "Page",
    "PageContext",
    "Panel",
    "PanelRow",
    "PanelTable",
    "PluginInfo",
    "Quantity",
    "RankedTarget",
    "ReaderType",
    "Reading",
    "ReadingFlag",
    "ReadingNotTaken",
    "Referral",
    "ReferralDirection",
    "ReferralRequest",
    "ReferralRoute",
    "ReferralTarget",
    "Role",
    "SentTooMuch",
    "Sex",
    "State",
    "Text",
    "Tone",
    "Urgency",
    "UtcDatetime",
    "Value",
    "Waveform",
    "hookimpl",
    "make_reading",
    "supports",
    "translated",
]
