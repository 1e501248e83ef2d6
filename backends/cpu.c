#include "backends/cpu.h"

#include <cblas.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/gemm_bf16.h"
#include "backends/parallel.h"
#include "graph/memory.h"

enum { CACHE_LINE = 64 };

static bool whole_pages(size_t bytes, size_t *rounded) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!pr_size_add(bytes ? bytes : 1, page - 1, rounded)) return false;
    *rounded -= *rounded % page;
    return true;
}

static void *cpu_alloc(pr_backend *backend, size_t bytes) {
    (void)backend;
    size_t rounded;
    if (!whole_pages(bytes, &rounded)) return NULL;
    void *block = mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

static void cpu_free(pr_backend *backend, void *block, size_t bytes) {
    (void)backend;
    size_t rounded;
    if (block && whole_pages(bytes, &rounded)) munmap(block, rounded);
}

static void cpu_discard(pr_backend *backend, void *block, size_t bytes) {
    (void)backend;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)block + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)block + bytes) / page * page;
    if (from < to) madvise((char *)block + (from - (uintptr_t)block), to - from, MADV_DONTNEED);
}

static pr_status cpu_protect(pr_backend *backend, void *block, size_t bytes, bool read_only) {
    (void)backend;
    size_t rounded;
    int how = read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    if (!whole_pages(bytes, &rounded) || mprotect(block, rounded, how) != 0) return PR_NO_MEMORY;
    return PR_OK;
}

static pr_status cpu_copy(pr_backend *backend, void *to, const void *from, size_t bytes) {
    (void)backend;
    if (bytes) memcpy(to, from, bytes);
    return PR_OK;
}

static pr_status cpu_fill(pr_backend *backend, void *block, int byte, size_t bytes) {
    (void)backend;
    if (bytes) memset(block, byte, bytes);
    return PR_OK;
}

static pr_status cpu_sync(pr_backend *backend, pr_error *err) {
    (void)backend;
    (void)err;
    return PR_OK;
}

static void cpu_release(pr_backend *backend) {
    pr_team_free(backend->context);
    pr_free(backend);
}

static int usable_processors(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > PR_MAX_THREADS ? PR_MAX_THREADS : n;
}

pr_backend *pr_cpu_new(int threads, pr_error *err) {
    if (threads < 0 || threads > PR_MAX_THREADS) {
        pr_fail(err, PR_BAD_ARGUMENT, "threads: expected 1 to %d, found %d", PR_MAX_THREADS,
                threads);
        return NULL;
    }
    pr_backend *backend = pr_alloc(1, sizeof *backend);
    if (!backend) {
        pr_fail_memory(err, "the CPU backend", sizeof *backend);
        return NULL;
    }
    if (!threads) threads = usable_processors();
    pr_team *team = pr_team_new(threads, err);
    if (!team) {
        pr_free(backend);
        return NULL;
    }
    openblas_set_num_threads(1);
    *backend = (pr_backend){
        .name = "cpu",
        .kind = PR_CPU,
        .threads = threads,
        .alignment = CACHE_LINE,
        .host_visible = true,
        .fast_bf16 = pr_gemm_bf16_is_fast(),
        .context = team,
        .alloc = cpu_alloc,
        .free = cpu_free,
        .discard = cpu_discard,
        .protect = cpu_protect,
        .upload = cpu_copy,
        .download = cpu_copy,
        .fill = cpu_fill,
        .sync = cpu_sync,
        .release = cpu_release,
    };
    return backend;
}
