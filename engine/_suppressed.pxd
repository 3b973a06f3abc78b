from libc.stdint cimport uint64_t

cimport cython

from engine._digests cimport Digest, Shard


@cython.final
cdef class Suppressed:
    cdef uint64_t keyed[8]
    cdef Shard* shards
    cdef Py_ssize_t count

    cdef bint has(self, uint64_t number) noexcept

    cdef Digest expect_number(self, uint64_t number) noexcept nogil
    cdef bint has_digest(self, Digest digest) noexcept nogil

    cdef Digest digest_of(self, uint64_t number) noexcept nogil
