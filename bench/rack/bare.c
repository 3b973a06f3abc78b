/* bare: the least that a host can do.  It drives the modems of a rack with AT+CMGS and one PDU, over and over, and
   prints how many parts it got through: whoever does more for a part is held against this.

   bare --modems N --dir DIR --parts P */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { MOST_MODEMS = 1000, USER_DATA_OCTETS = 88 /* a hundred septets */ };

/* ASKED waits for the OK of ATE0 or of the part, GIVEN for the prompt. */
struct line {
    int file;
    bool waits_for_prompt, is_idle;
    int length;
    char heard[256];
};

static struct line lines[MOST_MODEMS];
static char command[32], pdu[512];
static size_t pdu_length;
static long begun, wanted, done;

static void die(const char *what) {
    fprintf(stderr, "bare: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void say(struct line *line, const char *octets, size_t length) {
    if (write(line->file, octets, length) != (ssize_t)length) die("write");
}

static void begin(struct line *line) {
    line->is_idle = begun == wanted;
    if (line->is_idle) return;
    begun++;
    line->waits_for_prompt = true;
    say(line, command, strlen(command));
}

static void hear(struct line *line) {
    ssize_t length = read(line->file, line->heard + line->length, sizeof line->heard - 1 - line->length);
    if (length <= 0) return;
    line->length += length;
    line->heard[line->length] = 0;
    if (line->waits_for_prompt && strstr(line->heard, "> ")) {
        line->length = 0;
        line->waits_for_prompt = false;
        say(line, pdu, pdu_length);
    } else if (!line->waits_for_prompt && strstr(line->heard, "\r\nOK\r\n")) {
        if (strstr(line->heard, "+CMGS: ")) done++;
        line->length = 0;
        begin(line);
    } else if (strstr(line->heard, "ERROR") || line->length == (int)sizeof line->heard - 1) {
        errno = EPROTO;
        die(line->heard);
    }
}

static void make_pdu(void) {
    int octets = 13 + USER_DATA_OCTETS;
    sprintf(command, "AT+CMGS=%d\r", octets);
    pdu_length = sprintf(pdu, "0001000C91683100000000%02X%02X%02X", 0, 0, 100);
    for (int at = 0; at < USER_DATA_OCTETS; at++) pdu_length += sprintf(pdu + pdu_length, "%02X", at);
    pdu[pdu_length++] = 0x1a;
}

int main(int count, char **words) {
    const char *folder = NULL;
    int modems = 0;
    for (int at = 1; at + 1 < count; at += 2) {
        if (!strcmp(words[at], "--modems")) modems = atoi(words[at + 1]);
        else if (!strcmp(words[at], "--dir")) folder = words[at + 1];
        else if (!strcmp(words[at], "--parts")) wanted = atol(words[at + 1]);
    }
    if (!folder || modems < 1 || modems > MOST_MODEMS || wanted < 1) {
        fprintf(stderr, "bare --modems N --dir DIR --parts P\n");
        return 2;
    }
    make_pdu();
    int epoll = epoll_create1(0);
    struct epoll_event events[MOST_MODEMS];
    for (int at = 0; at < modems; at++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/modem-%02d", folder, at);
        if ((lines[at].file = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK)) < 0) die(path);
        struct termios raw;
        tcgetattr(lines[at].file, &raw);
        cfmakeraw(&raw);
        tcsetattr(lines[at].file, TCSANOW, &raw);
        struct epoll_event one = {.events = EPOLLIN, .data.ptr = lines + at};
        epoll_ctl(epoll, EPOLL_CTL_ADD, lines[at].file, &one);
    }
    struct timespec first, last;
    clock_gettime(CLOCK_MONOTONIC, &first);
    for (int at = 0; at < modems; at++) say(lines + at, "ATE0\r", 5);
    while (done < wanted) {
        int ready = epoll_wait(epoll, events, modems, 10000);
        if (ready == 0) {
            errno = ETIMEDOUT;
            die("a modem is silent");
        }
        for (int at = 0; at < ready; at++) hear(events[at].data.ptr);
    }
    clock_gettime(CLOCK_MONOTONIC, &last);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double span_s = last.tv_sec - first.tv_sec + (last.tv_nsec - first.tv_nsec) / 1e9;
    double cpu_s = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"parts\": %ld, \"span_s\": %.6f, \"parts_per_s\": %.1f, \"cpu_s\": %.6f}\n", done, span_s, done / span_s,
           cpu_s);
    return 0;
}
