"""Real browsers hold a call through real media workers: Chromiums, and again with one of them a Firefox."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, sync_playwright

from teleconsult.media import MediaConfig
from tests.browser.firefox import needs_firefox
from tests.browser.media_page import FirefoxParticipant, Hub, advances, call_of, rich, sees, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(params=["chromium", pytest.param("firefox", marks=needs_firefox)])
def firefoxes(request: pytest.FixtureRequest) -> list[str]:
    """Who has a Firefox: nobody, or the one called red."""
    return ["red"] if request.param == "firefox" else []


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(MediaConfig(workers=2))
    hub.workers.start()
    yield hub
    hub.workers.stop()


def test_two_browsers_see_and_hear_each_other_in_full_size(
    playwright: Playwright, hub: Hub, tmp_path: Path, firefoxes: list[str]
) -> None:
    with call_of(playwright, hub, tmp_path, ["red", "blue"], firefoxes=firefoxes) as (red, blue):
        people = [red, blue]
        for one in people:
            one.start()
        until(people, sees(red, "blue"), "red sees blue")
        until(people, sees(blue, "red"), "blue sees red")
        advances(people)

        def full() -> bool:
            return all(one.stats()["width"] == 1280 and one.stats()["height"] == 720 for one in people)

        until(people, full, "1280x720 both ways", timeout=40)
        # How soon is measured by the bench, on a quiet machine.
        until(people, rich(people), "1.2 Mbit/s both ways", timeout=60)
        for one in people:
            measured = "window.call.quality?.sentHeight === 720 && ['good', 'fair'].includes(window.call.quality.word)"
            until(people, lambda: bool(one.page.evaluate(measured)), "it is measured")  # noqa: B023
            assert one.console == []
        assert hub.refusals() == []


def test_quality_is_one_word_and_size_follows_the_link(playwright: Playwright, hub: Hub, tmp_path: Path) -> None:
    with call_of(playwright, hub, tmp_path, ["red"]) as (red,):
        red.page.goto("http://localhost:9/")
        red.page.wait_for_function("window.ready")
        module = "const { word, scaleAfter } = await import('/static/js/media/peer.js');"
        calm = {"loss": 0, "rtt": 0.05, "framesDecoded": 60, "frozenFor": 0, "sentHeight": 720}
        for change, sees_picture, expected in (
            ({}, True, "good"),
            ({"sentHeight": 0}, True, "good"),
            ({"framesDecoded": 0}, False, "good"),
            ({"framesDecoded": 0}, True, "voice-only"),
            ({"rtt": None}, True, "good"),
            ({"rtt": 0.4}, True, "fair"),
            ({"loss": 0.05}, True, "fair"),
            ({"framesDecoded": 20}, True, "fair"),
            ({"sentHeight": 180}, True, "fair"),
            ({"loss": 0.2}, True, "poor"),
            ({"framesDecoded": 6}, True, "poor"),
            ({"frozenFor": 1.5}, True, "poor"),
        ):
            script = f"async ([quality, sees]) => {{ {module} return word(quality, sees); }}"
            assert red.page.evaluate(script, [{**calm, **change}, sees_picture]) == expected, change
        calm = {"quantizer": 30, "codec": "video/VP8", "framesPerSecond": 30, "target": 2_000_000}
        calm |= {"lossUp": 0, "blind": False}
        for current, change, expected in (
            (1, {}, 1),
            (4 / 3, {}, 1),  # better than it need be: larger
            (4, {}, 8 / 3),
            (4 / 3, {"quantizer": 70}, 4 / 3),
            (1, {"quantizer": 100}, 4 / 3),  # coarse: smaller
            (1, {"quantizer": 40, "codec": "video/H264"}, 4 / 3),
            (1, {"framesPerSecond": 7, "target": 300_000}, 4 / 3),
            (1, {"quantizer": 100, "target": 130_000}, 2),  # by as much as it takes
            (1, {"target": 190_000}, 2),  # too little for this size, unless
            (1, {"target": 190_000, "quantizer": 20}, 1),  # the picture is so plain that it is good all the same
            (4 / 3, {"target": 240_000}, 4 / 3),  # and not enough more to come back, unless
            (4 / 3, {"target": 150_000, "quantizer": 20}, 1),  # it is as plain
            (4 / 3, {"target": 260_000}, 1),
            (1, {"quantizer": None, "target": 50_000}, 4),
            (2, {"quantizer": None}, 2),  # nothing is sent: nothing is known
            (4, {"quantizer": 120, "target": 20_000}, 4),
            (1, {"lossUp": 0.5}, 1),  # the browser knows the link, and has seen to it
            (1, {"lossUp": 0.5, "blind": True}, 4 / 3),  # it does not: what is lost tells
            (1, {"lossUp": 0.5, "blind": True, "target": 590_000}, 2),
            (2, {"blind": True, "target": 590_000, "quantizer": 20}, 2),  # the next size may ask for more than that
            (2, {"blind": True, "target": 610_000}, 4 / 3),
        ):
            script = f"async (a) => {{ {module} return scaleAfter(...a); }}"
            assert red.page.evaluate(script, [current, {**calm, **change}]) == expected, (current, change)


def test_third_joins_and_leaves(playwright: Playwright, hub: Hub, tmp_path: Path, firefoxes: list[str]) -> None:
    with call_of(playwright, hub, tmp_path, ["red", "blue", "green"], firefoxes=firefoxes) as (red, blue, green):
        for one in (red, blue):
            one.start()
        until([red, blue], sees(red, "blue"), "red sees blue")
        green.start()
        people = [red, blue, green]
        until(people, sees(red, "blue", "green"), "red sees blue and green", timeout=30)
        until(people, sees(blue, "red", "green"), "blue sees red and green")
        until(people, sees(green, "red", "blue"), "green sees red and blue")
        advances(people)
        hub.workers.leave(
            hub.room, next(reversed([e.peer for e in hub.events if getattr(e, "participant", "") == "green"]))
        )
        until([red, blue], lambda: red.colour("green") is None and blue.colour("green") is None, "green is gone")
        advances([red, blue])
        assert hub.refusals() == []


def test_offers_that_cross(playwright: Playwright, hub: Hub, tmp_path: Path, firefoxes: list[str]) -> None:
    """Both sides offer at the same time, again and again: the worker's offer stands, the browser's comes after."""
    with call_of(playwright, hub, tmp_path, ["red", "blue", "green"], firefoxes=firefoxes) as (red, blue, green):
        red.start()
        until([red], lambda: "connected" in hub.states("red"), "red is connected")
        # What the worker says to red is held back: red offers while the worker's own offer is under way.
        for other in (blue, green):
            other.start()
            until([other], lambda name=other.name: "connected" in hub.states(name), "the other is connected")
            red.page.evaluate("window.connections.at(-1).restartIce === undefined || window.call.peer.renegotiate()")
            red.page.wait_for_function("window.connections.at(-1).signalingState === 'have-local-offer'")
            until([red, other], sees(red, other.name), "red sees the other after the offers crossed")
            assert red.page.evaluate("window.connections.at(-1).signalingState") == "stable"
        people = [red, blue, green]
        until(people, sees(green, "red", "blue"), "green sees both")
        advances(people)
        assert [refusal for refusal in hub.refusals() if refusal.code != "unexpected"] == []
        assert all(one.page.evaluate("window.connections.length") == 1 for one in people)


def test_reload_rejoins(playwright: Playwright, hub: Hub, tmp_path: Path, firefoxes: list[str]) -> None:
    with call_of(playwright, hub, tmp_path, ["red", "blue"], firefoxes=firefoxes) as (red, blue):
        people = [red, blue]
        for one in people:
            one.start()
        until(people, sees(blue, "red"), "blue sees red")
        until(people, sees(red, "blue"), "red sees blue")
        red.start()  # a reload: the old connection is gone without a word
        until(people, sees(red, "blue"), "red sees blue again")
        advances(people)
        assert blue.colour("red") == "red"
        assert blue.page.evaluate("window.connections.length") == 1, "the other's connection is not touched"


def test_killed_worker_and_both_rejoin(playwright: Playwright, hub: Hub, tmp_path: Path, firefoxes: list[str]) -> None:
    with call_of(playwright, hub, tmp_path, ["red", "blue"], firefoxes=firefoxes) as (red, blue):
        people = [red, blue]
        for one in people:
            one.start()
        until(people, sees(red, "blue"), "red sees blue")
        until(people, lambda: any(status.peers == 2 for status in hub.workers.snapshot()), "the worker's status")
        victim = next(status.pid for status in hub.workers.snapshot() if status.peers == 2)
        os.kill(victim, signal.SIGKILL)
        until(people, lambda: red.page.evaluate("window.connections.length") == 2, "red joins again")
        until(people, sees(red, "blue"), "red sees blue again")
        until(people, sees(blue, "red"), "blue sees red again")
        advances(people)
        until(
            people,
            lambda: len(hub.workers.snapshot()) == 2 and victim not in [s.pid for s in hub.workers.snapshot()],
            "the worker is replaced",
        )
        assert red.page.evaluate("window.call.log.some(([kind]) => kind === 'room lost')")


def test_camera_switch_camera_off_and_mute(
    playwright: Playwright, hub: Hub, tmp_path: Path, firefoxes: list[str]
) -> None:
    with call_of(playwright, hub, tmp_path, ["red", "blue"], firefoxes=firefoxes) as (red, blue):
        people = [red, blue]
        red.start()
        blue.start()
        until(people, sees(blue, "red"), "blue sees red")
        red.page.evaluate(
            """async () => {
                const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
                const context = canvas.getContext("2d");
                setInterval(() => {
                    context.fillStyle = "#00ff00"; context.fillRect(0, 0, 640, 480);
                    context.fillStyle = "#00d000"; context.fillRect(performance.now() / 10 % 640, 400, 40, 40);
                }, 40);
                await window.call.peer.replaceTrack("video", canvas.captureStream(25).getVideoTracks()[0]);
            }"""
        )
        until(people, lambda: blue.colour("red") == "green", "blue sees red's other camera")
        red.page.evaluate("window.call.peer.replaceTrack('video', null)")
        frames = {"last": -1}

        def still() -> bool:
            now = blue.stats()["frames"]
            stands: bool = now == frames["last"]
            frames["last"] = now
            red.page.wait_for_timeout(200)
            return stands

        until(people, still, "blue gets no picture of red any more")
        advances([red])
        red.page.evaluate("window.call.peer.setEnabled('audio', false)")
        energy = {"last": -1.0}

        def silent() -> bool:
            now = blue.stats()["audioEnergy"]
            quiet: bool = now - energy["last"] < 1e-7
            energy["last"] = now
            return quiet

        until(people, silent, "blue hears nothing of red")


@needs_firefox
def test_a_firefoxs_own_camera_reaches_a_chromium_in_full_size(
    playwright: Playwright, hub: Hub, tmp_path: Path
) -> None:
    """The others' pictures are painted: Firefox takes no film for its camera."""
    with call_of(playwright, hub, tmp_path, ["blue"]) as (blue,):
        red = FirefoxParticipant(hub, "red", film=False)
        try:
            people = [red, blue]
            for one in people:
                one.start()
            until(people, lambda: blue.stats()["width"] == 1280 and blue.stats()["height"] == 720, "1280x720")
            until(people, lambda: blue.colour("red") is not None, "blue sees red")
            advances(people)
            assert red.console == blue.console == []
        finally:
            red.close()
