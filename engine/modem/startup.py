"""What is said to a TC35i before it may work: wake, set, unlock, find the network, learn who it is.

Each function is one step that may be taken again at any time.  The order is the modem's life, and stands
in tc35i.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import CommandRefused, ModemError, ModemSilent
from engine.modem.dialogue import Dialogue
from engine.modem.settings import ModemSettings

Show = Callable[[str, str], None]

# Autobauding eats the first characters (3GPP TS 27.007 has no rule; the manual asks for AT until OK).
WAKE_TRIES = 5
WAKE_TIMEOUT_S = 1.0
RESTART_TIMEOUT_S = 10.0
PIN_TIMEOUT_S = 25.0
# A change of the third storage fills or frees 25 slots and takes up to 35 s.
STORAGE_TIMEOUT_S = 45.0
# Of the three tries before the PUK, the last one is left to a person.
PIN_TRIES_LEFT_AT_LEAST = 2

# Behind PIN2 are fixed dialling and the like, which messages do not need.
_OPEN = frozenset({"READY", "SIM PIN2", "SIM PUK2"})
# Ours and the manual's; shorter ones are allowed by 3GPP TS 23.003 §2.2 and not in use.
IMSI_DIGITS = 15

LISTEN = "AT+CNMI=2,1,0,2,1"
_LISTENING = (2, 1, 0, 2, 1)

_REGISTRATION = {0: "no service", 2: "searching", 3: "denied by the network", 4: "unknown registration"}
_REGISTERED = frozenset({1, 5})
_QUOTED = re.compile(r'"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the modem says about itself and its network; `signal_dbm` is None where it does not know."""

    signal_dbm: int | None
    operator: str
    service_centre: str


async def wake(dialogue: Dialogue, settings: ModemSettings) -> None:
    """Bring the line into step: end a prompt that a killed process left open, then AT until OK.

    Raises ModemSilent when the modem never answers, ModemLost.
    """
    trouble: ModemError = ModemSilent("AT", WAKE_TIMEOUT_S)
    for _ in range(WAKE_TRIES):
        await dialogue.hush()
        try:
            await dialogue.ask("AT", min(WAKE_TIMEOUT_S, settings.answer_timeout_s))
        except (ModemSilent, CommandRefused) as failed:
            trouble = failed
            continue
        await dialogue.settle()
        return
    raise trouble


async def restart(dialogue: Dialogue, settings: ModemSettings) -> None:
    """Boot the module anew and wait until it answers.  Raises ModemSilent when it does not come back."""
    await dialogue.hush()
    await dialogue.ask("AT+CFUN=1,1", RESTART_TIMEOUT_S)
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + settings.restart_limit_s
    # It still answers for a moment before it goes.
    await dialogue.pause(settings.restart_pause_s)
    while True:
        try:
            return await wake(dialogue, settings)
        except ModemSilent:
            if loop.time() > give_up_s:
                raise


async def set_line(dialogue: Dialogue, settings: ModemSettings) -> None:
    """No echo, numeric errors, and errors that are errors: AT^SM20=x,1 would answer a failed +CMGS with a
    bare OK.
    """
    await dialogue.ask("ATE0")
    await dialogue.ask("AT+CMEE=1")
    await dialogue.ask("AT^SM20=0,0")
    if settings.hardware_flow:
        await dialogue.ask("AT\\Q3")


async def set_messages(dialogue: Dialogue) -> None:
    """PDU mode; messages and reports are stored and indicated, so that nothing is lost while we are away."""
    await dialogue.ask_patiently("AT+CMGF=0")
    await dialogue.ask_patiently("AT+CSMS=0")
    await dialogue.ask_patiently(LISTEN)
    await dialogue.ask_if_known("AT^SMGO=1")


async def unlock(dialogue: Dialogue, settings: ModemSettings, show: Show, refused_pins: set[str]) -> None:
    """Return when the SIM needs no code; wait for a person when it needs one that we may not give.

    The configured PIN is entered once, only while AT^SPIC counts two tries or more, and never again after a
    refusal: `refused_pins`, which the modem keeps over restarts of its life, remembers it.
    """
    was_taken = False
    while (asked_for := await _code_asked_for(dialogue)) not in _OPEN:
        why = ""
        if asked_for == "SIM PIN" and not was_taken:
            why = await _enter_pin(dialogue, settings.pin, refused_pins)
            was_taken = not why
        if why or asked_for != "SIM PIN":
            show("pin", f"{asked_for} needed" + (f": {why}" if why else ""))
            await dialogue.pause(settings.poll_s)
        else:
            # Taken: the modem may still ask for it while it reads the SIM.
            await dialogue.pause(settings.busy_wait_s)


async def _enter_pin(dialogue: Dialogue, pin: str | None, refused_pins: set[str]) -> str:
    """Why the PIN was not taken; empty when it was."""
    if pin is None:
        return "no PIN is configured"
    if pin in refused_pins:
        return "the configured PIN was refused"
    left = await _tries_left(dialogue)
    if left is None:
        return "the modem does not say how many tries are left"
    if left < PIN_TRIES_LEFT_AT_LEAST:
        return f"tries left: {left}, kept for a person"
    try:
        await dialogue.ask(f'AT+CPIN="{pin}"', PIN_TIMEOUT_S)
    except CommandRefused:
        refused_pins.add(pin)
        return "the configured PIN was refused"
    return ""


async def find_network(dialogue: Dialogue, settings: ModemSettings, show: Show) -> None:
    """Return when the modem is registered, at home or roaming (3GPP TS 27.007 §7.2)."""
    while (registration := await read_registration(dialogue)) not in _REGISTERED:
        show("searching", _REGISTRATION.get(registration, "no network"))
        await dialogue.pause(settings.search_s)


async def is_registered(dialogue: Dialogue) -> bool:
    """Whether the modem is on a network now."""
    return await read_registration(dialogue) in _REGISTERED


async def read_registration(dialogue: Dialogue) -> int:
    """The registration status of AT+CREG?; -1 if the answer cannot be read."""
    numbers = _numbers(_line(await dialogue.ask_patiently("AT+CREG?"), "+CREG:"))
    return numbers[1] if len(numbers) > 1 else -1


async def read_imsi(dialogue: Dialogue) -> str:
    """The SIM's identity, 15 digits.  Raises ModemSilent if what comes is not one: quotas hang on it."""
    for line in await dialogue.ask_patiently("AT+CIMI"):
        if line.isdecimal() and len(line) == IMSI_DIGITS:
            return line
    raise ModemSilent("AT+CIMI", dialogue.answer_timeout_s)


async def look_around(dialogue: Dialogue) -> Surroundings:
    """Signal, operator and service centre, each as far as the modem tells."""
    signal_dbm = await read_signal(dialogue)
    service_centre = _QUOTED.search(_line(await dialogue.ask_if_known("AT+CSCA?"), "+CSCA:"))
    operator = _QUOTED.search(_line(await dialogue.ask_if_known("AT+COPS?"), "+COPS:"))
    return Surroundings(signal_dbm, operator[1] if operator else "", service_centre[1] if service_centre else "")


async def read_signal(dialogue: Dialogue) -> int | None:
    """Received power in dBm, or None where the modem does not know it (3GPP TS 27.007 §8.5)."""
    numbers = _numbers(_line(await dialogue.ask_if_known("AT+CSQ"), "+CSQ:"))
    return 2 * numbers[0] - 113 if numbers and numbers[0] <= 31 else None


async def use_all_storage(dialogue: Dialogue) -> None:
    """SIM and module memory as one, MT.  Written only if it is not so: it is non-volatile, and slow to
    change.
    """
    names = _QUOTED.findall(_line(await dialogue.ask_patiently("AT+CPMS?"), "+CPMS:"))
    if names != ["MT", "MT", "MT"]:
        await dialogue.ask_patiently('AT+CPMS="MT","MT","MT"', STORAGE_TIMEOUT_S)


async def is_listening(dialogue: Dialogue) -> bool:
    """Whether indications are still on: a modem that restarted, or missed an acknowledgement, turns them
    off.
    """
    return _numbers(_line(await dialogue.ask_patiently("AT+CNMI?"), "+CNMI:")) == _LISTENING


async def _code_asked_for(dialogue: Dialogue) -> str:
    answer = _line(await dialogue.ask_patiently("AT+CPIN?"), "+CPIN:")
    if not answer:
        raise ModemSilent("AT+CPIN?", dialogue.answer_timeout_s)
    return answer.partition(":")[2].strip()


async def _tries_left(dialogue: Dialogue) -> int | None:
    numbers = _numbers(_line(await dialogue.ask_if_known("AT^SPIC"), "^SPIC:"))
    return numbers[0] if numbers else None


def _line(lines: list[str], name: str) -> str:
    """The first line of that name: between the others may stand whatever a noisy line made up."""
    return next((line for line in lines if line.startswith(name)), "")


def _numbers(line: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d{1,6}", line.partition(":")[2]))
