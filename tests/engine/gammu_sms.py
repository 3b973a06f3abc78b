"""SUBMIT, DELIVER and STATUS-REPORT read by libgammu: another decoder that shares neither code nor author with ours.

`gammu_sms.c` is compiled against the machine's libgammu when it is first needed.  What libgammu (1.42, Debian 12's)
does not say: the wish for a report, TP-MMS, TP-LP, TP-SRI and TP-SRQ, a TP-PID but for the replacing ones, TP-DCS
itself, an enhanced validity, and the other three kinds of TPDU, whose type octet it takes for these.
"""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("gammu_sms.c")
NO_ERROR = 1  # ERR_NONE of gammu-error.h
KINDS = {1: "deliver", 2: "status_report", 3: "submit"}  # GSM_SMSMessageType
RELATIVE = 2  # SMS_Validity_RelativeFormat
UNICODE, DEFAULT, OCTETS = 1, 3, 5  # GSM_Coding_Type
REPLACES = 0x40  # TP-PID, 3GPP TS 23.040 §9.2.3.9: 0x41 to 0x47 replace a message of that type

# `number` (as in Found of tshark_sms), `service_centre`, `reference`, `replaces` (0 to 7), `alphabet` (0 GSM 7-bit,
# 1 octets, 2 UCS2, None another), `message_class`, `relative` (TP-VP's octet), `header` (TP-UDH), `text`, `octets`,
# `reply_path`, `reject_duplicates`; of reports `outcome`; `service_centre_time`, `discharge_time` and `expires` as
# (year of the century, month, day, hour, minute, second, quarters of an hour east).  {} is a PDU that libgammu refused.
Found = dict[str, Any]


def missing() -> list[str]:
    """What is not on this machine, by the names of Debian's packages."""
    absent = [] if shutil.which("gcc") else ["gcc"]
    if not shutil.which("pkg-config"):
        return [*absent, "pkg-config"]
    if subprocess.run(["pkg-config", "--exists", "gammu"], check=False).returncode:
        absent.append("libgammu-dev")
    return absent


@functools.cache
def reader() -> tuple[tempfile.TemporaryDirectory[str], Path]:
    """The compiled program and the directory that holds it, which goes when Python does."""
    folder = tempfile.TemporaryDirectory(prefix="gammu-sms-")
    program = Path(folder.name) / "gammu_sms"
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "gammu"], check=True, capture_output=True, text=True
    ).stdout.split()
    subprocess.run(["gcc", "-O2", "-o", str(program), str(SOURCE), *flags], check=True)
    return folder, program


def unicode(digits: str) -> str:
    return bytes.fromhex(digits).decode("utf-16-be", "surrogatepass")


def moment(printed: str) -> tuple[int, ...]:
    *date, zone_s = (int(number) for number in printed.split())
    return date[0] % 100, *date[1:], int(zone_s / 900)


def found(line: str) -> Found:
    fields = line.split("\t")
    if int(fields[0]) != NO_ERROR:
        return {}
    # fmt: off
    (kind, centre, reply_path, duplicates, number, reference, replaces, coding, message_class, validity, relative,
     header, length, data, outcome, centre_time, other_time) = fields[1:]
    # fmt: on
    read: Found = {
        "kind": KINDS[int(kind)],
        "service_centre": unicode(centre),
        "number": unicode(number),
    }
    if read["kind"] == "status_report":
        read["reference"] = int(reference)
        read["outcome"] = int(outcome)
        read["service_centre_time"] = moment(centre_time)
        read["discharge_time"] = moment(other_time)
        return read
    read["replaces"] = int(replaces)
    read["message_class"] = int(message_class) if int(message_class) >= 0 else None
    read["header"] = bytes.fromhex(header)
    read["reply_path"] = reply_path == "1"
    alphabet = {UNICODE: 2, DEFAULT: 0, OCTETS: 1}.get(int(coding))
    read["alphabet"] = alphabet
    read["text"] = unicode(data) if alphabet in (0, 2) else None
    read["octets"] = bytes.fromhex(data) if alphabet == 1 else None
    if alphabet == 2:
        read["units"] = int(length)
    if read["kind"] == "deliver":
        read["service_centre_time"] = moment(other_time)
    else:
        read["reference"] = int(reference)
        read["reject_duplicates"] = duplicates == "1"
        read["relative"] = int(relative) if int(validity) == RELATIVE else None
        read["expires"] = moment(other_time)
    return read


def decode(pdus: list[bytes]) -> list[Found]:
    """What libgammu reads in each PDU, which begins with its service centre: 00 where it names none."""
    _, program = reader()
    lines = "".join(f"{pdu.hex()}\n" for pdu in pdus)
    ran = subprocess.run([str(program)], input=lines, check=True, capture_output=True, text=True, timeout=60)
    return [found(line) for line in ran.stdout.splitlines()]
