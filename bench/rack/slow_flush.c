/* slow_flush: a disk that needs longer.  Preloaded, it adds SLOW_FLUSH_MS milliseconds behind every fsync, fdatasync
   and msync.  With SLOW_FLUSH_WRITES=1 also behind every write to a file that was opened with O_DSYNC or O_SYNC: LMDB
   writes its meta page so. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static struct timespec extra;
static int is_for_writes;

__attribute__((constructor)) static void begin(void) {
    const char *ms = getenv("SLOW_FLUSH_MS"), *writes = getenv("SLOW_FLUSH_WRITES");
    double ns = ms ? atof(ms) * 1e6 : 0;
    extra.tv_sec = (time_t)(ns / 1e9);
    extra.tv_nsec = (long)(ns - extra.tv_sec * 1e9);
    is_for_writes = writes && *writes == '1';
}

static void wait_longer(void) {
    int kept = errno;
    struct timespec left = extra;
    while (nanosleep(&left, &left) && errno == EINTR) {
    }
    errno = kept;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int file) {
    static __typeof__(&fsync) real;
    if (!real) real = REAL(fsync);
    int result = real(file);
    wait_longer();
    return result;
}

int fdatasync(int file) {
    static __typeof__(&fdatasync) real;
    if (!real) real = REAL(fdatasync);
    int result = real(file);
    wait_longer();
    return result;
}

int msync(void *at, size_t length, int flags) {
    static __typeof__(&msync) real;
    if (!real) real = REAL(msync);
    int result = real(at, length, flags);
    if (flags & MS_SYNC) wait_longer();
    return result;
}

/* O_SYNC contains O_DSYNC.  Asked at each write: few are as long as what a flag would save. */
static void wait_if_synchronous(int file) {
    int kept = errno, flags = fcntl(file, F_GETFL);
    errno = kept;
    if (flags >= 0 && flags & O_DSYNC) wait_longer();
}

ssize_t pwrite(int file, const void *octets, size_t length, off_t at) {
    static __typeof__(&pwrite) real;
    if (!real) real = REAL(pwrite);
    ssize_t result = real(file, octets, length, at);
    if (is_for_writes) wait_if_synchronous(file);
    return result;
}

ssize_t pwrite64(int file, const void *octets, size_t length, off64_t at) {
    static __typeof__(&pwrite64) real;
    if (!real) real = REAL(pwrite64);
    ssize_t result = real(file, octets, length, at);
    if (is_for_writes) wait_if_synchronous(file);
    return result;
}
