"""The rules that `teleconsult plugin check` looks at. docs/plugins/quality.md says what each one asks.

Some rules concern what not every device has: a scale without a battery tells no charge. Such a rule may be exempt in a
plugin's quality.yaml, with the reason, where nothing showed it; and a reader's only if that reader was seen to run.
What is shown to fall short is never exempt, and a rule that every reader can keep is never exempt either.
"""

from __future__ import annotations

from dataclasses import dataclass

from teleconsult.domain.errors import N_

ALL = "all"
HOOKS = "hooks"
"""All kinds but devices: the plugin's functions are called from a process that stays."""
KINDS = ("device", "followup", "referral", "panel", "events")


@dataclass(frozen=True)
class Rule:
    """One rule. `kind` is the kind of plugin that it concerns; `answered` rules need an answer in quality.yaml."""

    key: str
    kind: str
    title: str
    answered: bool = False
    exemptible: bool = False


RULES: dict[str, Rule] = {
    rule.key: rule
    for rule in (
        Rule("packaged", ALL, N_("Entry point, name, version and dependency are stated")),
        Rule("imports-api-only", ALL, N_("Imports nothing of teleconsult but the plugin API"), answered=True),
        Rule("typed", ALL, N_("Has type annotations and py.typed"), answered=True),
        Rule("documented", ALL, N_("A README says what it is for"), answered=True),
        Rule("quality-answered", ALL, N_("quality.yaml answers every rule of its kinds")),
        Rule("loads", ALL, N_("Loads in a process of its own")),
        Rule("api-version", ALL, N_("Written for a supported version, uses nothing deprecated")),
        Rule("settings-have-defaults", ALL, N_("Settings have defaults"), answered=True),
        Rule("settings-form", ALL, N_("Settings can be shown as a form")),
        Rule("texts-in-both-languages", ALL, N_("Texts are there in English and Chinese"), answered=True),
        Rule("tested-against-a-device", "device", N_("Has tests and a simulated device"), answered=True),
        Rule("discovery", "device", N_("The device is found"), answered=True, exemptible=True),
        Rule("discovery-ends", "device", N_("The search ends, or can be ended"), exemptible=True),
        Rule("stable-device-ids", "device", N_("A device keeps its id"), answered=True, exemptible=True),
        Rule("good-readings", "device", N_("A measurement becomes a reading")),
        Rule("units-stated", "device", N_("Values, units and codes are right"), answered=True, exemptible=True),
        Rule("slow-start", "device", N_("A device that answers late is waited for"), exemptible=True),
        Rule("loop-stays-free", "device", N_("Never blocks its event loop")),
        Rule("repeats-recognised", "device", N_("A repeated reading is recognised"), answered=True, exemptible=True),
        Rule("error-frames-refused", "device", N_("A bad frame becomes no reading"), answered=True, exemptible=True),
        Rule("device-clock-checked", "device", N_("A wrong device clock does no harm"), answered=True, exemptible=True),
        Rule("waits-until-kept", "device", N_("Waits until a reading is kept")),
        Rule("lost-device-is-no-fault", "device", N_("A lost device is no fault"), answered=True, exemptible=True),
        Rule("cancels-cleanly", "device", N_("Lets go of the device within 3 seconds"), answered=True),
        Rule("battery-told", "device", N_("Tells the battery's charge"), answered=True, exemptible=True),
        Rule("leaks-nothing", "device", N_("Leaves no task, thread, file or memory behind")),
        Rule("form-valid", "followup", N_("The form is a valid Questionnaire in both languages")),
        Rule("assess-valid", "followup", N_("Every complete visit is assessed")),
        Rule("assess-repeatable", "followup", N_("The same visit gives the same result")),
        Rule("assess-in-time", "followup", N_("Assesses within 5 seconds")),
        Rule("ranking-valid", "referral", N_("Ranks the targets that fit, the best first")),
        Rule("ranking-repeatable", "referral", N_("The same request gives the same ranking")),
        Rule("ranking-in-time", "referral", N_("Ranks within 5 seconds")),
        Rule("delivery", "referral", N_("Delivers, and once only"), exemptible=True),
        Rule("delivery-failure", "referral", N_("Tells of a delivery that failed"), exemptible=True),
        Rule("panels-valid", "panel", N_("Draws valid panels, at most eight")),
        Rule("panels-in-time", "panel", N_("Draws its panels within a second")),
        Rule("events-taken", "events", N_("Takes every step of a consult within 10 seconds")),
        Rule("hooks-leak-nothing", HOOKS, N_("Calls leave no thread, file, process or memory behind")),
    )
}


def rules_for(kinds: tuple[str, ...]) -> list[Rule]:
    """The rules that concern a plugin of these kinds, in their order."""
    wanted = {ALL, *kinds} | ({HOOKS} if set(kinds) - {"device"} else set())
    return [rule for rule in RULES.values() if rule.kind in wanted]
