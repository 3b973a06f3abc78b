"""What a TC35i answers to the commands about messages, in PDU mode (3GPP TS 27.005 §3, §4).

Text mode can be chosen and read back; sending, reading and listing in it are refused.
"""

from binascii import Error as NotHex
from binascii import unhexlify
from collections.abc import Callable
from functools import partial

from engine.errors import CodecError
from engine.sim import tpdu as octets
from engine.sim.commands import WORDS as OTHER_WORDS
from engine.sim.commands import number, numbers
from engine.sim.grammar import (
    CME_UNKNOWN,
    CMS_BAD_INDEX,
    CMS_BAD_PDU,
    CMS_FULL,
    CMS_NO_CNMA,
    CMS_NOT_ALLOWED,
    CMS_PIN,
    Command,
    Refused,
    Word,
)
from engine.sim.storage import READ, RECORD_OCTETS, SENT, UNREAD, UNSENT, Record
from engine.sim.tc35i import TC35i

# Octets of a TPDU that AT+CMGS gives a prompt for; the longest TPDU is 164, but EF_SMS has room for more.
LENGTHS = range(1, RECORD_OCTETS + 1)
EVERY = 4
MEMORIES = ("MT", "SM", "ME")
_LAST_MEMORIES = ("MT", "SM")


def _in_pdu_mode(modem: TC35i) -> None:
    if modem.settings.text_mode:
        raise Refused(cms=CMS_NOT_ALLOWED)


def _length(command: Command) -> int:
    if not command.argument.isdecimal() or int(command.argument) not in LENGTHS:
        raise Refused(cms=CMS_BAD_PDU)
    return int(command.argument)


def send(modem: TC35i, command: Command) -> str | None:
    """AT+CMGS=<octets of the TPDU>: prompt, PDU, Ctrl-Z, +CMGS: <reference>."""
    if command.form == "=?":
        return ""
    _in_pdu_mode(modem)
    length = _length(command)
    modem.prompt(partial(modem.submit, length=length))
    return None


def write(modem: TC35i, command: Command) -> str | None:
    """AT+CMGW=<octets>[,<stat>]: prompt, PDU, Ctrl-Z, +CMGW: <index>."""
    if command.form == "=?":
        return ""
    _in_pdu_mode(modem)
    first, _, second = command.argument.partition(",")
    length = _length(command._replace(argument=first.strip()))
    status = int(second) if second.strip() in ("0", "1", "2", "3") else UNSENT
    modem.prompt(partial(_written, modem, length, status))
    return None


def _written(modem: TC35i, length: int, status: int, typed: bytes) -> None:
    try:
        pdu = unhexlify(typed)
    except NotHex:
        pdu = b""
    if not pdu or len(pdu) != 1 + pdu[0] + length:
        modem.end_unsent(Refused(cms=CMS_BAD_PDU))
        return
    index = modem.storage.add(Record(status, pdu.hex().upper(), length), modem.storage.memories[1])
    if index is None:
        modem.end_unsent(Refused(cms=CMS_FULL))
    else:
        modem.succeed(f"+CMGW: {index}")


def send_stored(modem: TC35i, command: Command) -> str | None:
    """AT+CMSS=<index>: what AT+CMGW stored; a new destination is not taken."""
    if command.form == "=?":
        return ""
    record = _record(modem, command.argument)
    if record is None:
        raise Refused(cms=CMS_BAD_INDEX)
    pdu = bytes.fromhex(record.pdu)
    tpdu = pdu[1 + pdu[0] :]
    try:
        part = octets.parse_submit(tpdu)
    except CodecError:
        raise Refused(cms=CMS_NOT_ALLOWED) from None
    record.status = SENT
    modem.transmit(tpdu, part, "+CMSS")
    return None


def _record(modem: TC35i, argument: str) -> Record | None:
    if not argument.isdecimal():
        raise Refused(cms=CMS_BAD_INDEX)
    try:
        return modem.storage.find(int(argument))
    except IndexError:
        raise Refused(cms=CMS_BAD_INDEX) from None


def _pdu(modem: TC35i, record: Record) -> str:
    """The PDU as it is shown: a stored status report with what is left of its row, unless AT^SSCONF=x,1."""
    if modem.quirks.pads_reports and not modem.settings.ssconf[1]:
        at = 2 + 2 * int(record.pdu[:2], 16)
        if record.status <= READ and int(record.pdu[at : at + 2], 16) & 0x03 == octets.MTI_REPORT:
            return record.pdu.ljust(2 * RECORD_OCTETS, "F")
    return record.pdu


def _show(name: str, flips: bool) -> Callable[[TC35i, Command], str]:
    def answer(modem: TC35i, command: Command) -> str:
        if command.form == "=?":
            return ""
        _in_pdu_mode(modem)
        record = _record(modem, command.argument)
        if record is None:
            return f"{name}: 0,,0"
        shown = f"{name}: {record.status},,{record.length}\r\n{_pdu(modem, record)}"
        if flips and record.status == UNREAD:
            record.status = READ
        return shown

    return answer


def _enumerate(name: str, flips: bool) -> Callable[[TC35i, Command], str]:
    def answer(modem: TC35i, command: Command) -> str:
        if command.form == "=?":
            return f"{name}: (0-4)"
        _in_pdu_mode(modem)
        wanted = command.argument or "0"
        if not wanted.isdecimal() or int(wanted) > EVERY:
            raise Refused(cms=CMS_NOT_ALLOWED)
        shown = []
        for index, record in modem.storage.list_records():
            if int(wanted) in (EVERY, record.status):
                shown.append(f"{name}: {index},{record.status},,{record.length}\r\n{_pdu(modem, record)}")
                if flips and record.status == UNREAD:
                    record.status = READ
        return "\r\n".join(shown)

    return answer


def delete(modem: TC35i, command: Command) -> str:
    """AT+CMGD=<index>, and no second parameter; a free slot is OK as well."""
    if command.form == "=?":
        return ""
    if not command.argument.isdecimal():
        raise Refused(cms=CMS_BAD_INDEX)
    try:
        modem.remove(int(command.argument))
    except IndexError:
        raise Refused(cms=CMS_BAD_INDEX) from None
    return ""


def memories(modem: TC35i, command: Command) -> str | None:
    """AT+CPMS=<mem1>[,<mem2>[,<mem3>]]: mem3 is never ME.  Changing mem3 takes `switch_ms`."""
    storage = modem.storage
    if command.form == "=?":
        return '+CPMS: ("MT","SM","ME"),("MT","SM","ME"),("MT","SM")'
    if command.form == "?":
        usages = ((memory, *storage.usage(memory)) for memory in storage.memories)
        return "+CPMS: " + ",".join(f'"{memory}",{used},{total}' for memory, used, total in usages)
    wanted = [one.strip().strip('"').upper() for one in command.argument.split(",")]
    if len(wanted) > 3:
        raise Refused(cms=CMS_NOT_ALLOWED)
    first, second, third = (
        given or held for given, held in zip((*wanted, "", "", "")[:3], storage.memories, strict=True)
    )
    if first not in MEMORIES or second not in MEMORIES or third not in _LAST_MEMORIES:
        raise Refused(cms=CMS_NOT_ALLOWED)
    is_switched = third != storage.memories[2]
    storage.memories = (first, second, third)
    usages_only = (f"{used},{total}" for used, total in map(storage.usage, storage.memories))
    answer = "+CPMS: " + ",".join(usages_only)
    if is_switched and modem.quirks.switch_ms:
        modem.pause(modem.quirks.switch_ms, answer)
        return None
    return answer


def indications(modem: TC35i, command: Command) -> str:
    """AT+CNMI=<mode>,<mt>,<bm>,<ds>,<bfr>: what is left out stays.

    bfr is 1 and nothing else; mt 2 and 3, and ds 1, want AT+CSMS=1.
    """
    settings = modem.settings
    if command.form == "=?":
        if settings.service:
            return "+CNMI: (0-3),(0-3),(0,2,3),(0-2),(1)"
        return "+CNMI: (0-3),(0,1),(0,2,3),(0,2),(1)"
    if command.form == "?":
        return "+CNMI: " + ",".join(map(str, settings.cnmi))
    try:
        given = numbers(command.argument, 1, 5)
    except Refused:
        raise Refused(cms=CMS_NOT_ALLOWED) from None
    merged = list(settings.cnmi)
    for at, value in enumerate(given):
        if value is not None:
            merged[at] = value
    mode, message, broadcast, report, buffer = merged
    phase_2 = settings.service == 1
    if not (
        mode <= 3
        and message <= (3 if phase_2 else 1)
        and broadcast in (0, 2, 3)
        and report in ((0, 1, 2) if phase_2 else (0, 2))
        and buffer == 1
    ):
        raise Refused(cms=CMS_NOT_ALLOWED)
    settings.cnmi = (mode, message, broadcast, report, buffer)
    return ""


def service(modem: TC35i, command: Command) -> str:
    """AT+CSMS: 1 is phase 2+, where routed messages are acknowledged."""
    settings = modem.settings
    if command.form == "=?":
        return "+CSMS: (0,1)"
    if command.form == "=":
        settings.service = number(command, range(2))
        mode, message, broadcast, report, buffer = settings.cnmi
        if not settings.service and (message > 1 or report == 1):
            settings.cnmi = (mode, min(message, 1), broadcast, report & 2, buffer)
        return "+CSMS: 1,1,1"
    return f"+CSMS: {settings.service},1,1,1"


def acknowledge(modem: TC35i, command: Command) -> str:
    """AT+CNMA[=0]: the routed message arrived.  340 if none is outstanding."""
    if command.form == "=?":
        return "+CNMA: (0)"
    if command.argument not in ("", "0"):
        raise Refused(cms=CMS_NOT_ALLOWED)
    if not modem.settings.service or not modem.acknowledge():
        raise Refused(cms=CMS_NO_CNMA)
    return ""


def text_mode(modem: TC35i, command: Command) -> str:
    if command.form == "=":
        modem.settings.text_mode = bool(number(command, range(2)))
        return ""
    return "+CMGF: (0,1)" if command.form == "=?" else f"+CMGF: {modem.settings.text_mode:d}"


def service_centre(modem: TC35i, command: Command) -> str:
    """AT+CSCA: the service centre on the SIM."""
    sim = modem.sim
    if command.form == "=":
        sim.service_centre = command.argument.partition(",")[0].strip().strip('"')
        return ""
    if command.form == "=?":
        return ""
    return f'+CSCA: "{sim.service_centre}",{145 if sim.service_centre[:1] in ("+", "") else 129}'


def overflow(modem: TC35i, command: Command) -> str:
    """AT^SMGO=0|1: say ^SMGO when storage fills and empties."""
    if command.form == "=":
        modem.settings.smgo = number(command, range(2))
        return ""
    return "^SMGO: (0,1)" if command.form == "=?" else f"^SMGO: {modem.settings.smgo},{modem.overflow}"


def report_form(modem: TC35i, command: Command) -> str:
    """AT^SSCONF=<ra>[,<ff>]: ff=1 shows stored status reports without the filler of their row."""
    settings = modem.settings
    if command.form == "=":
        recipient, filler = (*numbers(command.argument, 1, 2), None)[:2]
        if {recipient, filler} - {0, 1, None}:
            raise Refused(cme=CME_UNKNOWN)
        settings.ssconf = (
            settings.ssconf[0] if recipient is None else recipient,
            settings.ssconf[1] if filler is None else filler,
        )
        return ""
    return (
        "^SSCONF: (0,1),(0,1)"
        if command.form == "=?"
        else f"^SSCONF: {settings.ssconf[0]},{settings.ssconf[1]}"
    )


def storage_order(modem: TC35i, command: Command) -> str:
    """AT^SSMSS: 0 numbers ME before SM under MT, 1 SM before ME."""
    if command.form == "=":
        modem.storage.sm_first = bool(number(command, range(2)))
        return ""
    return "^SSMSS: (0,1)" if command.form == "=?" else f"^SSMSS: {modem.storage.sm_first:d}"


def multiple(modem: TC35i, command: Command) -> str:
    """AT+CMMS, which no manual of the family lists."""
    if not modem.quirks.has_cmms:
        raise Refused()
    if command.form == "=":
        number(command, range(3))
        return ""
    return "+CMMS: (0-2)" if command.form == "=?" else "+CMMS: 0"


def _word(answer: Callable[[TC35i, Command], str | None]) -> Word:
    return Word(answer, alone=True, locked=Refused(cms=CMS_PIN))


WORDS: dict[str, Word] = {
    **OTHER_WORDS,
    "+CMGS": _word(send),
    "+CMGW": _word(write),
    "+CMSS": _word(send_stored),
    "+CMGR": _word(_show("+CMGR", flips=True)),
    "^SMGR": _word(_show("^SMGR", flips=False)),
    "+CMGL": _word(_enumerate("+CMGL", flips=True)),
    "^SMGL": _word(_enumerate("^SMGL", flips=False)),
    "+CMGD": _word(delete),
    "+CPMS": _word(memories),
    "+CNMA": _word(acknowledge),
    "+CNMI": Word(indications, alone=True),
    "+CSMS": Word(service, alone=True),
    "+CMGF": Word(text_mode, alone=True),
    "+CSCA": _word(service_centre),
    "+CMMS": Word(multiple),
    "^SMGO": Word(overflow),
    "^SSCONF": Word(report_form),
    "^SSMSS": Word(storage_order),
}
