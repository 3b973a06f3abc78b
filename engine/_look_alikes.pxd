cdef str without_look_alikes(str text)
cdef Py_ssize_t place_before(str text, Py_ssize_t place) except -1
