"""SMS-SUBMIT TPDUs read by tshark: a decoder that shares neither code nor author with ours.

The TPDUs are handed over in a pcapng file of link type "user 0", which tshark is told to read as gsm_sms.
Each packet is flagged as inbound: the dissector takes the direction from there, and inbound means at the
network.
"""

import json
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Any

USER_0 = 147  # LINKTYPE_USER0
INBOUND = 1  # epb_flags, bits 0-1
MAPPING = 'uat:user_dlts:"User 0 (DLT=147)","gsm_sms","0","","0",""'


def missing() -> bool:
    return shutil.which("tshark") is None


def block(kind: int, body: bytes) -> bytes:
    """One pcapng block; its length stands at both ends."""
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def capture(packets: list[bytes]) -> bytes:
    """A pcapng file of inbound packets."""
    blocks = [
        block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
        block(1, struct.pack("<HHI", USER_0, 0, 0)),
    ]
    for number, packet in enumerate(packets):
        padding = bytes(-len(packet) % 4)
        head = struct.pack("<IIIII", 0, 0, number, len(packet), len(packet))
        options = struct.pack("<HHIHH", 2, 4, INBOUND, 0, 0)
        blocks.append(block(6, head + packet + padding + options))
    return b"".join(blocks)


def find_all(tree: Any, name: str) -> list[Any]:
    """Every value under `name` in tshark's nested dictionaries."""
    found = []
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == name:
                found.append(value)
            found += find_all(value, name)
    elif isinstance(tree, list):
        for value in tree:
            found += find_all(value, name)
    return found


def decode_submits(tpdus: list[bytes]) -> list[dict[str, Any]]:
    """`destination` (with a plus where international), `text`, `wants_report`, `coding` of each TPDU."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "submits.pcapng"
        file.write_bytes(capture(tpdus))
        ran = subprocess.run(
            ["tshark", "-r", str(file), "-o", MAPPING, "-o", "gsm_sms.reassemble:FALSE", "-T", "json"],
            check=True,
            capture_output=True,
            timeout=60,
            env={**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder},  # nobody's own preferences
        )
    decoded = []
    for packet in json.loads(ran.stdout):
        tree = packet["_source"]["layers"]
        international = find_all(tree, "gsm_sms.dis_field_addr.num_type")[0] == "1"
        decoded.append(
            {
                "destination": ("+" if international else "") + find_all(tree, "gsm_sms.tp-da")[0],
                "text": "".join(find_all(tree, "gsm_sms.sms_text")),
                "wants_report": find_all(tree, "gsm_sms.tp-srr")[0] in ("1", True, "True"),
                "coding": int(find_all(tree, "gsm_sms.tp-dcs")[0]),
            }
        )
    return decoded
