"""Templates: texts with merge fields, as the codec compiles them; here their mistakes get the field of a request.

`{name}` is a value, `{name:fallback}` a value or else the words behind the colon, `{{` and `}}` are braces.
"""

from engine import sms
from engine.errors import CodecError, Invalid, InvalidParam


def parse(text: str, field: str = "text") -> sms.Template:
    """`text`, compiled.  Raises Invalid naming the character where a brace or a name is wrong."""
    try:
        return sms.Template(text)
    except CodecError as error:
        place = "" if error.offset is None else f" at character {error.offset + 1}"
        raise Invalid(InvalidParam(field, f"{error.reason}{place}")) from None


def render(template: sms.Template, values: dict[str, str]) -> str:
    """The text with its fields filled.  Raises Invalid naming a value that is missing without a fallback."""
    try:
        return template.render(tuple(values.get(name) for name in template.fields))
    except CodecError as error:
        raise Invalid(InvalidParam(error.field, error.reason)) from None
