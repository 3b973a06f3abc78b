"""A heap of chains by due time, those pushed first before others of the same time.

All of it is inline, so there is no .pyx.  Knows nothing of what a chain is: who pushes and pops owns it.
"""

from cpython.mem cimport PyMem_Realloc
from libc.stdint cimport int64_t, uint64_t

from engine._chain cimport Link

cdef struct Waiting:
    int64_t due_ms
    uint64_t serial
    Link* chain

cdef struct Heap:
    Waiting* items
    Py_ssize_t length
    Py_ssize_t room


cdef inline bint earlier(const Waiting* one, const Waiting* other) noexcept nogil:
    return one.due_ms < other.due_ms or (one.due_ms == other.due_ms and one.serial < other.serial)


cdef inline int make_room(Heap* heap) except -1:
    """Room for one more, so that `push` cannot fail."""
    cdef void* grown
    if heap.length == heap.room:
        grown = PyMem_Realloc(heap.items, (heap.room * 2 + 64) * sizeof(Waiting))
        if grown == NULL:
            raise MemoryError
        heap.items = <Waiting*>grown
        heap.room = heap.room * 2 + 64
    return 0


cdef inline void push(Heap* heap, int64_t due_ms, uint64_t serial, Link* chain) noexcept nogil:
    """There must be room."""
    cdef Py_ssize_t place = heap.length
    cdef Py_ssize_t above
    cdef Waiting item
    item.due_ms = due_ms
    item.serial = serial
    item.chain = chain
    heap.length += 1
    while place > 0:
        above = (place - 1) >> 1
        if not earlier(&item, &heap.items[above]):
            break
        heap.items[place] = heap.items[above]
        place = above
    heap.items[place] = item


cdef inline Link* pop(Heap* heap) noexcept nogil:
    """The first chain; there must be one."""
    cdef Link* first = heap.items[0].chain
    cdef Waiting item
    cdef Py_ssize_t place = 0
    cdef Py_ssize_t below
    heap.length -= 1
    item = heap.items[heap.length]
    while True:
        below = 2 * place + 1
        if below >= heap.length:
            break
        if below + 1 < heap.length and earlier(&heap.items[below + 1], &heap.items[below]):
            below += 1
        if not earlier(&heap.items[below], &item):
            break
        heap.items[place] = heap.items[below]
        place = below
    heap.items[place] = item
    return first
