/* Device memory: what it holds at first, who may touch it, how much there is, and that it is given
 * back. */
#include "tests/emulation_test.h"

#include <math.h>
#include <signal.h>

enum { N = 1000, MEGABYTE = 1 << 20 };

static void memory_begins_unwritten(void **state) {
    (void)state;
    start(1);
    float x[N];
    float *device = device_memory(sizeof x);
    fetch(x, device, sizeof x);
    for (int i = 0; i < N; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        assert_true(isnan(x[i]) && bits == EMULATION_UNWRITTEN);
    }
    ok(cudaFree(device));
}

static void memory_is_aligned_and_not_given_twice(void **state) {
    (void)state;
    start(1);
    char *a = device_memory(1), *b = device_memory(1);
    assert_true((uintptr_t)a % 256 == 0 && (uintptr_t)b % 256 == 0);
    ok(cudaFree(a));
    char *c = device_memory(1);
    assert_true(c != a && c != b);
    ok(cudaFree(b));
    ok(cudaFree(c));
}

static void read_on_host(void *context) {
    start(1);
    volatile int *device = device_memory(100 * sizeof *device);
    if (context) ok(cudaMemset((void *)device, 0, 100 * sizeof *device));
    if (context) ok(cudaDeviceSynchronize());
    _Exit(device[7] ? 2 : 3);
}

static void host_code_may_not_touch_it(void **state) {
    (void)state;
    for (int used = 0; used < 2; used++) {
        char text[8192];
        int ended = emulation_child(read_on_host, used ? &used : NULL, text, sizeof text);
        assert_int_equal(ended, -SIGSEGV);
        says(text, "host code touched byte 28 of 400 bytes of device memory");
    }
}

static void free_and_read_pinned(void *context) {
    int *pinned;
    (void)context;
    start(1);
    ok(cudaMallocHost((void **)&pinned, 400));
    pinned[0] = 1;
    ok(cudaFreeHost(pinned));
    _Exit(*(volatile int *)pinned ? 2 : 3);
}

static void freed_pinned_memory_is_closed(void **state) {
    (void)state;
    char text[8192];
    int ended = emulation_child(free_and_read_pinned, NULL, text, sizeof text);
    assert_int_equal(ended, -SIGSEGV);
    says(text, "host code touched pinned host memory that is not allocated");
}

static void memory_runs_out(void **state) {
    (void)state;
    emulation_machine machine = emulation_usual();
    machine.memory = 3 * MEGABYTE;
    emulation_start(&machine);
    size_t available, total;
    void *a = device_memory(2 * MEGABYTE), *b = a;
    ok(cudaMemGetInfo(&available, &total));
    assert_int_equal(total, 3 * MEGABYTE);
    assert_int_equal(available, MEGABYTE);
    assert_int_equal(emulation_allocated(), 2 * MEGABYTE);
    refused(cudaMalloc(&b, MEGABYTE + 1), cudaErrorMemoryAllocation);
    says(emulation_message(), "1048577 bytes of device memory, 1048576 free");
    refused(cudaGetLastError(), cudaErrorMemoryAllocation);
    ok(cudaGetLastError()); /* it does not stay */
    b = device_memory(MEGABYTE);
    refused(cudaMalloc(&b, 1), cudaErrorMemoryAllocation);
    ok(cudaFree(a));
    device_memory(MEGABYTE);
    refused(cudaMalloc(&b, SIZE_MAX - 100), cudaErrorMemoryAllocation);
    assert_int_equal(emulation_leaks(), 2);
    emulation_start(&machine); /* and all is gone */
    assert_int_equal(emulation_leaks(), 0);
    assert_int_equal(emulation_allocated(), 0);
}

static void others_take_memory(void **state) {
    (void)state;
    start(1);
    size_t before, after, total;
    ok(cudaMemGetInfo(&before, &total));
    emulation_take_memory(total - 4 * MEGABYTE);
    ok(cudaMemGetInfo(&after, &total));
    assert_int_equal(before - after, total - 4 * MEGABYTE);
    void *at;
    refused(cudaMalloc(&at, 5 * MEGABYTE), cudaErrorMemoryAllocation);
    emulation_take_memory(0);
    ok(cudaMalloc(&at, 5 * MEGABYTE));
    ok(cudaFree(at));
}

static void nothing_is_nothing(void **state) {
    (void)state;
    start(1);
    void *at = &at;
    ok(cudaMalloc(&at, 0));
    assert_null(at);
    ok(cudaFree(NULL));
    ok(cudaFreeHost(NULL));
    ok(cudaMemcpy(NULL, NULL, 0, cudaMemcpyHostToDevice));
}

static void copies_keep_within_allocations(void **state) {
    (void)state;
    start(1);
    char x[64] = {0};
    char *device = device_memory(sizeof x);
    refused(cudaMemcpy(device + 1, x, sizeof x, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    says(emulation_message(), "not in one allocation");
    refused(cudaMemcpy(x, device - 1, 2, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    refused(cudaMemcpy(x, device, sizeof x, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    says(emulation_message(), "a copy from device to host memory is no kind 1");
    refused(cudaMemset(device, 0, sizeof x + 1), cudaErrorInvalidValue);
    refused(cudaMemset(x, 0, sizeof x), cudaErrorInvalidValue);
    refused(cudaFree(device + 1), cudaErrorInvalidValue);
    refused(cudaFree(x), cudaErrorInvalidValue);
    ok(cudaMemcpy(device, x, sizeof x, cudaMemcpyDefault));
    ok(cudaFree(device));
    refused(cudaFree(device), cudaErrorInvalidValue);
}

static void pointers_tell_their_kind(void **state) {
    (void)state;
    start(1);
    struct cudaPointerAttributes attributes;
    void *device = device_memory(10), *pinned;
    ok(cudaHostAlloc(&pinned, 10, cudaHostAllocDefault));
    ok(cudaPointerGetAttributes(&attributes, device));
    assert_int_equal(attributes.type, cudaMemoryTypeDevice);
    ok(cudaPointerGetAttributes(&attributes, pinned));
    assert_int_equal(attributes.type, cudaMemoryTypeHost);
    ok(cudaPointerGetAttributes(&attributes, &attributes));
    assert_int_equal(attributes.type, cudaMemoryTypeUnregistered);
    ok(cudaFree(device));
    ok(cudaFreeHost(pinned));
}

/* The program's end is told too. */
static void leak(void *context) {
    (void)context;
    start(1);
    device_memory(1000);
    exit(0);
}

static void leaks_fail_the_program(void **state) {
    (void)state;
    char text[8192];
    assert_int_equal(emulation_child(leak, NULL, text, sizeof text), 1);
    says(text, "1 allocations of device memory were never freed (1024 bytes)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_begins_unwritten),
        cmocka_unit_test(memory_is_aligned_and_not_given_twice),
        cmocka_unit_test(host_code_may_not_touch_it),
        cmocka_unit_test(freed_pinned_memory_is_closed),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(others_take_memory),
        cmocka_unit_test(nothing_is_nothing),
        cmocka_unit_test(copies_keep_within_allocations),
        cmocka_unit_test(pointers_tell_their_kind),
        cmocka_unit_test(leaks_fail_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
