"""Chains: what stands in a row and can leave it from anywhere at once.

All of it is inline, so there is no .pyx.  A link lies inside its owner; who holds a reference is the chain's business.
"""

from cpython.object cimport PyObject

cdef struct Link:
    Link* before
    Link* behind
    PyObject* owner

cdef struct Chain:
    Link* first
    Link* last


cdef inline void append(Chain* chain, Link* link) noexcept nogil:
    link.before = chain.last
    link.behind = NULL
    if chain.last == NULL:
        chain.first = link
    else:
        chain.last.behind = link
    chain.last = link


cdef inline void prepend(Chain* chain, Link* link) noexcept nogil:
    link.before = NULL
    link.behind = chain.first
    if chain.first == NULL:
        chain.last = link
    else:
        chain.first.before = link
    chain.first = link


cdef inline void take_out(Chain* chain, Link* link) noexcept nogil:
    if link.before == NULL:
        chain.first = link.behind
    else:
        link.before.behind = link.behind
    if link.behind == NULL:
        chain.last = link.before
    else:
        link.behind.before = link.before
    link.before = link.behind = NULL
