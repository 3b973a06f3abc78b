"""Characters that look like one of the GSM 7-bit default alphabet: what a word processor makes of plain ones.

Owns which they are.  Knows neither when to replace them nor what that saves.
"""

# Typographic quotes, dashes, spaces and dots → plain ones.
LOOK_ALIKES = {
    **dict.fromkeys(map(ord, "‘’‚‛′‹›"), "'"),
    **dict.fromkeys(map(ord, "“”„‟″«»"), '"'),
    **dict.fromkeys(map(ord, "‐‑‒–—―−"), "-"),
    **dict.fromkeys(range(0x2000, 0x200B), " "),
    **dict.fromkeys(map(ord, "\xa0\u202f\u205f\u3000"), " "),
    ord("…"): "...",
}


cdef str without_look_alikes(str text):
    """`text` with plain quotes, dashes, spaces and dots."""
    return text.translate(LOOK_ALIKES)


cdef Py_ssize_t place_before(str text, Py_ssize_t place) except -1:
    """Where the character at a place of the plainer text stands in `text`: three dots were one character."""
    cdef Py_ssize_t i
    cdef Py_ssize_t passed = 0
    for i in range(len(text)):
        if passed >= place:
            return i
        passed += len(LOOK_ALIKES.get(ord(text[i]), "-"))
    return len(text)
