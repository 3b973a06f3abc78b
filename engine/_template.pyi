"""Stub of _template.pyx, where the behaviour is documented."""

from typing import Any, Final, final

TOKEN: Final[Any]
NAME: Final[Any]

@final
class Template:
    """A text with fields to fill."""

    def __new__(cls, source: str) -> Template:
        """`{name}` is a value, `{name:fallback}` a value or else those words, `{{` and `}}` are braces."""
    @property
    def source(self) -> str:
        """The text as given."""
    @property
    def fields(self) -> tuple[str, ...]:
        """Names, in the order in which they first appear."""
    def render(self, values: tuple[str | None, ...]) -> str:
        """The text with `values` in the order of `fields`; an empty one takes the fallback."""
