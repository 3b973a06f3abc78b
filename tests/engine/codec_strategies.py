"""What the properties of the codec are tried on: texts dense in what a cut may halve, envelopes, TPDUs.

Values are drawn by the names that `engine.sms` and `bench.baseline` share, so that one dict serves both.
"""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from bench import baseline
from bench.baseline import header
from bench.baseline.alphabets import LOCKING_SHIFTS, SINGLE_SHIFTS, escaped_table, main_table, pack_septets, septets_of

Options = dict[str, Any]

# Texts

# No GSM 7-bit table has these; of some, each cluster is several units long.
CLUSTERS = ["e\u0301", "👍🏽", "👩‍👩‍👧‍👦", "🇩🇪", "🇫🇷🇩🇪", "क्षि", "각", "ก็", "🏳️‍🌈", "\u0301", "❤️", "漢", "𐀀", "\u200d"]
ENDLESS = ["e" + "\u0301" * 80, "👨" + "\u200d👩" * 30]  # longer than a part
PLAIN = ["a", "€", "[", "{}", "\r\n", "\n", "é", "@", "\f", " ", "Ihre Bestellung ", "0123456789" * 7]
LETTERS = st.characters(exclude_categories=["Cs"])


@st.composite
def words_of_language(draw: DrawFn) -> str:
    """Of the characters of one national language, whichever table has them."""
    language = draw(st.sampled_from(SINGLE_SHIFTS))
    tables = [escaped_table(language), main_table(language if language in LOCKING_SHIFTS else 0)]
    characters = sorted({character for table in tables for character in table.values()})
    return draw(st.text(st.sampled_from(characters), max_size=200))


def shorter(text: str) -> str:
    """Few enough characters for the plain codec to seek every cut in a moment."""
    return text[:400]


GSM7_TEXTS = st.lists(st.sampled_from(PLAIN), max_size=30).map("".join).map(shorter)
CLUSTER_TEXTS = st.lists(st.sampled_from(PLAIN + CLUSTERS * 3 + ENDLESS), max_size=40).map("".join).map(shorter)
RANDOM_TEXTS = st.text(LETTERS, max_size=200)
# Wherever a part ends, a cluster is near.
DENSE_TEXTS = st.builds(
    lambda lead, words, times: shorter("ы" * lead + "".join(words) * times),
    st.integers(0, 70),
    st.lists(st.sampled_from(CLUSTERS + PLAIN[:8]), min_size=1, max_size=5),
    st.integers(20, 100),
)
TEXTS = GSM7_TEXTS | CLUSTER_TEXTS | RANDOM_TEXTS | DENSE_TEXTS | words_of_language() | words_of_language()
BAD_TEXTS = st.builds(lambda text, half: text + half + "a", GSM7_TEXTS, st.sampled_from(["\ud83d", "\ude00"]))
DATA = st.binary(max_size=20) | st.integers(0, 450).map(lambda size: bytes(place % 251 for place in range(size)))

# Addresses

NUMBERS = st.from_regex(r"\+[0-9]{1,20}|[0-9*#abc]{1,20}", fullmatch=True)
BAD_NUMBERS = st.sampled_from(["", "+", "1" * 21, "+" + "1" * 21, "+49*1", "12A", "１２", "1 2", "Masabi"])
NAMES = st.text(st.sampled_from("Masabi @é_-.!XYZ09"), min_size=1, max_size=11) | st.sampled_from(["[€]ab", "Ωmega"])
ADDRESSES = NUMBERS | NAMES

# Envelopes

OTHER_IDENTIFIERS = st.integers(0, 255).filter(lambda identifier: identifier not in header.OURS)
ELEMENT_LISTS = st.lists(
    st.one_of(
        st.tuples(OTHER_IDENTIFIERS, st.binary(max_size=6)),
        st.tuples(st.just(header.PORTS_16), st.binary(min_size=4, max_size=4)),
        st.tuples(st.just(header.PORTS_8), st.binary(min_size=2, max_size=2)),
        st.tuples(st.just(header.INDICATION), st.binary(min_size=2, max_size=2)),
    ),
    max_size=3,
).map(tuple)
BIG_ELEMENTS = st.tuples(st.tuples(st.just(0x70), st.integers(90, 256).map(bytes)))
OUR_ELEMENTS = st.tuples(st.tuples(st.sampled_from(header.OURS), st.binary(min_size=1, max_size=4)))

FIRST_MOMENT_MS = 946_684_800_000  # 2000-01-01
LAST_MOMENT_MS = 4_102_444_799_000  # 2099-12-31 23:59:59
MOMENTS_MS = st.integers(FIRST_MOMENT_MS, LAST_MOMENT_MS)
WHOLE_MOMENTS_MS = st.integers(FIRST_MOMENT_MS // 1000, LAST_MOMENT_MS // 1000).map(lambda moment_s: moment_s * 1000)
SECONDS = st.one_of(
    st.integers(0, 300), st.integers(0, 90_000), st.integers(359_900, 360_100), st.integers(0, 50_000_000)
)
VALIDITIES = st.one_of(
    st.just({}),
    st.builds(lambda seconds, exact: {"validity_s": seconds, "exact_validity": exact}, SECONDS, st.booleans()),
    st.builds(lambda seconds: {"validity_s": seconds, "single_shot": True}, SECONDS),
    st.just({"single_shot": True}),
    MOMENTS_MS.map(lambda moment_ms: {"expires_ms": moment_ms}),
)
BAD_OPTIONS: SearchStrategy[Options] = st.sampled_from(
    [
        {"alphabet": "latin1"},
        {"national": "some"},
        {"reference_bits": 7},
        {"validity_s": -1},
        {"exact_validity": True},
        {"validity_s": 60, "expires_ms": FIRST_MOMENT_MS},
        {"expires_ms": FIRST_MOMENT_MS - 1001},
        {"expires_ms": LAST_MOMENT_MS + 1},
        {"protocol": 256},
        {"protocol": -1},
        {"message_class": 4},
        {"coding": 256},
        {"coding": 0x20},
        {"coding": 0x6C},
        {"coding": 0, "message_class": 1},
        {"coding": 0x08, "alphabet": "gsm7"},
        {"coding": 0xF4, "alphabet": "ucs2"},
        {"service_centre": "+49x"},
        {"elements": ((256, b""),)},
    ]
)
CODINGS = st.none() | st.sampled_from([0x00, 0x08, 0x04, 0x11, 0x19, 0xC8, 0xE0, 0xF1, 0xF6, 0x0C, 0x80])
OCTET = st.integers(0, 255)
FLAGS = {name: st.booleans() for name in ("wants_report", "reject_duplicates", "reply_path")}


@st.composite
def options(draw: DrawFn) -> Options:
    """Of `encode`, all in range by themselves: where two of them do not go together both codecs shall say so."""
    coding = draw(st.sampled_from([None, None, None]) | CODINGS)
    found: Options = {
        "alphabet": "auto"
        if coding is not None
        else draw(st.sampled_from(["auto", "auto", "auto", "auto", "gsm7", "ucs2"])),
        "national": draw(st.sampled_from(["off", "single", "all", "all"])),
        "reference_bits": draw(st.sampled_from([8, 16])),
        "coding": coding,
        "message_class": draw(st.none() | st.integers(0, 3)) if coding is None else None,
        "protocol": draw(st.just(0) | OCTET),
        "elements": draw(st.just(()) | ELEMENT_LISTS),
        "service_centre": draw(st.just("") | NUMBERS),
        **draw(VALIDITIES),
    }
    return found | {name: draw(flag) for name, flag in FLAGS.items()}


@st.composite
def wrong_options(draw: DrawFn) -> Options:
    """With something out of range, too big, or not for the caller to give."""
    wrong = BAD_OPTIONS | (BIG_ELEMENTS | OUR_ELEMENTS).map(lambda elements: {"elements": elements})
    return {"protocol": draw(OCTET), "national": draw(st.sampled_from(["off", "all"]))} | draw(wrong)


# Classes

ANY_ELEMENTS = st.lists(
    st.one_of(
        st.tuples(OTHER_IDENTIFIERS, st.binary(max_size=5)),
        st.tuples(st.sampled_from([0, 8, 4, 5, 1]), st.binary(min_size=2, max_size=5)),
    ),
    max_size=3,
).map(tuple)
ZONES = st.integers(-48, 56) | st.integers(-79, 79)
# A clock of any zone stays within its century.
STAMPS_MS = st.integers(FIRST_MOMENT_MS // 1000 + 86_400, LAST_MOMENT_MS // 1000 - 86_400).map(lambda s: s * 1000)


@st.composite
def contents(draw: DrawFn, most: int = 100) -> Options:
    """The keywords that each class with a text takes."""
    text = draw((GSM7_TEXTS | CLUSTER_TEXTS).map(lambda text: text[: most // 3]) | st.binary(max_size=most // 2))
    found: Options = {"text": text, "elements": draw(st.just(()) | ANY_ELEMENTS)}
    if isinstance(text, str):
        language = draw(st.sampled_from([0, 0, 0, *LOCKING_SHIFTS]))
        shift = draw(st.sampled_from(["single", "locking", "both"]))
        if language:
            known = {**main_table(0 if shift == "single" else language)}
            found["text"] = draw(st.text(st.sampled_from(sorted(known.values())), max_size=most // 4))
            found |= {"single": language if shift != "locking" else 0, "locking": language if shift != "single" else 0}
        elif draw(st.booleans()):
            found["coding"] = draw(st.sampled_from([0x08, 0x19, 0xE0]))
    found["message_class"] = draw(st.none() | st.integers(0, 3)) if found.get("coding") is None else None
    return found


@st.composite
def stamps(draw: DrawFn, *names: str) -> Options:
    found: Options = {}
    for name in names:
        found |= {f"{name}_time_ms": draw(STAMPS_MS), f"{name}_zone": draw(ZONES)}
    return found


@st.composite
def built(draw: DrawFn) -> tuple[str, Options]:
    """The name of a class and keywords for it."""
    kind = draw(st.sampled_from(sorted(FIELDS)))
    flags: tuple[str, ...] = ()
    found: Options = {"protocol": draw(st.just(0) | OCTET)}
    if kind != "Command":
        found |= draw(contents())
    match kind:
        case "Deliver":
            flags = ("more_messages", "loop_prevention", "report_indication", "reply_path")
            found |= {"originator": draw(ADDRESSES), **draw(stamps("service_centre"))}
        case "StatusReport":
            flags = ("more_messages", "loop_prevention", "for_command")
            found |= {"recipient": draw(ADDRESSES), "reference": draw(OCTET), "outcome": draw(OCTET)}
            found |= draw(stamps("service_centre", "discharge"))
        case "Submit":
            flags = tuple(FLAGS)
            found |= {"destination": draw(NUMBERS), "reference": draw(OCTET), **draw(said_validities())}
        case "Command":
            flags = ("wants_report",)
            found |= {"destination": draw(ADDRESSES), "data": draw(st.binary(max_size=156))}
            found |= {name: draw(OCTET) for name in ("command", "number", "reference")}
        case "SubmitReport":
            found |= {"failure": draw(st.none() | OCTET), **draw(stamps("service_centre"))}
        case _:
            found |= {"failure": draw(st.none() | OCTET)}
    return kind, found | {name: draw(st.booleans()) for name in flags}


EXACT = ("exact_validity", "single_shot")


@st.composite
def said_validities(draw: DrawFn) -> Options:
    """Those that TP-VP can say to the second."""
    match draw(st.integers(0, 3)):
        case 1:
            return {"validity_s": draw(st.integers(0, 359_999)), draw(st.sampled_from(EXACT)): True}
        case 2:
            return {"validity_s": baseline.validity_seconds(draw(OCTET))}
        case 3:
            return {"expires_ms": draw(WHOLE_MOMENTS_MS)}
    return {}


CONTENT = (
    "protocol", "coding", "alphabet", "message_class", "text", "octets", "header", "elements", "concatenation",
    "ports", "indications", "single", "locking", "user_data", "length",
)  # fmt: skip
STAMP = ("service_centre_time_ms", "service_centre_zone")

# What the records of both codecs have, by class.
FIELDS = {
    "Deliver": (
        *CONTENT, *STAMP, "originator", "alphanumeric", "address_type", "more_messages", "loop_prevention",
        "report_indication", "reply_path",
    ),
    "StatusReport": (
        *CONTENT, *STAMP, "discharge_time_ms", "discharge_zone", "reference", "recipient", "address_type", "outcome",
        "more_messages", "loop_prevention", "for_command", "parameters",
    ),
    "Submit": (
        *CONTENT, "reference", "destination", "address_type", "validity_format", "validity_s", "expires_ms",
        "single_shot", "wants_report", "reject_duplicates", "reply_path",
    ),
    "Command": (
        "protocol", "command", "number", "reference", "destination", "address_type", "data", "wants_report",
        "has_header",
    ),
    "SubmitReport": (*CONTENT, *STAMP, "failure", "parameters"),
    "DeliverReport": (*CONTENT, "failure", "parameters"),
}  # fmt: skip


def fields_of(found: object) -> dict[str, object]:
    """The class and every field of what either codec has read."""
    kind = type(found).__name__
    return {"class": kind} | {name: getattr(found, name) for name in FIELDS[kind]}


# Octets

DIRECTIONS = {
    "Deliver": "sc2ms",
    "SubmitReport": "sc2ms",
    "StatusReport": "sc2ms",
    "DeliverReport": "ms2sc",
    "Submit": "ms2sc",
    "Command": "ms2sc",
}


@st.composite
def damaged(draw: DrawFn, tpdu: bytes) -> bytes:
    """With octets changed, lost and added, most of them where the fields are."""
    octets = bytearray(tpdu)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(octets))) if draw(st.booleans()) else draw(st.integers(0, min(32, len(octets))))
        match draw(st.sampled_from(["change", "change", "change", "lose", "add", "end", "go on"])):
            case "change":
                octets[place : place + 1] = bytes([draw(OCTET)])
            case "lose":
                del octets[place : place + draw(st.integers(1, 3))]
            case "add":
                octets[place:place] = bytes([draw(st.sampled_from([0, 1, 5, 0x7F, 0x80, 0xFF]) | OCTET)])
            case "end":
                del octets[place:]
            case _:
                octets += draw(st.binary(min_size=1, max_size=120))
    return bytes(octets)


# Parts of other people


@st.composite
def halved(draw: DrawFn) -> tuple[str, list[bytes]]:
    """A text and DELIVER TPDUs of it, cut by someone who halves escapes and pairs."""
    single, locking = draw(st.sampled_from([(0, 0), (0, 0), (1, 0), (0, 3), (13, 13)]))
    is_wide = draw(st.booleans())
    if is_wide:
        single = locking = 0
        text = draw(st.text(st.sampled_from(["a", "漢", "😀", "𐀀"]) | LETTERS, min_size=1, max_size=150))
        count = len(text.encode("utf-16-be")) // 2
    else:
        escaped = [*escaped_table(single).values()]
        text = draw(
            st.text(st.sampled_from(["a", *escaped, *main_table(locking).values(), *escaped]), min_size=1, max_size=250)
        )
        count = len(septets_of(text, single, locking))
    room = draw(st.integers(1, 60)) if count < 120 else 60
    total = -(-count // room)
    reference_bits = draw(st.sampled_from([8, 16]))
    tpdus = []
    for sequence in range(1, total + 1):
        begin, end = room * (sequence - 1), room * sequence
        joined = header.concatenation_element(7, total, sequence, reference_bits)
        front = header.join_elements([joined, *header.shift_elements(single, locking)])
        if is_wide:
            body = text.encode("utf-16-be")[2 * begin : 2 * end]
            length = len(front + body)
        else:
            septets = septets_of(text, single, locking)[begin:end]
            skipped = -(-8 * len(front) // 7)
            body = pack_septets(septets, 7 * skipped - 8 * len(front))
            length = skipped + len(septets)
        fields = bytes.fromhex("40048110f200") + bytes([8 if is_wide else 0]) + bytes(7)
        tpdus.append(fields + bytes([length]) + front + body)
    return text, tpdus


# Templates

FIELD_NAMES = st.sampled_from(["name", "city", "a1", "_x", "n" * 40])
GOOD_TEMPLATES = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}"), max_size=8),
        st.sampled_from(["{{", "}}", "{{}}", "€", "漢"]),
        FIELD_NAMES.map(lambda name: "{" + name + "}"),
        st.builds(
            lambda name, words: "{" + name + ":" + words + "}", FIELD_NAMES, st.sampled_from(["", "Sie", "a:b", "é"])
        ),
    ),
    max_size=12,
).map("".join)
ANY_TEMPLATES = st.text(st.sampled_from("{}:ab1_- é"), max_size=20)
VALUES = st.none() | st.sampled_from(["", "Zoë", "Ankara", "{x}", "😀"])
