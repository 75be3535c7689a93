"""JSON Schemas that people hand in: read, checked, loosened for a part of a document, wrapped for a model's reply."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from folioscope.errors import ConfigError, ExtraMissing

EXTRA = "pip install 'folioscope[extract]'"
EXAMPLE = 'Write for example {"type": "object", "properties": {"total": {"type": "number"}}}.'

_ONLY_OF_THE_WHOLE = {"required", "dependentRequired", "minItems", "minProperties", "contains", "minContains"}
_MAPS_OF_SCHEMAS = {"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"}
_VALUES = {"const", "enum", "default", "examples"}
_SHARED = ("$defs", "definitions")
_SLOW = {
    "pattern", "patternProperties", "unevaluatedProperties", "unevaluatedItems",
    "$dynamicRef", "$recursiveRef",
}  # fmt: skip
_BASES = {"$id", "id"}  # below the root they change where references lead

MOST_PARTS = 1000
DEEPEST = 50
"""Of a stranger's schema."""


def read_schema(path: Path) -> Mapping[str, Any]:
    """The JSON Schema in a file. Raises `ConfigError` where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The schema {path} can't be read: {error.strerror or error}.", hint=EXAMPLE) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"The schema {path} is no JSON: {error}.", hint=EXAMPLE) from None
    validator(found)
    return dict(found)


def validator(schema: object) -> Callable[[Any], list[str]]:
    """What says of a value where it does not conform to ``schema``, in sentences; none: it does.

    By the draft that ``$schema`` names, else 2020-12. References lead into the schema itself; nothing is fetched.
    Raises `ConfigError` for what is no schema, `ExtraMissing` where the library that checks is not installed.
    """
    try:
        from jsonschema import Draft202012Validator, SchemaError
        from jsonschema.validators import validator_for
        from referencing import Registry, Resource
        from referencing.exceptions import Unresolvable
        from referencing.jsonschema import DRAFT202012
    except ImportError as error:
        raise ExtraMissing(f"Checking against a schema needs jsonschema ({error}).", hint=EXTRA) from None

    if not isinstance(schema, Mapping):
        raise ConfigError(f"The schema is no JSON object but {type(schema).__name__}.", hint=EXAMPLE)
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        where = f"{error.json_path}: {_short(error.message)}"
        raise ConfigError(f"The schema is no JSON Schema: {where}.", hint=EXAMPLE) from None
    if not set(schema) & {*kind.VALIDATORS, *_SHARED}:
        raise ConfigError(f"The schema says nothing about values: it has only {sorted(schema)}.", hint=EXAMPLE)
    checker = kind(schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER)
    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    for reference in _references(schema):
        try:
            Registry().resolver_with_root(resource).lookup(reference)
        except Unresolvable:
            raise ConfigError(
                f"The schema refers to {reference!r}, which is not in it.", hint="Put what it refers to under $defs."
            ) from None

    def problems(value: Any) -> list[str]:
        try:
            errors = sorted(checker.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
        except RecursionError:
            raise ConfigError("The schema refers to itself without end.", hint=EXAMPLE) from None
        return [f"{pointer(*error.absolute_path) or 'the whole'}: {_short(error.message)}" for error in errors[:50]]

    problems(None)  # a schema that leads nowhere is said before a model is paid
    return problems


def bounded(schema: Mapping[str, Any]) -> None:
    """Refuse what can keep the checker busy for ages, before a stranger's schema is used at all: patterns, references
    that go round, `MOST_PARTS` parts and more with every reference followed. Raises `ConfigError`.
    """
    known: dict[str, int] = {}

    def size(node: Any, within: tuple[str, ...], depth: int) -> int:
        """Parts of ``node``. ``within``: the references that are being followed."""
        if depth > DEEPEST:
            raise ConfigError(f"The schema is nested more than {DEEPEST} times.", hint=EXAMPLE)
        if isinstance(node, list):
            return sum(size(each, within, depth + 1) for each in node)
        if not isinstance(node, Mapping):
            return 0
        if slow := set(node) & (_SLOW if node is schema else {*_SLOW, *_BASES}):
            raise ConfigError(f"A schema with {min(slow)!r} is not taken from strangers.", hint=EXAMPLE)
        parts = 1
        for key, value in node.items():
            if key == "$ref":
                parts += referred(str(value), within, depth)
            elif key in _MAPS_OF_SCHEMAS and isinstance(value, Mapping):
                parts += sum(size(each, within, depth + 1) for each in value.values())
            elif key not in _VALUES:
                parts += size(value, within, depth + 1)
        return parts

    def referred(reference: str, within: tuple[str, ...], depth: int) -> int:
        if reference in within or not reference.startswith("#/"):
            raise ConfigError(f"The reference {reference!r} goes round, or is no JSON Pointer into the schema.")
        if reference not in known:
            known[reference] = min(MOST_PARTS, size(_pointed(reference, schema), (*within, reference), depth + 1))
        return known[reference]

    if size(schema, (), 0) >= MOST_PARTS:
        raise ConfigError(f"The schema has {MOST_PARTS} parts or more, with its references followed.", hint=EXAMPLE)


def _pointed(reference: str, root: Any) -> Any:
    """What a JSON Pointer leads to; None where it leads nowhere, which `validator` says."""
    for step in unquote(reference).split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(root, list) and key.isdecimal() and int(key) < len(root):
            root = root[int(key)]
        else:
            root = root.get(key) if isinstance(root, Mapping) else None
    return root


def partly(schema: Any) -> Any:
    """The schema for a part of a document, where nothing has to be there."""
    if isinstance(schema, list):
        return [partly(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: value
        if key in _VALUES
        else {name: partly(each) for name, each in value.items()}
        if key in _MAPS_OF_SCHEMAS
        else partly(value)
        for key, value in schema.items()
        if key not in _ONLY_OF_THE_WHOLE
    }


def enveloped(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a model's reply: ``data`` after ``schema``, and ``evidence`` for its fields.

    Definitions move to the root, where references to them lead; other references are led to ``data``.
    """
    inner = {key: value for key, value in schema.items() if key not in ("$schema", "$id", *_SHARED)}
    text = {"type": "string"}
    entry = {"field": text, "page": {"type": "integer"}, "quote": text}
    evidence = {"type": "object", "properties": entry, "required": list(entry), "additionalProperties": False}
    shared = {key: schema[key] for key in _SHARED if key in schema}
    whole = {
        "type": "object",
        "properties": {"data": inner, "evidence": {"type": "array", "items": evidence}},
        "required": ["data", "evidence"],
        "additionalProperties": False,
        **shared,
    }
    return dict(_led(whole))


def can_be_held(schema: object) -> bool:
    """Whether a vendor can hold a model to the schema, which closes every object to what is named in it.

    Then every part of it says what it is, and no object has names that are not known beforehand.
    """
    if isinstance(schema, list):
        return all(can_be_held(each) for each in schema)
    if not isinstance(schema, Mapping):
        return False
    if schema.get("type") == "object":
        closed = schema.get("additionalProperties", False) is False and "patternProperties" not in schema
        return closed and "properties" in schema and all(map(can_be_held, _parts(schema)))
    if not set(schema) & {"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"}:
        return False
    return (schema.get("type") != "array" or "items" in schema) and all(map(can_be_held, _parts(schema)))


def in_words(schema: Mapping[str, Any]) -> str:
    """What a model that is not held to a schema is told."""
    return f"Reply with one JSON value that is valid against this JSON Schema, and nothing else:\n{json.dumps(schema)}"


def pointer(*keys: object) -> str:
    """RFC 6901: ``/items/0/price``; empty for the whole."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def _parts(schema: Mapping[str, Any]) -> Iterator[Any]:
    for key, value in schema.items():
        if key in _MAPS_OF_SCHEMAS and isinstance(value, Mapping):
            yield from value.values()
        elif key in ("items", "anyOf", "oneOf", "allOf"):
            yield value


def _led(node: Any) -> Any:
    if isinstance(node, list):
        return [_led(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: f"#/properties/data{value[1:]}" if _leads_to_data(key, value) else _led(value)
        for key, value in node.items()
    }


def _leads_to_data(key: str, value: object) -> bool:
    if key != "$ref" or not isinstance(value, str):
        return False
    return value.startswith("#") and not value.startswith(tuple(f"#/{each}/" for each in _SHARED))


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(reference := node.get("$ref"), str):
            yield reference
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for each in node:
            yield from _references(each)


def _short(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:300]}…"
