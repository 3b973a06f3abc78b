"""Octets in and out of one non-blocking descriptor, without giving the GIL up.

A terminal that does not block takes a few microseconds for a read or a write; handing the GIL to another thread and
getting it back takes a hundred times as long where that thread is busy.  So it is kept.

Knows no lines and no event loop: who opens a descriptor, watches it and closes it is `engine.modem.port`, and what
is rare (a line that is full, or gone) is said to the methods that it overrides.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t
from posix cimport unistd

import select

cdef extern from *:
    """
    #ifdef __linux__
    #include <sys/epoll.h>
    #else
    /* Never called: there is no select.epoll, and so no switchboard. */
    struct epoll_event { unsigned int events; union { int fd; } data; };
    static int epoll_wait(int fd, struct epoll_event *ready, int most, int timeout_ms) { return -1; }
    #endif
    """
    ctypedef union epoll_data_t:
        int fd
    cdef struct epoll_event:
        epoll_data_t data
    int epoll_wait(int fd, epoll_event* ready, int most, int timeout_ms) nogil

cdef enum:
    # More than a modem says at once, lists apart, which come in pieces anyway.
    MOST_READ = 1024
    # Wires served in one go; the loop comes back for the others.
    MOST_READY = 64


@cython.auto_pickle(False)
cdef class Ear:
    """Who hears what a wire says, natively."""

    cdef int hear(self, const uint8_t* octets, Py_ssize_t length) except -1:
        """Take what came; it lies on the caller's stack."""
        raise NotImplementedError


@cython.auto_pickle(False)
cdef class Wire:
    """An open descriptor.  `on_octets` gets what was heard where there is no ear.

    `written` counts the octets that the line has taken: what still waits in `backlog` is not in it.  `is_up` is False
    once the line is lost or closed: then nothing is written and nothing told.
    """

    def __init__(self, int fd):
        self.fd = fd
        self.is_up = True
        self.backlog = b""

    def readable(self):
        """There is something to read: read once and tell it."""
        self.take()

    cdef int take(self) except -1:
        cdef uint8_t octets[MOST_READ]
        cdef ssize_t taken
        cdef int number
        cdef Ear ear = self.ear
        if not self.is_up:
            return 0
        taken = unistd.read(self.fd, octets, MOST_READ)
        while taken < 0 and errno == EINTR:
            taken = unistd.read(self.fd, octets, MOST_READ)
        if taken > 0:
            if ear is not None:
                ear.hear(octets, taken)
            else:
                self.on_octets(PyBytes_FromStringAndSize(<const char*>octets, taken))
            return 0
        number = errno if taken < 0 else 0
        if number != EAGAIN:
            self.fail(number)
        return 0

    cpdef write(self, bytes octets):
        """Give `octets` to the line in order; what it does not take now is held."""
        cdef Py_ssize_t length = PyBytes_GET_SIZE(octets)
        cdef ssize_t taken
        cdef int number
        if self.backlog:
            self.hold(octets)
            return
        if not self.is_up:
            return
        taken = unistd.write(self.fd, PyBytes_AS_STRING(octets), length)
        while taken < 0 and errno == EINTR:
            taken = unistd.write(self.fd, PyBytes_AS_STRING(octets), length)
        if taken >= 0:
            self.written += taken
            if taken < length:
                self.hold(octets[taken:])
            return
        number = errno
        if number == EAGAIN:
            self.hold(octets)
        else:
            self.fail(number)

    def let_go(self):
        """The descriptor is not ours any more."""
        self.is_up = False
        self.fd = -1

    def hold(self, octets):
        """Keep `octets` in the backlog, and write them when the line takes more."""
        raise NotImplementedError

    def fail(self, number):
        """The line is gone with this errno, 0 where it just ended.  Not to be told from inside a write."""
        raise NotImplementedError


@cython.final
@cython.auto_pickle(False)
cdef class Switchboard:
    """Many wires behind one descriptor, `fd`, which can be read where something came over one of them.

    A loop that watches it is called once for all of them in a turn, and takes the GIL once.  Linux only.
    """

    cdef object epoll
    cdef dict wires
    cdef readonly int fd

    def __cinit__(self):
        self.epoll = select.epoll()
        self.fd = self.epoll.fileno()
        self.wires = {}

    def add(self, Wire wire not None):
        """Watch `wire` from now on."""
        self.epoll.register(wire.fd, select.EPOLLIN)
        self.wires[wire.fd] = wire

    def remove(self, Wire wire not None):
        """Watch it no more.  Safe to call twice, and from whatever a wire tells."""
        if self.wires.get(wire.fd) is wire:
            del self.wires[wire.fd]
            self.epoll.unregister(wire.fd)

    def readable(self):
        """Read once from each wire that has something, and tell it.

        Where telling raises, the wires behind it stay readable, and their turn is the next.
        """
        cdef epoll_event ready[MOST_READY]
        cdef Wire wire
        cdef int at
        for at in range(epoll_wait(self.fd, ready, MOST_READY, 0)):
            # It may have been removed by what one before it told.
            wire = self.wires.get(ready[at].data.fd)
            if wire is not None:
                wire.take()
