"""Hooks are called in the plugin's process with a deadline; what a plugin does wrong is counted and seen."""

import os
import signal
import threading
import time
from datetime import UTC, datetime

import pytest

from teleconsult.domain.errors import NotFound, Unavailable
from teleconsult.plugin_api import Referral, ReferralRequest, ReferralTarget, hookspecs, make_reading
from teleconsult.plugin_host import PluginStatus
from tests.processes.plugin_host.conftest import eventually

TARGETS = [
    ReferralTarget(organization_id="far", name="Far", level="core", distance_km=40),
    ReferralTarget(organization_id="near", name="Near", level="branch", distance_km=4),
    ReferralTarget(organization_id="unknown", name="Unknown", level="branch"),
]
REQUEST = ReferralRequest(direction="up", urgency="urgent", from_organization_id="clinic")


# One test for each hook. `test_every_hook_is_tested` looks for them by name.


def test_hook_describe_plugin(plugin_host):
    assert plugin_host("every_hook").plugin("every_hook").summary.en == "For tests"


def test_hook_register_device_readers(plugin_host):
    [offered] = plugin_host("every_hook").readers()
    assert (offered.plugin, offered.reader.key, offered.reader.kinds) == ("every_hook", "silent", ("body_weight",))


def test_hook_register_followup_programmes(plugin_host, followup_visit):
    host = plugin_host("every_hook")
    [offered] = host.followup_programmes()
    assert offered.programme.conditions == ("E66",)
    for steps, classification in ((5000, "1"), (4999, "2")):
        assessment = host.assess_followup("every_hook", "walking", followup_visit({"steps": steps}))
        assert assessment.classification == classification
    with pytest.raises(NotFound):
        host.assess_followup("every_hook", "running", followup_visit({"steps": 1}))
    with pytest.raises(Unavailable):  # the plugin raises: there is no such answer
        host.assess_followup("every_hook", "walking", followup_visit({"steps": "many"}))
    assert "KeyError: 'valueInteger'" in host.plugin("every_hook").last_error


def test_hook_register_referral_routes(plugin_host):
    host = plugin_host("every_hook")
    assert [offered.route.key for offered in host.referral_routes()] == ["nearest"]
    ranked = host.rank_targets("every_hook", "nearest", REQUEST, TARGETS)
    assert [target.organization_id for target in ranked] == ["near", "far"]
    referral = Referral(
        referral_id="0192",
        direction="up",
        urgency="urgent",
        patient_id="p",
        from_organization_id="clinic",
        to_organization_id="near",
        signed_at=datetime(2026, 11, 24, tzinfo=UTC),
        form={"resourceType": "ServiceRequest"},
    )
    assert host.deliver_referral("every_hook", "nearest", referral).reference == "R-0192"


def test_hook_consult_event(plugin_host, consult_event, tmp_path):
    host = plugin_host("every_hook")
    log = tmp_path / "events.txt"
    host.configure("every_hook", {"log": str(log)})
    host.announce(consult_event())
    host.announce(consult_event(action="accept", state="accepted"))
    told = ["request requested", "accept accepted"]
    eventually(lambda: log.exists() and log.read_text().splitlines() == told, "both steps told, in order")


def test_hook_page_panels(plugin_host, page_context):
    [offered] = plugin_host("every_hook").page_panels(page_context())
    assert offered.plugin == "every_hook"
    assert offered.panel.rows[0].value.en == "0"
    assert offered.panel.title.in_language("zh") == "测量"


def test_every_hook_is_tested():
    hooks = {name for name, value in vars(hookspecs).items() if hasattr(value, "teleconsult_spec")}
    assert hooks == {name.removeprefix("test_hook_") for name in globals() if name.startswith("test_hook_")}


# What goes wrong


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raise", "ValueError: it went wrong (misbehaving.py:"),
        ("block", "did not answer within 0.5 s"),
        ("spin", "did not answer within 0.5 s"),
        ("exit", "SystemExit: 5"),
        ("die", "its process ended during the call"),
        ("nonsense", "must return a list"),
        ("many", "50 panels"),
        ("memory", "MemoryError"),
    ],
)
def test_a_misbehaving_panel_is_left_out_counted_and_shown(plugin_host, page_context, how, words):
    host = plugin_host("misbehaving", "every_hook", panel_deadline=0.5)
    host.configure("misbehaving", {"how": how})
    began = time.monotonic()
    panels = host.page_panels(page_context())
    assert time.monotonic() - began < 1.0
    assert [offered.plugin for offered in panels] == ["every_hook"], "the others still show"
    view = host.plugin("misbehaving")
    assert words in view.last_error
    assert view.faults == 1
    assert view.last_error_at is not None


def test_a_plugin_that_does_not_even_read_what_it_is_asked_is_ended(plugin_host, page_context):
    """What a page asks may be more than a pipe holds: writing it would wait for ever."""
    host = plugin_host("every_hook", panel_deadline=0.5)
    pressure = {"systolic": (128, "mm[Hg]"), "diastolic": (81, "mm[Hg]")}
    many = [make_reading("cuff-1", "blood_pressure", pressure, sequence=str(number)) for number in range(200)]
    os.kill(host._plugins["every_hook"]._worker._child.pid, signal.SIGSTOP)
    panels: list[object] = []
    asking = threading.Thread(target=lambda: panels.extend(host.page_panels(page_context(readings=many))), daemon=True)
    asking.start()
    asking.join(20)
    assert not asking.is_alive()
    assert panels == []
    view = host.plugin("every_hook")
    assert (view.faults, "did not answer within 0.5 s" in view.last_error) == (1, True)
    eventually(lambda: host.page_panels(page_context(readings=many)), "its panel is back")


def test_a_plugin_that_was_ended_is_back_soon(plugin_host, page_context):
    host = plugin_host("misbehaving", panel_deadline=0.5)
    host.configure("misbehaving", {"how": "die"})
    assert host.page_panels(page_context()) == []
    host.configure("misbehaving", {"how": "well"})
    eventually(lambda: host.page_panels(page_context()), "its panel is back")


def test_printing_without_end_reaches_the_log_in_part_only(plugin_host, page_context, capfd):
    host = plugin_host("misbehaving", panel_deadline=5.0)
    host.configure("misbehaving", {"how": "print"})
    assert len(host.page_panels(page_context())) == 1
    printed = capfd.readouterr().err.count("[plugin misbehaving] again")
    assert 0 < printed < 500


def test_repeated_faults_switch_off_until_a_person_switches_on(plugin_host, page_context, store):
    host = plugin_host("misbehaving", fault_limit=3)
    host.configure("misbehaving", {"how": "raise"})
    for _ in range(2):
        host.page_panels(page_context())
    assert host.plugin("misbehaving").status is PluginStatus.ENABLED
    host.page_panels(page_context())
    view = host.plugin("misbehaving")
    assert (view.status, view.faults) == (PluginStatus.SWITCHED_OFF_AFTER_FAULTS, 3)
    assert host.page_panels(page_context()) == []
    assert host.plugin("misbehaving").faults == 3, "it is not called any more"
    assert store.get("misbehaving").switched_off

    restarted = plugin_host("misbehaving")
    assert restarted.plugin("misbehaving").status is PluginStatus.SWITCHED_OFF_AFTER_FAULTS, "remembered"
    view = restarted.enable("misbehaving")
    assert (view.status, view.faults, view.last_error) == (PluginStatus.ENABLED, 0, "")


def test_faults_long_ago_do_not_count(plugin_host, page_context):
    host = plugin_host("misbehaving", fault_limit=2, fault_window=0.05)
    host.configure("misbehaving", {"how": "raise"})
    for _ in range(3):
        host.page_panels(page_context())
        time.sleep(0.06)  # the window itself is what is tested
    assert host.plugin("misbehaving").status is PluginStatus.ENABLED
    assert host.plugin("misbehaving").faults == 3


def test_pages_do_not_wait_for_a_plugin_that_takes_its_time_over_an_event(plugin_host, page_context, consult_event):
    host = plugin_host("misbehaving", "every_hook", panel_deadline=60.0)
    host.configure("misbehaving", {"how": "dawdle"})
    host.announce(consult_event())
    turn = host._plugins["misbehaving"]._worker._turn
    eventually(turn.locked, "it is being told")
    assert [offered.plugin for offered in host.page_panels(page_context())] == ["every_hook"]
    assert turn.locked(), "it is still being told"
    assert host.plugin("misbehaving").faults == 0


def test_events_do_not_wait_for_a_slow_plugin(plugin_host, consult_event):
    host = plugin_host("misbehaving")
    host.configure("misbehaving", {"how": "raise"})
    began = time.monotonic()
    for _ in range(50):
        host.announce(consult_event())
    assert time.monotonic() - began < 0.5
    eventually(lambda: host.plugin("misbehaving").status is PluginStatus.SWITCHED_OFF_AFTER_FAULTS, "switched off")


def test_listeners_hear_of_changes(plugin_host):
    host = plugin_host("every_hook")
    heard = []
    host.on_change(heard.append)
    host.on_change(lambda name: 1 / 0)  # one that fails disturbs nobody
    host.disable("every_hook")
    assert heard == ["every_hook"]


def test_processes_end_with_the_host(plugin_host):
    host = plugin_host("every_hook")
    worker = host._plugins["every_hook"]._worker
    assert worker.alive
    host.stop()
    assert not worker._child.alive
