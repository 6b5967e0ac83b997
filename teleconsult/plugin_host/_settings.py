"""A plugin's settings as plain values: with their secrets for the plugin, and without them for a person.

A secret is a field of pydantic's `SecretStr` and its kin, or one whose JSON schema says `"format": "password"` or
`"writeOnly": true`. It is kept in the node's database as it is, since the plugin needs it at every start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema, to_jsonable_python

HIDDEN = "••••••••"
"""Shown in place of a secret. As a new value it means: leave the secret as it is."""


class _Schema(GenerateJsonSchema):
    """pydantic's JSON schema, which marks `SecretStr` and `SecretBytes` as secrets but not `Secret[int]`."""

    def json_or_python_schema(self, schema: core_schema.JsonOrPythonSchema) -> JsonSchemaValue:
        made = super().json_or_python_schema(schema)
        written_by = schema.get("serialization", {}).get("function")
        if getattr(written_by, "__name__", "") == "_serialize_secret":
            made = {**made, "format": "password", "writeOnly": True}
        return made


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema that the settings form is made from."""
    return model.model_json_schema(schema_generator=_Schema)


def dump(settings: BaseModel) -> dict[str, Any]:
    """The settings as JSON values, secrets in the clear, such that the model reads them back."""
    revealed = _reveal(settings.model_dump(), settings.model_dump(mode="json"))
    assert isinstance(revealed, dict)
    return revealed


def _reveal(value: Any, written: Any) -> Any:
    """`written`, with the secrets of `value`: JSON has asterisks in their place."""
    if isinstance(value, Secret | SecretStr | SecretBytes):
        return to_jsonable_python(value.get_secret_value())
    if isinstance(value, Mapping) and isinstance(written, dict) and len(value) == len(written):
        return {
            key: _reveal(item, item_written)
            for item, (key, item_written) in zip(value.values(), written.items(), strict=True)
        }
    if isinstance(value, list | tuple | set | frozenset) and isinstance(written, list) and len(value) == len(written):
        return [_reveal(item, item_written) for item, item_written in zip(value, written, strict=True)]
    return written


def hide(schema: Mapping[str, Any] | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with every secret that is set replaced by `HIDDEN`. Without a schema, nobody knows: all are hidden."""
    if schema is None:
        return {name: HIDDEN if value not in (None, "") else value for name, value in values.items()}
    hidden = _hide(schema, dict(values), schema.get("$defs", {}))
    assert isinstance(hidden, dict)
    return hidden


def _hide(schema: Mapping[str, Any], value: Any, definitions: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        target = definitions.get(str(schema["$ref"]).rpartition("/")[2], {})
        schema = {**target, **{key: said for key, said in schema.items() if key != "$ref"}}
    if schema.get("format") == "password" or schema.get("writeOnly"):
        return HIDDEN if value not in (None, "") else value
    for choices in ("allOf", "anyOf", "oneOf"):
        for choice in schema.get(choices, ()):
            value = _hide(choice, value, definitions)
    if isinstance(value, Mapping):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        others = others if isinstance(others, Mapping) else {}
        return {name: _hide(known.get(name, others), item, definitions) for name, item in value.items()}
    if isinstance(value, list):
        first, items = schema.get("prefixItems", ()), schema.get("items")
        items = items if isinstance(items, Mapping) else {}
        return [
            _hide(first[place] if place < len(first) else items, item, definitions) for place, item in enumerate(value)
        ]
    return value


def restore(values: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The values with each `HIDDEN` replaced by what was there before.

    Where that cannot be told, in a list that has become longer or shorter, `HIDDEN` stays: see `still_hidden`.
    """
    restored = {}
    for name, value in values.items():
        if name in before:
            restored[name] = _restore(value, before[name])
        elif value != HIDDEN:  # a default that was hidden: the model has it
            restored[name] = value
    return restored


def _restore(value: Any, before: Any) -> Any:
    if value == HIDDEN:
        return before
    if isinstance(value, Mapping) and isinstance(before, Mapping):
        return restore(value, before)
    if isinstance(value, list) and isinstance(before, list) and len(value) == len(before):
        return [_restore(item, item_before) for item, item_before in zip(value, before, strict=True)]
    return value


def still_hidden(value: Any) -> bool:
    """Whether there is a `HIDDEN` anywhere in it."""
    if isinstance(value, Mapping):
        return any(still_hidden(item) for item in value.values())
    if isinstance(value, list):
        return any(still_hidden(item) for item in value)
    return bool(value == HIDDEN)
