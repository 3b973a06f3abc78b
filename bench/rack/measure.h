/* How long things took: the clock, and so many durations that a percentile of them is exact. */

#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

struct gaps {
    float *ms;
    size_t count, room;
};

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "zero: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void note_gap(struct gaps *gaps, int64_t ns) {
    if (gaps->count == gaps->room) {
        gaps->room = gaps->room ? 2 * gaps->room : 65536;
        gaps->ms = realloc(gaps->ms, gaps->room * sizeof *gaps->ms);
        if (!gaps->ms) die("memory");
    }
    gaps->ms[gaps->count++] = ns / 1e6f;
}

static int by_size(const void *one, const void *other) {
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

static void print_gaps(const char *name, struct gaps *gaps) {
    double sum = 0;
    qsort(gaps->ms, gaps->count, sizeof *gaps->ms, by_size);
    for (size_t at = 0; at < gaps->count; at++) sum += gaps->ms[at];
    size_t n = gaps->count;
    printf("\"%s\": {\"count\": %zu, \"mean\": %.4f, \"median\": %.4f, \"p99\": %.4f, \"max\": %.4f}, ", name, n,
           n ? sum / n : 0.0, n ? gaps->ms[n / 2] : 0.0, n ? gaps->ms[(n - 1) * 99 / 100] : 0.0,
           n ? gaps->ms[n - 1] : 0.0);
    gaps->count = 0;
}

static double seconds(struct timeval now, struct timeval before) {
    return now.tv_sec - before.tv_sec + (now.tv_usec - before.tv_usec) / 1e6;
}
