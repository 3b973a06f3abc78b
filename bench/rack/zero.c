/* zero: a rack of simulated TC35i on pseudo-terminals, as fast as one thread of C makes it.

   zero --modems N --dir DIR [--latency-ms L] [--spread 1] [--ledger FILE] [--reports 1]

   It owns DIR: the links modem-00, modem-01 ... to the terminals; `parts`, two numbers of eight octets, the parts that
   were accepted and those in the air, which may be mapped by who waits for a number of them; and `rack.json`, which is
   there once the links are.  It answers what a start-up asks and takes AT+CMGS, no more: engine.sim is the simulator that knows what else a
   TC35i does.  L milliseconds pass between the Ctrl-Z of a part and its result, the same for every part; with
   --spread 1 a modem's first part takes up to twice as long, so that they do not go on all landing at once.  With
   --reports 1 a part that asks for a status report is delivered at once, and the report stored and indicated behind
   the OK.  The ledger says of each part when its AT+CMGS and its Ctrl-Z came and when the result was given, by
   CLOCK_MONOTONIC in ns.

   A line of JSON with what was measured is written on SIGTERM and SIGINT, which end it, and on SIGUSR1, after which
   it measures anew.  A server may be killed: a slave stays open here, and a prompt stays open as on the real one. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "air.h"
#include "folder.h"
#include "measure.h"
#include "reports.h"

enum {
    MOST_MODEMS = 1000,
    LINE_OCTETS = 391,    /* a command line, as on the real one; what is longer is an ERROR */
    ENTRY_OCTETS = 512,   /* behind a prompt: more than any PDU's 352 digits */
    TYPED_OCTETS = 4096,  /* kept while a part is in the air */
    EVENTS = 128,
};

static const char CTRL_Z = 0x1a, ESC = 0x1b;

/* COMMAND collects a line up to CR, ENTRY a PDU up to Ctrl-Z or ESC; AIR works, and keeps what is typed. */
enum state { COMMAND, ENTRY, AIR };

struct modem {
    int master, slave;
    enum state state;
    bool echo, too_long;
    char cnmi[16];
    int declared;   /* octets of the TPDU that AT+CMGS announced */
    int reference;  /* TP-MR of the next part */
    int length;     /* octets in `line` */
    char line[ENTRY_OCTETS + 1];
    int typed_length;
    char typed[TYPED_OCTETS];
    char pdu[ENTRY_OCTETS + 1];
    /* What is measured; the clock is CLOCK_MONOTONIC in ns. */
    int64_t asked_ns, given_ns, first_ns, last_ns, air_ns, ok_ns;
    int64_t longer_ns; /* so much longer its next part is in the air */
    bool asked_else; /* something but AT+CMGS was asked since the last result */
    uint64_t parts;
    struct reports *reports; /* NULL: it gives none */
};

static struct modem *modems;
static int count_modems;
static int64_t latency_ns;
static FILE *ledger;
static uint64_t *parts_seen, *parts_flying;
static uint64_t refused, lost_octets, lost_reports;
static struct gaps all_gaps, direct_gaps;
static int timer_fd, signals_fd;
static struct air air;
static struct rusage used_before;

/* -- what is measured */

static void print_measured(void) {
    uint64_t parts = 0, fewest = UINT64_MAX;
    int64_t first = INT64_MAX, last = 0, air_ns = 0, busy_ns = 0;
    for (struct modem *modem = modems; modem < modems + count_modems; modem++) {
        parts += modem->parts;
        if (modem->parts < fewest) fewest = modem->parts;
        if (!modem->parts) continue;
        if (modem->first_ns < first) first = modem->first_ns;
        if (modem->last_ns > last) last = modem->last_ns;
        air_ns += modem->air_ns;
        busy_ns += modem->last_ns - modem->first_ns;
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu_s =
        seconds(used.ru_utime, used_before.ru_utime) + seconds(used.ru_stime, used_before.ru_stime);
    double span_s = parts ? (last - first) / 1e9 : 0;
    printf("{\"modems\": %d, \"latency_ms\": %g, \"parts\": %llu, \"fewest\": %llu, \"refused\": %llu, "
           "\"lost_octets\": %llu, \"lost_reports\": %llu, \"span_s\": %.6f, \"parts_per_s\": %.1f, \"air_s\": %.6f, \"busy_s\": %.6f, "
           "\"cpu_s\": %.3f, ",
           count_modems, latency_ns / 1e6, (unsigned long long)parts, (unsigned long long)fewest,
           (unsigned long long)refused, (unsigned long long)lost_octets, (unsigned long long)lost_reports, span_s, span_s > 0 ? parts / span_s : 0.0,
           air_ns / 1e9, busy_ns / 1e9, cpu_s);
    print_gaps("gap_ms", &all_gaps);
    print_gaps("gap_direct_ms", &direct_gaps);
    printf("\"each\": [");
    for (int at = 0; at < count_modems; at++) {
        struct modem *modem = modems + at;
        printf("%s{\"parts\": %llu, \"air_s\": %.6f, \"busy_s\": %.6f}", at ? ", " : "",
               (unsigned long long)modem->parts, modem->air_ns / 1e9,
               modem->parts ? (modem->last_ns - modem->first_ns) / 1e9 : 0.0);
        modem->parts = 0;
        modem->air_ns = modem->first_ns = modem->last_ns = modem->ok_ns = 0;
    }
    printf("]}\n");
    if (ledger) fflush(ledger); /* first: who reads the line may read the ledger next */
    fflush(stdout);
    refused = lost_octets = lost_reports = 0;
    used_before = used;
}

/* -- what is said */

static void say(struct modem *modem, const char *octets, size_t length) {
    ssize_t written = write(modem->master, octets, length);
    /* Nobody reads: as on a wire, the rest is gone. */
    if (written < (ssize_t)length) lost_octets += length - (written < 0 ? 0 : written);
}

static void answer(struct modem *modem, const char *format, ...) {
    char said[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(said, sizeof said, format, arguments);
    va_end(arguments);
    say(modem, said, length);
}

static void ok(struct modem *modem) { say(modem, "\r\nOK\r\n", 6); }

static int digit(char letter) {
    if (letter >= '0' && letter <= '9') return letter - '0';
    if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
    if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
    return -1;
}

/* Whether `line` is digits, as many as its service centre and AT+CMGS say, and begins like an SMS-SUBMIT. */
static bool is_submit(const struct modem *modem) {
    if (modem->length % 2 || modem->length < 2) return false;
    for (int at = 0; at < modem->length; at++)
        if (digit(modem->line[at]) < 0) return false;
    int centre = 1 + digit(modem->line[0]) * 16 + digit(modem->line[1]);
    if (modem->length / 2 != centre + modem->declared || modem->declared < 2) return false;
    return (digit(modem->line[2 * centre + 1]) & 3) == 1;
}

static char *tpdu_of(struct modem *modem) {
    return modem->pdu + 2 * (1 + digit(modem->pdu[0]) * 16 + digit(modem->pdu[1]));
}

static void write_ledger(struct modem *modem, int reference) {
    /* The network puts the reference into the second octet of the TPDU. */
    char *tpdu = tpdu_of(modem);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(ledger, "{\"at_ms\": %lld, \"modem\": \"modem-%02d\", \"reference\": %d, \"tpdu\": \"%.2s%02X%s\", ",
            now.tv_sec * 1000LL + now.tv_nsec / 1000000, (int)(modem - modems), reference, tpdu, reference, tpdu + 4);
    fprintf(ledger, "\"asked_ns\": %lld, \"given_ns\": %lld, \"landed_ns\": %lld}\n", (long long)modem->asked_ns,
            (long long)modem->given_ns, (long long)modem->last_ns);
}

/* Store and indicate what waits, as far as there is room; it stands behind a final result. */
static void indicate(struct modem *modem) {
    int index;
    while (modem->reports && (index = place_report(modem->reports)))
        if (strcmp(modem->cnmi, "0,0,0,0,1")) answer(modem, "\r\n+CDSI: \"MT\",%d\r\n", index);
}

/* The network has taken the part: reference and OK, and from here the gap is the server's. */
static void land(struct modem *modem) {
    int reference = modem->reference;
    modem->reference = (reference + 1) & 0xff;
    modem->state = COMMAND;
    modem->parts++;
    (*parts_seen)++;
    char said[40];
    int length = sprintf(said, "\r\n+CMGS: %d\r\n\r\nOK\r\n", reference);
    modem->last_ns = modem->ok_ns = now_ns();
    modem->air_ns += modem->last_ns - modem->given_ns;
    modem->asked_else = false;
    say(modem, said, length);
    if (ledger) write_ledger(modem, reference);
    if (!modem->reports) return;
    /* TP-SRR, and behind the reference the address. */
    char *tpdu = tpdu_of(modem);
    if (digit(tpdu[0]) & 2 && !add_report(modem->reports, reference, tpdu + 4)) lost_reports++;
    indicate(modem);
}

static void set_timer(int64_t due_ns) {
    struct itimerspec at = {.it_value = {due_ns / 1000000000, due_ns % 1000000000}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void give(struct modem *modem, int64_t heard_ns) {
    if (!is_submit(modem)) {
        refused++;
        modem->state = COMMAND;
        answer(modem, "\r\n+CMS ERROR: 304\r\n");
        return;
    }
    modem->given_ns = heard_ns;
    if (!modem->parts) modem->first_ns = heard_ns;
    if (ledger || modem->reports) memcpy(modem->pdu, modem->line, modem->length + 1);
    if (!latency_ns) {
        land(modem);
        return;
    }
    modem->state = AIR;
    int64_t due_ns = heard_ns + latency_ns + modem->longer_ns;
    modem->longer_ns = 0;
    if (air_add(&air, modem - modems, due_ns)) set_timer(due_ns);
    *parts_flying = air.count;
}

static void begin_again(struct modem *modem) {
    modem->state = COMMAND;
    modem->echo = true;
    modem->length = modem->typed_length = 0;
    strcpy(modem->cnmi, "0,0,0,0,1");
}

/* Commands whose whole answer is OK: settings that change nothing here. */
static bool is_setting(const char *command) {
    static const char *const settings[] = {"",      "E1",      "+CMEE=", "^SM20=", "\\Q",    "+CMGF=0", "^SMGO=",
                                           "H",      "+IPR=",  "+CREG=", "^SSCONF="};
    for (size_t at = 1; at < sizeof settings / sizeof *settings; at++)
        if (!strncmp(command, settings[at], strlen(settings[at]))) return true;
    return !*command;
}

/* What stands in a slot; NULL where it is free, or there is no such slot. */
static char *record_at(struct modem *modem, const char *index) {
    int slot = atoi(index) - 1;
    if (!modem->reports || slot < 0 || slot >= SLOTS || !modem->reports->slots[slot][0]) return NULL;
    return modem->reports->slots[slot];
}

static void obey(struct modem *modem, const char *command, int64_t heard_ns) {
    int number = modem - modems + 1;
    if (!strncmp(command, "+CMGS=", 6)) {
        modem->declared = atoi(command + 6);
        modem->asked_ns = heard_ns;
        if (modem->ok_ns) {
            note_gap(&all_gaps, heard_ns - modem->ok_ns);
            if (!modem->asked_else) note_gap(&direct_gaps, heard_ns - modem->ok_ns);
            modem->ok_ns = 0;
        }
        modem->state = ENTRY;
        say(modem, "\r\n> ", 4);
        return;
    }
    modem->asked_else = true;
    if (!strcmp(command, "E0")) {
        modem->echo = false;
    } else if (!strncmp(command, "+CNMI=", 6)) {
        snprintf(modem->cnmi, sizeof modem->cnmi, "%s", command + 6);
    } else if (!strcmp(command, "+CNMI?")) {
        answer(modem, "\r\n+CNMI: %s\r\n", modem->cnmi);
    } else if (!strcmp(command, "+CPIN?")) {
        answer(modem, "\r\n+CPIN: READY\r\n");
    } else if (!strcmp(command, "+CREG?")) {
        answer(modem, "\r\n+CREG: 0,1\r\n");
    } else if (!strcmp(command, "+CIMI")) {
        answer(modem, "\r\n46000%010d\r\n", number);
    } else if (!strcmp(command, "+CSQ")) {
        answer(modem, "\r\n+CSQ: 20,99\r\n");
    } else if (!strcmp(command, "+CSCA?")) {
        answer(modem, "\r\n+CSCA: \"+8613800100500\",145\r\n");
    } else if (!strcmp(command, "+COPS?")) {
        answer(modem, "\r\n+COPS: 0,0,\"CHINA MOBILE\"\r\n");
    } else if (!strcmp(command, "+CPMS?")) {
        answer(modem, "\r\n+CPMS: \"MT\",0,40,\"MT\",0,40,\"MT\",0,40\r\n");
    } else if (!strncmp(command, "+CPMS=", 6)) {
        answer(modem, "\r\n+CPMS: 0,40,0,40,0,40\r\n");
    } else if (!strncmp(command, "+CSMS=", 6)) {
        answer(modem, "\r\n+CSMS: 1,1,1\r\n");
    } else if (!strncmp(command, "+CMGR=", 6)) {
        const char *record = record_at(modem, command + 6);
        if (record) answer(modem, "\r\n+CMGR: 0,,%d\r\n%s\r\n", tpdu_octets(record), record);
        else answer(modem, "\r\n+CMGR: 0,,0\r\n");
    } else if (!strcmp(command, "+CMGL=4")) {
        for (int slot = 0; modem->reports && slot < SLOTS; slot++) {
            const char *record = modem->reports->slots[slot];
            if (*record) answer(modem, "\r\n+CMGL: %d,0,,%d\r\n%s", slot + 1, tpdu_octets(record), record);
        }
        say(modem, "\r\n", 2);
    } else if (!strncmp(command, "+CMGD=", 6)) {
        char *record = record_at(modem, command + 6);
        if (record) *record = 0;
        ok(modem);
        indicate(modem);
        return;
    } else if (!strcmp(command, "^SPIC")) {
        answer(modem, "\r\n^SPIC: 3\r\n");
    } else if (!strcmp(command, "+CFUN=1,1")) {
        ok(modem);
        begin_again(modem);
        answer(modem, "\r\n^SYSSTART\r\n");
        return;
    } else if (!is_setting(command)) {
        answer(modem, "\r\nERROR\r\n");
        return;
    }
    ok(modem);
}

static void take_line(struct modem *modem, int64_t heard_ns) {
    char *line = modem->line;
    line[modem->length] = 0;
    if (modem->echo && modem->length) answer(modem, "%s\r", line);
    int length = modem->length;
    modem->length = 0;
    if (modem->too_long) {
        modem->too_long = false;
        answer(modem, "\r\nERROR\r\n");
    } else if (length >= 2 && (line[0] == 'A' || line[0] == 'a') && (line[1] == 'T' || line[1] == 't')) {
        obey(modem, line + 2, heard_ns);
    }
}

static void hear(struct modem *modem, const char *octets, size_t length, int64_t heard_ns) {
    for (size_t at = 0; at < length; at++) {
        char octet = octets[at];
        if (modem->state == COMMAND) {
            if (octet == '\r')
                take_line(modem, heard_ns);
            else if (octet == ESC || octet == CTRL_Z || octet == '\n')
                continue;
            else if (modem->length < LINE_OCTETS)
                modem->line[modem->length++] = octet;
            else
                modem->too_long = true;
        } else if (modem->state == ENTRY) {
            if (octet == CTRL_Z) {
                modem->line[modem->length] = 0;
                give(modem, heard_ns);
                modem->length = 0;
            } else if (octet == ESC) {
                modem->length = 0;
                modem->state = COMMAND;
                ok(modem);
            } else if (modem->length < ENTRY_OCTETS) {
                modem->line[modem->length++] = octet;
            }
        } else if (modem->typed_length < TYPED_OCTETS) {
            modem->typed[modem->typed_length++] = octet;
        }
    }
}

static void land_due(void) {
    uint64_t fired;
    if (read(timer_fd, &fired, sizeof fired) < 0 && errno != EAGAIN) die("timer");
    while (air.count) {
        struct flight next = *air_at(&air, 0);
        if (next.due_ns > now_ns()) {
            set_timer(next.due_ns);
            return;
        }
        air_take(&air);
        *parts_flying = air.count;
        struct modem *modem = modems + next.modem;
        if (modem->state != AIR) continue;
        land(modem);
        if (modem->typed_length) {
            char typed[TYPED_OCTETS];
            int length = modem->typed_length;
            memcpy(typed, modem->typed, length);
            modem->typed_length = 0;
            hear(modem, typed, length, now_ns());
        }
    }
}

/* -- the ports */

static void plug(struct modem *modem, const char *folder) {
    char name[64], link[4096];
    if (openpty(&modem->master, &modem->slave, name, NULL, NULL)) die("openpty");
    struct termios raw;
    tcgetattr(modem->slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(modem->slave, TCSANOW, &raw);
    fcntl(modem->master, F_SETFL, O_NONBLOCK);
    snprintf(link, sizeof link, "%s/modem-%02d", folder, (int)(modem - modems));
    unlink(link);
    if (symlink(name, link)) die(link);
    begin_again(modem);
}

static int hear_signals(void) {
    sigset_t heard;
    sigemptyset(&heard);
    sigaddset(&heard, SIGTERM);
    sigaddset(&heard, SIGINT);
    sigaddset(&heard, SIGUSR1);
    sigprocmask(SIG_BLOCK, &heard, NULL);
    return signalfd(-1, &heard, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void watch(int epoll, int file, void *what) {
    struct epoll_event one = {.events = EPOLLIN, .data.ptr = what};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, file, &one)) die("epoll");
}

static void run(int epoll) {
    struct epoll_event events[EVENTS];
    char octets[4096];
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int at = 0; at < ready; at++) {
            void *what = events[at].data.ptr;
            if (what == &timer_fd) {
                land_due();
                continue;
            }
            if (what == &signals_fd) {
                struct signalfd_siginfo signal;
                if (read(signals_fd, &signal, sizeof signal) != sizeof signal) continue;
                print_measured();
                if (signal.ssi_signo != SIGUSR1) return;
                continue;
            }
            struct modem *modem = what;
            ssize_t length = read(modem->master, octets, sizeof octets);
            if (length > 0) hear(modem, octets, length, now_ns());
        }
    }
}

int main(int count, char **words) {
    const char *folder = NULL, *ledger_path = NULL;
    double latency_ms = 0;
    bool has_reports = false, is_spread = false;
    for (int at = 1; at + 1 < count; at += 2) {
        const char *name = words[at], *value = words[at + 1];
        if (!strcmp(name, "--modems")) count_modems = atoi(value);
        else if (!strcmp(name, "--dir")) folder = value;
        else if (!strcmp(name, "--latency-ms")) latency_ms = atof(value);
        else if (!strcmp(name, "--spread")) is_spread = atoi(value);
        else if (!strcmp(name, "--ledger")) ledger_path = value;
        else if (!strcmp(name, "--reports")) has_reports = atoi(value);
        else count_modems = -1;
    }
    if (!folder || count_modems < 1 || count_modems > MOST_MODEMS || latency_ms < 0 || count % 2 == 0) {
        fprintf(stderr, "zero --modems N --dir DIR [--latency-ms L] [--spread 1] [--ledger FILE] [--reports 1]\n");
        return 2;
    }
    latency_ns = latency_ms * 1e6;
    if (ledger_path && !(ledger = fopen(ledger_path, "a"))) die(ledger_path);
    modems = calloc(count_modems, sizeof *modems);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    signals_fd = hear_signals();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    air_make(&air, count_modems);
    if (!modems || !air.ring || timer_fd < 0 || signals_fd < 0 || epoll < 0) die("start");
    watch(epoll, timer_fd, &timer_fd);
    watch(epoll, signals_fd, &signals_fd);
    parts_seen = map_parts(folder);
    parts_flying = parts_seen + 1;
    for (struct modem *modem = modems; modem < modems + count_modems; modem++) {
        plug(modem, folder);
        if (is_spread) modem->longer_ns = latency_ns * (modem - modems) / count_modems;
        if (has_reports && !(modem->reports = calloc(1, sizeof *modem->reports))) die("memory");
        watch(epoll, modem->master, modem);
    }
    describe(folder, count_modems);
    getrusage(RUSAGE_SELF, &used_before);
    run(epoll);
    clear_away(folder, count_modems);
    return 0;
}
