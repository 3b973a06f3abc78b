"""Routes as data: one entry serves aiohttp and the OpenAPI document alike."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and path with its handler.

    `takes` and `gives` are msgspec types, None for no body, a tuple where it is one of several.  `media` names the
    request's media types where they are not JSON, `also_gives` further ones of the answer; `query` and `header` the
    parameters and what they are.  `problems` are the statuses that a caller cannot expect of any call of its kind.
    """

    method: str
    path: str
    handler: Handler
    status: int = 200
    takes: Any = None
    gives: Any = None
    media: tuple[str, ...] = ()
    query: dict[str, str] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
    is_public: bool = False
    gives_media: str = "application/json"
    also_gives: tuple[str, ...] = ()
    header: dict[str, str] = field(default_factory=dict)
