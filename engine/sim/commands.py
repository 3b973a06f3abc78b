"""What a TC35i answers to commands that are not about messages: identity, PIN, network, settings.

A handler gives the lines before OK, or raises Refused.  Message commands are in `messages`; `WORDS` here is
the table without them.
"""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta

from engine.sim.grammar import (
    CME_NOT_ALLOWED,
    CME_PASSWORD,
    CME_PIN,
    CME_PUK,
    CME_UNKNOWN,
    Command,
    Refused,
    Word,
)
from engine.sim.profile import Settings
from engine.sim.tc35i import TC35i

Handler = Callable[[TC35i, Command], str | None]

PIN_TRIES = 3
RATES = (0, 300, 600, 1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 115200)
# Settings that are remembered, reported, and change nothing here: the factory's value, and what =? answers.
KEPT = {
    "+CLIP": ("0", "(0,1)"),
    "+CLIR": ("0", "(0-2)"),
    "+COLP": ("0", "(0,1)"),
    "+CRC": ("0", "(0,1)"),
    "+CCWA": ("0", "(0,1)"),
    "+CSSN": ("0,0", "(0,1),(0,1)"),
    "+CUSD": ("0", "(0-2)"),
    "+CALM": ("0", "(0-2)"),
    "+CPBS": ('"SM"', '("SM","ME","FD","LD","MC","RC","ON")'),
    "+CSCS": ('"GSM"', '("GSM","UCS2")'),
    "+CSDH": ("0", "(0,1)"),
    "+CSMP": ("17,167,0,0", ""),
    "+CSCB": ('0,"",""', "(0,1)"),
    "+ILRR": ("0", "(0,1)"),
    "^SSDA": ("0", "(0,1)"),
    "^SCKS": ("0,1", "(0,1)"),
    "^SCTM": ("0,0", "(0,1)"),
    "^SYNC": ("0", "(0-2)"),
}


def numbers(argument: str, least: int, most: int) -> list[int | None]:
    """`2,,0` as [2, None, 0].  Raises Refused for anything else, and for fewer or more than allowed."""
    fields = [one.strip() for one in argument.split(",")]
    if not least <= len(fields) <= most or not all(one.isdecimal() or not one for one in fields):
        raise Refused(cme=CME_UNKNOWN)
    return [int(one) if one else None for one in fields]


def number(command: Command, allowed: range) -> int:
    """The one number of a command.  Raises Refused if it is none or not allowed."""
    if not command.argument.isdecimal() or int(command.argument) not in allowed:
        raise Refused(cme=CME_UNKNOWN)
    return int(command.argument)


def ok(_modem: TC35i, _command: Command) -> str:
    """Nothing to it."""
    return ""


def say(text: Callable[[TC35i], str]) -> Handler:
    """An execute command with one answer."""

    def answer(modem: TC35i, command: Command) -> str:
        if command.form == "=?":
            return ""
        if command.form:
            raise Refused(cme=CME_UNKNOWN)
        return text(modem)

    return answer


def tell(text: Callable[[TC35i], str]) -> Handler:
    """A read command with one answer: both `?` and bare."""
    return lambda modem, command: text(modem) if command.form in ("?", "") else ""


def keep(modem: TC35i, command: Command) -> str:
    """Remember a setting that has no effect here."""
    if command.form == "?":
        return f"{command.name}: {modem.settings.kept.get(command.name, KEPT[command.name][0])}"
    if command.form == "=":
        modem.settings.kept[command.name] = command.argument
    allowed = KEPT[command.name][1]
    return f"{command.name}: {allowed}" if command.form == "=?" and allowed else ""


def echo(modem: TC35i, command: Command) -> str:
    modem.settings.echo = command.argument == "1"
    return ""


def verbose(modem: TC35i, command: Command) -> str:
    modem.settings.verbose = command.argument == "1"
    return ""


def quiet(modem: TC35i, command: Command) -> str:
    modem.settings.quiet = command.argument == "1"
    return ""


def recall(modem: TC35i, _command: Command) -> str:
    """ATZ: the stored profile."""
    modem.settings = deepcopy(modem.profile)
    return ""


def factory(modem: TC35i, _command: Command) -> str:
    """AT&F: all unsolicited lines off, errors hidden, echo on."""
    modem.settings = Settings()
    return ""


def store(modem: TC35i, _command: Command) -> str:
    modem.profile = deepcopy(modem.settings)
    return ""


def show(modem: TC35i, _command: Command) -> str:
    settings = modem.settings
    return (
        f"ACTIVE PROFILE:\r\nE{settings.echo:d} Q{settings.quiet:d} V{settings.verbose:d}\r\n"
        f"+CMEE: {settings.cmee}\r\n+CREG: {settings.creg}"
    )


def identify(modem: TC35i, command: Command) -> str:
    one = modem.identity
    return f"{one.maker}\r\n{one.model}\r\n{one.revision}" if command.argument in ("", "0") else ""


def errors(modem: TC35i, command: Command) -> str:
    if command.form == "=":
        modem.settings.cmee = number(command, range(3))
        return ""
    return "+CMEE: (0-2)" if command.form == "=?" else f"+CMEE: {modem.settings.cmee}"


def sm20(modem: TC35i, command: Command) -> str:
    """AT^SM20=<CallMode>,<CmgwMode>: the second hides that a message was not sent."""
    settings = modem.settings
    if command.form == "=":
        call, message = (*numbers(command.argument, 1, 2), None)[:2]
        if {call, message} - {0, 1, None}:
            raise Refused(cme=CME_UNKNOWN)
        settings.sm20 = (
            settings.sm20[0] if call is None else call,
            settings.sm20[1] if message is None else message,
        )
        return ""
    return "^SM20: (0,1),(0,1)" if command.form == "=?" else f"^SM20: {settings.sm20[0]},{settings.sm20[1]}"


def rate(modem: TC35i, command: Command) -> str:
    if command.form == "=":
        if not command.argument.isdecimal() or int(command.argument) not in RATES:
            raise Refused(cme=CME_UNKNOWN)
        modem.rate_baud = int(command.argument)
        return ""
    if command.form == "=?":
        return f"+IPR: (),({','.join(map(str, RATES))})"
    return f"+IPR: {modem.rate_baud}"


def pin(modem: TC35i, command: Command) -> str:
    """AT+CPIN: three wrong PINs ask for the PUK; ten wrong PUKs are not counted here."""
    sim = modem.sim
    wants_puk = sim.pin_tries == 0
    if command.form == "=?":
        return ""
    if command.form != "=":
        return "+CPIN: " + ("READY" if modem.is_unlocked else "SIM PUK" if wants_puk else "SIM PIN")
    if modem.is_unlocked:
        raise Refused(cme=CME_NOT_ALLOWED)
    given, _, fresh = (one.strip().strip('"') for one in command.argument.partition(","))
    if wants_puk:
        if given != sim.puk or not fresh:
            raise Refused(cme=CME_PASSWORD)
        sim.pin = fresh
    elif given != sim.pin:
        sim.pin_tries -= 1
        raise Refused(cme=CME_PASSWORD if sim.pin_tries else CME_PUK)
    sim.pin_tries = PIN_TRIES
    modem.unlock()
    return ""


def lock(modem: TC35i, command: Command) -> str:
    """AT+CLCK, as far as asking whether the SIM has a PIN."""
    if command.form == "=?":
        return '+CLCK: ("SC")'
    fields = [one.strip().strip('"') for one in command.argument.split(",")]
    if fields[:2] == ["SC", "2"]:
        return f"+CLCK: {int(modem.sim.pin is not None)}"
    raise Refused(cme=CME_NOT_ALLOWED)


def registration(modem: TC35i, command: Command) -> str:
    if command.form == "=":
        modem.settings.creg = number(command, range(3))
        return ""
    if command.form == "=?":
        return "+CREG: (0-2)"
    return f"+CREG: {modem.settings.creg},{modem.registration}{modem.cell}"


def operator(modem: TC35i, command: Command) -> str:
    name = modem.network.operator
    if command.form == "=":
        return ""
    if command.form == "=?":
        return f'+COPS: (2,"{name}","{name}","{modem.sim.imsi[:5]}"),,(0-4),(0,2)'
    return f'+COPS: 0,0,"{name}"' if modem.registration in (1, 5) else "+COPS: 0"


def functionality(modem: TC35i, command: Command) -> str:
    """AT+CFUN=1,1 restarts; =0 makes the module deaf, as on the real one."""
    if command.form != "=":
        return "+CFUN: (0,1,5-8),(0,1)" if command.form == "=?" else "+CFUN: 1"
    level, restarts = (*numbers(command.argument, 1, 2), None)[:2]
    if restarts == 1:
        modem.then(modem.restart)
    elif level == 0:
        modem.then(modem.power_off)
    return ""


def switch_off(modem: TC35i, command: Command) -> str:
    """AT^SMSO: MS OFF, then ^SHUTDOWN, then nothing more."""
    if command.form == "=?":
        return ""

    def shut_down() -> None:
        modem.urc("^SHUTDOWN")
        modem.power_off()

    modem.then(shut_down)
    return "^SMSO: MS OFF"


def clock(modem: TC35i, command: Command) -> str:
    """AT+CCLK?: the network's time; it cannot be set here."""
    if command.form != "?":
        return ""
    zone = timedelta(minutes=15 * modem.network.zone_quarters)
    local = datetime.fromtimestamp(modem.network.now_ms() / 1000, UTC) + zone
    return f'+CCLK: "{local:%y/%m/%d,%H:%M:%S}"'


def refuse(_modem: TC35i, _command: Command) -> str:
    """Known, and not done here: +CME ERROR or ERROR."""
    raise Refused(cme=CME_NOT_ALLOWED)


_NEEDS_PIN = Refused(cme=CME_PIN)
_maker = say(lambda modem: modem.identity.maker)
_model = say(lambda modem: modem.identity.model)
_revision = say(lambda modem: modem.identity.revision)
_serial = say(lambda modem: modem.imei)

WORDS: dict[str, Word] = {
    "": Word(ok),
    "E": Word(echo),
    "V": Word(verbose),
    "Q": Word(quiet),
    "Z": Word(recall),
    "I": Word(identify),
    **dict.fromkeys(("H", "L", "M", "O", "P", "S", "T", "X", "\\Q", "\\V"), Word(ok)),
    "&F": Word(factory, alone=True),
    "&W": Word(store, alone=True),
    "&V": Word(show, alone=True),
    **dict.fromkeys(("&C", "&D", "&S"), Word(ok, alone=True)),
    **dict.fromkeys(KEPT, Word(keep)),
    **dict.fromkeys(("+CGMI", "+GMI"), Word(_maker)),
    **dict.fromkeys(("+CGMM", "+GMM"), Word(_model)),
    **dict.fromkeys(("+CGMR", "+GMR"), Word(_revision)),
    **dict.fromkeys(("+CGSN", "+GSN"), Word(_serial)),
    "+GCAP": Word(say(lambda _modem: "+GCAP: +CGSM,+FCLASS")),
    "+CIMI": Word(say(lambda modem: modem.sim.imsi), locked=_NEEDS_PIN),
    "+CNUM": Word(say(lambda modem: f'+CNUM: ,"{modem.sim.number}",145'), locked=_NEEDS_PIN),
    "^SCID": Word(tell(lambda modem: f"^SCID: {modem.sim.iccid}")),
    "^SPIC": Word(tell(lambda modem: f"^SPIC: {modem.sim.pin_tries}")),
    "+CPIN": Word(pin),
    "+CLCK": Word(lock),
    "+CMEE": Word(errors),
    "+CREG": Word(registration),
    "+COPS": Word(operator),
    "+CSQ": Word(say(lambda modem: f"+CSQ: {modem.signal if modem.registration in (1, 5) else 99},99")),
    "+CPAS": Word(say(lambda _modem: "+CPAS: 0")),
    "+CBC": Word(say(lambda _modem: "+CBC: 0,0")),
    "+CCLK": Word(clock),
    "+CFUN": Word(functionality),
    "+CHUP": Word(ok),
    "+CLCC": Word(ok),
    "+IPR": Word(rate, alone=True),
    "^SM20": Word(sm20),
    "^SMSO": Word(switch_off),
    "D": Word(refuse),
    "A": Word(refuse),
}
