"""Where to cut a text so that as few grapheme clusters as possible are cut in two, in the fewest parts.

Owns one small optimisation, over numbers alone.  Filling each part before the next begins gives the fewest parts,
but not the best cuts, and ending a part early at a whole cluster can cost a part at the end.  So each cut has a
window: from the earliest place from which the rest still fits into the parts that are left, to the latest that
filling reaches.  Over the windows, in order, runs a shortest path whose length is the number of clusters cut.

A place between two units has a grade: NEVER, INSIDE or FREE.
"""

from libc.stdint cimport uint8_t, uint16_t

cdef enum:
    # Places of one window: what all parts together leave unused is less than one part and, for an escape or a pair
    # that moved whole, one unit of each.
    WINDOW = MOST_ROOM + MOST_PARTS + 1
    UNREACHABLE = 2 * MOST_PARTS

# Under the interpreter's lock, which is never released here: half a megabyte is much for a stack.
cdef uint16_t LENGTHS[MOST_PARTS + 1][WINDOW]  # clusters cut at a place and behind it
cdef int BEST[MOST_PARTS + 1][WINDOW]  # the last of the best places of a window up to this one


cdef int last_best(int part, int low, int above, int top) noexcept nogil:
    """The last of the best places of a part's window that lie above one place and not above another; -1 if none."""
    cdef int found = BEST[part][top - low] if top >= low else -1
    cdef int place
    if found > above:
        return found
    found = -1  # windows overlap only where one part less would nearly have done
    for place in range(top, (above if above >= low else low - 1), -1):
        if found < 0 or LENGTHS[part][place - low] < LENGTHS[part][found - low]:
            found = place
    return found


cdef void spare(const uint8_t* grades, int units, int room, int parts, int* cuts) noexcept nogil:
    """Set `cuts`, where each of `parts` parts begins and the last ends, so that the fewest places are INSIDE.

    `grades` has `units` + 1 places, both ends FREE.  `parts` is the least number there can be.  Of ways that are
    equal, the one that fills the earliest parts most.
    """
    cdef int first[MOST_PARTS + 1]
    cdef int last[MOST_PARTS + 1]
    cdef int part
    cdef int place
    cdef int next_place
    cdef int length
    cdef int best
    last[0] = 0
    for part in range(1, parts + 1):
        place = last[part - 1] + room
        if place > units:
            place = units
        while grades[place] == NEVER:
            place -= 1
        last[part] = place
    first[parts] = units
    for part in range(parts - 1, -1, -1):
        place = first[part + 1] - room
        if place < 0 or part == 0:
            place = 0
        while grades[place] == NEVER:
            place += 1
        first[part] = place
    LENGTHS[parts][0] = 0
    BEST[parts][0] = units
    # From the end to the front, so that walking forward takes the latest of equal cuts.
    for part in range(parts - 1, -1, -1):
        best = -1
        for place in range(first[part], last[part] + 1):
            length = UNREACHABLE
            if grades[place] != NEVER:
                next_place = last_best(part + 1, first[part + 1], place, min(place + room, last[part + 1]))
                if next_place >= 0:
                    length = LENGTHS[part + 1][next_place - first[part + 1]] + (grades[place] == INSIDE)
            LENGTHS[part][place - first[part]] = <uint16_t>length
            if best < 0 or length <= LENGTHS[part][best - first[part]]:
                best = place
            BEST[part][place - first[part]] = best
    cuts[0] = 0
    for part in range(1, parts + 1):
        place = cuts[part - 1]
        cuts[part] = last_best(part, first[part], place, min(place + room, last[part]))
