"""Every table, so that migrations and queries find them in one place."""

from teleconsult.store.tables.base import Record
from teleconsult.store.tables.consults import (
    Attachment,
    ChatMessage,
    Consult,
    ConsultEvent,
    Invitation,
    Opinion,
    OpinionDraft,
    Participation,
)
from teleconsult.store.tables.directory import (
    LoginAttempt,
    Organization,
    Stop,
    User,
    UserSession,
    Vehicle,
    Village,
)
from teleconsult.store.tables.people import Consent, Encounter, Observation, Patient
from teleconsult.store.tables.system import (
    AuditEntry,
    Cursor,
    DeviceAssignment,
    InboxEntry,
    NodeSetting,
    OutboxEntry,
    PluginState,
)

__all__ = [
    "Attachment",
    "AuditEntry",
    "ChatMessage",
    "Consent",
    "Consult",
    "ConsultEvent",
    "Cursor",
    "DeviceAssignment",
    "Encounter",
    "InboxEntry",
    "Invitation",
    "LoginAttempt",
    "NodeSetting",
    "Observation",
    "Opinion",
    "OpinionDraft",
    "Organization",
    "OutboxEntry",
    "Participation",
    "Patient",
    "PluginState",
    "Record",
    "Stop",
    "User",
    "UserSession",
    "Vehicle",
    "Village",
]
