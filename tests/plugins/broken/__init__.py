"""Deliberately broken plugins: what `plugin new` makes, each with one fault, and the rule that must say so."""

from tests.plugins.broken._broken import Broken
from tests.plugins.broken._devices import DEVICES
from tests.plugins.broken._hooks import HOOKS

ALL = (*DEVICES, *HOOKS)

__all__ = ["ALL", "Broken"]
