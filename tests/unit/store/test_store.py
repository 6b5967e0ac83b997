"""The store: migrations match the tables, records keep their versions, the audit cannot be changed."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from teleconsult.domain.errors import Conflict
from teleconsult.services.node import Node
from teleconsult.store import latest, migrate, new_version, versions
from teleconsult.store.tables import AuditEntry, NodeSetting, OutboxEntry, Patient
from tests.support.world import World


def test_migrations_make_exactly_the_tables(hub: Node) -> None:
    command.check(migrate.config(hub.store.url))
    assert migrate.current(hub.store) == migrate.head()


@pytest.mark.parametrize("statement", ["DELETE FROM auditentry", "UPDATE auditentry SET detail = 'x'"])
def test_the_audit_is_append_only(hub: Node, statement: str) -> None:
    with hub.transaction(World.doctor) as work:
        work.audit("read", "patient", World.patient_id, patient_id=World.patient_id)
    with pytest.raises(DBAPIError, match="append-only"), hub.store.write() as tx:
        tx.session.execute(sa.text(statement))
    with hub.store.read() as session:
        assert [entry.action for entry in session.exec(select(AuditEntry))] == ["read"]


def test_a_correction_is_a_new_version(hub: Node) -> None:
    with hub.transaction(World.doctor) as work:
        old = latest(work.session, Patient, World.patient_id)
        assert old is not None
        new_version(work.session, Patient, {"phone": "1380000"}, author=work.actor, node_id="hub", corrects=old)
    with hub.store.read() as session:
        first, second = versions(session, Patient, World.patient_id)
    assert (first.phone, second.phone) == ("", "1380000")
    assert (second.version, second.previous_id, second.name) == (2, first.id, "张秀英")
    assert (first.current, second.current) == (False, True)


def test_correcting_an_old_version_is_refused(hub: Node) -> None:
    with hub.transaction(World.doctor) as work:
        old = latest(work.session, Patient, World.patient_id)
        assert old is not None
        new_version(work.session, Patient, {"phone": "1"}, author=work.actor, node_id="hub", corrects=old)
        with pytest.raises(Conflict):
            new_version(work.session, Patient, {"phone": "2"}, author=work.actor, node_id="hub", corrects=old)


def test_nothing_is_announced_or_kept_when_the_transaction_fails(hub: Node) -> None:
    heard: list[str] = []
    hub.bus.listen(lambda topic, event, data: heard.append(event))
    with pytest.raises(RuntimeError), hub.transaction(World.doctor) as work:
        work.session.add(NodeSetting(key="a", value="b"))
        work.announce("node", "something", {})
        raise RuntimeError
    with hub.store.read() as session:
        assert session.get(NodeSetting, "a") is None
    assert heard == []


def test_a_vehicle_sends_what_it_audits(vehicle: Node) -> None:
    with vehicle.transaction(World.doctor) as work:
        work.audit("read", "patient", World.patient_id, patient_id=World.patient_id)
    with vehicle.store.read() as session:
        entry = session.exec(select(OutboxEntry)).one()
    assert (entry.target, entry.kind, entry.payload["action"]) == ("hub", "auditentry", "read")


def test_concurrent_writers_all_get_their_turn(hub: Node) -> None:
    def write(number: int) -> None:
        with hub.store.write() as tx:
            tx.session.add(NodeSetting(key=f"k{number}", value="x"))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with hub.store.read() as session:
        assert len(session.exec(select(NodeSetting)).all()) == 20
