/* Kernels that are wrong are found out. */
#include "tests/emulation/asan.h"
#include "tests/emulation_test.h"

#include <math.h>
#include <signal.h>

enum { THREADS = 64, SEEDS = 20 };

/* In how many of SEEDS orders y is x by `place`. */
static int right_orders(cudaError_t (*launch)(int *, const int *, cudaStream_t),
                        int (*wanted)(int i)) {
    int right = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        int x[THREADS], y[THREADS];
        start(seed);
        for (int i = 0; i < THREADS; i++)
            x[i] = i;
        int *device_x = device_copy(x, sizeof x), *device_y = device_memory(sizeof y);
        ok(launch(device_y, device_x, NULL));
        fetch(y, device_y, sizeof y);
        bool all = true;
        for (int i = 0; i < THREADS; i++)
            all = all && y[i] == wanted(i);
        right += all;
        ok(cudaFree(device_x));
        ok(cudaFree(device_y));
    }
    return right;
}

static int reversed(int i) {
    return THREADS - 1 - i;
}

static int twice(int i) {
    return 2 * i;
}

static void missing_barriers_show(void **state) {
    (void)state;
    assert_true(right_orders(launch_missing_barrier, reversed) < SEEDS / 2);
    assert_true(right_orders(launch_missing_warp_barrier, twice) < SEEDS / 2);
}

/* The seed makes the order: once more, the same. */
static void orders_repeat(void **state) {
    (void)state;
    int y[3][THREADS], x[THREADS] = {0};
    for (int run = 0; run < 3; run++) {
        start(run < 2 ? 7 : 8);
        int *device_x = device_copy(x, sizeof x), *device_y = device_memory(sizeof x);
        ok(launch_missing_barrier(device_y, device_x, NULL));
        fetch(y[run], device_y, sizeof y[run]);
        ok(cudaFree(device_x));
        ok(cudaFree(device_y));
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_not_equal(y[0], y[2], sizeof y[0]);
}

typedef cudaError_t (*launch_of_one)(int *y, cudaStream_t stream);

/* The launch works, whoever waits for it is told, and so is everyone after. */
static void faults(launch_of_one launch, cudaError_t expected, const char *kernel,
                   const char *reason) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        start(seed);
        int *y = device_memory(THREADS * sizeof *y), *lock = NULL;
        ok(cudaMemset(y, 1, THREADS * sizeof *y));
        ok(launch(y, NULL));
        ok(cudaGetLastError());
        refused(cudaDeviceSynchronize(), expected);
        says(emulation_message(), kernel);
        says(emulation_message(), ", block (");
        says(emulation_message(), "thread (");
        says(emulation_message(), reason);
        refused(cudaGetLastError(), expected);
        refused(cudaGetLastError(), expected);
        refused(cudaMalloc((void **)&lock, 4), expected);
        refused(cudaFree(y), expected);
        assert_int_equal(emulation_leaks(), 0);
    }
    start(1); /* a block after one that was given up is whole */
    int out[THREADS];
    int *device = device_memory(sizeof out);
    ok(launch_barriers(device, 1, 1, THREADS, NULL));
    fetch(out, device, sizeof out);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(out[i], (i + 1) % THREADS);
    ok(cudaFree(device));
}

static void barriers_that_not_all_reach(void **state) {
    (void)state;
    faults(launch_early_exit, cudaErrorLaunchFailure, "kernel early_exit",
           "thread (5, 0, 0) has ended");
    faults(launch_divergent, cudaErrorLaunchFailure, "kernel divergent", "is at that of line");
}

static void exchanges_that_not_all_take_part_in(void **state) {
    (void)state;
    faults(launch_half_warp, cudaErrorLaunchFailure, "kernel half_warp",
           "the lanes of mask ffffffff, which have not all come");
    faults(launch_inactive_lane, cudaErrorLaunchFailure, "kernel inactive_lane",
           "which is not in mask 0000ffff");
    faults(launch_foreign_mask, cudaErrorLaunchFailure, "kernel foreign_mask",
           "is not in its own mask");
    faults(launch_missing_lanes, cudaErrorLaunchFailure, "kernel missing_lanes",
           "its last warp has 24");
}

static void spinning_ends(void **state) {
    (void)state;
    start(1);
    int one = 1, *lock = device_copy(&one, sizeof one);
    ok(launch_spin(lock, NULL));
    refused(cudaDeviceSynchronize(), cudaErrorLaunchTimeout);
    says(emulation_message(), "it spins");
    cudaFree(lock);
}

static bool is_unwritten(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits == EMULATION_UNWRITTEN;
}

/* The second block does not see what the first one wrote. */
static void shared_memory_begins_unwritten(void **state) {
    (void)state;
    start(1);
    float y[3];
    float *device = device_memory(sizeof y);
    ok(launch_unwritten(device, 7, NULL));
    fetch(y, device, sizeof y);
    assert_true(is_unwritten(y[0]) && isnan(y[0]) && is_unwritten(y[2]));
    assert_true(isnan(y[1])); /* the larger of it and a number */
    ok(cudaFree(device));
}

static void host_pointers_are_no_arguments(void **state) {
    (void)state;
    start(1);
    int y[THREADS];
    refused(launch_write(y, 0, NULL), cudaErrorIllegalAddress);
    says(emulation_message(), "write: its pointer argument 1");
    start(1);
    int *freed = device_memory(sizeof y);
    ok(cudaFree(freed));
    refused(launch_write(freed, 0, NULL), cudaErrorIllegalAddress);
}

typedef struct wild_write {
    size_t bytes;
    long at;
} wild_write;

static void write_wildly(void *context) {
    const wild_write *w = context;
    start(1);
    int *y = device_memory(w->bytes);
    ok(launch_write(y, w->at, NULL));
    cudaError_t error = cudaDeviceSynchronize();
    if (error) _Exit(strstr(emulation_message(), "it wrote behind 400 bytes") ? 3 : 4);
}

static int run_wild(wild_write w, char *text, size_t size) {
    return emulation_child(write_wildly, &w, text, size);
}

static void writes_within_pass(void **state) {
    (void)state;
    static char text[1 << 16];
    assert_int_equal(run_wild((wild_write){400, 99}, text, sizeof text), 0);
    assert_string_equal(text, "");
}

/* One behind, in the allocation's last page. */
static void writes_just_behind_are_found(void **state) {
    (void)state;
    static char text[1 << 16];
    int ended = run_wild((wild_write){400, 100}, text, sizeof text);
#ifdef EMULATION_ASAN
    assert_true(ended != 0 && ended != 3 && ended != 4);
    says(text, "use-after-poison");
    says(text, "kernel write, block (0, 0, 0), thread (3, 0, 0)");
#else
    assert_int_equal(ended, 3);
    says(text, "kernel write");
#endif
}

static void writes_far_off_end_the_program(void **state) {
    (void)state;
    const wild_write wild[] = {{4096, 1024}, {400, 1024}, {400, -1}, {400, 1L << 30}};
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
        static char text[1 << 16];
        int ended = run_wild(wild[i], text, sizeof text);
        assert_int_equal(ended, -SIGSEGV);
        says(text, "kernel write, block (0, 0, 0), thread (3, 0, 0) touched");
    }
}

#ifdef EMULATION_ASAN
static void read_shared(void *context) {
    float *y = NULL;
    start(1);
    y = device_memory(3 * sizeof *y);
    ok(launch_unwritten(y, *(int *)context, NULL));
    ok(cudaDeviceSynchronize());
}

static void shared_arrays_have_ends(void **state) {
    (void)state;
    static char text[1 << 16];
    int within = 63, behind = 64;
    assert_int_equal(emulation_child(read_shared, &within, text, sizeof text), 0);
    assert_true(emulation_child(read_shared, &behind, text, sizeof text) != 0);
    says(text, "global-buffer-overflow");
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_barriers_show),
        cmocka_unit_test(orders_repeat),
        cmocka_unit_test(barriers_that_not_all_reach),
        cmocka_unit_test(exchanges_that_not_all_take_part_in),
        cmocka_unit_test(spinning_ends),
        cmocka_unit_test(shared_memory_begins_unwritten),
        cmocka_unit_test(host_pointers_are_no_arguments),
        cmocka_unit_test(writes_within_pass),
        cmocka_unit_test(writes_just_behind_are_found),
        cmocka_unit_test(writes_far_off_end_the_program),
#ifdef EMULATION_ASAN
        cmocka_unit_test(shared_arrays_have_ends),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
