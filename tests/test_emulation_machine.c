/* The machine as a program asks about it, failures that a test wants, and what is counted. */
#include "tests/emulation_test.h"

static emulation_machine with(bool driver, int devices, int major) {
    emulation_machine machine = emulation_usual();
    machine.driver = driver;
    machine.devices = devices;
    machine.major = major;
    return machine;
}

static void machines_without(void **state) {
    (void)state;
    int count = 9, version = 9;
    void *at;
    emulation_machine no_driver = with(false, 1, 8), no_device = with(true, 0, 8);
    emulation_start(&no_driver);
    ok(cudaDriverGetVersion(&version));
    assert_int_equal(version, 0);
    refused(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
    assert_int_equal(count, 0);
    refused(cudaMalloc(&at, 1), cudaErrorInsufficientDriver);
    ok(cudaRuntimeGetVersion(&version));
    assert_int_equal(version, CUDART_VERSION);
    emulation_start(&no_device);
    ok(cudaDriverGetVersion(&version));
    assert_int_equal(version, CUDART_VERSION);
    refused(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    refused(cudaSetDevice(0), cudaErrorNoDevice);
    refused(cudaPeekAtLastError(), cudaErrorNoDevice);
    refused(cudaGetLastError(), cudaErrorNoDevice);
    ok(cudaPeekAtLastError());
}

static void devices_describe_themselves(void **state) {
    (void)state;
    emulation_machine old = with(true, 1, 5);
    emulation_start(&old);
    struct cudaDeviceProp properties;
    int value, count, device = 9;
    ok(cudaGetDeviceCount(&count));
    assert_int_equal(count, 1);
    ok(cudaSetDevice(0));
    ok(cudaGetDevice(&device));
    assert_int_equal(device, 0);
    refused(cudaSetDevice(1), cudaErrorInvalidDevice);
    ok(cudaGetDeviceProperties(&properties, 0));
    assert_int_equal(properties.major, 5);
    assert_int_equal(properties.warpSize, 32);
    assert_int_equal(properties.totalGlobalMem, (size_t)1 << 30);
    refused(cudaGetDeviceProperties(&properties, 1), cudaErrorInvalidDevice);
    ok(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, 0));
    assert_int_equal(value, 5);
    ok(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 0));
    assert_int_equal(value, properties.multiProcessorCount);
    refused(cudaDeviceGetAttribute(&value, (enum cudaDeviceAttr)9999, 0), cudaErrorInvalidValue);
}

static void calls_fail_when_told(void **state) {
    (void)state;
    start(1);
    int *out = device_memory(sizeof *out), *at;
    emulation_fail("cudaMalloc", 2, cudaErrorMemoryAllocation);
    emulation_fail("launch", 1, cudaErrorLaunchOutOfResources);
    at = device_memory(4);
    ok(cudaFree(at));
    refused(launch_increment(out, NULL), cudaErrorLaunchOutOfResources);
    says(emulation_message(), "launch was made to fail");
    ok(launch_increment(out, NULL));
    refused(cudaMalloc((void **)&at, 4), cudaErrorMemoryAllocation);
    at = device_memory(4);
    emulation_fail("cudaMalloc", 1, cudaErrorMemoryAllocation);
    emulation_fail("cudaMalloc", 0, 0);
    ok(cudaFree(at));
    at = device_memory(4);
    ok(cudaFree(at));
    ok(cudaFree(out));
}

/* The second kernel fails as it runs: nothing of it or behind it is done. */
static void kernels_fail_when_told(void **state) {
    (void)state;
    start(1);
    int x = 5;
    int *device = device_copy(&x, sizeof x);
    emulation_fail("kernel", 2, cudaErrorIllegalAddress);
    for (int i = 0; i < 3; i++)
        ok(launch_increment(device, NULL));
    ok(cudaPeekAtLastError());
    refused(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
    says(emulation_message(), "increment was made to fail");
    refused(launch_increment(device, NULL), cudaErrorIllegalAddress);
    refused(cudaMemcpy(&x, device, sizeof x, cudaMemcpyDeviceToHost), cudaErrorIllegalAddress);
    assert_true(emulation_peek(&x, device, sizeof x) && x == 6);
    refused(cudaFree(device), cudaErrorIllegalAddress);
    assert_int_equal(emulation_leaks(), 0);
}

static void work_is_counted(void **state) {
    (void)state;
    start(1);
    cudaStream_t stream;
    int *pinned;
    int *device = device_memory(sizeof *device);
    assert_string_equal(emulation_last_kernel(), "");
    ok(cudaMallocHost((void **)&pinned, sizeof *pinned));
    ok(cudaStreamCreate(&stream));
    *pinned = 1;
    ok(cudaMemcpyAsync(device, pinned, sizeof *pinned, cudaMemcpyHostToDevice, stream));
    ok(launch_increment(device, stream));
    ok(cudaMemsetAsync(device, 0, sizeof *device, stream));
    emulation_counts counts = emulation_counted();
    assert_int_equal(counts.allocations, 2);
    assert_int_equal(counts.objects, 1);
    assert_int_equal(counts.copies, 2);
    assert_int_equal(counts.launches, 1);
    assert_int_equal(counts.kernels, 0);
    assert_int_equal(counts.synchronisations, 0);
    assert_string_equal(emulation_last_kernel(), "increment");
    emulation_mark();
    ok(cudaStreamSynchronize(stream));
    ok(cudaFree(device));
    ok(cudaFreeHost(pinned));
    counts = emulation_counted();
    assert_int_equal(counts.kernels, 1);
    assert_int_equal(counts.launches, 0);
    assert_int_equal(counts.frees, 2);
    assert_int_equal(counts.synchronisations, 3);
    assert_int_equal(emulation_leaks(), 1);
    ok(cudaStreamDestroy(stream));
    assert_int_equal(emulation_leaks(), 0);
}

static void templates_have_names(void **state) {
    (void)state;
    start(1);
    float x = 1.0f;
    float *device = device_copy(&x, sizeof x), *sum = device_memory(sizeof *sum);
    ok(launch_sum_warps(sum, device, 1, NULL));
    assert_string_equal(emulation_last_kernel(), "sum_warps<256>");
    ok(cudaFree(device));
    ok(cudaFree(sum));
}

static void errors_have_names(void **state) {
    (void)state;
    assert_string_equal(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation");
    assert_string_equal(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
    assert_string_equal(cudaGetErrorString(cudaSuccess), "no error");
    assert_string_equal(cudaGetErrorName((cudaError_t)12345), "unrecognized error code");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machines_without),     cmocka_unit_test(devices_describe_themselves),
        cmocka_unit_test(calls_fail_when_told), cmocka_unit_test(kernels_fail_when_told),
        cmocka_unit_test(work_is_counted),      cmocka_unit_test(templates_have_names),
        cmocka_unit_test(errors_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
