/* Events: marks in streams that other streams and the host wait for. */
#include "tests/emulation/internal.h"

#include <time.h>

struct CUevent_st {
    struct CUevent_st *next;
    unsigned flags;
    uint64_t number; /* of all that were ever made: a later one may lie at the same address */
    uint64_t recorded, reached; /* how often it was put into a stream, and which of these was met */
    struct timespec at;
};

typedef struct mark {
    cudaEvent_t event;
    uint64_t number, ticket;
} mark;

static struct CUevent_st *events;
static uint64_t made;

static struct CUevent_st *find(cudaEvent_t event) {
    struct CUevent_st *e = events;
    while (e && e != event)
        e = e->next;
    return e;
}

/* NULL where it is gone. */
static struct CUevent_st *marked(const mark *m) {
    struct CUevent_st *e = find(m->event);
    return e && e->number == m->number ? e : NULL;
}

/* An event that is gone is waited for no more. */
static bool is_reached(void *context) {
    const mark *m = context;
    const struct CUevent_st *e = marked(m);
    return !e || e->reached >= m->ticket;
}

static void reach(void *context) {
    const mark *m = context;
    struct CUevent_st *e = marked(m);
    if (!e) return;
    e->reached = m->ticket;
    clock_gettime(CLOCK_MONOTONIC, &e->at);
}

static void pass(void *context) {
    (void)context;
}

static cudaError_t create(cudaEvent_t *event, unsigned flags) {
    const unsigned known = cudaEventBlockingSync | cudaEventDisableTiming;
    if (!event || flags & ~known) return cudaErrorInvalidValue;
    struct CUevent_st *e = emulation_new(sizeof *e);
    e->flags = flags;
    e->number = ++made;
    e->next = events;
    events = e;
    *event = e;
    emulation_live(EMULATION_EVENT, 1);
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : create(event, cudaEventDefault));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : create(event, flags));
}

static cudaError_t destroy(cudaEvent_t event) {
    struct CUevent_st **at = &events;
    while (*at && *at != event)
        at = &(*at)->next;
    if (!*at) return cudaErrorInvalidResourceHandle;
    *at = event->next;
    emulation_delete(event);
    emulation_live(EMULATION_EVENT, -1);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    cudaError_t error = emulation_enter(__func__);
    if (!error || emulation_faulted()) error = destroy(event);
    return emulation_leave(error);
}

void emulation_forget_events(void) {
    while (events)
        destroy(events);
}

static bool is_captured(cudaStream_t stream) {
    struct CUstream_st *s = emulation_stream(stream);
    return s && *emulation_capture_of(s);
}

/* In a stream that is being captured it would become an edge of the graph; the emulation captures
 * one stream alone, whose work is in order as it is. */
static cudaError_t record(cudaEvent_t event, cudaStream_t stream) {
    struct CUevent_st *e = find(event);
    if (!e) return cudaErrorInvalidResourceHandle;
    if (is_captured(stream)) {
        return emulation_refuse(cudaErrorNotSupported, "the emulation captures no events");
    }
    mark m = {e, e->number, ++e->recorded};
    return emulation_queue(stream, (emulation_task){.run = reach}, &m, sizeof m);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : record(event, stream));
}

static cudaError_t wait_for(cudaStream_t stream, cudaEvent_t event) {
    struct CUevent_st *e = find(event);
    if (!e) return cudaErrorInvalidResourceHandle;
    if (is_captured(stream)) {
        return emulation_refuse(cudaErrorStreamCaptureIsolation,
                                "the event is recorded outside of the capture");
    }
    mark m = {e, e->number, e->recorded};
    return emulation_queue(stream, (emulation_task){.run = pass, .ready = is_reached}, &m,
                           sizeof m);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags) {
    cudaError_t error = emulation_enter(__func__);
    if (!error && flags) error = cudaErrorInvalidValue;
    return emulation_leave(error ? error : wait_for(stream, event));
}

static cudaError_t synchronise(cudaEvent_t event) {
    struct CUevent_st *e = find(event);
    if (!e) return cudaErrorInvalidResourceHandle;
    emulation_counter()->synchronisations++;
    mark m = {e, e->number, e->recorded};
    emulation_run_until(is_reached, &m);
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : synchronise(event));
}

static cudaError_t query(cudaEvent_t event) {
    struct CUevent_st *e = find(event);
    if (!e) return cudaErrorInvalidResourceHandle;
    bool waits = e->reached < e->recorded;
    if (waits) emulation_run_some();
    return waits ? cudaErrorNotReady : cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : query(event));
}

static cudaError_t elapsed(float *milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    const struct CUevent_st *a = find(begin), *b = find(end);
    if (!milliseconds) return cudaErrorInvalidValue;
    if (!a || !b || !a->recorded || !b->recorded) return cudaErrorInvalidResourceHandle;
    if ((a->flags | b->flags) & cudaEventDisableTiming) return cudaErrorInvalidResourceHandle;
    if (a->reached < a->recorded || b->reached < b->recorded) return cudaErrorNotReady;
    *milliseconds = (float)(b->at.tv_sec - a->at.tv_sec) * 1e3f +
                    (float)(b->at.tv_nsec - a->at.tv_nsec) * 1e-6f;
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : elapsed(milliseconds, begin, end));
}
