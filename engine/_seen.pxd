from libc.stdint cimport uint8_t, uint32_t, uint64_t

cimport cython

from engine._digests cimport Digest, Shard


cdef struct Numbers:
    uint64_t* slots  # open addressing, linear probing; 0 is a free slot
    uint32_t room  # 0 or a power of two
    uint32_t count  # at most three quarters of the room


@cython.final
cdef class Seen:
    cdef uint64_t first_key
    cdef uint64_t second_key
    cdef Numbers* numbers
    cdef Shard* references
    cdef Py_ssize_t count
    cdef int given_back

    cdef void expect_number(self, uint64_t number) noexcept nogil
    cdef bint add_number(self, uint64_t number) except -1

    cdef Digest expect_reference(self, const uint8_t* text, Py_ssize_t length) noexcept nogil
    cdef bint add_digest(self, Digest digest) except -1
    cdef bint add_reference(self, const uint8_t* text, Py_ssize_t length) except -1

    cdef Digest digest_of(self, const uint8_t* text, Py_ssize_t length) noexcept nogil
    cdef uint64_t spread(self, uint64_t number) noexcept nogil
    cdef int enlarge(self, Numbers* shard) except -1
