"""Rows of campaigns as they stand in the due line: what is asked about one there is answered without a message.

No I/O: rows come from a feeding (engine/traffic/sheets.py).
"""

cimport cython
from libc.stdint cimport int64_t, uint64_t


@cython.final
@cython.auto_pickle(False)
@cython.freelist(512)
cdef class Packed:
    """A row that stands in the line, with all that is asked about it there: its state is QUEUED.

    `row` is the recipient as it was submitted, `feeding` what the rows that came into the line with it share.
    """

    @property
    def waiting_parts(self):
        """All of them."""
        return self.size

    @property
    def in_reply_to(self):
        """Nobody's question."""
        return 0

    def on_line_ms(self, now_ms):
        """Never."""
        return 0

    @property
    def sim(self):
        """Any: nobody asked for one."""
        return 0

    @property
    def tag(self):
        """Campaigns have none."""
        return ""


def packed(uint64_t group, feeding, state, lane, int weight, str purpose, int64_t expires_ms, int report_percent):
    """The rows of a feeding, in order; those whose id modulo 100 is below `report_percent` want a report."""
    cdef list found = []
    cdef Packed one
    for waiting in feeding.rows:
        one = Packed.__new__(Packed)
        row = waiting.row
        one.group = group
        one.row = row
        one.id = row.id
        one.number = row.number
        one.packed_row = waiting.number
        one.text = waiting.text
        one.size = waiting.parts
        one.weight = weight
        one.purpose = purpose
        one.lane = lane
        one.state = state
        one.expires_ms = expires_ms
        one.wants_report = <int>(one.id % 100) < report_percent
        one.feeding = feeding
        found.append(one)
    return found
