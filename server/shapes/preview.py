"""The preview of an audience as JSON, and in one sentence."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from engine.crm.marketing import campaigns, preview
from engine.crm.marketing.preview import Funnel
from server.wire import Purpose

Text = Annotated[str, Meta(min_length=1, max_length=campaigns.TEXT_LONGEST)]

# Digits of minor units that are not two (ISO 4217).
_DIGITS: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV"), 0),
    **dict.fromkeys(("XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_LOST: Final = {
    preview.NO_NUMBER: "without a number",
    preview.SUPPRESSED: "suppressed",
    preview.NO_CONSENT: "no {purpose} consent",
    preview.BAD_NUMBER: "bad number",
    preview.OFTEN: "texted as often as they may be",
    preview.UNSENDABLE: "whose text cannot be made",
}


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom, by a condition or by a segment's name, and what: one text, or one per language.

    With a `consent_basis`, as a campaign may have, people who never said anything have agreed by it.
    """

    purpose: Purpose
    text: Text | dict[str, Text]
    definition: str | dict[str, Any] | None = None
    segment: str | None = None
    consent_basis: Annotated[str, Meta(max_length=1000)] = ""


class LineView(msgspec.Struct, frozen=True):
    """How many fall out, and why; `text` says it."""

    reason: str
    count: int
    text: str


class CostView(msgspec.Struct, frozen=True):
    """What it costs, in minor units; `currency` is ISO 4217, null where the house has set none."""

    amount_minor: int
    currency: str | None


class WaitView(msgspec.Struct, frozen=True):
    """How many of the people would have to wait: for their morning, or for a person's decision."""

    quiet_hours: int
    possible_optout: int


class LanguageView(msgspec.Struct, frozen=True):
    """Who gets the text in a language: parts in all, and the most that one person's has, merge values filled in."""

    people: int
    parts: int
    parts_most: int
    units_most: int
    alphabet: str


class FunnelView(msgspec.Struct, frozen=True):
    """Whom a text would reach now, in how many parts and at what price; `text` is all of it in one sentence."""

    matched: int
    lines: list[LineView]
    suppressed: dict[str, int]
    people: int
    parts: int
    cost: CostView
    no_route: int
    waiting: WaitView
    estimate_s: float | None
    modems: int
    languages: dict[str, LanguageView]
    missing_languages: dict[str, int]
    missing_values: dict[str, int]
    warnings: list[str]
    text: str
    milliseconds: float


def funnel(
    found: Funnel, purpose: str, currency: str, estimate_s: float | None, modems: int, took_s: float
) -> FunnelView:
    """A preview as JSON."""
    lines = [
        LineView(reason, found.lost[reason], f"−{_grouped(found.lost[reason])} {_LOST[reason].format(purpose=purpose)}")
        for reason in preview.LINES
        if found.lost[reason]
    ]
    languages = {
        language: LanguageView(spoken.people, spoken.parts, spoken.parts_most, spoken.units_most, spoken.alphabet)
        for language, spoken in sorted(found.languages.items())
    }
    return FunnelView(
        found.matched,
        lines,
        dict(sorted(found.reasons.items())),
        found.people,
        found.parts,
        CostView(found.cost_minor, currency or None),
        found.no_route,
        WaitView(found.wait_quiet, found.wait_person),
        None if estimate_s is None else round(estimate_s, 1),
        modems,
        languages,
        dict(sorted(found.missing_languages.items())),
        dict(sorted(found.missing_values.items())),
        _warnings(found),
        "; ".join([f"{_grouped(found.matched)} match", *(line.text for line in lines)])
        + f"; = {_grouped(found.people)} people, {_grouped(found.parts)} parts, {_money(found.cost_minor, currency)}"
        + f", {_minutes(estimate_s, modems)}",
        round(took_s * 1000, 1),
    )


def _warnings(found: Funnel) -> list[str]:
    warnings = [
        f"{_grouped(count)} people whose language is {language} get the text in another: there is none in theirs"
        for language, count in sorted(found.missing_languages.items())
    ]
    warnings += [
        f"{_grouped(count)} people have no value for {name!r}, and the text has no other words for it"
        for name, count in sorted(found.missing_values.items())
    ]
    warnings += [f"the text in {language} lacks {' and '.join(words)}" for language, words in found.lacking.items()]
    if found.no_route:
        warnings.append(f"{_grouped(found.no_route)} people have a number that no route takes: they wait for one")
    if found.wait_quiet:
        warnings.append(f"{_grouped(found.wait_quiet)} people have quiet hours now: they wait for their morning")
    if found.wait_person:
        warnings.append(f"{_grouped(found.wait_person)} people may have refused marketing: a person must decide")
    return warnings


def _grouped(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _money(amount_minor: int, currency: str) -> str:
    digits = _DIGITS.get(currency, 2)
    amount = f"{amount_minor / 10**digits:,.{digits}f}".replace(",", " ")
    return f"{currency} {amount}" if currency else f"cost {amount}"


def _minutes(estimate_s: float | None, modems: int) -> str:
    if estimate_s is None or not modems:
        return "and no modem is ready"
    minutes = max(1, round(estimate_s / 60))
    return (
        f"about {_grouped(minutes)} minute{'' if minutes == 1 else 's'} on {modems} modem{'' if modems == 1 else 's'}"
    )
