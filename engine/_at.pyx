"""Octets from a modem to lines, and one AT+CMGS from its first octet to its outcome (3GPP TS 27.005 §3.5.1).

No I/O and no clock: octets and times are arguments.  What a rare line means is told by Python; `engine.modem.at` has
the rules of the stream, `engine.modem.submission` those of the exchange.

The GIL is what makes `withdraw` safe from another thread: `begin`, `withdraw` and `lose` look at the stage and set it
without touching an object in between, so that of two threads one finds it set.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcmp

from engine.errors import ModemLost, ModemSilent, SubmitRefused, SubmitUnknown

cdef enum:
    LARGEST_REFERENCE = 255  # TP-MR is one octet: a larger number was damaged on the wire
    CR = 13
    LF = 10

LONGEST_LINE = LONGEST
COMMAND = "AT+CMGS"
CTRL_Z = b"\x1a"

# +CMS ERROR codes after which the service centre may hold the message all the same: network time-out, unknown
# error, timer expired.
AMBIGUOUS_CMS = frozenset({332, 500, 521})
# Definite when the network says them at once; at the end of a long silence they are the modem's own guess.
AMBIGUOUS_LATE_CMS = frozenset({38, 41, 47})
LATE_S = 25.0

AHEAD = AT_AHEAD
ASKED = AT_ASKED
GIVEN = AT_GIVEN
ACCEPTED = AT_ACCEPTED
DONE = AT_DONE
WITHDRAWN = AT_WITHDRAWN


def is_ambiguous(cms, double after_s):
    """Whether +CMS ERROR `cms`, `after_s` seconds behind the PDU, leaves open if the part went."""
    return cms in AMBIGUOUS_CMS or (cms in AMBIGUOUS_LATE_CMS and after_s > LATE_S)


cdef inline bint is_digit(int character) noexcept nogil:
    return c"0" <= character <= c"9"


cdef inline int character_at(str text, Py_ssize_t index):
    """The code point at `index`, -1 behind the end."""
    cdef Py_UCS4 character
    if index >= len(text):
        return -1
    character = text[index]
    return <int>character


cdef int reference_in(str text):
    r"""The number of `\+CMGS: *(\d{1,3})(,.*)?`, or -1 where `text` is something else or the number too large."""
    cdef Py_ssize_t at = 6
    cdef Py_ssize_t first
    cdef int number = 0
    if not text.startswith("+CMGS:"):
        return -1
    while character_at(text, at) == c" ":
        at += 1
    first = at
    while at - first < 3 and is_digit(character_at(text, at)):
        number = number * 10 + character_at(text, at) - c"0"
        at += 1
    if at == first or number > LARGEST_REFERENCE or (at < len(text) and character_at(text, at) != c","):
        return -1
    return number


cdef int plain_reference(const uint8_t* line, int length) noexcept nogil:
    """The number of `+CMGS: <number>` exactly as a TC35i writes it, or -1."""
    cdef int number = 0
    cdef int at
    if not 8 <= length <= 10 or memcmp(line, b"+CMGS: ", 7) != 0 or (length > 8 and line[7] == c"0"):
        return -1
    for at in range(7, length):
        if not is_digit(line[at]):
            return -1
        number = number * 10 + line[at] - c"0"
    return number if number <= LARGEST_REFERENCE else -1


@cython.final
@cython.auto_pickle(False)
cdef class Info:
    """A line of an answer."""

    cdef readonly str text
    cdef int reference

    def __cinit__(self, str text not None):
        self.text = text
        self.reference = reference_in(text)

    def __eq__(self, other):
        return type(other) is Info and (<Info>other).text == self.text

    def __hash__(self):
        return hash(self.text)

    def __repr__(self):
        return f"Info({self.text!r})"


@cython.final
@cython.auto_pickle(False)
cdef class Final:
    """The end of an answer: OK, ERROR, +CME ERROR or +CMS ERROR (3GPP TS 27.007 §9.2, 27.005 §3.2.5)."""

    cdef readonly bint ok
    cdef readonly object cme
    cdef readonly object cms

    def __cinit__(self, bint ok, cme=None, cms=None):
        self.ok = ok
        self.cme = cme
        self.cms = cms

    def __eq__(self, other):
        if type(other) is not Final:
            return False
        return self.ok == (<Final>other).ok and self.cme == (<Final>other).cme and self.cms == (<Final>other).cms

    def __hash__(self):
        return hash((self.ok, self.cme, self.cms))

    def __repr__(self):
        return f"Final({self.ok}, cme={self.cme}, cms={self.cms})"


@cython.final
@cython.auto_pickle(False)
cdef class Prompt:
    """The modem waits for a PDU."""

    def __eq__(self, other):
        return type(other) is Prompt

    def __hash__(self):
        return hash(Prompt)

    def __repr__(self):
        return "Prompt()"


PROMPT = Prompt()
OK = Final(True)

cdef Prompt the_prompt = PROMPT
cdef Final the_ok = OK
# The lines and commands of the hot path, made once.
cdef tuple references = tuple([Info(f"+CMGS: {number}") for number in range(LARGEST_REFERENCE + 1)])
cdef tuple commands = tuple([b"AT+CMGS=%d\r" % length for length in range(256)])


@cython.final
@cython.auto_pickle(False)
cdef class Reader:
    """Reads one modem's stream.

    `echo` is what we wrote last, without its end: a line equal to it is dropped.  `meaning` says what any other line
    is than OK and +CMGS, None for the header of a pushed PDU; `pushed` makes one of a header and the line below it,
    or None where that line is no PDU.
    """

    def __cinit__(self, meaning, pushed):
        self.echo = b""
        self.meaning = meaning
        self.pushed = pushed

    def feed(self, bytes octets not None):
        """The meanings that `octets` complete, in order.  A prompt is complete without an end of line."""
        return self.read(<const uint8_t*>PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets))

    cdef list read(self, const uint8_t* octets, Py_ssize_t length):
        """As `feed`."""
        cdef list meanings = []
        cdef Py_ssize_t index
        cdef uint8_t octet
        for index in range(length):
            octet = octets[index]
            if octet == CR or octet == LF:  # they are alike
                if self.skips:
                    self.skips = False
                elif self.length:
                    self._take(meanings)
            elif octet < 0x20 and (octet == 0 or octet == 0x11 or octet == 0x13 or octet == 0x1A or octet == 0x1B):
                pass  # NUL (a BREAK), XON, XOFF and the echo of Ctrl-Z and ESC carry no meaning
            elif not self.skips:
                self.line[self.length] = octet
                self.length += 1
                if self.length == 2 and self.line[0] == c">" and self.line[1] == c" ":
                    self.length = 0
                    meanings.append(the_prompt)
                elif self.length > LONGEST:
                    self.length = 0
                    self.skips = True
        return meanings

    cdef int _take(self, list meanings) except -1:
        """One line, which is not empty."""
        cdef int length = self.length
        cdef int number
        cdef bytes line
        cdef bytes header
        self.length = 0
        if PyBytes_GET_SIZE(self.echo) == length and memcmp(PyBytes_AS_STRING(self.echo), self.line, length) == 0:
            return 0
        if self.header is None:
            if length == 2 and self.line[0] == c"O" and self.line[1] == c"K":
                meanings.append(the_ok)
                return 0
            number = plain_reference(self.line, length)
            if number >= 0:
                meanings.append(references[number])
                return 0
        line = PyBytes_FromStringAndSize(<const char*>self.line, length)
        if self.header is not None:
            header = self.header
            self.header = None
            meaning = self.pushed(header, line)
            if meaning is not None:
                meanings.append(meaning)
                return 0
            meanings.append(self.pushed(header, b""))
        meaning = self.meaning(line)
        if meaning is None:
            self.header = line
        else:
            meanings.append(meaning)
        return 0


@cython.final
@cython.auto_pickle(False)
@cython.freelist(64)
cdef class Submission:
    """One part: hex digits with the service centre in front, `length` octets without it, and the giver's `tag`.

    `outcome` is the reference (TP-MR) or what went wrong, None until it is known.  `is_suspect` tells that the modem's
    state is not known any more and the line must be brought back into step; `hid_errors` that it answered a bare OK, so
    that AT^SM20 must be set again.  `written_before` is what the port had written before the PDU: its count then tells
    whether an octet of it left.
    """

    def __cinit__(self, bytes pdu not None, int length, tag=None):
        self.pdu = pdu
        self.length = length
        self.tag = tag

    @property
    def stage(self):
        """AHEAD, ASKED, GIVEN, ACCEPTED, DONE or WITHDRAWN."""
        return <int>self.at

    @property
    def is_withdrawn(self):
        """Whether it was withdrawn before anything was written."""
        return self.at == AT_WITHDRAWN

    cpdef bytes begin(self):
        """The first octets: no line feed, which would become part of the PDU.  Empty where it must not begin any more.

        From here on it cannot be withdrawn.
        """
        if self.at != AT_AHEAD:
            return b""
        self.at = AT_ASKED
        self.is_begun = True
        if 0 <= self.length < 256:
            return commands[self.length]
        return b"AT+CMGS=%d\r" % self.length

    cpdef bint withdraw(self) noexcept:
        """Whether nothing was written and nothing will be.  From any thread."""
        if self.at != AT_AHEAD:
            return False
        self.at = AT_WITHDRAWN
        return True

    def lose(self, reason):
        """End one that was never begun as ModemLost, not sent; whether it was still there to be ended."""
        if self.at != AT_AHEAD:
            return False
        self.at = AT_DONE
        self.outcome = ModemLost(reason)
        return True

    cpdef hear(self, line, double now_s):
        """Take one line from the modem; the octets to write next, mostly none; None where it belongs to no exchange."""
        if not AT_ASKED <= self.at <= AT_ACCEPTED:
            return None
        if type(line) is Info:
            # The stage is asked first: nothing that is said before the PDU can be its reference.
            if self.at == AT_GIVEN:
                if (<Info>line).reference >= 0:
                    self.reference = (<Info>line).reference
                    self.at = AT_ACCEPTED
                else:
                    self.is_garbled = True
        elif type(line) is Final:
            end_with(self, <Final>line, now_s)
        elif type(line) is Prompt:
            if self.at == AT_ASKED:
                self.at = AT_GIVEN
                self.given_s = now_s
                return self.pdu + CTRL_Z
        else:
            return None
        return b""

    def time_out(self, double timeout_s, int64_t written):
        """No word for `timeout_s`; the port had then `written` so many octets."""
        self.is_suspect = True
        if self.at == AT_ACCEPTED:
            self._decide(self.reference)
        elif self._was_given(written):
            self._decide(SubmitUnknown(f"no outcome within {timeout_s:g} s"))
        else:
            self._decide(ModemSilent(COMMAND, timeout_s))

    def break_off(self, reason, int64_t written):
        """The line or the modem went away in the middle; the port had then `written` so many octets."""
        if self.at == AT_ACCEPTED:
            self._decide(self.reference)
        elif self._was_given(written):
            self._decide(SubmitUnknown(reason))
        else:
            self._decide(ModemLost(reason))

    cdef bint _was_given(self, int64_t written) noexcept:
        return self.at == AT_GIVEN and written > self.written_before

    cdef int _decide(self, outcome) except -1:
        self.outcome = outcome
        self.at = AT_DONE
        return 0


cdef int end_with(Submission job, Final final, double now_s) except -1:
    """The final result of its AT+CMGS is here."""
    if job.at == AT_ACCEPTED:
        job._decide(job.reference)
    elif final.ok and job.is_garbled:
        job._decide(SubmitUnknown("the answer cannot be read"))
    elif final.ok:
        # Before the prompt it is an OK of something else, or an error hidden: either way nothing was given.
        job.is_suspect = job.at == AT_ASKED
        job.hid_errors = True
        job._decide(SubmitRefused(COMMAND))
    elif job.at == AT_GIVEN and is_ambiguous(final.cms, now_s - job.given_s):
        job._decide(SubmitUnknown("the modem does not know either", final.cms))
    else:
        job._decide(SubmitRefused(COMMAND, final.cme, final.cms))
    return 0
