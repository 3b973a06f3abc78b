from libc.stdint cimport uint8_t, uint16_t


cdef enum:
    LANGUAGES = 14  # one past the last national language identifier, 3GPP TS 23.038 §6.2.1.2.4
    NONE = 0xFF  # the table has no such character
    KNOWN = 0x0E00  # one past the last script: Malayalam ends at U+0D7F
    COLUMNS = KNOWN + 3  # and a column each for €, ∞ and every other character

# Language, column → septet or NONE.
cdef uint8_t LOCKING_SEPTETS[LANGUAGES][COLUMNS]
cdef uint8_t SINGLE_SEPTETS[LANGUAGES][COLUMNS]
# Language, septet → code point, or 0 where the table leaves the code empty.
cdef uint16_t LOCKING_CHARACTERS[LANGUAGES][128]
cdef uint16_t SINGLE_CHARACTERS[LANGUAGES][128]


cdef inline int column(Py_UCS4 character) noexcept nogil:
    """Where the septets of `character` stand."""
    if character < KNOWN:
        return <int>character
    if character == 0x20AC:
        return KNOWN
    if character == 0x221E:
        return KNOWN + 1
    return KNOWN + 2


cdef inline int locking_septet(int language, Py_UCS4 character) noexcept nogil:
    """0 to 127, or -1 where the language has no such table or the table no such character."""
    cdef int septet = NONE
    if 0 <= language < LANGUAGES:
        septet = LOCKING_SEPTETS[language][column(character)]
    return -1 if septet == NONE else septet


cdef inline int single_septet(int language, Py_UCS4 character) noexcept nogil:
    """0 to 127, or -1 where there is no such language or its table has no such character."""
    cdef int septet = NONE
    if 0 <= language < LANGUAGES:
        septet = SINGLE_SEPTETS[language][column(character)]
    return -1 if septet == NONE else septet


# 128 code points, 0 at an empty code and 0x1B at the escape; NULL where the language has no locking shift table.
cdef const uint16_t* locking_characters(int language) noexcept nogil
# 128 code points, 0 at an empty code; NULL where there is no such language.
cdef const uint16_t* single_characters(int language) noexcept nogil
