/* What stands in the folder of the rack, beside the links: who waits for it, and for its parts, looks there. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "measure.h"

/* Two numbers that may be mapped: the parts that were accepted, and those in the air. */
static uint64_t *map_parts(const char *folder) {
    char path[4096];
    snprintf(path, sizeof path, "%s/parts", folder);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0 || ftruncate(file, 2 * sizeof(uint64_t))) die(path);
    uint64_t *parts = mmap(NULL, 2 * sizeof *parts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (parts == MAP_FAILED) die(path);
    return parts;
}

static void describe(const char *folder, int count_modems) {
    char path[4096];
    snprintf(path, sizeof path, "%s/rack.json", folder);
    FILE *file = fopen(path, "w");
    if (!file) die(path);
    fprintf(file, "{\"pid\": %d, \"modems\": %d}\n", getpid(), count_modems);
    fclose(file);
}

static void clear_away(const char *folder, int count_modems) {
    char path[4096];
    for (int at = 0; at < count_modems; at++) {
        snprintf(path, sizeof path, "%s/modem-%02d", folder, at);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/rack.json", folder);
    unlink(path);
}
