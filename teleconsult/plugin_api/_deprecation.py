"""What of the border goes with the next major version, and which of it a plugin still uses.

An entry stands here for at least one minor version before the hook or argument goes. Until then it works as ever;
the plugin's description names it, and the administrator, `teleconsult plugins`, the log and `teleconsult plugin check`
show it. Nothing here stops a plugin: a major version that a plugin was not written for does (`supports`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from teleconsult.plugin_api._text import Text


@dataclass(frozen=True)
class Deprecation:
    """A hook, or one argument of a hook, that is going."""

    hook: str
    since: str
    """The first minor version that warns, such as "1.1"."""
    gone: str
    """The major version that no longer has it, such as "2.0"."""
    use_instead: Text
    """One sentence for the plugin's author."""
    argument: str = ""
    """Empty if the whole hook goes."""

    def __post_init__(self) -> None:
        for version in (self.since, self.gone):
            if not re.fullmatch(r"\d+\.\d+", version):
                raise ValueError(f"a version of the border is major.minor, not {version!r}")
        if _number(self.since) >= _number(self.gone) or not self.gone.endswith(".0"):
            raise ValueError(f"{self.thing}: what warns since {self.since} goes with a later major version")

    @property
    def thing(self) -> str:
        """As an author writes it: `page_panels(context)`, or `page_panels` for the whole hook."""
        return f"{self.hook}({self.argument})" if self.argument else self.hook

    def warning(self, written_for: str) -> Text:
        """One plain sentence or three: what goes and when, what to use, and that the plugin is older than the news."""
        older = _number(written_for) < _number(self.since)
        en = (
            f"It uses {self.thing}, deprecated since version {self.since} of the plugin border and gone in {self.gone}."
        )
        zh = f"插件使用 {self.thing}：插件接口 {self.since} 版起不建议使用，{self.gone} 版起取消。"
        en += f" {self.use_instead.in_language('en')}"
        zh += self.use_instead.in_language("zh")
        if older:
            en += f" It was written for version {written_for}."
            zh += f"插件按 {written_for} 版编写。"
        return Text(en=en, zh=zh)


DEPRECATED: tuple[Deprecation, ...] = ()
"""All of it in this version."""


def deprecated_uses(arguments: Mapping[str, Sequence[str]], written_for: str) -> tuple[Text, ...]:
    """A warning for each deprecated hook or argument that a plugin uses.

    `arguments` maps each hook that it implements to the arguments that it takes; `written_for` is its API version.
    """
    return tuple(
        entry.warning(written_for)
        for entry in DEPRECATED
        if entry.hook in arguments and (not entry.argument or entry.argument in arguments[entry.hook])
    )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
