"""Inline: the nodes of a compiled condition, in prefix order."""

from libc.stdint cimport int32_t, int64_t


cdef enum:
    NO = 0
    YES = 1
    MAYBE = 2
    FOLDED_MOST = 4096  # octets of a text that is compared without a detour through Python
    NODES_MOST = 4096

cdef enum:
    ALL, ANY, NOT, INTEGER, INTEGERS, TEXT, SET, MISSING, BITS, SPAN, DAY, EVENTS, ASK

cdef enum:
    OF_RECORD, OF_MEMBER, OF_EVENT

cdef enum:
    COUNT, SUM, MIN, MAX


cdef struct Node:
    int op
    int source
    int comparison
    int aggregate
    int field
    int32_t key  # of an entry of a map, or -1
    int size  # nodes of the tree below it, itself included
    int64_t value  # operand, mask, slot, kind of event, or number of a question
    int64_t slot
    int first  # of its operands
    int operands
