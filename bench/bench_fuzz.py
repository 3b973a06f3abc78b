"""Everything that could reach a modem's line, through the decoder: nothing but CodecError may come out.

`python -m bench fuzz --count 10000000 --seed 1`: half of the PDUs are random octets, half are those of
tests/vectors/pdus.jsonl, mutated.  Each is decoded in both directions and of both RP messages, and read as hex, in
strict and tolerant mode in turn; of every sixteenth all attributes are read, and what was decoded is encoded and
joined.  Workers do the work, so that neither a crash nor a hang takes the run with it: the parent knows which PDU
each of them is at, prints it and exits with 1.  The same seed gives the same PDUs, whatever the number of workers.
"""

import argparse
import ctypes
import faulthandler
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from engine import sms
from engine.errors import CodecError

VECTORS: Final = Path(__file__).parents[1] / "tests" / "vectors" / "pdus.jsonl"
PORTION: Final = 20_000  # PDUs of one seed, made at once
LOOKED_INTO: Final = 16  # every so many PDUs are encoded and joined too
HANG_S: Final = 20.0  # a PDU takes microseconds, and under sanitizers not a thousand times as long
SAY_EVERY_S: Final = 5.0
DICE: Final = 16  # random octets that a mutation may use
WAYS: Final = (("sc2ms", "ack"), ("sc2ms", "error"), ("ms2sc", "ack"), ("ms2sc", "error"))
EDGES: Final = bytes([0, 1, 2, 3, 11, 12, 20, 21, 131, 139, 140, 141, 153, 159, 160, 161, 176, 182, 183, 254, 255])
ATTRIBUTES: Final = ("text", "octets", "header", "user_data", "elements", "concatenation", "ports", "indications")


def say(line: str) -> None:
    """Print at once: ten million take minutes."""
    print(line, flush=True)


# What is decoded


def vectors() -> list[tuple[bytes, bytes]]:
    """Every PDU of the vectors, and where in it lengths stand."""
    found = []
    for line in VECTORS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        tpdu = bytes.fromhex(row["tpdu"])
        places = [1, 2]  # TP-OA, TP-DA
        try:
            read = sms.decode(tpdu, row["direction"], strict=False)
            length = len(tpdu) - len(read.user_data) - 1
            places += [length, length + 1, length + 3]  # TP-UDL, TP-UDHL, and that of the first element
        except CodecError:
            pass
        found.append((tpdu, bytes(place for place in places if 0 <= place < len(tpdu)) or b"\0"))
    return found


def mutate(tpdu: bytes, lengths: bytes, other: bytes, dice: bytes) -> bytes:
    """`tpdu` with one to three things wrong: a bit, an octet too few or too many, a length, the end of another."""
    octets = bytearray(tpdu)
    for at in range(1, 2 + 4 * (dice[0] % 3), 4):
        what, where, value, size = dice[at : at + 4]
        place = where % (len(octets) or 1)
        match what & 7:
            case 0 | 1 if octets:
                octets[place] ^= 1 << (value & 7)
            case 2:
                del octets[place : place + 1 + size % 8]
            case 3:
                octets[place:place] = dice[-1 - size % 8 :]
            case 4 | 5:
                length = lengths[where % len(lengths)]
                if length < len(octets):
                    octets[length] = EDGES[value % len(EDGES)] if size & 1 else (octets[length] + value % 5 - 2) & 255
            case 6:
                octets[place:] = other[value % (len(other) or 1) :]
            case 7:
                del octets[place:]
    return bytes(octets)


def portion(seed: int, number: int, known: list[tuple[bytes, bytes]]) -> list[bytes]:
    """PORTION PDUs, random and mutated ones in turn."""
    dice = random.Random(f"{seed}/{number}")
    sizes = dice.randbytes(PORTION)
    block = dice.randbytes(256 * (PORTION // 2))
    rolls = dice.randbytes(DICE * PORTION)
    picks = dice.choices(known, k=PORTION)
    found = []
    for i in range(0, PORTION, 2):
        found.append(block[128 * i : 128 * i + sizes[i]])
        tpdu, lengths = picks[i]
        found.append(mutate(tpdu, lengths, picks[i + 1][0], rolls[DICE * i : DICE * i + DICE]))
    return found


# Decoding


@dataclass(slots=True)
class Tally:
    """What became of the PDUs so far."""

    pdus: int = 0
    read: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    slowest: bytes = b""

    def add(self, other: "Tally") -> None:
        self.pdus += other.pdus
        self.read += other.read
        self.refused += other.refused
        if other.slowest_s > self.slowest_s:
            self.slowest_s, self.slowest = other.slowest_s, other.slowest


def look_into(found: list[sms.Tpdu]) -> None:
    """Ask what was read for everything, and have it written and joined."""
    for tpdu in found:
        for name in ATTRIBUTES:
            getattr(tpdu, name)
        try:
            tpdu.encode()
        except CodecError:
            continue
    sms.join(found)


def attempts(pdu: bytes, refused: list[int], *, strict: bool) -> list[sms.Tpdu]:
    """What is read of a PDU in every way in which it may come."""
    found: list[sms.Tpdu] = []
    for direction, rp in WAYS:
        try:
            found.append(sms.decode(pdu, direction, rp=rp, strict=strict))
        except CodecError:
            refused[0] += 1
    printed = pdu.hex()
    for record, length in ((printed.upper().encode(), None), ("00" + printed, len(pdu))):
        try:
            found.append(sms.read(record, length, strict=strict))
        except CodecError:
            refused[0] += 1
    return found


def again_s(pdu: bytes, *, strict: bool) -> float:
    """How long a PDU takes that took long: what the machine did meanwhile is not the decoder's fault."""
    began = time.perf_counter()
    for _ in range(5):
        look_into(attempts(pdu, [0], strict=strict))
    return (time.perf_counter() - began) / 5


def decode_all(pdus: Sequence[bytes], begin: int = 0, place: "ctypes.c_longlong | None" = None) -> Tally:
    """Decode each of them, the first of which is number `begin` of the run; raises whatever nothing should raise.

    `place` holds the number of the PDU that is being decoded, for whoever watches.
    """
    tally = Tally(len(pdus))
    refused = [0]
    before: list[sms.Tpdu] = []  # of the last PDUs, joined with this one's
    clock = time.perf_counter
    for number, pdu in enumerate(pdus, begin):
        if place is not None:
            place.value = number
        began = clock()
        found = attempts(pdu, refused, strict=not number & 2)
        if found and number % LOOKED_INTO < 4:
            before = before[-6:] + found
            look_into(before)
        took_s = clock() - began
        if took_s > tally.slowest_s:
            took_s = min(took_s, again_s(pdu, strict=not number & 2))
            if took_s > tally.slowest_s:
                tally.slowest_s, tally.slowest = took_s, pdu
        tally.read += len(found)
    tally.refused = refused[0]
    return tally


# Workers


def work(
    seed: int, count: int, first: int, step: int, place: "ctypes.c_longlong", results: "Connection[Tally, None]"
) -> None:
    """Send what became of every `step`th portion of the first `count` PDUs, from `first` on."""
    faulthandler.enable()
    known = vectors()
    for number in range(first, portions(count), step):
        begin = number * PORTION
        pdus = portion(seed, number, known)[: count - begin]
        results.send(decode_all(pdus, begin, place))  # what it raises ends the worker, and the parent sees that


def portions(count: int) -> int:
    """How many portions `count` PDUs are."""
    return -(-count // PORTION)


@dataclass(slots=True)
class Watched:
    """A worker, what it tells, and how long it has been at one PDU."""

    process: BaseProcess
    results: "Connection[None, Tally]"
    place: "ctypes.c_longlong"
    seen: int = -1
    since_s: float = field(default_factory=time.monotonic)

    def hangs(self) -> bool:
        """Whether it has not come on for too long."""
        if self.place.value != self.seen:
            self.seen, self.since_s = self.place.value, time.monotonic()
        return time.monotonic() - self.since_s > HANG_S


def start(seed: int, count: int, workers: int) -> list[Watched]:
    """The workers, at work."""
    context = multiprocessing.get_context("spawn")
    found = []
    for first in range(workers):
        results, given = context.Pipe(duplex=False)
        place = context.RawValue(ctypes.c_longlong, -1)
        process = context.Process(target=work, args=(seed, count, first, workers, place, given), daemon=True)
        process.start()
        given.close()  # or nobody would hear that the worker is gone
        found.append(Watched(process, results, place))
    return found


def run(seed: int, count: int, workers: int) -> Tally:
    """Decode `count` PDUs; raises AssertionError with the PDU where one does what none should."""
    whole = Tally()
    began = said = time.monotonic()
    watched = start(seed, count, workers)
    try:
        while watched:
            wait([one.results for one in watched], 1)
            for one in list(watched):
                try:
                    if one.results.poll():
                        whole.add(one.results.recv())
                    elif one.hangs():
                        os.kill(one.process.pid or 0, signal.SIGABRT)  # faulthandler says where
                        one.process.join()
                        raise AssertionError(blamed(one, seed, f"no end within {HANG_S:g} s"))
                except EOFError:
                    one.process.join()
                    watched.remove(one)
                    if one.process.exitcode:
                        raise AssertionError(blamed(one, seed, f"a worker ended with {one.process.exitcode}")) from None
            if time.monotonic() - said > SAY_EVERY_S:
                said = time.monotonic()
                say(f"fuzz: {whole.pdus:,} of {count:,}, {whole.pdus / (said - began):,.0f} PDUs/s")
    finally:
        for one in watched:
            one.process.kill()
    return whole


def blamed(one: Watched, seed: int, what: str) -> str:
    """What is wrong, and the PDU that the worker was at."""
    number = one.place.value
    if number < 0:
        return f"{what}, before the first PDU"
    pdu = portion(seed, number // PORTION, vectors())[number % PORTION]
    return f"{what}; PDU {number} of seed {seed}: {pdu.hex().upper()}"


async def main(arguments: Sequence[str]) -> None:
    """Run as many as the arguments ask for; exits with 1 where one does what none should."""
    parser = argparse.ArgumentParser(prog="python -m bench fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args(list(arguments))
    began = time.monotonic()
    try:
        whole = run(chosen.seed, chosen.count, chosen.workers)
    except AssertionError as error:
        say(f"fuzz: {error}")
        sys.exit(1)
    took_s = time.monotonic() - began
    tries = whole.read + whole.refused
    say(
        f"fuzz: {whole.pdus:,} PDUs of seed {chosen.seed} in {took_s:.0f} s ({whole.pdus / took_s:,.0f}/s): read "
        f"{whole.read:,} of {tries:,} ways, refused {whole.refused:,}, raised nothing but CodecError; the slowest took "
        f"{whole.slowest_s * 1e6:.0f} µs: {whole.slowest.hex().upper()}"
    )
