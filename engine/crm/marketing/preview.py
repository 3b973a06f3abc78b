"""Preview: whom a text would reach, in how many parts, at what price, and who falls out on the way.

    matched ─► no number ─► suppressed ─► no consent ─► bad number ─► texted often enough ─► people

Each person falls out once, at the first of these that holds; of those who stay it is counted how many must wait for the
morning or for a person's decision.  Asks the same functions as the gate, for everybody at the present moment.
"""

import asyncio
import time
from array import array
from collections import Counter
from typing import Final, NamedTuple, Protocol

import msgspec

from engine import sms
from engine.config import Caps, House, QuietHours
from engine.crm import quiet
from engine.crm.marketing import links, opt_out, templates
from engine.crm.people import audience, consent, pauses, suppressions
from engine.crm.people.customer import CUSTOMERS, Customer, PhoneState
from engine.crm.people.frequency import Frequency
from engine.crm.people.zones import zones_of
from engine.errors import CodecError, Invalid, InvalidParam
from engine.store.environment import Store
from engine.store.table import Txn
from engine.traffic.messages import Message, envelope

SLICE_S: Final = 0.002  # of the loop's time in one turn
SNAPSHOT_S: Final = 0.5  # a reader that stays longer keeps LMDB from using pages again
PEOPLE: Final = 16  # between two looks at the clock

NO_NUMBER: Final = "no_number"
SUPPRESSED: Final = "suppressed"
NO_CONSENT: Final = "no_consent"
BAD_NUMBER: Final = "bad_number"
OFTEN: Final = "frequency"
UNSENDABLE: Final = "unsendable"
LINES: Final = (NO_NUMBER, SUPPRESSED, NO_CONSENT, BAD_NUMBER, OFTEN, UNSENDABLE)


class Prices(Protocol):
    """What a part to a number costs in minor units by the first of its routes; None where none takes it."""

    def __call__(self, number: int, purpose: str) -> int | None: ...


class Rules(NamedTuple):
    """What is asked of each person.  With a basis, who never said anything has agreed by it, as in a campaign."""

    house: House
    pepper: bytes
    hours: QuietHours
    caps: Caps
    price: Prices
    has_basis: bool = False


class Spoken(msgspec.Struct):
    """One language of the text: how many get it, its parts in all, and the longest that one of them gets."""

    people: int = 0
    parts: int = 0
    parts_most: int = 0
    units_most: int = 0
    alphabet: str = ""


class Funnel(msgspec.Struct):
    """What a preview found."""

    matched: int = 0
    lost: Counter[str] = msgspec.field(default_factory=Counter)
    reasons: Counter[str] = msgspec.field(default_factory=Counter)  # of the suppressed
    people: int = 0
    parts: int = 0
    cost_minor: int = 0
    no_route: int = 0
    wait_quiet: int = 0
    wait_person: int = 0
    languages: dict[str, Spoken] = msgspec.field(default_factory=dict)
    missing_languages: Counter[str] = msgspec.field(default_factory=Counter)
    missing_values: Counter[str] = msgspec.field(default_factory=Counter)
    lacking: dict[str, list[str]] = msgspec.field(default_factory=dict)  # of each text, what law asks for


async def walk(
    store: Store, compile_: audience.Compile, texts: dict[str, str], purpose: str, rules: Rules, now_ms: int
) -> Funnel:
    """The funnel of a condition, a little at a turn of the loop.

    Raises Invalid naming a text that is wrong, or `link` where one says it and the house has no address for it.
    """
    funnel = Funnel()
    found = array("Q")
    templates_ = {language: _parsed(text, language) for language, text in texts.items()}
    link = {}
    if any(links.FIELD in template.fields for template in templates_.values()):
        link[links.FIELD] = links.longest(rules.house.link_base)
    if purpose == "marketing":
        lacking = {language: opt_out.missing(text, rules.house) for language, text in texts.items()}
        funnel.lacking = {language: words for language, words in lacking.items() if words}
    await audience.walk(store, compile_, found.extend)
    funnel.matched = len(found)
    clock, place = time.perf_counter, 0
    while place < len(found):
        with store.read() as txn:
            judge = _Judge(txn, funnel, templates_, purpose, rules, now_ms, link)
            opened_s = clock()
            while place < len(found) and clock() - opened_s < SNAPSHOT_S:
                begun_s = clock()
                while place < len(found) and clock() - begun_s < SLICE_S:
                    for identifier in found[place : place + PEOPLE]:
                        judge.take(identifier)
                    place += PEOPLE
                await asyncio.sleep(0)
    return funnel


def _parsed(text: str, language: str) -> sms.Template:
    if not text:
        raise Invalid(InvalidParam(f"text.{language}", "is empty"))
    return templates.parse(text, f"text.{language}")


class _Judge:
    """One snapshot's part of the way."""

    def __init__(
        self,
        txn: Txn,
        funnel: Funnel,
        texts: dict[str, sms.Template],
        purpose: str,
        rules: Rules,
        now_ms: int,
        link: dict[str, str],
    ) -> None:
        self._txn = txn
        self._link = link  # as long as it can be, where a text says it
        self._funnel = funnel
        self._texts = texts
        self._purpose = purpose
        self._rules = rules
        self._now_ms = now_ms
        self._any_refusal = suppressions.any_known(txn)
        self._is_offer = purpose == "marketing"
        self._any_paused = self._is_offer and pauses.PAUSED.any(txn)
        self._frequency = Frequency(txn, rules.caps, rules.pepper, rules.house.time_zone, now_ms)
        self._hours = rules.hours.of(purpose)
        self._plain: dict[str, sms.Measure] = {}
        self._envelope = envelope(Message(0, 1, "x", purpose))

    def take(self, identifier: int) -> None:
        """Count one who was matched."""
        customer = CUSTOMERS.find(self._txn, identifier)
        lost = NO_NUMBER if customer is None else self._lost(customer)
        if lost or customer is None:
            self._funnel.lost[lost] += 1
            return
        measured = self._measured(customer)
        if measured is None:
            self._funnel.lost[UNSENDABLE] += 1
            return
        funnel, number = self._funnel, customer.number
        funnel.people += 1
        funnel.parts += measured.parts
        price = self._rules.price(number, self._purpose)
        if price is None:
            funnel.no_route += 1
        else:
            funnel.cost_minor += price * measured.parts
        if self._hours and quiet.opening(self._now_ms, zones_of(number, self._rules.house.time_zone), *self._hours):
            funnel.wait_quiet += 1
        if self._any_paused and pauses.PAUSED.find(self._txn, number) is not None:
            funnel.wait_person += 1

    def _lost(self, customer: Customer) -> str:
        number = customer.number
        if not number:
            return NO_NUMBER
        found = suppressions.find(self._txn, self._rules.pepper, number) if self._any_refusal else None
        if found is not None and found.reason != BAD_NUMBER:
            self._funnel.reasons[found.reason] += 1
            return SUPPRESSED
        if self._purpose in consent.NEEDED and not self._agreed(customer):
            return NO_CONSENT
        if found is not None or customer.phone_state is PhoneState.BAD:
            return BAD_NUMBER
        return OFTEN if self._is_offer and self._frequency.free_ms(number) else ""

    def _agreed(self, customer: Customer) -> bool:
        if customer.granted & consent.bit(self._purpose):
            return True
        return self._rules.has_basis and consent.newest(self._txn, customer.number, self._purpose) is None

    def _measured(self, customer: Customer) -> sms.Measure | None:
        language = self._language(customer.language)
        template = self._texts[language]
        try:
            if template.fields:
                values = {"name": customer.name, **self._link} if customer.name else self._link
                text = template.render(tuple([values.get(name) for name in template.fields]))
                measured = sms.measure(text, self._envelope)
            else:
                known = self._plain.get(language)
                measured = known or sms.measure(template.render(()), self._envelope)
                self._plain[language] = measured
        except CodecError as error:
            self._funnel.missing_values[error.field] += 1
            return None
        spoken = self._funnel.languages.setdefault(language, Spoken())
        spoken.people += 1
        spoken.parts += measured.parts
        if measured.parts > spoken.parts_most or measured.units > spoken.units_most:
            spoken.parts_most = max(spoken.parts_most, measured.parts)
            spoken.units_most = max(spoken.units_most, measured.units)
            spoken.alphabet = sms.Alphabet(measured.alphabet).name.lower()
        return measured

    def _language(self, own: str) -> str:
        """The language of the text that somebody gets: as sheets.py chooses it."""
        spoken = own or self._rules.house.language
        while spoken:
            if spoken in self._texts:
                return spoken
            spoken = spoken.rpartition("-")[0]
        if own:
            self._funnel.missing_languages[own] += 1
        return next(iter(self._texts))
