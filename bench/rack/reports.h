/* Status reports in one modem: 40 slots as MT numbers them, and what waits at the service centre for one of them. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    SLOTS = 40,
    WAITING = 1024,    /* a power of two */
    REPORT_DIGITS = 96, /* service centre 18, two octets, an address of 24 digits, two times, the outcome: 78 at most */
};

struct reports {
    char slots[SLOTS][REPORT_DIGITS]; /* empty: free */
    char waiting[WAITING][REPORT_DIGITS];
    unsigned first, count;
};

static const char SERVICE_CENTRE[] = "089168310810" "0005F0"; /* +8613800100500 */

/* The digits of a delivered SMS-STATUS-REPORT (3GPP TS 23.040 §9.2.2.3); `address` begins with its length. */
static void write_report(char *digits, int reference, const char *address) {
    unsigned length = 0;
    sscanf(address, "%2x", &length);
    int address_digits = 4 + (length + 1) / 2 * 2;
    time_t now = time(NULL);
    struct tm at;
    gmtime_r(&now, &at);
    const int fields[] = {at.tm_year % 100, at.tm_mon + 1, at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec, 0};
    char stamp[15];
    for (int field = 0; field < 7; field++) sprintf(stamp + 2 * field, "%d%d", fields[field] % 10, fields[field] / 10);
    snprintf(digits, REPORT_DIGITS, "%s06%02X%.*s%s%s00", SERVICE_CENTRE, reference, address_digits, address, stamp,
             stamp);
}

/* Give the oldest that waits a slot: its index from 1, or 0 where none waits or none is free. */
static int place_report(struct reports *reports) {
    if (!reports->count) return 0;
    for (int slot = 0; slot < SLOTS; slot++) {
        if (reports->slots[slot][0]) continue;
        memcpy(reports->slots[slot], reports->waiting[reports->first], REPORT_DIGITS);
        reports->first = (reports->first + 1) % WAITING;
        reports->count--;
        return slot + 1;
    }
    return 0;
}

/* Whether there was room for it. */
static bool add_report(struct reports *reports, int reference, const char *address) {
    if (reports->count == WAITING) return false;
    write_report(reports->waiting[(reports->first + reports->count) % WAITING], reference, address);
    reports->count++;
    return true;
}

/* Octets of the TPDU of a record: what AT+CMGR and AT+CMGL say before it. */
static int tpdu_octets(const char *digits) { return (int)(strlen(digits) - (sizeof SERVICE_CENTRE - 1)) / 2; }
