/* Work waits for something that synchronises, in the order of its stream. */
#include "tests/emulation_test.h"

static int *pinned_int(int value) {
    int *at;
    ok(cudaMallocHost((void **)&at, sizeof *at));
    *at = value;
    return at;
}

static cudaStream_t new_stream(unsigned flags) {
    cudaStream_t stream;
    ok(cudaStreamCreateWithFlags(&stream, flags));
    return stream;
}

static cudaEvent_t new_event(void) {
    cudaEvent_t event;
    ok(cudaEventCreateWithFlags(&event, cudaEventDefault));
    return event;
}

static int peek(const int *device) {
    int value;
    assert_true(emulation_peek(&value, device, sizeof value));
    return value;
}

static void to_device(int *device, const int *pinned, cudaStream_t stream) {
    ok(cudaMemcpyAsync(device, pinned, sizeof *device, cudaMemcpyHostToDevice, stream));
}

static void to_host(int *pinned, const int *device, cudaStream_t stream) {
    ok(cudaMemcpyAsync(pinned, device, sizeof *device, cudaMemcpyDeviceToHost, stream));
}

/* A buffer that is written anew before the copy has run, and one that is read too early. */
static void pinned_memory_is_read_late(void **state) {
    (void)state;
    start(1);
    cudaStream_t stream = new_stream(cudaStreamNonBlocking);
    int *device = device_memory(sizeof *device), *in = pinned_int(5), *out = pinned_int(-1);
    to_device(device, in, stream);
    ok(launch_increment(device, stream));
    to_host(out, device, stream);
    assert_int_equal(*out, -1);
    *in = 100;
    ok(cudaStreamSynchronize(stream));
    assert_int_equal(*out, 101);
    ok(cudaStreamDestroy(stream));
    ok(cudaFree(device));
    ok(cudaFreeHost(in));
    ok(cudaFreeHost(out));
    assert_int_equal(emulation_leaks(), 0);
}

/* With early moments, some seeds run some work before it is asked for, and others do not. */
static void some_work_runs_early(void **state) {
    (void)state;
    int early = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        emulation_machine machine = emulation_usual();
        machine.seed = seed;
        emulation_start(&machine);
        int *device = device_memory(sizeof *device), *in = pinned_int(5), *out = pinned_int(-1);
        to_device(device, in, NULL);
        to_host(out, device, NULL);
        early += *out == 5;
        ok(cudaDeviceSynchronize());
        assert_int_equal(*out, 5);
        ok(cudaFree(device));
        ok(cudaFreeHost(in));
        ok(cudaFreeHost(out));
    }
    assert_in_range(early, 1, 20);
}

/* It goes by way of the driver's own memory, and the host waits. */
static void pageable_memory_is_waited_for(void **state) {
    (void)state;
    start(1);
    int in = 5, out = -1;
    int *device = device_memory(sizeof *device);
    to_device(device, &in, NULL);
    in = 6;
    ok(launch_increment(device, NULL));
    to_host(&out, device, NULL);
    assert_int_equal(out, 6);
    assert_int_equal(emulation_counted().synchronisations, 2);
    ok(cudaFree(device));
}

/* Two streams: without an event their order is anyone's, with one it is not. */
static int second_sees(uint64_t seed, bool waits) {
    start(seed);
    cudaStream_t a = new_stream(cudaStreamNonBlocking), b = new_stream(cudaStreamNonBlocking);
    cudaEvent_t event = new_event();
    int *device = device_memory(sizeof *device), *in = pinned_int(5), *out = pinned_int(-1);
    ok(cudaMemset(device, 0, sizeof *device));
    ok(cudaDeviceSynchronize());
    to_device(device, in, a);
    ok(cudaEventRecord(event, a));
    if (waits) ok(cudaStreamWaitEvent(b, event, 0));
    to_host(out, device, b);
    ok(cudaStreamSynchronize(b));
    int seen = *out;
    ok(cudaEventDestroy(event));
    ok(cudaStreamDestroy(a));
    ok(cudaStreamDestroy(b));
    ok(cudaFree(device));
    ok(cudaFreeHost(in));
    ok(cudaFreeHost(out));
    assert_int_equal(emulation_leaks(), 0);
    return seen;
}

static void events_order_streams(void **state) {
    (void)state;
    int without = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        assert_int_equal(second_sees(seed, true), 5);
        without += second_sees(seed, false) == 5;
    }
    assert_in_range(without, 1, 19);
}

/* An event that nobody has recorded is no reason to wait. */
static void unrecorded_events_are_done(void **state) {
    (void)state;
    start(1);
    cudaStream_t stream = new_stream(cudaStreamNonBlocking);
    cudaEvent_t event = new_event();
    ok(cudaStreamWaitEvent(stream, event, 0));
    ok(cudaEventSynchronize(event));
    ok(cudaEventQuery(event));
    ok(cudaStreamSynchronize(stream));
    ok(cudaEventDestroy(event));
    ok(cudaStreamDestroy(stream));
}

static void events_take_time(void **state) {
    (void)state;
    start(1);
    cudaEvent_t begin = new_event(), end = new_event(), untimed;
    ok(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming));
    float milliseconds = -1.0f;
    refused(cudaEventElapsedTime(&milliseconds, begin, end), cudaErrorInvalidResourceHandle);
    ok(cudaEventRecord(begin, NULL));
    ok(cudaEventRecord(end, NULL));
    ok(cudaEventRecord(untimed, NULL));
    refused(cudaEventElapsedTime(&milliseconds, begin, end), cudaErrorNotReady);
    ok(cudaEventSynchronize(end));
    ok(cudaEventElapsedTime(&milliseconds, begin, end));
    assert_true(milliseconds >= 0.0f && milliseconds < 1e4f);
    ok(cudaDeviceSynchronize());
    refused(cudaEventElapsedTime(&milliseconds, begin, untimed), cudaErrorInvalidResourceHandle);
    ok(cudaEventDestroy(begin));
    ok(cudaEventDestroy(end));
    ok(cudaEventDestroy(untimed));
    refused(cudaEventRecord(begin, NULL), cudaErrorInvalidResourceHandle);
}

/* A loop that asks ends. */
static void queries_get_on(void **state) {
    (void)state;
    start(1);
    cudaStream_t stream = new_stream(cudaStreamNonBlocking);
    cudaEvent_t event = new_event();
    int *device = device_memory(sizeof *device), asked = 0;
    for (int i = 0; i < 40; i++)
        ok(cudaMemsetAsync(device, i, sizeof *device, stream));
    ok(cudaEventRecord(event, stream));
    refused(cudaStreamQuery(stream), cudaErrorNotReady);
    ok(cudaGetLastError()); /* which is no error */
    while (cudaEventQuery(event) == cudaErrorNotReady)
        asked++;
    assert_in_range(asked, 1, 40);
    while (cudaStreamQuery(stream) == cudaErrorNotReady)
        asked++;
    assert_int_equal(peek(device), 39 * 0x01010101);
    ok(cudaEventDestroy(event));
    ok(cudaStreamDestroy(stream));
    ok(cudaFree(device));
}

/* The default stream waits for streams that block, and they for it; others do not care. */
static int last_seen(uint64_t seed, unsigned flags) {
    start(seed);
    cudaStream_t stream = new_stream(flags);
    int *device = device_memory(sizeof *device), *in = pinned_int(5), *out = pinned_int(-1);
    ok(cudaMemset(device, 0, sizeof *device));
    ok(cudaDeviceSynchronize());
    to_device(device, in, stream);
    ok(launch_increment(device, NULL));
    to_host(out, device, stream);
    ok(cudaDeviceSynchronize());
    int seen = *out;
    ok(cudaStreamDestroy(stream));
    ok(cudaFree(device));
    ok(cudaFreeHost(in));
    ok(cudaFreeHost(out));
    return seen;
}

static void the_default_stream_blocks(void **state) {
    (void)state;
    int in_order = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        assert_int_equal(last_seen(seed, cudaStreamDefault), 6);
        in_order += last_seen(seed, cudaStreamNonBlocking) == 6;
    }
    assert_in_range(in_order, 1, 19);
}

/* Freeing waits for all work, and so does a stream's end for its own. */
static void frees_wait(void **state) {
    (void)state;
    start(1);
    cudaStream_t stream = new_stream(cudaStreamNonBlocking);
    int *device = device_memory(sizeof *device), *other = device_memory(sizeof *other);
    int *in = pinned_int(5);
    to_device(device, in, stream);
    ok(cudaFree(other));
    assert_int_equal(peek(device), 5);
    *in = 6;
    to_device(device, in, stream);
    ok(cudaStreamDestroy(stream));
    assert_int_equal(peek(device), 6);
    refused(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
    ok(cudaFree(device));
    ok(cudaFreeHost(in));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pinned_memory_is_read_late),
        cmocka_unit_test(some_work_runs_early),
        cmocka_unit_test(pageable_memory_is_waited_for),
        cmocka_unit_test(events_order_streams),
        cmocka_unit_test(unrecorded_events_are_done),
        cmocka_unit_test(events_take_time),
        cmocka_unit_test(queries_get_on),
        cmocka_unit_test(the_default_stream_blocks),
        cmocka_unit_test(frees_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
