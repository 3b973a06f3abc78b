"""Octets from the host in, octets to the host out: how a TC35i speaks, whatever it says.

Owns the line discipline, the entry mode behind a prompt, and the moment at which unsolicited lines come out.

1. COMMAND collects a line up to <CR>.  ENTRY collects what is typed behind a prompt up to Ctrl-Z or ESC and
   sees no command in it.  BUSY works on an answer: what the host types meanwhile is kept and read afterwards.
   OFF hears nothing.
2. Between the first A of a command and its final result no unsolicited line comes out; all that is held comes
   right behind the final result.
3. Nothing here depends on a host being there.  A killed host leaves its prompt open.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import ClassVar

from engine.sim.grammar import CME_TEXTS, CMS_TEXTS, CMS_TIMER, CMS_UNKNOWN, Refused, Word, parse
from engine.sim.profile import Quirks, Settings

CR, ESC, CTRL_Z = b"\r", b"\x1b", b"\x1a"
BACKSPACE = 0x08
PROMPT = b"\r\n> "
# A command line holds 391 characters; a longer one is ERROR and nothing of it is done.
LINE_OCTETS = 391
# What is kept of the input to a prompt, or behind a running command: longer than any PDU.
ENTRY_OCTETS = 4_096


class State(Enum):
    """Which rule the next octet from the host falls under."""

    COMMAND = "command"
    ENTRY = "entry"
    BUSY = "busy"
    OFF = "off"


class Dialogue:
    """The talking half of a modem; `write` takes the octets for the host, `words` answers the commands."""

    # Final results under ATV0.
    CODES: ClassVar = {b"OK": b"0", b"NO CARRIER": b"3", b"ERROR": b"4"}

    def __init__(self, words: Mapping[str, Word], write: Callable[[bytes], None], quirks: Quirks) -> None:
        self.quirks = quirks
        self.settings = Settings()
        self.is_unlocked = True
        # Scenario: deaf and dumb until a restart.
        self.is_hung = False
        self._words = words
        self._write = write
        self._state = State.OFF
        self._out: list[bytes] = []
        self._line = b""
        self._typed = b""
        self._is_feeding = False
        self._held: list[bytes] = []
        self._race: asyncio.TimerHandle | None = None
        self._entered: Callable[[bytes], None] | None = None
        self._after: Callable[[], object] | None = None
        # Counts final results and restarts: what was put off for an earlier turn is void.
        self._turn = 0
        self._deadline_s = 0.0
        self._expired: Callable[[], None] | None = None
        self._watch: asyncio.TimerHandle | None = None

    @property
    def is_on(self) -> bool:
        """Whether it hears its host."""
        return self._state is not State.OFF

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def silence(self) -> None:
        """Hear nothing, forget what was going on; what was already said still goes out."""
        self._speak()
        self._state = State.OFF
        self._turn += 1
        self._line = self._typed = b""
        self._held.clear()
        self._after = self._entered = self._expired = None
        self.is_hung = False
        for timer in (self._race, self._watch):
            if timer is not None:
                timer.cancel()
        self._race = self._watch = None

    def listen(self) -> None:
        """Hear the host from here on."""
        self._state = State.COMMAND

    # From the host.

    def feed(self, octets: bytes) -> None:
        """Take octets from the host and say what there is to say about them, in one write."""
        if self.is_hung:
            return
        outer, self._is_feeding = self._is_feeding, True
        try:
            while octets:
                if self._state is State.COMMAND:
                    octets = self._collect_line(octets)
                elif self._state is State.ENTRY:
                    octets = self._collect_entry(octets)
                else:
                    if self._state is State.BUSY:
                        self._typed = (self._typed + octets)[:ENTRY_OCTETS]
                    break
        finally:
            self._is_feeding = outer
        self.flush()

    def _collect_line(self, octets: bytes) -> bytes:
        if self._race is not None and (b"A" in octets or b"a" in octets):
            self._release()
        head, end, octets = octets.partition(CR)
        if self.settings.echo:
            self._out.append(head + end)
        line = self._line + head
        if not end:
            self._line = line[: LINE_OCTETS + 1]
            return b""
        self._line = b""
        if BACKSPACE in line:
            line = _edited(line)
        if len(line) > LINE_OCTETS:
            self.fail(Refused())
        else:
            self._execute(line)
        return octets

    def _execute(self, line: bytes) -> None:
        commands = parse(line)
        if commands is None:
            if self._held and self._race is None:
                self._release()
            return
        lines: list[str] = []
        self._state = State.BUSY
        try:
            for command in commands:
                word = self._words.get(command.name)
                if word is None:
                    raise Refused()  # plain, whatever AT+CMEE says: traces of the MC55i show it
                if word.alone and len(commands) > 1:
                    raise Refused()
                if word.locked is not None and not self.is_unlocked:
                    raise word.locked
                said = word.answer(self, command)
                if said is None:
                    return
                if said:
                    lines.append(said)
        except Refused as refusal:
            self._after = None
            self._answer(self._final_of(refusal), lines)
        else:
            self._answer(b"OK", lines)

    def _collect_entry(self, octets: bytes) -> bytes:
        ends = [at for at in (octets.find(CTRL_Z), octets.find(ESC)) if at >= 0]
        end = min(ends) if ends else len(octets)
        if self.settings.echo:
            self._out.append(octets[: end + 1])
        self._typed = (self._typed + octets[:end])[:ENTRY_OCTETS]
        if not ends:
            self.watch(self.quirks.prompt_timeout_ms, self._close_prompt)
            return b""
        typed, self._typed = self._typed, b""
        entered, self._entered = self._entered, None
        self._state = State.BUSY
        self._expired = None
        if octets[end] == CTRL_Z[0] and entered is not None:
            entered(typed)
        else:
            self.succeed()
        return octets[end + 1 :]

    # To the host.

    def prompt(self, entered: Callable[[bytes], None]) -> None:
        """Open the prompt: what is typed before Ctrl-Z goes to `entered`, which must end the command."""
        self._entered = entered
        self._typed = b""
        if self.quirks.command_delay_ms:
            self._later(self.quirks.command_delay_ms, self._open_prompt)
        else:
            self._open_prompt()

    def _open_prompt(self) -> None:
        self._state = State.ENTRY
        self._out.append(PROMPT)
        self.watch(self.quirks.prompt_timeout_ms, self._close_prompt)
        typed, self._typed = self._typed, b""
        if typed:
            self.feed(typed)

    def succeed(self, *lines: str) -> None:
        """End the command with OK, behind its lines."""
        self._finish(b"OK", lines)

    def fail(self, refusal: Refused) -> None:
        """End the command with the error it deserves under AT+CMEE."""
        self._finish(self._final_of(refusal), ())

    def _final_of(self, refusal: Refused) -> bytes:
        level = self.settings.cmee
        if refusal.cms is not None:
            # Numeric even under CMEE=0: 3GPP TS 27.005 §3.2.5 knows no plain ERROR for these.
            return f"+CMS ERROR: {(level == 2 and CMS_TEXTS.get(refusal.cms)) or refusal.cms}".encode()
        if refusal.cme is not None and level:
            return f"+CME ERROR: {(level == 2 and CME_TEXTS.get(refusal.cme)) or refusal.cme}".encode()
        return b"ERROR"

    def pause(self, pause_ms: int, *lines: str) -> None:
        """End the command with OK after a time of its own."""
        self._later(pause_ms, partial(self._finish, b"OK", lines))

    def then(self, call: Callable[[], object]) -> None:
        """Do something right after the final result of the command that runs."""
        self._after = call

    def _answer(self, final: bytes, lines: Sequence[str]) -> None:
        if self.quirks.command_delay_ms:
            self._later(self.quirks.command_delay_ms, partial(self._finish, final, lines))
        else:
            self._finish(final, lines)

    def _later(self, delay_ms: int, call: Callable[[], None]) -> None:
        self._turn += 1
        self._loop.call_later(delay_ms / 1000, self._on_turn, self._turn, call)

    def _on_turn(self, turn: int, call: Callable[[], None]) -> None:
        """Do what was put off, unless the power went meanwhile."""
        if turn == self._turn:
            call()
            self.flush()

    def _finish(self, final: bytes, lines: Sequence[str]) -> None:
        settings = self.settings
        self._turn += 1
        self._expired = None
        if settings.verbose:
            for said in lines:
                self._out.append(b"\r\n" + said.encode("latin-1", "replace") + b"\r\n")
            if not settings.quiet:
                self._out.append(b"\r\n" + final + b"\r\n")
        else:
            self._out.extend(said.encode("latin-1", "replace") + b"\r\n" for said in lines)
            if not settings.quiet:
                self._out.append(self.CODES.get(final, final) + CR)
        self._state = State.COMMAND
        if self._held and self._race is None:
            self._release()
        after, self._after = self._after, None
        if after is not None:
            after()
        if self._typed and self._state is State.COMMAND:
            typed, self._typed = self._typed, b""
            self.feed(typed)

    def urc(self, text: str) -> None:
        """Say something unsolicited: now, or behind the final result of the command that runs."""
        if self._state is State.OFF:
            return
        self._held.append(b"\r\n" + text.encode("latin-1") + b"\r\n")
        if self._state is State.COMMAND and not (b"A" in self._line or b"a" in self._line):
            if self.quirks.race_ms:
                if self._race is None:
                    self._race = self._loop.call_later(self.quirks.race_ms / 1000, self._lose_race)
            else:
                self._release()
                self.flush()

    def _lose_race(self) -> None:
        self._race = None
        if self._state is State.COMMAND:
            self._release()
            self.flush()

    def _release(self) -> None:
        if self._race is not None:
            self._race.cancel()
            self._race = None
        self._out += self._held
        self._held.clear()

    def flush(self) -> None:
        """Write what was said, in one piece; while input is being read, at its end."""
        if not self._is_feeding:
            self._speak()

    def _speak(self) -> None:
        if self._out:
            said = b"".join(self._out)
            self._out.clear()
            if not self.is_hung:
                self._write(said)

    # One timer for all, put off rather than cancelled: a prompt every millisecond must not cost a timer each.

    def watch(self, timeout_ms: int, expired: Callable[[], None]) -> None:
        """Call `expired` after a time, unless the command ends or another watch begins before."""
        self._expired = expired
        self._deadline_s = self._loop.time() + timeout_ms / 1000
        if self._watch is not None and self._watch.when() > self._deadline_s:
            self._watch.cancel()
            self._watch = None
        if self._watch is None:
            self._watch = self._loop.call_at(self._deadline_s, self._expire)

    def _expire(self) -> None:
        self._watch = None
        if self._expired is None:
            return
        if self._deadline_s > self._loop.time():
            self._watch = self._loop.call_at(self._deadline_s, self._expire)
            return
        self._expired()
        self.flush()

    def _close_prompt(self) -> None:
        self._entered, self._typed = None, b""
        self.fail(Refused(cms=CMS_UNKNOWN if self.settings.sm20[1] == 1 else CMS_TIMER))


def _edited(line: bytes) -> bytes:
    """A command line with its backspaces obeyed (V.25ter, S5)."""
    kept = bytearray()
    for octet in line:
        if octet != BACKSPACE:
            kept.append(octet)
        elif kept:
            kept.pop()
    return bytes(kept)
