"""TPDUs of all six kinds read by tshark: a decoder that shares neither code nor author with ours.

The TPDUs are handed over in a pcapng file of link type "user 0", which tshark is told to read as gsm_sms.  The
dissector takes the direction from each packet's flags: inbound means at the network.  What comes back is asked for
field by field as JSON, where a text arrives as it is: line ends, form feeds, tabs and all planes of Unicode.

What tshark (4.0, Debian 12's) does not say: the sign of a time zone, the century, the octets of TP-CD, and the data
of those information elements that it takes apart further than `elements` puts together again.
"""

import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

USER_0 = 147  # LINKTYPE_USER0
INBOUND, OUTBOUND = 1, 2  # epb_flags, bits 0-1
AT_ONCE = 5_000  # packets; the JSON of each takes about 1,500 octets
DIRECTIONS = {"ms2sc": INBOUND, "sc2ms": OUTBOUND}
OPTIONS = [
    *("-o", 'uat:user_dlts:"User 0 (DLT=147)","gsm_sms","0","","0",""'),
    *("-o", "gsm_sms.reassemble:FALSE"),
    # Else the data behind some ports is dissected further, and not shown.
    *("--disable-protocol", "wsp", "--disable-protocol", "wtp"),
]
KINDS = {
    ("sc2ms", 0): "deliver",
    ("ms2sc", 0): "deliver_report",
    ("ms2sc", 1): "submit",
    ("sc2ms", 1): "submit_report",
    ("sc2ms", 2): "status_report",
    ("ms2sc", 2): "command",
}
# Our name, tshark's name behind "gsm_sms."; each a number.
NUMBERS = {
    "reference": "tp-mr",
    "protocol": "tp-pid",
    "coding": "tp-dcs",
    "validity_format": "tp-vpf",
    "length": "tp.user_data_length",
    "parameters": "tp.parameter_indicator",
    "failure": "tp-fcs",
    "command": "tp.command_type",
    "message_number": "tp.message_number",
    "data_length": "tp.command_data_length",
}
FLAGS = {
    "wants_report": ("tp-srr", "1"),
    "reject_duplicates": ("tp-rd", "1"),
    "reply_path": ("tp-rp", "1"),
    "has_header": ("tp-udhi", "1"),
    "report_indication": ("tp-sri", "1"),
    "for_command": ("tp-srq", "1"),
    "loop_prevention": ("tp-lp", "1"),
    "more_messages": ("tp-mms", "0"),  # 3GPP TS 23.040 §9.2.3.2: 0 says that there are more
    "single_shot": ("vp.single_shot_sm", "1"),
}
TIME = [f"scts.{unit}" for unit in ("year", "month", "day", "hour", "minutes", "seconds", "timezone")]
ENHANCED = [f"vp.validity_period.{unit}" for unit in ("hour", "minutes", "seconds")]
INDICATION = ["msg_ind_type_and_stor", "profile_id", "ext_msg_ind_type", "msg_ind_type", "msg_count"]
CONCATENATION = ["udh.mm.msg_id", "udh.mm.msg_parts", "udh.mm.msg_part"]
PORTS = ["destination_port", "originator_port"]
SHIFTS = ["dis_iei_lang.single_shift", "dis_iei_lang.locking_shift"]
ADDRESS = [f"dis_field_addr.{part}" for part in ("extension", "num_type", "num_plan")]
OUTCOME = ["dis_field.definition", "dis_field.st_error", "dis.field_st_reason"]
ELEMENTS = ["ie_identifier", "dis_field_ud_iei.length", "ie_data", *INDICATION, *CONCATENATION, *PORTS, *SHIFTS]
FIELDS = [
    *("tp-mti", "tp-oa", "tp-da", "tp-ra", "sms_text", "sms_body", "vp.validity_period", "vp.validity_period_format"),
    *("dcs.message_class", "dcs.message_class_defined", "dis_field_udh.gsm.fill_bits"),
    *NUMBERS.values(),
    *(name for name, _ in FLAGS.values()),
    *TIME,
    *ENHANCED,
    *ADDRESS,
    *OUTCOME,
    *ELEMENTS,
]
# Information elements that tshark takes apart, 3GPP TS 23.040 §9.2.3.24: the length that its clause gives.
TAKEN_APART = {0x00: 3, 0x01: 2, 0x04: 2, 0x05: 4, 0x08: 4, 0x24: 1, 0x25: 1}
# … and those that it takes apart into what cannot be put together again.
TAKEN_TO_PIECES = {0x06, 0x07, *range(0x0A, 0x14)}

# What tshark reads: the names of NUMBERS and FLAGS, and `kind`, `number` (a plus before an international one),
# `address_type`, `message_class`, `relative` (TP-VP's octet), `period_s` (an enhanced one), `text` or `octets`
# (None: not this), `outline` ((identifier, length) of each element), `elements` (with their data, absent where it
# is not all shown), `outcome`, `times` (year of the century to second, and quarters of an hour without their sign),
# `malformed`.  A field that is not in the TPDU is absent.
Found = dict[str, Any]


def missing() -> list[str]:
    """What is not on this machine, by the names of Debian's packages."""
    return [] if shutil.which("tshark") else ["tshark"]


def block(kind: int, body: bytes) -> bytes:
    """One pcapng block; its length stands at both ends."""
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def capture(packets: list[tuple[bytes, str]]) -> bytes:
    """A pcapng file of TPDUs, each with its direction."""
    blocks = [
        block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
        block(1, struct.pack("<HHI", USER_0, 0, 0)),
    ]
    for number, (packet, direction) in enumerate(packets):
        padding = bytes(-len(packet) % 4)
        head = struct.pack("<IIIII", 0, 0, number, len(packet), len(packet))
        options = struct.pack("<HHIHH", 2, 4, DIRECTIONS[direction], 0, 0)
        blocks.append(block(6, head + packet + padding + options))
    return b"".join(blocks)


def elements(shown: dict[str, list[str]], outline: list[tuple[int, int]]) -> list[tuple[int, bytes]] | None:
    """The information elements of the header; None where tshark does not show all of their data."""
    values = {name: iter(shown.get(name, ())) for name in ELEMENTS}

    def octets(sizes: dict[str, int]) -> Iterator[bytes]:
        for name, size in sizes.items():
            yield int(next(values[name])).to_bytes(size, "big")

    together = []
    for identifier, length in outline:
        if identifier in TAKEN_TO_PIECES or TAKEN_APART.get(identifier, length) != length:
            return None
        match identifier:
            case 0x00 | 0x08:
                reference, total, sequence = CONCATENATION
                data = b"".join(octets({reference: length - 2, total: 1, sequence: 1}))
            case 0x04 | 0x05:
                data = b"".join(octets(dict.fromkeys(PORTS, length // 2)))
            case 0x24 | 0x25:
                data = b"".join(octets({SHIFTS[identifier - 0x24]: 1}))
            case 0x01:
                store, profile, extended, kind, count = (int(next(values[name])) for name in INDICATION)
                data = bytes([store << 7 | profile << 5 | extended << 2 | kind, count])
            case _:
                data = bytes.fromhex(next(values["ie_data"])) if length else b""
        together.append((identifier, data))
    return together


def address(shown: dict[str, list[str]]) -> Found:
    extension, kind, plan = (int(shown[name][0]) for name in ADDRESS)
    digits = next((shown[name][0] for name in ("tp-da", "tp-oa", "tp-ra") if name in shown), "")
    return {"number": ("+" if kind == 1 else "") + digits, "address_type": extension << 7 | kind << 4 | plan}


def user_data(shown: dict[str, list[str]]) -> Found:
    outline = [
        (int(identifier, 16), int(length))
        for identifier, length in zip(
            shown.get("ie_identifier", ()), shown.get("dis_field_ud_iei.length", ()), strict=True
        )
    ]
    fill_bits = shown.get("dis_field_udh.gsm.fill_bits", ["0"])  # between header and first septet
    body = shown["sms_body"][0] if "sms_body" in shown else None
    read: Found = {
        "outline": outline,
        "fill_bits": int(fill_bits[0], 0),
        "text": shown["sms_text"][0] if "sms_text" in shown else None,
        "octets": None if body is None else bytes.fromhex(body.replace("<MISSING>", "")),  # its word for nothing
    }
    if body is None and read["text"] is None:
        read["text"], read["octets"] = "", b""
    together = elements(shown, outline)
    if together is not None:
        read["elements"] = together
    return read


def found(layers: dict[str, list[str]], direction: str) -> Found:
    try:
        return read(layers, direction)
    except (
        KeyError,
        IndexError,
        ValueError,
        RuntimeError,
        StopIteration,
    ):  # so malformed that fields end in the middle
        return {"kind": None, "malformed": True}


def read(layers: dict[str, list[str]], direction: str) -> Found:
    malformed = "_ws.malformed" in layers
    shown = {name.removeprefix("gsm_sms."): values for name, values in layers.items()}
    said: Found = {"kind": KINDS.get((direction, int(shown["tp-mti"][0]))), "malformed": malformed}
    for ours, theirs in NUMBERS.items():
        if theirs in shown:
            said[ours] = int(shown[theirs][0], 0)
    for ours, (theirs, value) in FLAGS.items():
        if theirs in shown:
            said[ours] = shown[theirs][0] == value
    if ADDRESS[0] in shown:
        said |= address(shown)
    if "dcs.message_class" in shown and shown.get("dcs.message_class_defined", ["1"]) == ["1"]:
        said["message_class"] = int(shown["dcs.message_class"][0], 0)
    elif "coding" in said:
        said["message_class"] = None
    if OUTCOME[0] in shown:
        undefined, error, reason = (int(shown[name][0]) for name in OUTCOME)
        said["outcome"] = undefined << 7 | error << 5 | reason
    if TIME[0] in shown:
        said["times"] = [
            tuple(abs(int(part)) for part in parts) for parts in zip(*(shown[name] for name in TIME), strict=True)
        ]
    if ENHANCED[0] in shown:
        hours, minutes, seconds = (int(shown[name][0]) for name in ENHANCED)
        said["period_s"] = hours * 3_600 + minutes * 60 + seconds
    elif "vp.validity_period" in shown:
        in_seconds = shown.get("vp.validity_period_format") == ["2"]
        said["period_s" if in_seconds else "relative"] = int(shown["vp.validity_period"][0])
    return said | user_data(shown)


def print_json(packets: list[tuple[bytes, str]]) -> bytes:
    names = [option for name in FIELDS for option in ("-e", f"gsm_sms.{name}")]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tpdus.pcapng"
        file.write_bytes(capture(packets))
        return subprocess.run(
            ["tshark", "-r", str(file), *OPTIONS, "-T", "json", *names, "-e", "_ws.malformed"],
            check=True,
            capture_output=True,
            timeout=120,
            env={**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder},  # nobody's own preferences
        ).stdout


def decode(packets: list[tuple[bytes, str]]) -> list[Found]:
    """What tshark reads in each TPDU, given with its direction, "ms2sc" or "sc2ms"."""
    portions = [packets[at : at + AT_ONCE] for at in range(0, len(packets), AT_ONCE)]
    with ThreadPoolExecutor(2) as pool:  # the next portion is dissected while this one is read
        return [
            found(one["_source"]["layers"], direction)
            for portion, printed in zip(portions, pool.map(print_json, portions), strict=True)
            for one, (_, direction) in zip(msgspec.json.decode(printed), portion, strict=True)
        ]


def decode_submits(tpdus: list[bytes]) -> list[Found]:
    """`destination`, `text`, `wants_report` and `coding` of SUBMITs."""
    names = {"destination": "number", "text": "text", "wants_report": "wants_report", "coding": "coding"}
    submits = decode([(tpdu, "ms2sc") for tpdu in tpdus])
    return [{ours: submit.get(theirs) for ours, theirs in names.items()} for submit in submits]


def expected(asked: Found) -> Found:
    """What tshark 4.0 should read, by its own errors."""
    due = {name: value for name, value in asked.items() if name not in ("header", "alphabet", "service_centre")}
    due |= {"malformed": False, "fill_bits": 0}
    # Of an international number with less than four digits tshark may read the filler (§9.1.2.3) as a part of the
    # country code.
    if re.fullmatch(r"\+\d{1,3}", asked.get("number", "")):
        del due["malformed"]
    # Fields of the enhanced format follow in seven octets, whichever they are (§9.2.3.12.3): tshark takes a relative
    # period in it to end TP-VP behind its own octet, and reads all that follows out of place.
    if due.pop("inner", False):
        for name in ("length", "text", "octets", "elements", "outline", "fill_bits", "malformed"):
            due.pop(name, None)
    # A text is for tshark a C string, which U+0000 ends.
    if due.get("text") is not None:
        due["text"] = due["text"].split("\0")[0]
    # Without a TP-DCS the user data are in the default alphabet (§9.2.3.27 with §9.2.3.10); tshark shows octets.
    if asked["kind"].endswith("_report"):
        parameters = asked.get("parameters", 0)
        absent = [] if parameters & 1 else ["protocol"]
        absent += [] if parameters & 2 else ["text", "octets", "coding", "message_class"]
        absent += [] if parameters & 4 else ["length"]
        for name in absent:
            due.pop(name, None)
    # Shown without its sign.
    for name in ("service_centre_time", "discharge_time"):
        due.pop(name, None)
    if "expires" in due:
        due["times"] = [due.pop("expires")]
    if "times" in due:
        due["times"] = [(*date, abs(zone)) for *date, zone in due["times"]]
    # Elements of a length that their clause does not give are malformed, and their data not all shown.
    odd = any(TAKEN_APART.get(identifier, size) != size for identifier, size in asked.get("outline", ()))
    if odd or any(identifier in TAKEN_TO_PIECES for identifier, _ in asked.get("outline", ())):
        due.pop("elements", None)
        due.pop("malformed", None)
    return due
