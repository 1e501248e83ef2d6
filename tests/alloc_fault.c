#include "tests/alloc_fault.h"

#include "tests/test.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

static atomic_long count, failing, live;
static atomic_bool paused;

void alloc_fault_arm(long k) {
    count = 0;
    failing = k;
}

long alloc_fault_count(void) {
    return count;
}

long alloc_fault_live(void) {
    return live;
}

void alloc_fault_pause(bool pause) {
    paused = pause;
}

static bool fails(void) {
    return !paused && ++count == failing;
}

static void *counted(void *block) {
    if (block) live++;
    return block;
}

/* The names that the linker's --wrap asks for. NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset);
void __real_free(void *block);
int __real_munmap(void *block, size_t bytes);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset);
void __wrap_free(void *block);
int __wrap_munmap(void *block, size_t bytes);
/* NOLINTEND(bugprone-reserved-identifier) */

void *__wrap_malloc(size_t bytes) {
    return fails() ? NULL : counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t n, size_t bytes) {
    return fails() ? NULL : counted(__real_calloc(n, bytes));
}

void *__wrap_realloc(void *block, size_t bytes) {
    if (fails()) return NULL;
    return block ? __real_realloc(block, bytes) : counted(__real_realloc(block, bytes));
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return fails() ? NULL : counted(__real_aligned_alloc(alignment, bytes));
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset) {
    if (fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *block = __real_mmap(at, bytes, protection, flags, file, offset);
    if (block != MAP_FAILED) live++;
    return block;
}

void __wrap_free(void *block) {
    if (block) live--;
    __real_free(block);
}

int __wrap_munmap(void *block, size_t bytes) {
    live--;
    return __real_munmap(block, bytes);
}

void alloc_fault_every(alloc_fault_body body, void *context) {
    for (long k = 1;; k++) {
        long before = alloc_fault_live();
        alloc_fault_arm(k);
        bool succeeded = body(context);
        bool failed_one = alloc_fault_count() >= k;
        alloc_fault_arm(0);
        assert_int_equal(alloc_fault_live(), before);
        assert_int_equal(succeeded, !failed_one);
        if (!failed_one) return;
    }
}
