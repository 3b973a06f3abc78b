"""Templates: texts with merge fields.

`{name}` is a value, `{name:fallback}` a value or else the words behind the colon, `{{` and `}}` are braces.
"""

import re
from typing import Final, NamedTuple

from engine.errors import Invalid, InvalidParam

_FIELD: Final = re.compile(r"\{\{|\}\}|\{([^{}:]*)(:[^{}]*)?\}|[{}]")
_NAME: Final = re.compile(r"[^\W\d]\w{0,39}")


class Field(NamedTuple):
    """A place to fill; `fallback` None means that a value must be there."""

    name: str
    fallback: str | None


Template = tuple[str | Field, ...]


def parse(text: str, field: str = "text") -> Template:
    """`text` in pieces.  Raises Invalid naming the character where a brace or a name is wrong."""
    pieces: list[str | Field] = []
    end = 0
    for match in _FIELD.finditer(text):
        if match.start() > end:
            pieces.append(text[end : match.start()])
        end = match.end()
        token = match.group()
        if token in ("{{", "}}"):
            pieces.append(token[0])
        elif len(token) == 1:
            raise Invalid(InvalidParam(field, f"a lone {token} at character {match.start() + 1}: write it twice"))
        elif not _NAME.fullmatch(match.group(1)):
            raise Invalid(InvalidParam(field, f"{token} at character {match.start() + 1} names no value"))
        else:
            fallback = match.group(2)
            pieces.append(Field(match.group(1), None if fallback is None else fallback[1:]))
    if end < len(text):
        pieces.append(text[end:])
    return tuple(pieces)


def render(template: Template, values: dict[str, str]) -> str:
    """The text with its fields filled.  Raises Invalid naming a value that is missing without a fallback."""
    pieces: list[str] = []
    for piece in template:
        if isinstance(piece, str):
            pieces.append(piece)
            continue
        value = values.get(piece.name) or piece.fallback
        if value is None:
            raise Invalid(InvalidParam(piece.name, "has no value and the text no fallback"))
        pieces.append(value)
    return "".join(pieces)
