"""Routes as data: one entry serves aiohttp, the check of rights and the OpenAPI document alike."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

ID_PATTERN: Final = "[0-9a-f][0-9a-hjkmnp-tv-z]{12}"  # 64 bits: the first digit has four of them

JSON: Final = "application/json"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and path with its handler.

    `takes` and `gives` are msgspec types, None for no body, a tuple where it is one of several.  `media` names the
    request's media types where they are not JSON, `also_gives` further ones of the answer; `query` and `header` the
    parameters and what they are.  `problems` are the statuses that a caller cannot expect of any call of its kind.

    `right` is what the caller must have, empty where any caller may.  `tells` are headers of the answer.  `schemas` has
    the JSON Schema of a parameter where its name does not say it.

    `audited` is the word of the audit log for a call that makes no change by `repeats.made` or `noting.written`: of one
    that reads, where a person calls or numbers are asked for in full.  `is_busy` is a route that programs call so often
    that only what they make together leaves one.
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
    right: str = ""
    tells: tuple[str, ...] = ()
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict)
    audited: str = ""
    is_busy: bool = False

    @property
    def takes_stream(self) -> bool:
        """Whether its body is, or may be, a stream of rows, which are told from one another by themselves."""
        return bool(self.media)

    @property
    def takes_key(self) -> bool:
        """Whether an Idempotency-Key may come with it: with every POST that is no stream alone."""
        return self.method == "POST" and not self.is_public and (not self.media or JSON in self.media)

    def is_stream(self, media: str) -> bool:
        """Whether a body of that media type is a stream; where JSON is taken too, all but the others is that."""
        return media in self.media and media != JSON if JSON in self.media else self.takes_stream

    @property
    def takes_match(self) -> bool:
        """Whether it changes only the version in If-Match: what a 412 is for, and nothing else."""
        return 412 in self.problems


# The routes whose answers have telephone numbers, by method and path, as the document says.
SHOWING: Final = web.AppKey("showing", frozenset[tuple[str, str]])
KNOWN: Final = web.AppKey("routes", dict[tuple[str, str], Route])


def route_of(request: web.Request) -> Route | None:
    """The route that answers this request, None where there is none of ours."""
    resource = request.match_info.route.resource
    return None if resource is None else request.app[KNOWN].get((request.method, resource.canonical))
