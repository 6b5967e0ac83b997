"""Logging in: Argon2id, sessions that end, tries that are slowed down, nothing said about who exists."""

from __future__ import annotations

import threading

import pytest
from sqlmodel import select

from teleconsult.domain.errors import InvalidInput, NotAllowed, TooManyTries
from teleconsult.services import accounts, passwords, staff
from teleconsult.services.node import Node
from teleconsult.store.tables import AuditEntry, LoginAttempt, OutboxEntry, User, UserSession
from tests.support.clock import Clock
from tests.support.world import PASSWORD, World


@pytest.fixture
def clock(hub: Node) -> Clock:
    hub.clock = Clock()
    return hub.clock


def enter(node: Node, name: str = "specialist", password: str = PASSWORD, address: str = "10.0.0.1") -> str:
    token, _actor = accounts.log_in(node, name, password, address=address, agent="test")
    return token


def fail(node: Node, name: str = "specialist", address: str = "10.0.0.1") -> Exception:
    with pytest.raises((InvalidInput, TooManyTries)) as caught:
        enter(node, name, "not-the-password", address)
    return caught.value


def audited(node: Node) -> list[tuple[str, str, str]]:
    with node.store.read() as session:
        rows = session.exec(select(AuditEntry).order_by(AuditEntry.id)).all()
    return [(row.action, row.actor_name, row.entity_id) for row in rows]


def test_passwords_are_kept_as_argon2id() -> None:
    kept = passwords.hash_password("a good long password")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.verify_password(kept, "a good long password")
    assert not passwords.verify_password(kept, "a good long passworD")
    assert not passwords.verify_password("!", "")
    assert not passwords.verify_password("", "")


@pytest.mark.parametrize("password", ["short", "x" * 10, "specialist", "SPECIALIST ", "y" * 201])
def test_passwords_that_are_too_easy_or_too_long_are_refused(password: str) -> None:
    with pytest.raises(InvalidInput):
        passwords.check_password(password, "specialist")


def test_a_session_says_who_it_is_and_stores_no_token(hub: Node) -> None:
    token = enter(hub, " Specialist ")
    actor = accounts.resume(hub, token, address="10.0.0.9")
    assert actor is not None
    assert (actor.user_id, actor.role, actor.specialty, actor.address) == (
        World.specialist.user_id,
        "specialist",
        "cardiology",
        "10.0.0.9",
    )
    with hub.store.read() as session:
        [row] = session.exec(select(UserSession)).all()
    assert token not in row.model_dump_json()
    assert accounts.resume(hub, token + "x", address="") is None
    assert accounts.resume(hub, None, address="") is None


def test_a_session_ends_after_its_hours_however_busy(hub: Node, clock: Clock) -> None:
    token = enter(hub)
    for _ in range(11):
        clock.move(hours=1)
        assert accounts.resume(hub, token, address="") is not None
    clock.move(minutes=59)
    assert accounts.resume(hub, token, address="") is not None
    clock.move(minutes=1)
    assert accounts.resume(hub, token, address="") is None


def test_a_session_ends_when_nobody_uses_it(hub: Node, clock: Clock) -> None:
    token = enter(hub)
    clock.move(minutes=119)
    assert accounts.resume(hub, token, address="") is not None
    clock.move(minutes=119)
    assert accounts.resume(hub, token, address="") is not None
    clock.move(minutes=120)
    assert accounts.resume(hub, token, address="") is None


def test_use_is_noted_once_a_minute(hub: Node, clock: Clock) -> None:
    token = enter(hub)

    def seen() -> object:
        with hub.store.read() as session:
            return session.exec(select(UserSession.seen_at)).one()

    first = seen()
    clock.move(seconds=59)
    accounts.resume(hub, token, address="")
    assert seen() == first
    clock.move(seconds=1)
    accounts.resume(hub, token, address="")
    assert seen() == clock.now


def test_wrong_name_and_wrong_password_are_answered_alike(hub: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    hasher = passwords._hasher

    class Spy:
        def verify(self, kept: str, password: str) -> bool:
            looked_at.append(kept)
            return hasher.verify(kept, password)

    staff.set_active(hub, World.administrator, World.colleague.user_id, False)
    monkeypatch.setattr(passwords, "_hasher", Spy())
    answers = {str(fail(hub, name)) for name in ("specialist", "nobody-here", "colleague")}
    assert answers == {"The name or the password is not right. Check both and try again."}
    assert len(looked_at) == 3, "each answer costs one hash, whoever exists"


def test_a_closed_account_cannot_log_in_with_the_right_password(hub: Node) -> None:
    token = enter(hub)
    staff.set_active(hub, World.administrator, World.specialist.user_id, False)
    assert accounts.resume(hub, token, address="") is None
    with pytest.raises(InvalidInput):
        enter(hub)


def test_a_name_waits_after_five_failures_and_is_told_how_long(hub: Node, clock: Clock) -> None:
    for _ in range(5):
        assert isinstance(fail(hub), InvalidInput)
        clock.move(minutes=1)
    refused = fail(hub)
    assert isinstance(refused, TooManyTries)
    assert str(refused) == "There were too many wrong passwords. Wait 5 min, then try again."
    assert refused.wait_seconds == pytest.approx(300)
    with pytest.raises(TooManyTries):
        enter(hub)  # even with the right password, from anywhere
    with pytest.raises(TooManyTries):
        enter(hub, address="10.9.9.9")
    enter(hub, "colleague")  # others are not kept out
    clock.move(minutes=5)
    enter(hub)


def test_refused_tries_do_not_prolong_the_wait(hub: Node, clock: Clock) -> None:
    for _ in range(5):
        fail(hub)
    for _ in range(20):
        clock.move(seconds=29)
        assert isinstance(fail(hub), TooManyTries)
    clock.move(seconds=21)
    enter(hub)


def test_names_that_nobody_has_wait_too(hub: Node, clock: Clock) -> None:
    assert [type(fail(hub, "ghost")) for _ in range(6)] == [InvalidInput] * 5 + [TooManyTries]


def test_a_success_forgives_the_name_but_not_the_address(hub: Node, clock: Clock) -> None:
    for round_ in range(5):
        for _ in range(4):
            fail(hub, f"ghost-{round_}")
        if round_ < 4:
            clock.move(seconds=1)
            enter(hub)
            clock.move(seconds=1)
            continue
    assert isinstance(fail(hub, "ghost-9"), TooManyTries)
    assert isinstance(fail(hub, "ghost-9", address="10.0.0.2"), InvalidInput)


def test_guessing_in_parallel_is_slowed_down_too(hub: Node) -> None:
    outcomes: list[type] = []
    threads = [threading.Thread(target=lambda: outcomes.append(type(fail(hub)))) for _ in range(15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kind.__name__ for kind in outcomes) == ["InvalidInput"] * 5 + ["TooManyTries"] * 10


def test_old_tries_are_forgotten(hub: Node, clock: Clock) -> None:
    fail(hub)
    clock.move(hours=25)
    enter(hub)
    with hub.store.read() as session:
        assert [row.succeeded for row in session.exec(select(LoginAttempt))] == [True]


def test_logins_are_audited_and_what_was_typed_is_not(hub: Node) -> None:
    token = enter(hub)
    fail(hub)
    fail(hub, "My-Secret-Password-1")
    actor = accounts.resume(hub, token, address="")
    assert actor is not None
    accounts.log_out(hub, token, actor)
    accounts.log_out(hub, token, actor)
    me = World.specialist.user_id
    assert audited(hub) == [
        ("login", "专家甲", me),
        ("login_failed", "teleconsult", me),
        ("login_failed", "teleconsult", ""),
        ("logout", "专家甲", me),
    ]
    with hub.store.read() as session:
        details = " ".join(session.exec(select(AuditEntry.detail)))
    assert "secret" not in details.casefold()
    assert accounts.resume(hub, token, address="") is None


def test_changing_the_password_ends_all_other_logins(hub: Node) -> None:
    mine, other = enter(hub), enter(hub, address="10.0.0.2")
    actor = accounts.resume(hub, mine, address="10.0.0.1")
    assert actor is not None
    with pytest.raises(InvalidInput, match="present password"):
        accounts.change_password(hub, actor, mine, "not-the-password", "mountain road 73")
    with pytest.raises(InvalidInput, match="old one"):
        accounts.change_password(hub, actor, mine, PASSWORD, PASSWORD)
    fresh = accounts.change_password(hub, actor, mine, PASSWORD, "mountain road 73")
    assert accounts.resume(hub, fresh, address="") is not None
    assert accounts.resume(hub, mine, address="") is None
    assert accounts.resume(hub, other, address="") is None
    enter(hub, password="mountain road 73")
    assert isinstance(fail(hub), InvalidInput)
    with hub.store.read() as session:
        kinds = session.exec(select(OutboxEntry.kind).where(OutboxEntry.target == "*")).all()
    assert kinds == ["user_account"]


def test_guessing_the_present_password_is_slowed_down(hub: Node) -> None:
    actor = World.specialist
    for _ in range(5):
        with pytest.raises(InvalidInput):
            accounts.change_password(hub, actor, None, "not-the-password", "mountain road 73")
    with pytest.raises(TooManyTries):
        accounts.change_password(hub, actor, None, PASSWORD, "mountain road 73")


def test_on_a_vehicle_only_its_own_doctors_log_in(vehicle: Node) -> None:
    enter(vehicle, "doctor")
    for name in ("other-doctor", "specialist", "admin"):
        with pytest.raises(NotAllowed):
            enter(vehicle, name)
    with pytest.raises(NotAllowed):
        accounts.change_password(vehicle, World.doctor, None, PASSWORD, "mountain road 73")


def test_a_new_password_from_the_hub_ends_logins_on_the_vehicle_whatever_its_clock_says(vehicle: Node) -> None:
    token = enter(vehicle, "doctor")
    with vehicle.store.write() as tx:
        user = tx.session.get_one(User, World.doctor.user_id)
        user.phone = "0578-000000"
        tx.session.add(user)
    assert accounts.resume(vehicle, token, address="") is not None
    with vehicle.store.write() as tx:
        user = tx.session.get_one(User, World.doctor.user_id)
        user.password_hash = passwords.hash_password("mountain road 73")
        tx.session.add(user)
    assert accounts.resume(vehicle, token, address="") is None
