"""For people who write plugins: make a project, check a plugin against the rules, fixtures with a node in them.

Runs no plugin in this process: a check loads it in processes of its own. Knows nothing of running nodes.
"""

from teleconsult.plugin_kit._kit import check_plugin
from teleconsult.plugin_kit._project import make_project
from teleconsult.plugin_kit._report import LABELS, Line, Report, Verdict, sentence
from teleconsult.plugin_kit._rules import RULES, Rule, rules_for

__all__ = [
    "LABELS",
    "RULES",
    "Line",
    "Report",
    "Rule",
    "Verdict",
    "check_plugin",
    "make_project",
    "rules_for",
    "sentence",
]
