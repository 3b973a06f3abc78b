"""A small reader of JSON Schema: as much of it as the published document uses, and no more.

It is not the one that made the document, so the two can disagree.
"""

import re
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_KNOWN = frozenset(
    {"$ref", "type", "properties", "required", "items", "anyOf", "oneOf", "enum", "title", "description", "default",
     "additionalProperties", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "format",
     "pattern", "examples", "x-phone"}
)  # fmt: skip


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference leads to.  Raises KeyError where it leads nowhere."""
    while "$ref" in schema:
        place: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        schema = place
    return schema


def faults(document: dict[str, Any], schema: dict[str, Any], value: Any, path: str = "$") -> list[str]:
    """What of `value` is not as `schema` says; nothing where it fits."""
    schema = resolve(document, schema)
    unknown = schema.keys() - _KNOWN - {"discriminator"}  # which of several: every one is tried
    if unknown:
        return [f"{path}: this reader does not know {sorted(unknown)}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{path}: {value!r} is none of {schema['enum']}"]
    for word in ("anyOf", "oneOf"):
        if word in schema and all(faults(document, one, value, path) for one in schema[word]):
            return [f"{path}: is none of what {word} allows"]
    kind = schema.get("type")
    if kind is not None and not _is_a(kind, value):
        return [f"{path}: {type(value).__name__} is no {kind}"]
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        return [f"{path}: {value!r} does not match {schema['pattern']}"]
    found: list[str] = []
    if isinstance(value, dict):
        found += [f"{path}: {name} is missing" for name in schema.get("required", []) if name not in value]
        for name, item in value.items():
            known = schema.get("properties", {})
            if name in known:
                found += faults(document, known[name], item, f"{path}.{name}")
            elif schema.get("additionalProperties") is False:
                found.append(f"{path}: {name} is not known")
    if isinstance(value, list):
        for place, item in enumerate(value):
            found += faults(document, schema.get("items", {}), item, f"{path}[{place}]")
    return found


def _is_a(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])
