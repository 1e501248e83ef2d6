/* Captures and graphs: work that is recorded in order and run by each launch of the graph. */
#include "tests/emulation/internal.h"

#include <string.h>

typedef struct emulation_capture {
    struct emulation_capture *next;
    struct CUstream_st *stream;
    enum cudaStreamCaptureMode mode;
    bool spoilt; /* by a call that is illegal in a capture */
    cudaGraph_t graph;
} emulation_capture;

struct CUgraph_st {
    struct emulation_work *head, *tail;
};

struct CUgraphExec_st {
    struct CUgraphExec_st *next;
    struct emulation_work *head, *tail;
};

static emulation_capture *captures;
static struct CUgraphExec_st *execs;

static void append(struct emulation_work **head, struct emulation_work **tail,
                   struct emulation_work *work) {
    if (*tail)
        (*tail)->next = work;
    else
        *head = work;
    *tail = work;
}

static void drop(struct emulation_work *work) {
    while (work) {
        struct emulation_work *next = work->next;
        emulation_delete(work);
        work = next;
    }
}

void emulation_record(emulation_capture *capture, emulation_task task, const void *context,
                      size_t bytes) {
    append(&capture->graph->head, &capture->graph->tail, emulation_work_new(task, context, bytes));
}

bool emulation_capturing(void) {
    return captures != NULL;
}

static cudaError_t refuse(const char *function) {
    return emulation_refuse(cudaErrorStreamCaptureUnsupported,
                            "%s is not permitted while a stream is being captured", function);
}

cudaError_t emulation_uncapturable(const char *function) {
    bool any = false;
    for (emulation_capture *c = captures; c; c = c->next) {
        bool waits = strcmp(function, "cudaDeviceSynchronize") == 0;
        if (c->mode == cudaStreamCaptureModeRelaxed && !waits) continue;
        c->spoilt = any = true;
    }
    return any ? refuse(function) : cudaSuccess;
}

cudaError_t emulation_uncapturable_on(struct CUstream_st *stream, const char *function) {
    emulation_capture *capture = *emulation_capture_of(stream);
    if (!capture) return cudaSuccess;
    capture->spoilt = true;
    return refuse(function);
}

cudaError_t emulation_default_stream_refused(void) {
    for (emulation_capture *c = captures; c; c = c->next) {
        if (!emulation_stream_blocks(c->stream)) continue;
        c->spoilt = true;
        return emulation_refuse(cudaErrorStreamCaptureImplicit,
                                "the default stream would wait for one that is being captured");
    }
    return cudaSuccess;
}

static cudaGraph_t graph_new(void) {
    emulation_live(EMULATION_GRAPH, 1);
    return emulation_new(sizeof(struct CUgraph_st));
}

static void graph_free(cudaGraph_t graph) {
    drop(graph->head);
    emulation_delete(graph);
    emulation_live(EMULATION_GRAPH, -1);
}

static cudaError_t begin(cudaStream_t handle, enum cudaStreamCaptureMode mode) {
    struct CUstream_st *s = emulation_stream(handle);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (s == emulation_stream(NULL)) return refuse("cudaStreamBeginCapture of the default stream");
    if (*emulation_capture_of(s)) return cudaErrorIllegalState;
    emulation_capture *capture = emulation_new(sizeof *capture);
    *capture = (emulation_capture){captures, s, mode, false, graph_new()};
    captures = *emulation_capture_of(s) = capture;
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : begin(stream, mode));
}

static cudaGraph_t take(emulation_capture *capture) {
    emulation_capture **at = &captures;
    while (*at != capture)
        at = &(*at)->next;
    *at = capture->next;
    cudaGraph_t graph = capture->graph;
    emulation_delete(capture);
    return graph;
}

static cudaError_t end(cudaStream_t handle, cudaGraph_t *graph) {
    struct CUstream_st *s = emulation_stream(handle);
    if (!s) return cudaErrorInvalidResourceHandle;
    emulation_capture *capture = *emulation_capture_of(s);
    if (!capture) return cudaErrorIllegalState;
    bool spoilt = capture->spoilt;
    *emulation_capture_of(s) = NULL;
    cudaGraph_t made = take(capture);
    if (spoilt || !graph) graph_free(made);
    if (graph) *graph = spoilt ? NULL : made;
    if (!graph) return cudaErrorInvalidValue;
    return spoilt ? cudaErrorStreamCaptureInvalidated : cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : end(stream, graph));
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
    cudaError_t error = emulation_enter(__func__);
    struct CUstream_st *s = emulation_stream(stream);
    if (!error && !s) error = cudaErrorInvalidResourceHandle;
    if (!error && !status) error = cudaErrorInvalidValue;
    if (!error) {
        const emulation_capture *capture = *emulation_capture_of(s);
        *status = !capture          ? cudaStreamCaptureStatusNone
                  : capture->spoilt ? cudaStreamCaptureStatusInvalidated
                                    : cudaStreamCaptureStatusActive;
    }
    return emulation_leave(error);
}

static cudaError_t instantiate(cudaGraphExec_t *exec, cudaGraph_t graph) {
    if (!exec || !graph) return cudaErrorInvalidValue;
    struct CUgraphExec_st *made = emulation_new(sizeof *made);
    for (const struct emulation_work *w = graph->head; w; w = w->next)
        append(&made->head, &made->tail, emulation_work_new(w->task, w->context, w->bytes));
    made->next = execs;
    execs = *exec = made;
    emulation_live(EMULATION_GRAPH_EXEC, 1);
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph,
                                 unsigned long long flags) {
    (void)flags;
    cudaError_t error = emulation_enter(__func__);
    if (!error) error = emulation_uncapturable(__func__);
    return emulation_leave(error ? error : instantiate(exec, graph));
}

static void exec_free(struct CUgraphExec_st *exec) {
    struct CUgraphExec_st **at = &execs;
    while (*at != exec)
        at = &(*at)->next;
    *at = exec->next;
    drop(exec->head);
    emulation_delete(exec);
}

static struct CUgraphExec_st *exec_of(cudaGraphExec_t exec) {
    struct CUgraphExec_st *e = execs;
    while (e && e != exec)
        e = e->next;
    return e;
}

/* The work is queued anew, so that the instance may go before it is done. */
static cudaError_t launch(cudaGraphExec_t handle, cudaStream_t stream) {
    const struct CUgraphExec_st *exec = exec_of(handle);
    if (!exec) return cudaErrorInvalidValue;
    if (!emulation_stream(stream)) return cudaErrorInvalidResourceHandle;
    emulation_counter()->graph_launches++;
    cudaError_t error = cudaSuccess;
    for (const struct emulation_work *w = exec->head; w && !error; w = w->next)
        error = emulation_queue(stream, w->task, w->context, w->bytes);
    return error;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : launch(exec, stream));
}

static cudaError_t exec_destroy(cudaGraphExec_t handle) {
    struct CUgraphExec_st *exec = exec_of(handle);
    if (!exec) return cudaErrorInvalidValue;
    emulation_live(EMULATION_GRAPH_EXEC, -1);
    exec_free(exec);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    cudaError_t error = emulation_enter(__func__);
    if (!error || emulation_faulted()) error = exec_destroy(exec);
    return emulation_leave(error);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    cudaError_t error = emulation_enter(__func__);
    if (!error && !graph) error = cudaErrorInvalidValue;
    if (graph && (!error || emulation_faulted())) graph_free(graph);
    return emulation_leave(error);
}

void emulation_forget_captures(void) {
    while (captures)
        graph_free(take(captures));
    while (execs)
        exec_free(execs);
}
