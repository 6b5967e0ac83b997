"""The example in each hook's docstring is a whole module: it is run here, and what it returns is used."""

from __future__ import annotations

import inspect
import logging
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from teleconsult.plugin_api import (
    API_VERSION,
    Command,
    DeliveryReceipt,
    FollowupAssessment,
    PanelRow,
    PluginInfo,
    Referral,
    ReferralRequest,
    ReferralTarget,
    Text,
    Tone,
    hookspecs,
    make_reading,
)
from teleconsult.plugin_api.testing import DeviceBench, load_hooks
from teleconsult.plugin_kit import _hook_suite

HOOKS = [name for name, thing in vars(hookspecs).items() if hasattr(thing, f"{hookspecs.PROJECT}_spec")]


def example(hook: str) -> ModuleType:
    """The module that stands in the hook's docstring."""
    _, _, indented = (inspect.getdoc(getattr(hookspecs, hook)) or "").partition("Example:\n")
    module = ModuleType(f"example_of_{hook}")
    exec(compile(textwrap.dedent(indented), module.__name__, "exec", dont_inherit=True), module.__dict__)
    return module


def called(hook: str, **arguments: Any) -> Any:
    """What the example's hook answers, called through the checks that a node makes."""
    return getattr(load_hooks(example(hook)), hook)(**arguments)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_one_example_that_implements_it_and_no_other(hook: str) -> None:
    text = inspect.getdoc(getattr(hookspecs, hook)) or ""
    assert text.count("Example:\n") == 1
    marked = [name for name, thing in vars(example(hook)).items() if hasattr(thing, f"{hookspecs.PROJECT}_impl")]
    assert marked == [hook]


def test_every_hook_is_called_below() -> None:
    tests = inspect.getsource(inspect.getmodule(called))  # type: ignore[arg-type]
    assert [hook for hook in HOOKS if f'called("{hook}"' not in tests] == []


def test_describe_plugin() -> None:
    info = called("describe_plugin")
    assert isinstance(info, PluginInfo)
    assert info.api_version == API_VERSION
    assert info.settings is not None
    assert info.settings().model_dump() == {"port": "/dev/ttyUSB0"}


def test_register_device_readers() -> None:
    [[reader]] = called("register_device_readers")
    with DeviceBench(reader.reader) as bench:
        bench.status("idle")
        bench.command(Command.MEASURE)
        reading = bench.reading("body_weight")
        assert (reading.value("body_weight"), reading.sequence) == (Decimal("70.45"), "0007")


def test_register_followup_programmes(followup_visit: Callable[..., Any]) -> None:
    [[programme]] = called("register_followup_programmes", settings=None)
    texts: set[Text] = set()
    shown = [
        *_hook_suite.form(programme),
        *_hook_suite.assessing(programme, texts),
        *_hook_suite.assessing_again(programme),
    ]
    assert [line.sentence for line in shown if not line.good] == []
    assert all(text.zh for text in texts)
    good, poor = (programme.assess(followup_visit({"steps": steps})) for steps in (5000, 4999))
    assert isinstance(good, FollowupAssessment)
    assert (good.classification, poor.classification) == ("1", "2")


def test_register_referral_routes() -> None:
    [[route]] = called("register_referral_routes", settings=None)
    assert [line.sentence for line in _hook_suite.ranking(route, set()) if not line.good] == []
    assert _hook_suite.ranking_again(route)[0].good
    targets = [ReferralTarget(organization_id=str(km), name="x", level="core", distance_km=km) for km in (40, 8)]
    request = ReferralRequest(direction="up", urgency="urgent", from_organization_id="clinic")
    assert [item.organization_id for item in route.rank(request, targets)] == ["8", "40"]
    referral = Referral(
        referral_id="r",
        direction="up",
        urgency="urgent",
        patient_id="p",
        from_organization_id="clinic",
        to_organization_id="8",
        signed_at=datetime.now(UTC),
        form={"resourceType": "ServiceRequest"},
    )
    receipt = route.deliver(referral)
    assert isinstance(receipt, DeliveryReceipt)
    assert receipt.sentence is not None
    assert not receipt.delivered


def test_consult_event(consult_event: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    urgent = consult_event(urgency="urgent")
    with caplog.at_level(logging.INFO):
        assert called("consult_event", event=urgent, settings=None) == []
        called("consult_event", event=consult_event(), settings=None)
    assert [record.getMessage() for record in caplog.records] == [f"urgent consult requested: {urgent.consult_id}"]


def test_page_panels(page_context: Callable[..., Any]) -> None:
    readings = tuple(
        make_reading("scale", "body_weight", {"body_weight": (weight, "kg")}, sequence=number)
        for number, weight in enumerate((Decimal("68.2"), Decimal(69), Decimal("70.5")))
    )
    [[panel]] = called("page_panels", context=page_context(readings=readings), settings=None)
    words = Text(en="Since the first", zh="与首次相比")
    assert panel.rows == (PanelRow(label=words, value="-2.3 kg", tone=Tone.ATTENTION),)
    assert called("page_panels", context=page_context(), settings=None) == [[]]
