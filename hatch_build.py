"""Build hook: a wheel carries the compiled message catalogues, which the repository does not."""

from typing import Any

from babel.messages.frontend import CommandLineInterface
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CatalogueHook(BuildHookInterface[Any]):
    """Compiles every ``messages.po`` beside itself and has the ``.mo`` files packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        directory = f"{self.root}/teleconsult/translations"
        arguments = ["pybabel", "--quiet", "compile", "--directory", directory]
        CommandLineInterface().run(arguments)  # type: ignore[no-untyped-call]
        build_data["artifacts"].append("*.mo")
