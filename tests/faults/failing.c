/* Makes the nth write, sync or truncation of a wallet file or of a file beside it fail, when a test says so.

   Loaded before the C library (LD_PRELOAD). What is to fail stands in a file that FAILING names and that is mapped into
   this process, so it can be changed while the process runs; `struct order` is `tests/faults/preload.py`'s `Order`. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, TRUNCATE = 4 };

static const char *const PARTS[] = {"", "-wal", "-journal", "-shm", ".owner"};

struct order {
    char file[1024];
    int is_armed, calls, parts, error, is_short, is_for_ever;
    int struck_call, struck_part;
    long nth, seen, struck;
};

static struct order *order;

__attribute__((constructor)) static void map_order(void) {
    const char *name = getenv("FAILING");
    int descriptor = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (descriptor < 0) return;
    void *mapped = mmap(NULL, sizeof *order, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (mapped != MAP_FAILED) order = mapped;
    close(descriptor);
}

/* Which of the files the descriptor is, as a bit; 0 for any other. */
static int part_of(int descriptor) {
    char link[64], path[sizeof order->file + 16];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    size_t stem = strlen(order->file);
    if (length < (ssize_t)stem || strncmp(path, order->file, stem)) return 0;
    path[length] = 0;
    for (size_t each = 0; each < sizeof PARTS / sizeof *PARTS; each++)
        if (!strcmp(path + stem, PARTS[each])) return 1 << each;
    return 0;
}

/* Whether this call is to fail: 0 no, 1 yes, 2 after half of it is done. Keeps errno, unless it fails. */
static int fails(int descriptor, int call) {
    if (!order || !__atomic_load_n(&order->is_armed, __ATOMIC_ACQUIRE) || !(order->calls & call)) return 0;
    int before = errno, part = part_of(descriptor);
    errno = before;
    if (!(order->parts & part)) return 0;
    long late = __atomic_add_fetch(&order->seen, 1, __ATOMIC_RELAXED) - order->nth;
    int is_half = order->is_short && call == WRITE && late == 0;
    /* What follows half a write is its second half. */
    int is_rest = order->is_short && call == WRITE && late == 1;
    if (late < 0 || (late > 0 && !is_rest && !order->is_for_ever)) return 0;
    if (__atomic_add_fetch(&order->struck, 1, __ATOMIC_RELAXED) == 1) {
        order->struck_call = call;
        order->struck_part = part;
    }
    errno = order->error;
    return is_half ? 2 : 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRAP_WRITE(name, parameters, ...)                                                                             \
    ssize_t name parameters {                                                                                         \
        int verdict = fails(descriptor, WRITE);                                                                       \
        if (verdict == 1) return -1;                                                                                  \
        if (verdict == 2) length = length > 1 ? length / 2 : length;                                                  \
        return REAL(name)(__VA_ARGS__);                                                                               \
    }

#define WRAP(name, call, parameters, ...)                                                                             \
    int name parameters { return fails(descriptor, call) ? -1 : REAL(name)(__VA_ARGS__); }

WRAP_WRITE(write, (int descriptor, const void *bytes, size_t length), descriptor, bytes, length)
WRAP_WRITE(pwrite, (int descriptor, const void *bytes, size_t length, off_t at), descriptor, bytes, length, at)
WRAP_WRITE(pwrite64, (int descriptor, const void *bytes, size_t length, off64_t at), descriptor, bytes, length, at)
WRAP(fsync, SYNC, (int descriptor), descriptor)
WRAP(fdatasync, SYNC, (int descriptor), descriptor)
WRAP(ftruncate, TRUNCATE, (int descriptor, off_t length), descriptor, length)
WRAP(ftruncate64, TRUNCATE, (int descriptor, off64_t length), descriptor, length)
