"""Texts with merge fields, compiled once and filled for each recipient.

`{name}` is a value, `{name:fallback}` a value or else the words behind the colon, `{{` and `}}` are braces.  Owns this
notation.  Knows nothing of recipients, parts or alphabets.
"""

import re

cimport cython
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_CopyCharacters, PyUnicode_DATA
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from engine.errors import CodecError

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 largest)
    Py_UCS4 PyUnicode_MAX_CHAR_VALUE(object text)

TOKEN = re.compile(r"\{\{|\}\}|\{([^{}:]*)(:[^{}]*)?\}|[{}]")
NAME = re.compile(r"[^\W\d]\w{0,39}")

cdef enum:
    MOST_PIECES = 2048  # words and values of one text; more fields than that are no text


@cython.final
@cython.auto_pickle(False)
cdef class Template:
    """A text with fields to fill; `fields` are their names in the order in which they first appear.

    Raises CodecError with the character where a brace or a name is wrong.
    """

    def __cinit__(self, str source not None):
        words = []
        fallbacks = []
        order = []
        fields = {}
        text = ""
        end = 0
        for match in TOKEN.finditer(source):
            text += source[end : match.start()]
            end = match.end()
            token = match.group()
            if token == "{{" or token == "}}":
                text += token[0]
            elif len(token) == 1:
                raise CodecError(f"a lone {token}: write it twice", "text", match.start())
            elif not NAME.fullmatch(match.group(1)):
                raise CodecError(f"{token} names no value", "text", match.start())
            else:
                words.append(text)
                text = ""
                fallback = match.group(2)
                fallbacks.append(None if fallback is None else fallback[1:])
                order.append(fields.setdefault(match.group(1), len(fields)))
        if 2 * len(words) + 1 > MOST_PIECES:
            raise CodecError("more than 1,023 fields", "text")
        words.append(text + source[end:])
        self.source = source
        self.fields = tuple(fields)
        self.words = tuple(words)
        self.fallbacks = tuple(fallbacks)
        self.order = tuple(order)

    def render(self, tuple values not None):
        """The text with `values`, str or None in the order of `fields`; one that is empty or None takes the fallback.

        Raises CodecError naming the field that has neither.
        """
        return self.fill(values)

    cdef str fill(self, tuple values):
        # Borrowed: what they point to is held by the template and by the caller's tuple.
        cdef PyObject* pieces[MOST_PIECES]
        cdef Py_ssize_t places = len(self.order)
        cdef Py_ssize_t count = 2 * places + 1
        cdef Py_ssize_t length = 0
        cdef Py_ssize_t i
        cdef Py_UCS4 largest = 127
        cdef object value
        cdef str piece
        cdef str text
        cdef uint8_t* at
        if len(values) != len(self.fields):
            raise CodecError(f"{len(values)} values for {len(self.fields)} fields", "values")
        for i in range(count):
            if i & 1:
                value = values[<Py_ssize_t>self.order[i >> 1]]
                if value is None or value == "":
                    value = self.fallbacks[i >> 1]
                    if value is None:
                        raise CodecError("has no value, and the text no fallback", self.fields[self.order[i >> 1]])
                elif type(value) is not str:
                    raise TypeError(f"the value of {self.fields[self.order[i >> 1]]} is no text")
                piece = value
            else:
                piece = self.words[i >> 1]
            pieces[i] = <PyObject*>piece
            length += len(piece)
            if PyUnicode_MAX_CHAR_VALUE(piece) > largest:
                largest = PyUnicode_MAX_CHAR_VALUE(piece)
        text = PyUnicode_New(length, largest)
        if largest < 256:
            at = <uint8_t*>PyUnicode_DATA(text)
            for i in range(count):
                piece = <str>pieces[i]
                memcpy(at, PyUnicode_DATA(piece), len(piece))
                at += len(piece)
            return text
        length = 0
        for i in range(count):
            piece = <str>pieces[i]
            PyUnicode_CopyCharacters(text, length, piece, 0, len(piece))
            length += len(piece)
        return text
