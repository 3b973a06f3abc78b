"""Octets in and out of non-blocking descriptors, with as little ado about the GIL as can be.

A terminal that does not block takes a few microseconds for a read or a write; handing the GIL to another thread and
getting it back takes a hundred times as long where that thread is busy.  So it is kept, but where a switchboard has
many to read or to write at once: then others may have it for that long.

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
    # So many calls, and not fewer, are worth giving the GIL up for.
    LEAST_APART = 8


cdef ssize_t read_once(int fd, uint8_t* octets, int* number) noexcept nogil:
    """At most MOST_READ octets; below 0: `number` is the errno."""
    cdef ssize_t taken = unistd.read(fd, octets, MOST_READ)
    while taken < 0 and errno == EINTR:
        taken = unistd.read(fd, octets, MOST_READ)
    if taken < 0:
        number[0] = errno
    return taken


cdef ssize_t write_once(int fd, const char* octets, Py_ssize_t length, int* number) noexcept nogil:
    """How many the line took; below 0: `number` is the errno."""
    cdef ssize_t taken = unistd.write(fd, octets, length)
    while taken < 0 and errno == EINTR:
        taken = unistd.write(fd, octets, length)
    if taken < 0:
        number[0] = errno
    return taken


cdef struct Letter:
    int fd
    const char* octets
    Py_ssize_t length
    ssize_t taken
    int number


cdef void write_all(Letter* letters, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t at
    for at in range(count):
        letters[at].taken = write_once(letters[at].fd, letters[at].octets, letters[at].length, &letters[at].number)


@cython.auto_pickle(False)
cdef class Ear:
    """Who hears what a wire says, natively."""

    cdef int hear(self, const uint8_t* octets, Py_ssize_t length) except -1:
        """Take what came; it lies on the caller's stack."""
        raise NotImplementedError


@cython.auto_pickle(False)
cdef class Wire:
    """An open descriptor.  `on_octets` gets what was heard where there is no ear.

    `written` counts the octets that the line has taken: what waits in `backlog`, or is gathered, is not in it.  `is_up`
    is False once the line is lost or closed: then nothing is written and nothing told.
    """

    def __init__(self, int fd):
        self.fd = fd
        self.is_up = True
        self.backlog = b""

    def readable(self):
        """There is something to read: read once and tell it."""
        cdef uint8_t octets[MOST_READ]
        cdef int number = 0
        cdef ssize_t taken
        if self.is_up:
            taken = read_once(self.fd, octets, &number)
            self.heard(octets, taken, number)

    cdef int heard(self, const uint8_t* octets, ssize_t taken, int number) except -1:
        """Tell what a read brought."""
        cdef Ear ear = self.ear
        if not self.is_up:
            return 0
        if taken > 0:
            if ear is not None:
                ear.hear(octets, taken)
            else:
                self.on_octets(PyBytes_FromStringAndSize(<const char*>octets, taken))
        elif taken == 0:
            self.fail(0)
        elif number != EAGAIN:
            self.fail(number)
        return 0

    cpdef write(self, bytes octets):
        """Give `octets` to the line in order; what it does not take now is held.

        While its switchboard gathers they are written when that ends, or by `push`.
        """
        cdef Switchboard board = self.board
        if board is None or not board.gatherers or self.backlog or not self.is_up:
            self.write_now(octets)
        elif self.gathered is None:
            self.gathered = octets
            board.waiting.append(self)
        else:
            self.gathered += octets

    def push(self):
        """Write now what was gathered."""
        octets, self.gathered = self.gathered, None
        if octets is not None:
            self.write_now(octets)

    def forget(self):
        """Drop what was gathered: none of it is written."""
        self.gathered = None

    cdef int write_now(self, bytes octets) except -1:
        cdef int number = 0
        cdef ssize_t taken
        if self.backlog:
            self.hold(octets)
        elif self.is_up:
            taken = write_once(self.fd, PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets), &number)
            self.sent(octets, taken, number)
        return 0

    cdef int sent(self, bytes octets, ssize_t taken, int number) except -1:
        """Count what a write took, and hold the rest."""
        if taken >= 0:
            self.written += taken
            if taken < PyBytes_GET_SIZE(octets):
                self.hold(octets[taken:])
        elif number == EAGAIN:
            self.hold(octets)
        else:
            self.fail(number)
        return 0

    def let_go(self):
        """The descriptor is not ours any more."""
        self.is_up = False
        self.fd = -1
        self.gathered = None

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

    A loop that watches it is called once for all of them in a turn.  As a context it gathers what is written to its
    wires, and writes it in one go at the end: nothing may be awaited inside.  Linux only.
    """

    def __cinit__(self):
        self.epoll = select.epoll()
        self.fd = self.epoll.fileno()
        self.wires = {}
        self.waiting = []

    def add(self, Wire wire not None):
        """Watch `wire` from now on."""
        self.epoll.register(wire.fd, select.EPOLLIN)
        self.wires[wire.fd] = wire
        wire.board = self

    def remove(self, Wire wire not None):
        """Watch it no more.  Safe to call twice, and from whatever a wire tells.  What was gathered is written."""
        if self.wires.get(wire.fd) is wire:
            del self.wires[wire.fd]
            self.epoll.unregister(wire.fd)
            wire.board = None
            wire.push()

    def __enter__(self):
        """Gather what is written to its wires from now on."""
        self.gatherers += 1

    def __exit__(self, *_):
        """Write what was gathered, unless another still gathers."""
        cdef list errors = []
        self.gatherers -= 1
        self.flush(errors)
        raise_all(errors)

    def readable(self):
        """Read once from each wire that has something, and tell it; then write what was written meanwhile.

        Where telling raises, the others are told nevertheless, and it is raised at the end: as a group, where there
        are several.  Not to be called from what a wire tells.
        """
        cdef epoll_event ready[MOST_READY]
        cdef uint8_t octets[MOST_READY][MOST_READ]
        cdef ssize_t taken[MOST_READY]
        cdef int numbers[MOST_READY]
        cdef list errors = []
        cdef list wires
        cdef Wire wire
        cdef int at
        cdef int count = epoll_wait(self.fd, ready, MOST_READY, 0)
        if count >= LEAST_APART:
            with nogil:
                for at in range(count):
                    taken[at] = read_once(ready[at].data.fd, octets[at], &numbers[at])
        else:
            for at in range(count):
                taken[at] = read_once(ready[at].data.fd, octets[at], &numbers[at])
        # All of them before the first is told: what it tells may close another, and open one in its place.
        wires = [self.wires.get(ready[at].data.fd) for at in range(count)]
        self.gatherers += 1
        try:
            for at in range(count):
                wire = <Wire>wires[at]
                if wire is None or wire.board is not self:
                    continue
                try:
                    wire.heard(octets[at], taken[at], numbers[at])
                except BaseException as error:
                    errors.append(error)
        finally:
            self.gatherers -= 1
        self.flush(errors)
        raise_all(errors)

    cdef int flush(self, list errors) except -1:
        while self.waiting and not self.gatherers:
            wires, self.waiting = self.waiting[:MOST_READY], self.waiting[MOST_READY:]
            # What is written by who is told of a line that is full or gone comes behind what is held of it.
            self.gatherers += 1
            try:
                self.flush_some(wires, errors)
            finally:
                self.gatherers -= 1
        return 0

    cdef int flush_some(self, list wires, list errors) except -1:
        cdef Letter letters[MOST_READY]
        cdef list written = []  # keeps the octets where they are
        cdef list behind = []
        cdef Py_ssize_t count = 0
        cdef Py_ssize_t at
        cdef Wire wire
        cdef bytes octets
        for wire in wires:
            octets = wire.gathered
            wire.gathered = None
            if octets is None or not wire.is_up:
                continue
            if wire.backlog:
                behind.append((wire, octets))
                continue
            letters[count].fd = wire.fd
            letters[count].octets = PyBytes_AS_STRING(octets)
            letters[count].length = PyBytes_GET_SIZE(octets)
            written.append((wire, octets))
            count += 1
        if count >= LEAST_APART:
            with nogil:
                write_all(letters, count)
        else:
            write_all(letters, count)
        at = 0
        for wire, octets in written:
            try:
                wire.sent(octets, letters[at].taken, letters[at].number)
            except BaseException as error:
                errors.append(error)
            at += 1
        for wire, octets in behind:
            try:
                wire.hold(octets)
            except BaseException as error:
                errors.append(error)
        return 0


cdef int raise_all(list errors) except -1:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise BaseExceptionGroup("several wires", errors)
    return 0
