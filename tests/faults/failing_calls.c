/* Lets calls of the C library fail, with LD_PRELOAD: FAULT_CALL names the call, FAULT_PATH and FAULT_FOLDER parts of the
   path that it must concern, FAULT_SHARE how often (0 to 1), FAULT_ERRNO with which error. FAULT_CALL=short lets write
   take half. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static double chance(void) {
    static unsigned long long state;
    if (!state) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        state = (unsigned long long)now.tv_nsec * 2654435761u ^ (unsigned long long)getpid() << 20 | 1;
    }
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (double)(state >> 11) / (double)(1ULL << 53);
}

static int fails(const char *call, const char *path) {
    const char *wanted = getenv("FAULT_CALL"), *part = getenv("FAULT_PATH"), *share = getenv("FAULT_SHARE");
    const char *number = getenv("FAULT_ERRNO"), *folder = getenv("FAULT_FOLDER");
    if (folder && path && !strstr(path, folder)) return 0;
    if (!wanted || !part || !share || !path || strcmp(wanted, call) || !strstr(path, part)) return 0;
    if (chance() >= atof(share)) return 0;
    errno = number ? atoi(number) : EIO;
    return 1;
}

static int fails_on(const char *call, int file) {
    char link[64], path[PATH_MAX];
    const char *wanted = getenv("FAULT_CALL");
    int before = errno;
    ssize_t length;
    if (!wanted || strcmp(wanted, call)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return fails(call, path);
}

ssize_t write(int file, const void *bytes, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (fails_on("write", file)) return -1;
    return real(file, bytes, count > 1 && fails_on("short", file) ? count / 2 : count);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    return fails_on("write", file) ? -1 : real(file, parts, count);
}

ssize_t read(int file, void *bytes, size_t count) {
    REAL(ssize_t, "read", int, void *, size_t);
    return fails_on("read", file) ? -1 : real(file, bytes, count);
}

int fsync(int file) {
    REAL(int, "fsync", int);
    return fails_on("fsync", file) ? -1 : real(file);
}

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    return fails("rename", to) ? -1 : real(from, to);
}

int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    return fails("unlink", path) ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    return fails("mkdir", path) ? -1 : real(path, mode);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; \
        mode_t mode; \
        REAL(int, #name, const char *, int, ...); \
        va_start(more, flags); \
        mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        return fails("open", path) ? -1 : real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
