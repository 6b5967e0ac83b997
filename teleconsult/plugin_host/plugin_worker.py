"""The process of one plugin: loads it, and calls its hooks when the node asks. Started by `PluginHost`.

Messages are JSON objects. The node sends `{"load": {name, settings}}` first, then `{"id", "call", "args"}`; this
process answers `{"loaded"}` or `{"failed"}`, then `{"id", "result"}`, `{"id", "fault"}` or `{"id", "invalid"}`.
`{"check": {name, values}}` instead of the load is answered by `{"result"}`, `{"invalid"}` or `{"failed"}`.
Calls are made one at a time on a thread of their own; when the node goes away the process ends at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from teleconsult.plugin_api import (
    ConsultEvent,
    DeliveryReceipt,
    FollowupAssessment,
    FollowupVisit,
    PageContext,
    Panel,
    RankedTarget,
    Referral,
    ReferralRequest,
    ReferralTarget,
)
from teleconsult.plugin_host import _problems, _settings
from teleconsult.plugin_host._child import confine
from teleconsult.plugin_host._loader import LoadedPlugin, LoadFailure, describe_error, find_info, load_plugin
from teleconsult.plugin_host._status import PluginStatus
from teleconsult.process import ChildChannel, open_channel

MAX_PANELS = 8

_targets = TypeAdapter(tuple[ReferralTarget, ...])


class _Calls:
    """The calls that a node can make, by name. Each checks what goes in and what comes out."""

    def __init__(self, plugin: LoadedPlugin) -> None:
        self._plugin = plugin
        self._hook = plugin.manager.hook
        self.by_name: dict[str, Callable[[dict[str, Any]], Any]] = {
            "consult_event": self._consult_event,
            "page_panels": self._page_panels,
            "assess": self._assess,
            "rank": self._rank,
            "deliver": self._deliver,
        }

    def _consult_event(self, args: dict[str, Any]) -> None:
        event = ConsultEvent.model_validate(args["event"])
        self._hook.consult_event(event=event, settings=self._plugin.settings)

    def _page_panels(self, args: dict[str, Any]) -> list[Any]:
        context = PageContext.model_validate(args["context"])
        panels = [
            panel
            for result in self._hook.page_panels(context=context, settings=self._plugin.settings)
            for panel in _sequence("page_panels", result)
        ]
        if len(panels) > MAX_PANELS:
            raise ValueError(f"page_panels() returned {len(panels)} panels; at most {MAX_PANELS} fit")
        return [_checked("page_panels", panel, Panel).model_dump(mode="json") for panel in panels]

    def _assess(self, args: dict[str, Any]) -> Any:
        programme = self._plugin.programmes[args["key"]]
        assessment = programme.assess(FollowupVisit.model_validate(args["visit"]))
        return _checked("assess", assessment, FollowupAssessment).model_dump(mode="json")

    def _rank(self, args: dict[str, Any]) -> list[Any]:
        route = self._plugin.routes[args["key"]]
        request = ReferralRequest.model_validate(args["request"])
        targets = _targets.validate_python(args["targets"])
        ranked = [_checked("rank", item, RankedTarget) for item in _sequence("rank", route.rank(request, targets))]
        known = {target.organization_id for target in targets}
        strangers = [item.organization_id for item in ranked if item.organization_id not in known]
        if strangers:
            raise ValueError(f"rank() returned {strangers[0]!r}, which is none of the targets it was given")
        return [item.model_dump(mode="json") for item in ranked]

    def _deliver(self, args: dict[str, Any]) -> Any:
        route = self._plugin.routes[args["key"]]
        receipt = route.deliver(Referral.model_validate(args["referral"]))
        return _checked("deliver", receipt, DeliveryReceipt).model_dump(mode="json")


def _sequence(what: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"{what}() must return a list, not {value!r:.80}")
    return list(value)


def _checked(what: str, value: Any, wanted: type[Any]) -> Any:
    if not isinstance(value, wanted):
        raise TypeError(f"{what}() must return {wanted.__name__}, not {value!r:.80}")
    return value


def _check_settings(model: type[BaseModel] | None, args: dict[str, Any]) -> dict[str, Any]:
    if model is None:
        return {"result": {}}
    try:
        return {"result": _settings.dump(model.model_validate(args["values"]))}
    except ValidationError as error:
        return {"invalid": _problems.told(error)}


def _answer(plugin: LoadedPlugin, calls: _Calls, message: dict[str, Any]) -> dict[str, Any]:
    name, args = message["call"], message.get("args", {})
    try:
        if name == "check_settings":
            return {"id": message["id"], **_check_settings(plugin.info.settings, args)}
        return {"id": message["id"], "result": calls.by_name[name](args)}
    except BaseException as error:  # sys.exit() in a plugin ends the call, not the process
        return {"id": message["id"], "fault": describe_error(error)}


class _Server:
    """Answers the node. Everything of the plugin runs on the one thread of `_pool`, so never two calls at once."""

    def __init__(self, channel: ChildChannel) -> None:
        self._channel = channel
        self._plugin: LoadedPlugin | None = None
        self._calls: _Calls | None = None

    def handle(self, message: dict[str, Any]) -> None:
        """Answer one message. Runs on the plugin's thread."""
        if "load" in message:
            self._channel.send(self._load(message["load"]))
        elif "check" in message:
            self._channel.send(self._check(message["check"]))
        elif self._plugin and self._calls:
            self._channel.send(_answer(self._plugin, self._calls, message))

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            plugin = load_plugin(request["name"], request.get("settings", {}))
            description = plugin.describe().model_dump(mode="json")
        except LoadFailure as failure:
            return {"failed": {"status": failure.status, "error": failure.error, "schema": failure.schema}}
        except Exception as error:
            return {"failed": {"status": PluginStatus.STOPPED_BY_VALIDATION, "error": describe_error(error)}}
        self._plugin, self._calls = plugin, _Calls(plugin)
        return {"loaded": description}

    def _check(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return _check_settings(find_info(request["name"]).settings, request)
        except LoadFailure as failure:
            return {"failed": {"status": failure.status, "error": failure.error}}
        except BaseException as error:  # a validator of the plugin's own may raise anything
            return {"failed": {"status": PluginStatus.STOPPED_BY_VALIDATION, "error": describe_error(error)}}


async def _serve(channel: ChildChannel) -> None:
    server = _Server(channel)
    with ThreadPoolExecutor(1, thread_name_prefix="plugin") as pool:
        async for message in channel.messages():
            pool.submit(server.handle, message)
        # The node is gone or wants us gone. A hook that hangs must not keep the process alive.
        sys.stderr.flush()
        os._exit(0)


def main() -> None:
    """Run until the node closes our input."""
    channel = open_channel()
    confine(f"plugin {sys.argv[1]}" if len(sys.argv) > 1 else "plugin")
    asyncio.run(_serve(channel))


if __name__ == "__main__":
    main()
