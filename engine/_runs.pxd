from engine._pair_page cimport Pair


cdef Pair* sort(Pair* pairs, Pair* spare, Py_ssize_t count) noexcept nogil
