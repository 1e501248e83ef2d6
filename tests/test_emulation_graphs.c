/* Work that is captured runs at each launch of the graph, and what a capture forbids spoils it. */
#include "tests/emulation_test.h"

static cudaStream_t stream;
static int *device, *in, *out;

static void begin_scene(unsigned flags) {
    start(1);
    ok(cudaStreamCreateWithFlags(&stream, flags));
    device = device_memory(sizeof *device);
    ok(cudaMallocHost((void **)&in, sizeof *in));
    ok(cudaMallocHost((void **)&out, sizeof *out));
    *out = -1;
    ok(launch_increment(device, stream)); /* loads it */
    ok(cudaStreamSynchronize(stream));
}

static void end_scene(void) {
    ok(cudaStreamDestroy(stream));
    ok(cudaFree(device));
    ok(cudaFreeHost(in));
    ok(cudaFreeHost(out));
    assert_int_equal(emulation_leaks(), 0);
}

/* in -> device, twice one more, -> out. */
static void record(void) {
    ok(cudaMemcpyAsync(device, in, sizeof *in, cudaMemcpyHostToDevice, stream));
    ok(launch_increment(device, stream));
    ok(launch_increment(device, stream));
    ok(cudaMemcpyAsync(out, device, sizeof *out, cudaMemcpyDeviceToHost, stream));
}

static cudaGraphExec_t capture(void) {
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    record();
    ok(cudaStreamEndCapture(stream, &graph));
    ok(cudaGraphInstantiate(&exec, graph, 0));
    ok(cudaGraphDestroy(graph));
    return exec;
}

static void graphs_replay(void **state) {
    (void)state;
    begin_scene(cudaStreamNonBlocking);
    cudaGraphExec_t exec = capture();
    *in = 10;
    ok(cudaStreamSynchronize(stream));
    assert_int_equal(*out, -1); /* a capture runs nothing */
    emulation_mark();
    for (int i = 0; i < 3; i++) {
        *in = 10 * i;
        ok(cudaGraphLaunch(exec, stream));
        assert_int_equal(*out, i ? 10 * (i - 1) + 2 : -1);
        ok(cudaStreamSynchronize(stream));
        assert_int_equal(*out, 10 * i + 2);
    }
    emulation_counts counts = emulation_counted();
    assert_int_equal(counts.graph_launches, 3);
    assert_int_equal(counts.launches, 0);
    assert_int_equal(counts.kernels, 6);
    assert_int_equal(counts.synchronisations, 3);
    assert_int_equal(counts.allocations, 0);
    assert_int_equal(counts.objects, 0);
    ok(cudaGraphExecDestroy(exec));
    end_scene();
}

/* The graph's instance may go while its work waits. */
static void instances_may_go_early(void **state) {
    (void)state;
    begin_scene(cudaStreamNonBlocking);
    cudaGraphExec_t exec = capture();
    *in = 5;
    ok(cudaGraphLaunch(exec, stream));
    ok(cudaGraphExecDestroy(exec));
    refused(cudaGraphLaunch(exec, stream), cudaErrorInvalidValue);
    ok(cudaStreamSynchronize(stream));
    assert_int_equal(*out, 7);
    end_scene();
}

static cudaError_t try_malloc(void) {
    void *at;
    return cudaMalloc(&at, 100);
}

static cudaError_t try_malloc_host(void) {
    void *at;
    return cudaMallocHost(&at, 100);
}

static cudaError_t try_free(void) {
    return cudaFree(device);
}

static cudaError_t try_stream_synchronize(void) {
    return cudaStreamSynchronize(stream);
}

static cudaError_t try_stream_query(void) {
    return cudaStreamQuery(stream);
}

static cudaError_t try_memcpy(void) {
    return cudaMemcpy(out, device, sizeof *out, cudaMemcpyDeviceToHost);
}

static cudaError_t try_pageable(void) {
    int local = 0;
    return cudaMemcpyAsync(device, &local, sizeof local, cudaMemcpyHostToDevice, stream);
}

static void captures_forbid(void **state) {
    (void)state;
    cudaError_t (*const tries[])(void) = {
        try_malloc,       try_malloc_host, try_free,     cudaDeviceSynchronize,
        try_stream_query, try_memcpy,      try_pageable, try_stream_synchronize};
    begin_scene(cudaStreamNonBlocking);
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        cudaGraph_t graph = (cudaGraph_t)device;
        enum cudaStreamCaptureStatus status;
        ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
        record();
        ok(cudaStreamIsCapturing(stream, &status));
        assert_int_equal(status, cudaStreamCaptureStatusActive);
        refused(tries[i](), cudaErrorStreamCaptureUnsupported);
        says(emulation_message(), "not permitted while a stream is being captured");
        ok(cudaStreamIsCapturing(stream, &status));
        assert_int_equal(status, cudaStreamCaptureStatusInvalidated);
        refused(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
        assert_null(graph);
        ok(cudaStreamIsCapturing(stream, &status));
        assert_int_equal(status, cudaStreamCaptureStatusNone);
    }
    end_scene();
}

/* Work for the default stream would have to wait for a stream that blocks, if this one is. */
static void the_default_stream_spoils(void **state) {
    (void)state;
    cudaGraph_t graph;
    begin_scene(cudaStreamDefault);
    ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    refused(launch_increment(device, NULL), cudaErrorStreamCaptureImplicit);
    refused(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    end_scene();
    begin_scene(cudaStreamNonBlocking);
    ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    ok(launch_increment(device, NULL));
    ok(cudaStreamEndCapture(stream, &graph));
    ok(cudaGraphDestroy(graph));
    end_scene();
}

/* Drivers before 12.3 load no kernel in a capture. */
static void kernels_are_loaded_before(void **state) {
    (void)state;
    cudaGraph_t graph;
    begin_scene(cudaStreamNonBlocking);
    float *sums = device_memory(64 * sizeof *sums);
    ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    ok(launch_increment(device, stream));
    refused(launch_scale(sums, sums, 2.0, 64, stream), cudaErrorStreamCaptureUnsupported);
    says(emulation_message(), "the first launch of scale is not permitted while a stream is");
    refused(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    ok(cudaFree(sums));
    end_scene();
}

static void captures_begin_and_end(void **state) {
    (void)state;
    cudaGraph_t graph;
    begin_scene(cudaStreamNonBlocking);
    refused(cudaStreamBeginCapture(NULL, cudaStreamCaptureModeGlobal),
            cudaErrorStreamCaptureUnsupported);
    refused(cudaStreamEndCapture(stream, &graph), cudaErrorIllegalState);
    ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    refused(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaErrorIllegalState);
    void *at;
    ok(cudaMalloc(&at, 100)); /* a relaxed capture allows it */
    ok(cudaStreamEndCapture(stream, &graph));
    ok(cudaGraphDestroy(graph));
    ok(cudaFree(at));
    end_scene();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphs_replay),          cmocka_unit_test(instances_may_go_early),
        cmocka_unit_test(captures_forbid),        cmocka_unit_test(the_default_stream_spoils),
        cmocka_unit_test(captures_begin_and_end), cmocka_unit_test(kernels_are_loaded_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
