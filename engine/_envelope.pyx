"""The envelope of a message: all that is said about it but the text and whom it goes to.

Owns the options of an SMS-SUBMIT, checked once and laid out as they are written, so that a campaign says them once.
Knows neither texts nor parts.  3GPP TS 23.040 §9.2.2.2.
"""

cimport cython

from engine._fields cimport (
    GSM7,
    UCS2,
    alphabet_of,
    coding_of,
    is_compressed,
    number_of,
    relative_validity,
    write_enhanced,
    write_service_centre,
    write_time,
)
from engine._header cimport write_elements
from engine._octets cimport Writer, writer

from engine.errors import CodecError

cdef enum:
    SUBMIT = 0x01  # TP-MTI, §9.2.3.1
    REJECT_DUPLICATES = 0x04  # TP-RD
    VALIDITY_ENHANCED = 0x08  # TP-VPF, §9.2.3.3
    VALIDITY_RELATIVE = 0x10
    VALIDITY_ABSOLUTE = 0x18
    WANTS_REPORT = 0x20  # TP-SRR
    REPLY_PATH = 0x80  # TP-RP

    LONGEST_VALIDITY_S = 63 * 7 * 86400  # what the last value of a relative TP-VP says: §9.2.3.12.1

cdef dict ALPHABETS = {"auto": AUTO, "gsm7": GSM7, "ucs2": UCS2}
cdef dict NATIONAL = {"off": NATIONAL_OFF, "single": NATIONAL_SINGLE, "all": NATIONAL_ALL}


@cython.final
@cython.auto_pickle(False)
cdef class Envelope:
    """What goes with a text, whatever it is and whoever gets it; immutable.

    `alphabet` is "auto", "gsm7" or "ucs2"; `national` says which national language tables may be used: "off",
    "single" (shift tables) or "all" (locking ones too).  With `transliterate`, typographic quotes, dashes and
    spaces become plain ones where that saves a part.  `reference_bits` is 8 or 16.

    `validity_s` is rounded up to the next value TP-VP can say, at most 63 weeks; None leaves it to the network.
    With `exact_validity` it is said to the second up to 99:59:59; `single_shot` has the network try once only;
    `expires_ms` is a moment instead, in milliseconds since the epoch.  `coding` is a whole TP-DCS, message waiting
    for example, and names the alphabet then.  `elements` are (identifier, octets) and stand in every part.
    `service_centre` is asked instead of the one the SIM names.

    Raises CodecError with the name of the option that is wrong.
    """

    def __cinit__(
        self,
        *,
        str alphabet not None="auto",
        str national not None="off",
        bint transliterate=False,
        object reference_bits=8,
        object validity_s=None,
        object expires_ms=None,
        bint exact_validity=False,
        bint single_shot=False,
        bint wants_report=False,
        bint reject_duplicates=False,
        bint reply_path=False,
        object protocol=0,
        object message_class=None,
        object coding=None,
        object elements=(),
        str service_centre not None="",
    ):
        cdef Writer out
        if alphabet not in ALPHABETS:
            raise CodecError("neither auto, gsm7 nor ucs2", "alphabet")
        if national not in NATIONAL:
            raise CodecError("neither off, single nor all", "national")
        if reference_bits != 8 and reference_bits != 16:
            raise CodecError("8 or 16 bits", "reference_bits")
        self.alphabet = alphabet
        self.national = national
        self.transliterate = transliterate
        self.reference_bits = reference_bits
        self.validity_s = validity_s
        self.expires_ms = expires_ms
        self.exact_validity = exact_validity
        self.single_shot = single_shot
        self.wants_report = wants_report
        self.reject_duplicates = reject_duplicates
        self.reply_path = reply_path
        self.protocol = number_of(protocol, "protocol")
        self.message_class = message_class
        self.coding = coding
        self.elements = tuple(elements)
        self.service_centre = service_centre
        self.spoken = ALPHABETS[alphabet]
        self.tables = NATIONAL[national]
        self.reference_octets = reference_bits // 8
        self.first_octet = (
            SUBMIT
            | (WANTS_REPORT if wants_report else 0)
            | (REJECT_DUPLICATES if reject_duplicates else 0)
            | (REPLY_PATH if reply_path else 0)
        )
        self.say_coding()
        self.say_validity()
        out = writer(self.header, sizeof(self.header))
        write_elements(self.elements, False, &out)
        self.header_octets = <int>(out.at - self.header)
        out = writer(self.centre, sizeof(self.centre))
        write_service_centre(service_centre, &out)
        self.centre_octets = <int>(out.at - self.centre)

    cdef int say_coding(self) except -1:
        cdef int named
        self.data_coding = AUTO
        self.class_bits = coding_of(GSM7, self.message_class)
        if self.coding is None:
            return 0
        number_of(self.coding, "coding")
        if self.message_class is not None:
            raise CodecError("the coding says the class", "message_class")
        self.data_coding = self.coding
        if is_compressed(self.data_coding):
            raise CodecError("compressed texts are not made here", "coding")
        named = alphabet_of(self.data_coding)
        if self.spoken != AUTO and self.spoken != named:
            raise CodecError("of another alphabet", "coding")
        self.spoken = named
        return 0

    cdef int say_validity(self) except -1:
        if self.validity_s is not None and self.validity_s < 0:
            raise CodecError("already over", "validity")
        if self.expires_ms is not None:
            if self.validity_s is not None or self.exact_validity or self.single_shot:
                raise CodecError("a moment and a duration", "validity")
            # A moment between two seconds is the later one: nothing expires before its time.
            write_time(self.expires_ms + -self.expires_ms % 1000, 0, "validity", self.validity)
            self.first_octet |= VALIDITY_ABSOLUTE
            self.validity_octets = 7
        elif self.exact_validity or self.single_shot:
            if self.exact_validity and self.validity_s is None:
                raise CodecError("exactly how long?", "validity")
            write_enhanced(
                -1 if self.validity_s is None else min(self.validity_s, LONGEST_VALIDITY_S),
                self.single_shot,
                self.validity,
            )
            self.first_octet |= VALIDITY_ENHANCED
            self.validity_octets = 7
        elif self.validity_s is not None:
            self.validity[0] = relative_validity(min(self.validity_s, LONGEST_VALIDITY_S))
            self.first_octet |= VALIDITY_RELATIVE
            self.validity_octets = 1
        return 0


PLAIN = Envelope()
cdef Envelope LATEST = PLAIN  # what LATEST_OPTIONS made
cdef dict LATEST_OPTIONS = {}
cdef frozenset UNCHANGING = frozenset([bool, int, str, type(None)])  # what is equal once is equal for good


cdef Envelope envelope_of(Envelope given, dict options):
    """The envelope that was given, that the options describe, or the plain one.  Raises TypeError for two.

    Callers say the same options again and again, and making an envelope takes twice as long as encoding a text: the
    latest one is kept.
    """
    global LATEST, LATEST_OPTIONS
    cdef Envelope made
    # Held: comparing values may run code of their own, which may come here and replace both.
    cdef Envelope latest = LATEST
    cdef dict latest_options = LATEST_OPTIONS
    if not options:
        return PLAIN if given is None else given
    if given is not None:
        raise TypeError("an envelope and its options were given")
    if options == latest_options:
        return latest
    made = Envelope(**options)
    if all([type(value) in UNCHANGING for value in options.values()]):
        LATEST = made
        LATEST_OPTIONS = options
    return made
