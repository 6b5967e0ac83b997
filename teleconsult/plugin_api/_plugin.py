"""What a plugin says about itself, and the version of this border."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import BaseModel

from teleconsult.plugin_api._text import Text

API_VERSION = "1.0"
"""Version of the border, major.minor. A minor one only adds. A change that breaks plugins raises the major
one; what goes with it is in `_deprecation.DEPRECATED`, and warned of, for one minor version before."""


@dataclass(frozen=True)
class PluginInfo:
    """What `describe_plugin` returns. Name and version come from the plugin's own distribution."""

    title: Text
    api_version: str
    """The `API_VERSION` that the plugin was written for, as a literal: "1.0"."""
    summary: Text | None = None
    settings: type[BaseModel] | None = None
    """A pydantic model whose fields all have defaults. Titles and descriptions make the settings form."""

    def __post_init__(self) -> None:
        for name in ("title", "summary"):
            if isinstance(getattr(self, name), str):
                object.__setattr__(self, name, Text(en=getattr(self, name)))
        if not re.fullmatch(r"\d+\.\d+", self.api_version):
            raise ValueError(f"api_version is major.minor, such as {API_VERSION!r}, not {self.api_version!r}")
        if self.settings is not None and not (isinstance(self.settings, type) and issubclass(self.settings, BaseModel)):
            raise TypeError(f"settings must be a subclass of pydantic.BaseModel, not {self.settings!r}")


def supports(wanted: str, offered: str = API_VERSION) -> bool:
    """Whether a plugin written for `wanted` runs on a core that offers `offered`."""
    major, minor = (int(part) for part in wanted.split("."))
    offered_major, offered_minor = (int(part) for part in offered.split("."))
    return major == offered_major and minor <= offered_minor
