"""Loads well, and then does what its settings say when a hook is called."""

import os
import sys
import threading
from typing import Literal

from pydantic import BaseModel

from teleconsult.plugin_api import Panel, PluginInfo, hookimpl


class Settings(BaseModel):
    how: Literal["well", "raise", "block", "spin", "exit", "die", "nonsense", "many", "print", "memory", "dawdle"] = (
        "well"
    )


@hookimpl
def describe_plugin():
    return PluginInfo(title="Misbehaving", api_version="1.0", settings=Settings)


@hookimpl
def page_panels(context, settings):
    if settings.how == "raise":
        raise ValueError("it went wrong")
    if settings.how == "block":
        threading.Event().wait()
    if settings.how == "spin":
        while True:
            pass
    if settings.how == "exit":
        sys.exit(5)
    if settings.how == "die":
        os._exit(6)
    if settings.how == "nonsense":
        return "<b>html</b>"
    if settings.how == "many":
        return [Panel(key=f"p{i}", title="Too many") for i in range(50)]
    if settings.how == "print":
        for _ in range(20_000):
            print("again")
    if settings.how == "memory":
        bytearray(4 * 1024**3)
    return [Panel(key="fine", title="Fine")]


@hookimpl
def consult_event(event, settings):
    if settings.how == "dawdle":
        threading.Event().wait(8)
    if settings.how == "raise":
        raise ValueError("it went wrong")
