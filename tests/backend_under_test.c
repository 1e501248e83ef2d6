#include "tests/backend_under_test.h"

#include "backends/cpu.h"
#include "backends/cuda.h"
#include "graph/memory.h"
#include "tests/test.h"
#ifdef TEST_EMULATED
#include "tests/emulation/emulation.h"
#endif

static void **copy;
static size_t n_copies, capacity;

static void free_copies(void) {
    for (size_t i = 0; i < n_copies; i++)
        pr_free(copy[i]);
    pr_free(copy);
}

const void *test_host(pr_backend *backend, const void *block, size_t bytes) {
    if (!block || backend->host_visible) return block;
    if (!copy) assert_int_equal(atexit(free_copies), 0);
    assert_true(pr_grow((void **)&copy, &capacity, n_copies + 1, sizeof *copy));
    void *bytes_here = pr_alloc(bytes, 1);
    assert_non_null(bytes_here);
    copy[n_copies++] = bytes_here;
    assert_int_equal(backend->download(backend, bytes_here, block, bytes), PR_OK);
    return bytes_here;
}

pr_backend *test_backend_new(int threads, pr_error *err) {
#ifdef TEST_CUDA
    (void)threads;
#ifdef TEST_EMULATED
    emulation_run_early(1); /* what runs early opens and closes all memory, which takes time */
#endif
    return pr_cuda_new(0, err);
#else
    return pr_cpu_new(threads, err);
#endif
}

pr_backend *test_backend_or_exit(int threads) {
    pr_error err = {.code = PR_OK};
    pr_backend *backend = test_backend_new(threads, &err);
    if (backend) return backend;
    fprintf(stderr, "%s\n", err.message);
    exit(1);
}
