/* Device memory and pinned host memory. Addresses are never given out twice: each allocation begins
 * a page, and at least one page behind it is closed for good, as is all of it once it is freed.
 * Host code finds device memory closed too, since it is open only while queued work runs. */
#include "tests/emulation/asan.h"
#include "tests/emulation/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <wchar.h>

enum { END_BYTE = 0xCB, UNIT = 512 };
static const size_t POOL_BYTES = (size_t)1 << 38; /* of addresses */

typedef struct allocation {
    unsigned char *at;
    size_t bytes, mapped; /* as wanted, and in whole pages */
} allocation;

/* Allocations are in the order of their addresses. */
typedef struct pool {
    const char *name;
    unsigned char *begin, *next;
    allocation *live;
    size_t n, room, bytes;
} pool;

static pool device = {.name = "device memory"}, pinned = {.name = "pinned host memory"};
static bool is_open;

static size_t round_up(size_t bytes, size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

static void protect(const allocation *a, int protection) {
    if (!mprotect(a->at, a->mapped, protection)) return;
    perror("emulation: mprotect");
    abort();
}

void emulation_fill(void *at, size_t bytes) {
    const uint32_t word = EMULATION_UNWRITTEN;
    size_t whole = bytes / sizeof word * sizeof word;
    wmemset(at, (wchar_t)word, whole / sizeof word);
    memcpy((unsigned char *)at + whole, &word, bytes - whole);
}

/* mmap64, since tests let mmap fail. */
static void reserve(pool *p) {
    void *at =
        mmap64(NULL, POOL_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        perror("emulation: mmap");
        abort();
    }
    p->begin = at;
    p->next = p->begin + EMULATION_PAGE;
}

static void *allocate(pool *p, size_t bytes) {
    if (!p->begin) reserve(p);
    emulation_watch_crashes();
    if (p->n == p->room) {
        size_t room = p->room ? 2 * p->room : 64;
        allocation *more = emulation_new(room * sizeof *more);
        if (p->n) memcpy(more, p->live, p->n * sizeof *more);
        emulation_delete(p->live);
        p->live = more;
        p->room = room;
    }
    allocation a = {p->next, bytes, round_up(bytes, EMULATION_PAGE)};
    if (a.mapped > (size_t)(p->begin + POOL_BYTES - p->next) - EMULATION_PAGE) {
        fprintf(stderr, "emulation: no addresses are left\n");
        abort();
    }
    protect(&a, PROT_READ | PROT_WRITE);
    emulation_fill(a.at, bytes);
    memset(a.at + bytes, END_BYTE, a.mapped - bytes);
    ASAN_POISON_MEMORY_REGION(a.at + bytes, a.mapped - bytes);
    p->next += a.mapped + EMULATION_PAGE;
    p->live[p->n++] = a;
    p->bytes += round_up(bytes, UNIT);
    return a.at;
}

/* The last allocation that begins at or below an address; NULL for none. */
static allocation *below(const pool *p, const void *at) {
    size_t low = 0, high = p->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((uintptr_t)p->live[middle].at <= (uintptr_t)at)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &p->live[low - 1] : NULL;
}

static bool is_in(const pool *p, const void *at) {
    return p->begin && (uintptr_t)at - (uintptr_t)p->begin < POOL_BYTES;
}

bool emulation_is_device(const void *at) {
    return is_in(&device, at);
}

bool emulation_is_pinned(const void *at) {
    return is_in(&pinned, at);
}

bool emulation_holds(const void *at, size_t bytes) {
    const allocation *a = below(&device, at);
    if (!a) return false;
    size_t offset = (uintptr_t)at - (uintptr_t)a->at;
    return offset <= a->bytes && bytes <= a->bytes - offset;
}

/* The bytes behind an allocation; true where one was written. */
static bool end_is_broken(const allocation *a) {
#ifdef EMULATION_ASAN
    (void)a; /* poisoned: no write gets there */
    return false;
#else
    for (size_t i = a->bytes; i < a->mapped; i++)
        if (a->at[i] != END_BYTE) return true;
    return false;
#endif
}

void emulation_check_ends(void) {
    for (size_t i = 0; i < device.n; i++) {
        if (!end_is_broken(&device.live[i])) continue;
        emulation_fault(cudaErrorIllegalAddress, "it wrote behind %zu bytes of device memory",
                        device.live[i].bytes);
        return;
    }
}

void emulation_open_memory(void) {
    for (size_t i = 0; i < device.n && !is_open; i++)
        protect(&device.live[i], PROT_READ | PROT_WRITE);
    is_open = true;
}

void emulation_close_memory(void) {
    for (size_t i = 0; i < device.n && is_open; i++)
        protect(&device.live[i], PROT_NONE);
    is_open = false;
}

static void release(pool *p, allocation *a) {
    ASAN_UNPOISON_MEMORY_REGION(a->at, a->mapped);
    madvise(a->at, a->mapped, MADV_DONTNEED);
    protect(a, PROT_NONE);
    p->bytes -= round_up(a->bytes, UNIT);
    size_t i = (size_t)(a - p->live);
    memmove(a, a + 1, (--p->n - i) * sizeof *a);
}

static cudaError_t release_at(pool *p, void *at) {
    allocation *a = below(p, at);
    if (!a || a->at != at) {
        return emulation_refuse(cudaErrorInvalidValue, "%p is no allocation of %s", at, p->name);
    }
    release(p, a);
    return cudaSuccess;
}

void emulation_forget_memory(void) {
    while (device.n)
        release(&device, &device.live[device.n - 1]);
    while (pinned.n)
        release(&pinned, &pinned.live[pinned.n - 1]);
}

static int leaks_of(const pool *p) {
    if (p->n) {
        fprintf(stderr, "emulation: %zu allocations of %s were never freed (%zu bytes)\n", p->n,
                p->name, p->bytes);
    }
    return (int)p->n;
}

int emulation_memory_leaks(void) {
    return leaks_of(&device) + leaks_of(&pinned);
}

size_t emulation_allocated(void) {
    return device.bytes;
}

bool emulation_peek(void *to, const void *at, size_t bytes) {
    if (!emulation_holds(at, bytes)) return false;
    emulation_open_memory();
    memcpy(to, at, bytes);
    emulation_close_memory();
    return true;
}

void emulation_tell_address(const void *at) {
    const pool *p = is_in(&device, at) ? &device : is_in(&pinned, at) ? &pinned : NULL;
    if (!p) {
        fprintf(stderr, "%p, which is neither device memory nor pinned\n", at);
        return;
    }
    const allocation *a = below(p, at);
    size_t offset = a ? (uintptr_t)at - (uintptr_t)a->at : 0;
    if (!a || offset >= a->mapped + EMULATION_PAGE) {
        fprintf(stderr, "%s that is not allocated\n", p->name);
    } else {
        fprintf(stderr, "byte %zu of %zu bytes of %s\n", offset, a->bytes, p->name);
    }
}

static size_t free_bytes(void) {
    size_t used = device.bytes + emulation_taken(), all = emulation_now()->memory;
    return used < all ? all - used : 0;
}

static cudaError_t device_allocate(void **at, size_t bytes) {
    cudaError_t error = emulation_uncapturable("cudaMalloc");
    if (error) return error;
    if (!at) return cudaErrorInvalidValue;
    *at = NULL;
    emulation_counter()->allocations++;
    if (!bytes) return cudaSuccess;
    size_t most = free_bytes();
    if (bytes > most || round_up(bytes, UNIT) > most) {
        return emulation_refuse(cudaErrorMemoryAllocation, "%zu bytes of device memory, %zu free",
                                bytes, most);
    }
    *at = allocate(&device, bytes);
    if (!is_open) protect(below(&device, *at), PROT_NONE);
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **at, size_t bytes) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : device_allocate(at, bytes));
}

/* As on a device, all that is queued ends first. */
static cudaError_t device_free(void *at) {
    if (!at) return cudaSuccess;
    cudaError_t error = emulation_uncapturable("cudaFree");
    if (error) return error;
    emulation_counter()->synchronisations++;
    emulation_run_all();
    emulation_counter()->frees++;
    return release_at(&device, at);
}

/* What is let go after a fault is let go, so that it is no leak. */
cudaError_t cudaFree(void *at) {
    cudaError_t error = emulation_enter(__func__);
    if (!error || emulation_faulted()) error = device_free(at);
    return emulation_leave(error);
}

static cudaError_t host_allocate(void **at, size_t bytes) {
    cudaError_t error = emulation_uncapturable("cudaHostAlloc");
    if (error) return error;
    if (!at) return cudaErrorInvalidValue;
    *at = NULL;
    emulation_counter()->allocations++;
    if (bytes) *at = allocate(&pinned, bytes);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **at, size_t bytes) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : host_allocate(at, bytes));
}

cudaError_t cudaHostAlloc(void **at, size_t bytes, unsigned flags) {
    cudaError_t error = emulation_enter(__func__);
    if (!error &&
        flags & ~(cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined))
        error = cudaErrorInvalidValue;
    return emulation_leave(error ? error : host_allocate(at, bytes));
}

static cudaError_t host_free(void *at) {
    if (!at) return cudaSuccess;
    cudaError_t error = emulation_uncapturable("cudaFreeHost");
    if (error) return error;
    emulation_counter()->synchronisations++;
    emulation_run_all();
    emulation_counter()->frees++;
    return release_at(&pinned, at);
}

cudaError_t cudaFreeHost(void *at) {
    cudaError_t error = emulation_enter(__func__);
    if (!error || emulation_faulted()) error = host_free(at);
    return emulation_leave(error);
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
    cudaError_t error = emulation_enter(__func__);
    if (!error && (!available || !total)) error = cudaErrorInvalidValue;
    if (!error) {
        *available = free_bytes();
        *total = emulation_now()->memory;
    }
    return emulation_leave(error);
}
