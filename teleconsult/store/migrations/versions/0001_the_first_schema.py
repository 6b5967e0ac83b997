"""The first schema"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import teleconsult.store.types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQLITE_REFUSALS = [
    f"""CREATE TRIGGER auditentry_no_{verb.lower()} BEFORE {verb} ON auditentry
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"""
    for verb in ("UPDATE", "DELETE")
]
POSTGRESQL_REFUSALS = [
    """CREATE FUNCTION auditentry_refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$""",
    """CREATE TRIGGER auditentry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON auditentry
       FOR EACH STATEMENT EXECUTE FUNCTION auditentry_refuse()""",
]


def _make_audit_append_only() -> None:
    """Let the database itself refuse to change or delete what the audit holds."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_REFUSALS if sqlite else POSTGRESQL_REFUSALS:
        op.execute(statement)


def upgrade() -> None:
    op.create_table(
        "attachment",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.String(length=36), nullable=True),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("author_id", sa.String(length=64), nullable=False),
        sa.Column("author_name", sa.String(length=120), nullable=False),
        sa.Column("written_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("consult_id", sa.String(length=36), nullable=True),
        sa.Column("encounter_id", sa.String(length=36), nullable=True),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("filename", sa.String(length=120), nullable=False),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("caption", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("attachment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_attachment_consult_id"), ["consult_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_attachment_current"), ["current"], unique=False)
        batch_op.create_index(batch_op.f("ix_attachment_patient_id"), ["patient_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_attachment_record_id"), ["record_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_attachment_sha256"), ["sha256"], unique=False)

    op.create_table(
        "auditentry",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=False),
        sa.Column("actor_name", sa.String(length=120), nullable=False),
        sa.Column("actor_role", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("entity", sa.String(length=40), nullable=False),
        sa.Column("entity_id", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=True),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("auditentry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_auditentry_actor_id"), ["actor_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_auditentry_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_auditentry_patient_id"), ["patient_id"], unique=False)

    op.create_table(
        "chatmessage",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.String(length=36), nullable=True),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("author_id", sa.String(length=64), nullable=False),
        sa.Column("author_name", sa.String(length=120), nullable=False),
        sa.Column("written_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("consult_id", sa.String(length=36), nullable=False),
        sa.Column("author_role", sa.String(length=20), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("chatmessage", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_chatmessage_consult_id"), ["consult_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_chatmessage_current"), ["current"], unique=False)
        batch_op.create_index(batch_op.f("ix_chatmessage_record_id"), ["record_id"], unique=False)

    op.create_table(
        "consent",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.String(length=36), nullable=True),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("author_id", sa.String(length=64), nullable=False),
        sa.Column("author_name", sa.String(length=120), nullable=False),
        sa.Column("written_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("encounter_id", sa.String(length=36), nullable=True),
        sa.Column("consult_id", sa.String(length=36), nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("given_by", sa.String(length=20), nullable=False),
        sa.Column("giver_name", sa.String(length=60), nullable=False),
        sa.Column("how", sa.String(length=20), nullable=False),
        sa.Column("given_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("consent", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_consent_consult_id"), ["consult_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_consent_current"), ["current"], unique=False)
        batch_op.create_index(batch_op.f("ix_consent_patient_id"), ["patient_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_consent_record_id"), ["record_id"], unique=False)

    op.create_table(
        "consult",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("encounter_id", sa.String(length=36), nullable=True),
        sa.Column("consent_id", sa.String(length=36), nullable=True),
        sa.Column("vehicle_id", sa.String(length=36), nullable=False),
        sa.Column("village_id", sa.String(length=36), nullable=True),
        sa.Column("requester_id", sa.String(length=36), nullable=False),
        sa.Column("requester_name", sa.String(length=60), nullable=False),
        sa.Column("specialty", sa.String(length=40), nullable=False),
        sa.Column("urgency", sa.String(length=12), nullable=False),
        sa.Column("mode", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("shared", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("state_since", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("specialist_id", sa.String(length=36), nullable=True),
        sa.Column("specialist_name", sa.String(length=60), nullable=True),
        sa.Column("requested_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("call_started_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("call_ended_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("signed_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("closed_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("consult", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_consult_number"), ["number"], unique=False)
        batch_op.create_index(batch_op.f("ix_consult_patient_id"), ["patient_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_consult_requested_at"), ["requested_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_consult_specialist_id"), ["specialist_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_consult_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_consult_vehicle_id"), ["vehicle_id"], unique=False)

    op.create_table(
        "consultevent",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("consult_id", sa.String(length=36), nullable=False),
        sa.Column("action", sa.String(length=24), nullable=False),
        sa.Column("from_state", sa.String(length=20), nullable=True),
        sa.Column("to_state", sa.String(length=20), nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=False),
        sa.Column("actor_name", sa.String(length=120), nullable=False),
        sa.Column("actor_role", sa.String(length=20), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("consultevent", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_consultevent_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_consultevent_consult_id"), ["consult_id"], unique=False)

    op.create_table(
        "cursor",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "deviceassignment",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("plugin", sa.String(length=80), nullable=False),
        sa.Column("reader", sa.String(length=80), nullable=False),
        sa.Column("device_id", sa.String(length=120), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("info", sa.JSON(), nullable=False),
        sa.Column("memory", sa.JSON(), nullable=False),
        sa.Column("made_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("device_id"),
    )
    op.create_table(
        "encounter",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.String(length=36), nullable=True),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("author_id", sa.String(length=64), nullable=False),
        sa.Column("author_name", sa.String(length=120), nullable=False),
        sa.Column("written_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("vehicle_id", sa.String(length=36), nullable=True),
        sa.Column("village_id", sa.String(length=36), nullable=True),
        sa.Column("doctor_id", sa.String(length=36), nullable=False),
        sa.Column("doctor_name", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("notes", sa.String(), nullable=False),
        sa.Column("started_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("encounter", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_encounter_current"), ["current"], unique=False)
        batch_op.create_index(batch_op.f("ix_encounter_patient_id"), ["patient_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_encounter_record_id"), ["record_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_encounter_started_at"), ["started_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_encounter_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_encounter_vehicle_id"), ["vehicle_id"], unique=False)

    op.create_table(
        "inboxentry",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("record_id", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("result", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "record_id", "kind"),
    )
    op.create_table(
        "invitation",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("consult_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("invited_by", sa.String(length=36), nullable=False),
        sa.Column("invited_by_name", sa.String(length=60), nullable=False),
        sa.Column("at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("invitation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invitation_consult_id"), ["consult_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_invitation_user_id"), ["user_id"], unique=False)

    op.create_table(
        "loginattempt",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("username", sa.String(length=60), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("succeeded", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("loginattempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_loginattempt_address"), ["address"], unique=False)
        batch_op.create_index(batch_op.f("ix_loginattempt_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_loginattempt_username"), ["username"], unique=False)

    op.create_table(
        "nodesetting",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "observation",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.String(length=36), nullable=True),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("author_id", sa.String(length=64), nullable=False),
        sa.Column("author_name", sa.String(length=120), nullable=False),
        sa.Column("written_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=True),
        sa.Column("encounter_id", sa.String(length=36), nullable=True),
        sa.Column("reading_id", sa.String(length=120), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("components", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("device_id", sa.String(length=120), nullable=True),
        sa.Column("device_name", sa.String(length=120), nullable=False),
        sa.Column("taken_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("received_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("marks", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("observation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_observation_current"), ["current"], unique=False)
        batch_op.create_index(batch_op.f("ix_observation_encounter_id"), ["encounter_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_observation_kind"), ["kind"], unique=False)
        batch_op.create_index(batch_op.f("ix_observation_patient_id"), ["patient_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_observation_reading_id"), ["reading_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_observation_record_id"), ["record_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_observation_taken_at"), ["taken_at"], unique=False)

    op.create_table(
        "opinion",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.String(length=36), nullable=True),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("author_id", sa.String(length=64), nullable=False),
        sa.Column("author_name", sa.String(length=120), nullable=False),
        sa.Column("written_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("consult_id", sa.String(length=36), nullable=False),
        sa.Column("patient_id", sa.String(length=36), nullable=False),
        sa.Column("impression", sa.String(), nullable=False),
        sa.Column("advice", sa.String(), nullable=False),
        sa.Column("medicines", sa.String(), nullable=False),
        sa.Column("refer", sa.Boolean(), nullable=False),
        sa.Column("refer_to", sa.String(), nullable=False),
        sa.Column("review_on", sa.Date(), nullable=True),
        sa.Column("organization_name", sa.String(), nullable=False),
        sa.Column("signed_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("opinion", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_opinion_consult_id"), ["consult_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_opinion_current"), ["current"], unique=False)
        batch_op.create_index(batch_op.f("ix_opinion_patient_id"), ["patient_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_opinion_record_id"), ["record_id"], unique=False)

    op.create_table(
        "opiniondraft",
        sa.Column("consult_id", sa.String(length=36), nullable=False),
        sa.Column("author_id", sa.String(length=36), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("saved_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consult_id", "author_id"),
    )
    op.create_table(
        "organization",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("parent_id", sa.String(length=36), nullable=True),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("phone", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("changed_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["organization.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
    )
    op.create_table(
        "outboxentry",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("target", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("record_id", sa.String(length=80), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("made_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("acked_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    with op.batch_alter_table("outboxentry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outboxentry_acked_at"), ["acked_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_outboxentry_target"), ["target"], unique=False)

    op.create_table(
        "participation",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("consult_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("organization_name", sa.String(), nullable=False),
        sa.Column("joined_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("left_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("participation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_participation_consult_id"), ["consult_id"], unique=False)

    op.create_table(
        "patient",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous_id", sa.String(length=36), nullable=True),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("author_id", sa.String(length=64), nullable=False),
        sa.Column("author_name", sa.String(length=120), nullable=False),
        sa.Column("written_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("pinyin", sa.String(length=200), nullable=False),
        sa.Column("initials", sa.String(length=60), nullable=False),
        sa.Column("sex", sa.String(length=10), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=False),
        sa.Column("resident_id", sa.String(length=18), nullable=True),
        sa.Column("village_id", sa.String(length=36), nullable=True),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("phone", sa.String(length=30), nullable=False),
        sa.Column("insurance_number", sa.String(length=40), nullable=False),
        sa.Column("allergies", sa.String(), nullable=False),
        sa.Column("pregnant", sa.Boolean(), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("patient", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_patient_current"), ["current"], unique=False)
        batch_op.create_index(batch_op.f("ix_patient_initials"), ["initials"], unique=False)
        batch_op.create_index(batch_op.f("ix_patient_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_patient_pinyin"), ["pinyin"], unique=False)
        batch_op.create_index(batch_op.f("ix_patient_record_id"), ["record_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_patient_resident_id"), ["resident_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_patient_village_id"), ["village_id"], unique=False)

    op.create_table(
        "pluginstate",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("switched_off", sa.Boolean(), nullable=False),
        sa.Column("faults", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(), nullable=False),
        sa.Column("last_error_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("changed_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "vehicle",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("plate", sa.String(length=20), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=True),
        sa.Column("key_made_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_seen_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("changed_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
    )
    op.create_table(
        "village",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("township", sa.String(length=80), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=True),
        sa.Column("changed_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("village", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_village_name"), ["name"], unique=False)

    op.create_table(
        "stop",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("vehicle_id", sa.String(length=36), nullable=False),
        sa.Column("village_id", sa.String(length=36), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("changed_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["vehicle_id"],
            ["vehicle.id"],
        ),
        sa.ForeignKeyConstraint(
            ["village_id"],
            ["village.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("stop", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_stop_day"), ["day"], unique=False)
        batch_op.create_index(batch_op.f("ix_stop_vehicle_id"), ["vehicle_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_stop_village_id"), ["village_id"], unique=False)

    op.create_table(
        "user_account",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("username", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=True),
        sa.Column("vehicle_id", sa.String(length=36), nullable=True),
        sa.Column("specialty", sa.String(length=40), nullable=True),
        sa.Column("title", sa.String(length=40), nullable=False),
        sa.Column("phone", sa.String(length=30), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("password_changed_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("changed_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.ForeignKeyConstraint(
            ["vehicle_id"],
            ["vehicle.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("username"),
    )
    with op.batch_alter_table("user_account", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_user_account_role"), ["role"], unique=False)

    op.create_table(
        "usersession",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("credential", sa.String(length=32), nullable=False),
        sa.Column("made_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("seen_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", teleconsult.store.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("usersession", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_usersession_user_id"), ["user_id"], unique=False)
    _make_audit_append_only()


def downgrade() -> None:
    with op.batch_alter_table("usersession", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_usersession_user_id"))

    op.drop_table("usersession")
    with op.batch_alter_table("user_account", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_user_account_role"))

    op.drop_table("user_account")
    with op.batch_alter_table("stop", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_stop_village_id"))
        batch_op.drop_index(batch_op.f("ix_stop_vehicle_id"))
        batch_op.drop_index(batch_op.f("ix_stop_day"))

    op.drop_table("stop")
    with op.batch_alter_table("village", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_village_name"))

    op.drop_table("village")
    op.drop_table("vehicle")
    op.drop_table("pluginstate")
    with op.batch_alter_table("patient", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_patient_village_id"))
        batch_op.drop_index(batch_op.f("ix_patient_resident_id"))
        batch_op.drop_index(batch_op.f("ix_patient_record_id"))
        batch_op.drop_index(batch_op.f("ix_patient_pinyin"))
        batch_op.drop_index(batch_op.f("ix_patient_name"))
        batch_op.drop_index(batch_op.f("ix_patient_initials"))
        batch_op.drop_index(batch_op.f("ix_patient_current"))

    op.drop_table("patient")
    with op.batch_alter_table("participation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_participation_consult_id"))

    op.drop_table("participation")
    with op.batch_alter_table("outboxentry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outboxentry_target"))
        batch_op.drop_index(batch_op.f("ix_outboxentry_acked_at"))

    op.drop_table("outboxentry")
    op.drop_table("organization")
    op.drop_table("opiniondraft")
    with op.batch_alter_table("opinion", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_opinion_record_id"))
        batch_op.drop_index(batch_op.f("ix_opinion_patient_id"))
        batch_op.drop_index(batch_op.f("ix_opinion_current"))
        batch_op.drop_index(batch_op.f("ix_opinion_consult_id"))

    op.drop_table("opinion")
    with op.batch_alter_table("observation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_observation_taken_at"))
        batch_op.drop_index(batch_op.f("ix_observation_record_id"))
        batch_op.drop_index(batch_op.f("ix_observation_reading_id"))
        batch_op.drop_index(batch_op.f("ix_observation_patient_id"))
        batch_op.drop_index(batch_op.f("ix_observation_kind"))
        batch_op.drop_index(batch_op.f("ix_observation_encounter_id"))
        batch_op.drop_index(batch_op.f("ix_observation_current"))

    op.drop_table("observation")
    op.drop_table("nodesetting")
    with op.batch_alter_table("loginattempt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_loginattempt_username"))
        batch_op.drop_index(batch_op.f("ix_loginattempt_at"))
        batch_op.drop_index(batch_op.f("ix_loginattempt_address"))

    op.drop_table("loginattempt")
    with op.batch_alter_table("invitation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_invitation_user_id"))
        batch_op.drop_index(batch_op.f("ix_invitation_consult_id"))

    op.drop_table("invitation")
    op.drop_table("inboxentry")
    with op.batch_alter_table("encounter", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_encounter_vehicle_id"))
        batch_op.drop_index(batch_op.f("ix_encounter_state"))
        batch_op.drop_index(batch_op.f("ix_encounter_started_at"))
        batch_op.drop_index(batch_op.f("ix_encounter_record_id"))
        batch_op.drop_index(batch_op.f("ix_encounter_patient_id"))
        batch_op.drop_index(batch_op.f("ix_encounter_current"))

    op.drop_table("encounter")
    op.drop_table("deviceassignment")
    op.drop_table("cursor")
    with op.batch_alter_table("consultevent", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_consultevent_consult_id"))
        batch_op.drop_index(batch_op.f("ix_consultevent_at"))

    op.drop_table("consultevent")
    with op.batch_alter_table("consult", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_consult_vehicle_id"))
        batch_op.drop_index(batch_op.f("ix_consult_state"))
        batch_op.drop_index(batch_op.f("ix_consult_specialist_id"))
        batch_op.drop_index(batch_op.f("ix_consult_requested_at"))
        batch_op.drop_index(batch_op.f("ix_consult_patient_id"))
        batch_op.drop_index(batch_op.f("ix_consult_number"))

    op.drop_table("consult")
    with op.batch_alter_table("consent", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_consent_record_id"))
        batch_op.drop_index(batch_op.f("ix_consent_patient_id"))
        batch_op.drop_index(batch_op.f("ix_consent_current"))
        batch_op.drop_index(batch_op.f("ix_consent_consult_id"))

    op.drop_table("consent")
    with op.batch_alter_table("chatmessage", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_chatmessage_record_id"))
        batch_op.drop_index(batch_op.f("ix_chatmessage_current"))
        batch_op.drop_index(batch_op.f("ix_chatmessage_consult_id"))

    op.drop_table("chatmessage")
    with op.batch_alter_table("auditentry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_auditentry_patient_id"))
        batch_op.drop_index(batch_op.f("ix_auditentry_at"))
        batch_op.drop_index(batch_op.f("ix_auditentry_actor_id"))

    op.drop_table("auditentry")
    with op.batch_alter_table("attachment", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_attachment_sha256"))
        batch_op.drop_index(batch_op.f("ix_attachment_record_id"))
        batch_op.drop_index(batch_op.f("ix_attachment_patient_id"))
        batch_op.drop_index(batch_op.f("ix_attachment_current"))
        batch_op.drop_index(batch_op.f("ix_attachment_consult_id"))

    op.drop_table("attachment")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION auditentry_refuse")
