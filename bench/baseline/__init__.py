"""The SMS codec in plain Python: slow, readable, and by other means than the native one.

It is the oracle of the tests and the `python` column of the benchmarks, never part of the engine.  A packed
text is one big number and octets are slices, the way 3GPP TS 23.040 and 23.038 draw them.  Everything wrong
is a CodecError; exact fields and offsets are the native codec's business.
"""

from bench.baseline.alphabets import GSM7, OCTETS, SEPTETS, UCS2, pack, units_of, unpack
from bench.baseline.building import build, write
from bench.baseline.cutting import ROOM, Measure, cut, measure, pieces
from bench.baseline.envelope import Envelope
from bench.baseline.fields import Octets, take_time, validity_seconds
from bench.baseline.joining import join
from bench.baseline.reading import decode, decode_submit, read
from bench.baseline.records import Command, Deliver, DeliverReport, StatusReport, Submit, SubmitReport, Tpdu
from bench.baseline.templates import Template
from bench.baseline.writing import batch, encode, line, lines

__all__ = [
    "GSM7",
    "OCTETS",
    "ROOM",
    "SEPTETS",
    "UCS2",
    "Command",
    "Deliver",
    "DeliverReport",
    "Envelope",
    "Measure",
    "Octets",
    "StatusReport",
    "Submit",
    "SubmitReport",
    "Template",
    "Tpdu",
    "batch",
    "build",
    "cut",
    "decode",
    "decode_submit",
    "encode",
    "join",
    "line",
    "lines",
    "measure",
    "pack",
    "pieces",
    "read",
    "take_time",
    "units_of",
    "unpack",
    "validity_seconds",
    "write",
]
