"""The sets of an upload: which of its rows are new, and which of its numbers must get nothing."""

import hashlib
from random import Random

from bench.case import Case
from engine._seen import Seen
from engine._suppressed import Suppressed

ROWS = 100_000
HELD = 200_000
SECRET = bytes(range(16))
PEPPER = b"the pepper of this bench"

RANDOM = Random(1)
# One row in a hundred is there twice.
NUMBERS = RANDOM.sample(range(447_000_000_000, 448_000_000_000), ROWS - ROWS // 100)
NUMBERS += RANDOM.sample(NUMBERS, ROWS // 100)
REFERENCES = [f"order-{number}" for number in NUMBERS]


def by_hashlib(number: int) -> bytes:
    """What a suppression stands under."""
    return hashlib.blake2b(number.to_bytes(8, "big"), key=PEPPER, digest_size=16).digest()


DIGESTS = [RANDOM.randbytes(16) for _ in range(HELD - ROWS // 100)]
DIGESTS += [by_hashlib(number) for number in NUMBERS[: ROWS // 100]]
DIGEST_SET = set(DIGESTS)
SUPPRESSED = Suppressed(PEPPER)
SUPPRESSED.load(DIGESTS)


def new_numbers() -> int:
    """How many are, by `Seen`."""
    seen = Seen(SECRET)
    return sum(seen.add(number, "") for number in NUMBERS)


def new_to_python(rows: list[int] | list[str]) -> int:
    """How many are, by a set, asked row by row as well."""
    seen: set[int | str] = set()
    new = 0
    for row in rows:
        if row not in seen:
            seen.add(row)
            new += 1
    return new


def new_references() -> int:
    """How many are, by `Seen`."""
    seen = Seen(SECRET)
    return sum(seen.add(0, reference) for reference in REFERENCES)


CASES: list[Case] = [
    Case(
        "sets/seen/number",
        {"cython": new_numbers, "python": lambda: new_to_python(NUMBERS)},
        per=ROWS,
        note="sets: a million numbers take 17 octets each; in Python's own set 66, which stands still while it grows.",
    ),
    Case(
        "sets/seen/reference",
        {"cython": new_references, "python": lambda: new_to_python(REFERENCES)},
        per=ROWS,
    ),
    Case(
        "sets/suppressed/digest",
        {
            "cython": lambda: [SUPPRESSED.digest(number) for number in NUMBERS],
            "hashlib": lambda: [by_hashlib(number) for number in NUMBERS],
        },
        per=ROWS,
    ),
    Case(
        "sets/suppressed/has",
        {
            "cython": lambda: sum(number in SUPPRESSED for number in NUMBERS),
            "hashlib": lambda: sum(by_hashlib(number) in DIGEST_SET for number in NUMBERS),
        },
        per=ROWS,
    ),
]
