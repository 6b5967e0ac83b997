"""A form made from a plugin's settings model (its JSON schema), and the posted form back as values.

Knows text, secrets (`"format": "password"` or `"writeOnly": true`), numbers, ticks, choices, and lists of text.
Anything else is edited as JSON. No secret is sent to the browser, also none inside a list or JSON: `HIDDEN_SECRET`
stands there, and coming back means: leave it as it is. What is right is decided by the plugin's own model, not here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from teleconsult.plugin_host import HIDDEN_SECRET, hide_secrets, restore_secrets


@dataclass(frozen=True)
class SettingField:
    """One field of the form. `kind`: text, secret, number, tick, choice, lines or json."""

    name: str
    kind: str
    label: str
    hint: str
    value: Any
    required: bool
    options: tuple[tuple[str, str], ...] = ()


def fields_of(schema: Mapping[str, Any], values: Mapping[str, Any]) -> list[SettingField]:
    """The fields of a settings model, in its order, filled with `values` or else the defaults."""
    values = hide_secrets(schema, values)
    found = []
    for name, given in schema.get("properties", {}).items():
        kind, resolved = _kind(given, schema)
        value = values.get(name, given.get("default"))
        if kind == "secret":
            value = HIDDEN_SECRET if value else ""
        elif kind == "lines" and isinstance(value, list):
            value = "\n".join(map(str, value))
        elif kind == "json":
            value = json.dumps(value, ensure_ascii=False, indent=1)
        options = tuple((str(option), str(option)) for option in resolved.get("enum", ()))
        label = given.get("title") or resolved.get("title") or name
        required = name in schema.get("required", ())
        found.append(SettingField(name, kind, label, given.get("description", ""), value, required, options))
    return found


def values_of(schema: Mapping[str, Any], form: Mapping[str, str], before: Mapping[str, Any]) -> dict[str, Any]:
    """The posted form as values for the model. An empty field that has a default is left to it."""
    values: dict[str, Any] = {}
    for name, given in schema.get("properties", {}).items():
        kind, resolved = _kind(given, schema)
        text = form.get(name, "")
        if kind == "tick":
            values[name] = name in form
        elif kind == "lines":
            values[name] = [line.strip() for line in text.splitlines() if line.strip()]
        elif text.strip():
            values[name] = _read(kind, resolved, text)
        elif "default" not in given and resolved.get("type") == "string":
            values[name] = ""
    return restore_secrets(values, before)


def value_of(schema: Mapping[str, Any], name: str, text: str) -> Any:
    """One setting written as text, as on a command line: texts and choices as they stand, all else as JSON.

    What cannot be read goes on as text, for the model to refuse by name.
    """
    kind, resolved = _kind(schema.get("properties", {}).get(name, {}), schema)
    if kind in ("text", "secret") or (kind == "choice" and resolved.get("type", "string") == "string"):
        return text
    return _read("json", resolved, text)


def without_new_secrets(
    schema: Mapping[str, Any], values: Mapping[str, Any], before: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The values to show in a form that was refused, and the fields whose new secrets have to be written once more."""
    shown, again = dict(values), []
    for name, hidden in hide_secrets(schema, values).items():
        if hidden != values[name] and values[name] != before.get(name):
            shown[name] = before.get(name)
            again.append(name)
    return shown, again


def _kind(given: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    resolved = _resolve(given, schema)
    if "enum" in resolved:
        return "choice", resolved
    if resolved.get("format") == "password" or resolved.get("writeOnly"):
        return "secret", resolved
    kind = {"string": "text", "integer": "number", "number": "number", "boolean": "tick"}.get(resolved.get("type", ""))
    if kind:
        return kind, resolved
    if resolved.get("type") == "array" and _resolve(resolved.get("items", {}), schema).get("type") == "string":
        return "lines", resolved
    return "json", resolved


def _resolve(given: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference, and see through "this or nothing"."""
    for key in ("allOf", "anyOf"):
        choices = [choice for choice in given.get(key, ()) if choice.get("type") != "null"]
        if len(choices) == 1:
            return _resolve({**choices[0], **{k: v for k, v in given.items() if k != key}}, schema)
    if "$ref" in given:
        target = schema.get("$defs", {}).get(given["$ref"].rpartition("/")[2], {})
        return _resolve({**target, **{k: v for k, v in given.items() if k != "$ref"}}, schema)
    return given


def _read(kind: str, resolved: Mapping[str, Any], text: str) -> Any:
    """The value of a field's text; what cannot be read goes on as text, for the model to refuse by name."""
    if kind == "number":
        try:
            return int(text) if resolved.get("type") == "integer" else float(text)
        except ValueError:
            return text
    if kind == "json":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text.strip() if kind != "secret" else text
