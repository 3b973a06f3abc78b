/* What is in the air, in the order in which it lands.  Nothing may be in it twice. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct flight {
    int64_t due_ns; /* CLOCK_MONOTONIC */
    int modem;
};

struct air {
    struct flight *ring;
    int first, count, room;
};

static struct flight *air_at(struct air *air, int place) { return air->ring + (air->first + place) % air->room; }

static void air_make(struct air *air, int room) {
    air->ring = calloc(room, sizeof *air->ring);
    air->first = air->count = 0;
    air->room = room;
}

/* Whether it lands before all others.  Where every part takes as long, its place is the last. */
static bool air_add(struct air *air, int modem, int64_t due_ns) {
    int place = air->count++;
    for (; place && air_at(air, place - 1)->due_ns > due_ns; place--) *air_at(air, place) = *air_at(air, place - 1);
    *air_at(air, place) = (struct flight){due_ns, modem};
    return !place;
}

static void air_take(struct air *air) {
    air->first = (air->first + 1) % air->room;
    air->count--;
}
