"""SUBMIT, DELIVER and STATUS-REPORT read by libgammu: another decoder that shares neither code nor author with ours.

`gammu_sms.c` is compiled against the machine's libgammu when it is first needed.  What libgammu (1.42, Debian 12's)
does not say: the wish for a report, TP-MMS, TP-LP, TP-SRI and TP-SRQ, a TP-PID but for the replacing ones, TP-DCS
itself, an enhanced validity, and the other three kinds of TPDU, whose type octet it takes for these.
"""

import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("gammu_sms.c")
TABS, UNREAD = 17, "-1"  # of a line
NO_ERROR = 1  # ERR_NONE of gammu-error.h
KINDS = {1: "deliver", 2: "status_report", 3: "submit"}  # GSM_SMSMessageType
RELATIVE = 2  # SMS_Validity_RelativeFormat
UNICODE, DEFAULT, OCTETS = 1, 3, 5  # GSM_Coding_Type
ASCII_NAME = re.compile(r"[A-Za-z0-9 !\"#%&'()*+,./:;<=>?-]*")  # characters whose septet is their ASCII code

# `number` (as that of tshark_sms), `service_centre`, `reference`, `replaces` (of TP-PID 0x41 to 0x47 the last digit,
# else 0), `alphabet` (0 GSM 7-bit, 1 octets, 2 UCS2, None another), `message_class`, `relative` (TP-VP's octet),
# `header` (TP-UDH), `text`, `octets`, `reply_path`, `reject_duplicates`; of reports `outcome`; `service_centre_time`,
# `discharge_time` and `expires` as (year of the century, month, day, hour, minute, second, quarters of an hour east).
# {} is a PDU that libgammu refused, or fell over.
Found = dict[str, Any]


def compiler() -> str | None:
    return shutil.which("cc") or shutil.which("gcc")


def missing() -> list[str]:
    """What is not on this machine, by the names of Debian's packages."""
    absent = [] if compiler() else ["gcc"]
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
    subprocess.run([str(compiler()), "-O2", "-o", str(program), str(SOURCE), *flags], check=True)
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
     header, _, data, outcome, discharge_time, time) = fields[1:]
    # fmt: on
    read: Found = {
        "kind": KINDS[int(kind)],
        "service_centre": unicode(centre),
        "number": unicode(number),
    }
    if read["kind"] == "status_report":
        read["reference"] = int(reference)
        read["outcome"] = int(outcome)
        read["service_centre_time"] = moment(time)
        read["discharge_time"] = moment(discharge_time)
        return read
    read["replaces"] = int(replaces)
    read["message_class"] = int(message_class) if int(message_class) >= 0 else None
    read["header"] = bytes.fromhex(header)
    read["reply_path"] = reply_path == "1"
    alphabet = {UNICODE: 2, DEFAULT: 0, OCTETS: 1}.get(int(coding))
    read["alphabet"] = alphabet
    read["text"] = unicode(data) if alphabet in (0, 2) else None
    read["octets"] = bytes.fromhex(data) if alphabet == 1 else None
    if read["kind"] == "deliver":
        read["service_centre_time"] = moment(time)
    else:
        read["reference"] = int(reference)
        read["reject_duplicates"] = duplicates == "1"
        read["relative"] = int(relative) if int(validity) == RELATIVE else None
        read["expires"] = moment(time)
    return read


def decode(pdus: list[bytes]) -> list[Found]:
    """What libgammu reads in each PDU, which begins with its service centre: 00 where it names none."""
    _, program = reader()
    said: list[Found] = []
    while len(said) < len(pdus):
        lines = "".join(f"{pdu.hex()}\n" for pdu in pdus[len(said) :])
        ran = subprocess.run([str(program)], input=lines, check=False, capture_output=True, text=True, timeout=60)
        said += [found(line) for line in ran.stdout.splitlines() if line.count("\t") == TABS or line == UNREAD]
        if ran.returncode:
            said.append({})  # the next one made libgammu fall over
    return said


def units(text: str) -> int:
    return len(text.encode("utf-16-be")) // 2


def expected(asked: Found) -> Found | None:
    """What libgammu 1.42 should read, by its own errors; None where it does not read the like at all."""
    if asked["kind"] not in ("submit", "deliver", "status_report"):
        return None
    due: Found = {
        name: asked[name]
        for name in (
            *("kind", "service_centre", "number", "reference", "message_class", "header", "alphabet", "text", "octets"),
            *("reply_path", "reject_duplicates", "outcome", "service_centre_time", "discharge_time", "expires"),
        )
        if name in asked
    }
    if asked["kind"] == "status_report":  # its optional parameters are not read
        for name in ("header", "alphabet", "text", "octets", "message_class"):
            due.pop(name, None)
    else:
        due["replaces"] = asked["protocol"] - 0x40 if 0x41 <= asked["protocol"] <= 0x47 else 0
        # A reserved coding is GSM 7-bit (TS 23.038 §4): reads such a TPDU only if it happens to look like a text.
        if 0x80 <= asked["coding"] < 0xC0 or asked["coding"] & 0x8C == 0x0C:
            return None
        # The codings of automatic deletion have classes like the general ones (3GPP TS 23.038 §4): reads none there.
        if asked["coding"] >> 6 == 1:
            due["message_class"] = None
    if asked.get("validity_format") == 2:
        due["relative"] = asked["relative"]
    # Addresses of up to 20 semi-octets (§9.1.2.5): refuses from 18 on, and leaves *, #, a, b and c out (§9.1.2.3).
    # Of a name it gives the septets as they are; those of ASCII_NAME are what they seem.
    number = asked["number"]
    if asked.get("address_type", 0) >> 4 & 7 == 5:
        if not ASCII_NAME.fullmatch(number):
            del due["number"]
    elif len(number.lstrip("+")) > 17:
        return None
    else:
        due["number"] = re.sub("[*#abc]", "", number)
    # In UCS2 a tilde is doubled, and U+0001 made one: an escape of Nokia's.  Zeros follow, see gammu_sms.c.
    if asked.get("alphabet") == 2 and due.get("text") is not None:
        misread = due["text"].replace("~", "~~").replace("\x01", "~")
        due["text"] = misread + "\0" * (2 * units(due["text"]) - units(misread))
    # Of the years 90 to 99 of the century ten are taken away (§9.2.3.11 has no such pivot).
    if "service_centre" in due:
        due["service_centre"] = re.sub("[*#abc]", "", str(due["service_centre"]))
    for name in ("service_centre_time", "discharge_time", "expires"):
        if name in due and due[name][0] >= 90:
            due[name] = (due[name][0] - 10, *due[name][1:])
    return due
