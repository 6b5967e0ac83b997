"""What stands on an analyser's card: how much of it is shown and remembered."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from teleconsult_vitals_serial.hl7.readings import Remark
from teleconsult_vitals_serial.standing import MOST_COUNTED, MOST_SHOWN, Standing

from teleconsult.plugin_api import Limits, Text

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
WAITING = Text(en="Waiting.", zh="等待。")


class Session:
    """Remembers as a session does."""

    def __init__(self):
        self.memory = {}

    def now(self):
        return NOW

    async def remember(self, **values):
        self.memory = json.loads(json.dumps(self.memory | values))


def remark(number, name="Glu", person="A"):
    return Remark(str(number), name, f"{person}{number}", "HI mmol/L", NOW, measured=True)


@pytest.fixture
def standing():
    return Standing(Session())


def put(standing, *remarks):
    """Remember them, each as a message of its own; returns what a restarted reader has."""
    for each in remarks:
        asyncio.run(standing.put([each]))
    return Standing(standing._session)


def test_the_latest_come_first_and_the_others_are_counted(standing):
    after = put(standing, *map(remark, range(8)))
    for each in (standing, after):
        sentence = each.before(WAITING)
        places = [sentence.en.index(f"(A{number})") for number in (7, 6, 5)]
        assert places == sorted(places)
        shown = sentence.en.count("Glu (")
        assert f"And {8 - shown} earlier ones. Waiting." in sentence.en
        assert sentence.zh.endswith(f"另有较早的 {8 - sentence.zh.count('Glu (')} 项。等待。")
    assert MOST_SHOWN >= sentence.zh.count("Glu (") >= 3


def test_what_there_is_no_room_for_is_left_out_whole(standing):
    put(standing, *(remark(number, "G" * 40, "姓" * 100) for number in range(3)))
    sentence = standing.before(WAITING)
    assert len(sentence.en) <= 500
    assert sentence.en.endswith("And 2 earlier ones. Waiting.")
    longest = standing.before(Text(en="x" * 500, zh="字" * 500))
    assert longest.en.startswith("G" * 40)


def test_what_is_remembered_is_bounded(standing):
    most = [replace(remark(number, "😀" * 40, "😀" * 115), said="😀" * 41) for number in range(MOST_COUNTED + 5)]
    put(standing, *most)
    assert len(json.dumps(standing._session.memory)) < Limits().memory_bytes
    put(standing, most[-1])
    assert f"{MOST_COUNTED - 1} earlier" in standing.before(WAITING).en


@pytest.mark.parametrize("saved", [7, "x", [7], [[]], [["yesterday", "k"]], [[NOW.isoformat(), "k", "name"]], None])
def test_a_memory_out_of_shape_is_none(saved):
    session = Session()
    session.memory = {"standing": saved}
    standing = Standing(session)
    assert not standing
    assert standing.before(WAITING) == WAITING
