cimport cython


@cython.final
cdef class Template:
    cdef readonly str source
    cdef readonly tuple fields
    cdef tuple words  # what stands before the first field, between each two, and behind the last
    cdef tuple fallbacks  # of each place, None where a value must be there
    cdef tuple order  # of each place, which of the fields fills it

    cdef str fill(self, tuple values)
