"""Firefox for the browser tests, driven by WebDriver BiDi, which it speaks itself: Playwright cannot drive Debian's.

A `Tab` has the few calls of a Playwright page that the call tests need, under the same names, so that either browser is
asked the same. Camera and microphone are Firefox's own made-up ones. Every page may use them, as if somebody had said
so once and for all; with the preferences `UNASKED` it may as well, but must not sound before the page was touched.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websocket import WebSocket, WebSocketException, create_connection

from tests.support.trust import trust

PROGRAM = shutil.which("firefox-esr") or shutil.which("firefox")
needs_firefox = pytest.mark.skipif(not PROGRAM, reason="there is no Firefox here; on Debian install firefox-esr")

ARTIFACTS = Path(__file__).parents[1] / "artifacts"

RUNNING: list[Firefox] = []
"""Every Firefox that runs, so that a failed test can show what was seen, and none outlives the tests."""

PREFERENCES: Mapping[str, bool | int | str] = {
    "media.navigator.streams.fake": True,
    "permissions.default.camera": 1,
    "permissions.default.microphone": 1,
    "media.peerconnection.ice.loopback": True,
    "intl.accept_languages": "zh-CN",
    # What it would say to its makers. WebDriver BiDi itself turns off updates, safe browsing and reports.
    "browser.aboutwelcome.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.server": "data:,",
}
UNASKED: Mapping[str, bool | int | str] = {
    "permissions.default.camera": 0,
    "permissions.default.microphone": 0,
    "media.navigator.permission.disabled": True,
}
"""Camera and microphone are given, but no permission is kept, as for somebody who allows them each time."""

START = 60.0
ANSWER = 60.0
"""Seconds that Firefox may take to start, and to answer."""

ENTER = "\ue007"
"""The Enter key, as WebDriver writes it."""


class BiDiError(Exception):
    """Firefox refused a command, or a script in a page failed."""


class Firefox:
    """One Firefox with a profile of its own. `stop()` ends it and removes the profile, whatever has happened.

    `authorities` are certificates (PEM) that it trusts besides its own; `names` are resolved to this machine without
    asking anybody; `preferences` come on top of `PREFERENCES`.
    """

    def __init__(
        self,
        *,
        authorities: Sequence[Path] = (),
        names: Iterable[str] = (),
        preferences: Mapping[str, bool | int | str] | None = None,
    ) -> None:
        assert PROGRAM, "there is no Firefox here; on Debian install firefox-esr"
        self.tabs: dict[str, Tab] = {}
        self._profile = Path(tempfile.mkdtemp(prefix="firefox-"))
        wanted = {**PREFERENCES, "network.dns.localDomains": ",".join(names), **(preferences or {})}
        lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in wanted.items())
        (self._profile / "user.js").write_text("".join(lines))
        self._socket: WebSocket | None = None
        self._count = 0
        self._process: subprocess.Popen[str] | None = None
        RUNNING.append(self)
        try:
            if authorities:
                trust(self._profile, *authorities)
            self._process = subprocess.Popen(
                [PROGRAM, "--headless", "--no-remote", "--profile", str(self._profile), "--remote-debugging-port", "0"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "HOME": str(self._profile), "MOZ_CRASHREPORTER_DISABLE": "1"},
                start_new_session=True,
            )
            self._socket = create_connection(
                self._address(self._process) + "/session", suppress_origin=True, timeout=ANSWER
            )
            self.command("session.new", capabilities={})
            self.command("session.subscribe", events=["log.entryAdded"])
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def _address(process: subprocess.Popen[str]) -> str:
        """Where it listens, as it tells on stderr; what it says later is read and forgotten."""
        found: queue.Queue[str] = queue.Queue()

        def read() -> None:
            said: list[str] = []
            assert process.stderr is not None
            for line in process.stderr:
                said = [*said[-20:], line]
                if "WebDriver BiDi listening on " in line:
                    found.put(line.split()[-1])
            found.put("Firefox ended: " + "".join(said))

        threading.Thread(target=read, daemon=True).start()
        address = found.get(timeout=START)
        assert address.startswith("ws://"), address
        return address

    def command(self, method: str, **params: object) -> dict[str, Any]:
        """Send a command and wait for its answer; what Firefox tells in between goes to the tabs."""
        assert self._socket is not None
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while True:
            message: dict[str, Any] = json.loads(self._socket.recv())
            if message.get("method") == "log.entryAdded":
                self._note(message["params"])
            elif message.get("id") == self._count:
                if message["type"] == "error":
                    raise BiDiError(f"{method}: {message['error']}: {message['message']}")
                result: dict[str, Any] = message["result"]
                return result

    def _note(self, entry: dict[str, Any]) -> None:
        tab, text = self.tabs.get(entry["source"].get("context", "")), str(entry["text"])
        if tab is None or (entry["type"] != "console" and entry["level"] != "error"):
            return
        if entry["type"] == "console":
            tab.console.append(text)
        else:
            tab.console.append(f"error: {text}")
            tab.errors.append(text)

    def open(self, viewport: dict[str, int] | None = None) -> Tab:
        """A new tab, in a container of its own: it shares no login with the others."""
        container = self.command("browser.createUserContext")["userContext"]
        context: str = self.command("browsingContext.create", type="tab", userContext=container)["context"]
        tab = self.tabs[context] = Tab(self, context)
        if viewport:
            self.command("browsingContext.setViewport", context=context, viewport=viewport)
        return tab

    def stop(self) -> None:
        """End it and all it has started, and remove its profile."""
        if self in RUNNING:
            RUNNING.remove(self)
        if self._socket is not None:
            self._socket.shutdown()
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
        shutil.rmtree(self._profile, ignore_errors=True)


class Tab:
    """A page, with the calls of Playwright's that the call tests use. Selectors are CSS."""

    def __init__(self, firefox: Firefox, context: str) -> None:
        self.console: list[str] = []
        self.errors: list[str] = []
        self._firefox = firefox
        self._context = context

    def goto(self, url: str) -> None:
        """Open an address and wait until it is loaded."""
        self._command("browsingContext.navigate", url=url, wait="complete")

    def reload(self) -> None:
        """Load the page again and wait until that is done."""
        self._command("browsingContext.reload", wait="complete")

    def add_init_script(self, script: str) -> None:
        """Run this before each page's own scripts."""
        self._firefox.command(
            "script.addPreloadScript", functionDeclaration=f"() => {{ {script} }}", contexts=[self._context]
        )

    def evaluate(self, script: str, argument: object = None) -> Any:
        """The value of an expression, or what a function gives for the argument, awaited, as JSON carries it."""
        value = (
            f"const value = ({script});\nreturn typeof value === 'function' ? value({json.dumps(argument)}) : value;"
        )
        answer = self._firefox.command(
            "script.evaluate",
            expression=f"(async () => {{ {value} }})().then((value) => JSON.stringify(value) ?? 'null')",
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] != "success":
            raise BiDiError(f"{script[:200]}: {answer['exceptionDetails']['text']}")
        return json.loads(answer["result"]["value"])

    def wait_for_function(self, script: str, timeout: float = 60_000) -> None:
        """Wait until an expression is true; a page that is being changed for another has not made it so."""
        deadline = time.monotonic() + timeout / 1000
        while True:
            with suppress(BiDiError):
                if self.evaluate(script):
                    return
            assert time.monotonic() < deadline, f"not within {timeout} ms: {script}; {self.console}"
            self.wait_for_timeout(50)

    def wait_for_timeout(self, timeout: float) -> None:
        """Let the page go on for so many milliseconds."""
        time.sleep(timeout / 1000)

    def click(self, selector: str) -> None:
        """Click the first element of a selector, as a mouse does, once it is shown and may be used."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.wait_for_function(f"{element}?.checkVisibility() && !{element}.disabled")
        self.evaluate(f"{element}.scrollIntoView({{ block: 'center', behavior: 'instant' }})")
        locator = {"type": "css", "value": selector}
        found = self._command("browsingContext.locateNodes", locator=locator, maxNodeCount=1)["nodes"][0]
        origin = {"type": "element", "element": {"sharedId": found["sharedId"]}}
        self._act(
            "pointer",
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        )

    def fill(self, selector: str, text: str) -> None:
        """Type a text into a field, key by key. A line break is the Enter key."""
        self.click(selector)
        keys = [ENTER if key == "\n" else key for key in text]
        self._act("key", *({"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")))

    def screenshot(self, path: Path) -> None:
        """Keep a picture (PNG) of what is seen."""
        path.write_bytes(base64.b64decode(self._command("browsingContext.captureScreenshot")["data"]))

    def _act(self, kind: str, *actions: Mapping[str, object]) -> None:
        self._command("input.performActions", actions=[{"type": kind, "id": kind, "actions": actions}])

    def _command(self, method: str, **params: object) -> dict[str, Any]:
        return self._firefox.command(method, context=self._context, **params)


def photograph(test: str) -> None:
    """Keep what every tab shows now, for whoever looks into the failed test."""
    ARTIFACTS.mkdir(exist_ok=True)
    for number, firefox in enumerate(RUNNING):
        for at, tab in enumerate(firefox.tabs.values()):
            with suppress(BiDiError, OSError, WebSocketException):
                tab.screenshot(ARTIFACTS / f"{test}-firefox{number}-{at}.png")


@atexit.register
def _stop_all() -> None:
    for firefox in list(RUNNING):
        firefox.stop()
