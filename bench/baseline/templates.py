"""Texts with fields, read one character after the other.

`{name}` is a value, `{name:fallback}` a value or else the words behind the colon, `{{` and `}}` are braces.
"""

from engine.errors import CodecError

LONGEST_NAME = 40

Piece = str | tuple[str, str | None]


def is_name(name: str) -> bool:
    letters = all(character.isalnum() or character == "_" for character in name)
    return letters and 1 <= len(name) <= LONGEST_NAME and not name[0].isdecimal()


def parse(source: str) -> list[Piece]:
    """Raises CodecError with the place of the brace that begins what is wrong."""
    pieces: list[Piece] = []
    place = 0
    while place < len(source):
        character = source[place]
        if character not in "{}":
            pieces.append(character)
            place += 1
        elif source[place : place + 2] == 2 * character:
            pieces.append(character)
            place += 2
        else:
            end = next((end for end in range(place + 1, len(source)) if source[end] in "{}"), None)
            if character == "}" or end is None or source[end] == "{":
                raise CodecError("a lone brace", "text", place)
            name, colon, fallback = source[place + 1 : end].partition(":")
            if not is_name(name):
                raise CodecError("names no value", "text", place)
            pieces.append((name, fallback if colon else None))
            place = end + 1
    return pieces


class Template:
    def __init__(self, source: str) -> None:
        self.pieces = parse(source)
        names = [piece[0] for piece in self.pieces if isinstance(piece, tuple)]
        self.fields = tuple(dict.fromkeys(names))

    def render(self, values: tuple[str | None, ...]) -> str:
        """Raises CodecError with the name of a value that is missing without a fallback."""
        given = dict(zip(self.fields, values, strict=True))
        text = ""
        for piece in self.pieces:
            if isinstance(piece, str):
                text += piece
                continue
            name, fallback = piece
            value = given[name] or fallback
            if value is None:
                raise CodecError("has no value and the text no fallback", name)
            text += value
        return text
