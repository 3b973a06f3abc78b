"""The fuzzer of the decoder: that it decodes, that its PDUs can be had again, and that it sees what goes wrong."""

import ctypes

import pytest

from bench.bench_fuzz import decode_all, mutate, portion, run, vectors
from engine import sms


def test_some_hundred_pdus_raise_nothing_but_codec_errors() -> None:
    place = ctypes.c_longlong(-1)
    tally = decode_all(portion(1, 0, vectors())[:400], 40, place)
    assert place.value == 439
    assert tally.pdus == 400
    assert tally.read > 200
    assert tally.refused > 200
    assert tally.read + tally.refused == 6 * 400


def test_a_seed_gives_the_same_pdus_again() -> None:
    known = vectors()
    assert portion(3, 7, known) == portion(3, 7, known)
    assert portion(3, 7, known)[:50] != portion(4, 7, known)[:50]


def test_any_pdu_can_be_mutated() -> None:
    every = range(256)
    for what in every:
        for octets in (b"", b"\x04", bytes(160)):
            assert isinstance(mutate(octets, b"\0", b"", bytes([what] * 16)), bytes)
    assert mutate(b"\0\0", b"\0", b"", bytes([0, 0, 1, 3, *range(12)])) == b"\0\x08"


def test_what_nothing_should_raise_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> sms.Tpdu:
        raise OverflowError

    monkeypatch.setattr("bench.bench_fuzz.sms.decode", fails)
    with pytest.raises(OverflowError):
        decode_all([b"\x04"])


def test_two_workers_decode_every_pdu_once() -> None:
    assert run(seed=1, count=50, workers=2).pdus == 50
