/* Streams: queues of work that wait until something synchronises. Which of several streams goes on
 * first is drawn; the default stream and those made without cudaStreamNonBlocking wait for each
 * other, as a device has it. */
#include "tests/emulation/internal.h"

#include <string.h>

struct CUstream_st {
    struct CUstream_st *next;
    unsigned flags;
    struct emulation_work *head, *tail;
    struct emulation_capture *capture; /* NULL while not recorded */
};

static struct CUstream_st default_stream, *streams; /* those that were made */
static uint64_t sequence;

struct CUstream_st *emulation_stream(cudaStream_t stream) {
    if (!stream || stream == cudaStreamLegacy) return &default_stream;
    for (struct CUstream_st *s = streams; s; s = s->next)
        if (s == stream) return s;
    return NULL;
}

struct emulation_capture **emulation_capture_of(struct CUstream_st *stream) {
    return &stream->capture;
}

bool emulation_stream_blocks(const struct CUstream_st *stream) {
    return stream == &default_stream || !(stream->flags & cudaStreamNonBlocking);
}

struct emulation_work *emulation_work_new(emulation_task task, const void *context, size_t bytes) {
    struct emulation_work *work = emulation_new(sizeof *work + bytes);
    work->task = task;
    work->bytes = bytes;
    memcpy(work->context, context, bytes);
    return work;
}

static void drop_first(struct CUstream_st *s) {
    struct emulation_work *work = s->head;
    s->head = work->next;
    if (!s->head) s->tail = NULL;
    emulation_delete(work);
}

/* Whether the stream's first work need not wait for another stream's. */
static bool in_turn(const struct CUstream_st *s) {
    uint64_t mine = s->head->sequence;
    if (s != &default_stream) {
        return !emulation_stream_blocks(s) || !default_stream.head ||
               default_stream.head->sequence > mine;
    }
    for (const struct CUstream_st *other = streams; other; other = other->next)
        if (emulation_stream_blocks(other) && other->head && other->head->sequence < mine)
            return false;
    return true;
}

static bool can_run(const struct CUstream_st *s) {
    if (!s->head || !in_turn(s)) return false;
    return !s->head->task.ready || s->head->task.ready(s->head->context);
}

/* Runs the first work of one of the streams that can go on; false if none can. */
static bool step(void) {
    struct CUstream_st *chosen = can_run(&default_stream) ? &default_stream : NULL;
    uint32_t n = chosen ? 1 : 0;
    for (struct CUstream_st *s = streams; s; s = s->next)
        if (can_run(s) && !emulation_draw(++n)) chosen = s;
    if (!chosen) return false;
    if (!emulation_faulted()) chosen->head->task.run(chosen->head->context);
    drop_first(chosen);
    return true;
}

void emulation_run_until(bool (*done)(void *context), void *context) {
    emulation_open_memory();
    while (!done(context) && step()) {
    }
    emulation_close_memory();
}

static bool is_empty(void *stream) {
    return !((struct CUstream_st *)stream)->head;
}

static bool never(void *context) {
    (void)context;
    return false;
}

void emulation_run_stream(struct CUstream_st *stream) {
    emulation_run_until(is_empty, stream);
}

void emulation_run_all(void) {
    emulation_run_until(never, NULL);
}

static bool none_left(void *count) {
    return !(*(uint32_t *)count)--;
}

void emulation_run_some(void) {
    uint32_t count = 1 + emulation_draw(4);
    emulation_run_until(none_left, &count);
}

cudaError_t emulation_queue(cudaStream_t handle, emulation_task task, const void *context,
                            size_t bytes) {
    struct CUstream_st *s = emulation_stream(handle);
    if (!s) return cudaErrorInvalidResourceHandle;
    if (s->capture) {
        emulation_record(s->capture, task, context, bytes);
        return cudaSuccess;
    }
    cudaError_t error = s == &default_stream ? emulation_default_stream_refused() : cudaSuccess;
    if (error) return error;
    struct emulation_work *work = emulation_work_new(task, context, bytes);
    work->sequence = ++sequence;
    if (s->tail)
        s->tail->next = work;
    else
        s->head = work;
    s->tail = work;
    if (emulation_draw(64) < emulation_now()->early) emulation_run_some();
    return cudaSuccess;
}

static void forget(struct CUstream_st *s) {
    while (s->head)
        drop_first(s);
    s->capture = NULL;
}

void emulation_forget_streams(void) {
    forget(&default_stream);
    while (streams) {
        struct CUstream_st *s = streams;
        streams = s->next;
        forget(s);
        emulation_delete(s);
    }
}

static cudaError_t create(cudaStream_t *stream, unsigned flags) {
    if (!stream || flags & ~(unsigned)cudaStreamNonBlocking) return cudaErrorInvalidValue;
    struct CUstream_st *s = emulation_new(sizeof *s);
    s->flags = flags;
    s->next = streams;
    streams = s;
    *stream = s;
    emulation_live(EMULATION_STREAM, 1);
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : create(stream, flags));
}

cudaError_t cudaStreamCreate(cudaStream_t *stream) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : create(stream, cudaStreamDefault));
}

/* What is queued is still done, as on a device, which does it later. */
static cudaError_t destroy(cudaStream_t handle) {
    struct CUstream_st *s = emulation_stream(handle);
    if (!s || s == &default_stream) return cudaErrorInvalidResourceHandle;
    emulation_run_stream(s);
    forget(s);
    struct CUstream_st **at = &streams;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    emulation_delete(s);
    emulation_live(EMULATION_STREAM, -1);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    cudaError_t error = emulation_enter(__func__);
    if (!error || emulation_faulted()) error = destroy(stream);
    return emulation_leave(error);
}

static cudaError_t synchronise(cudaStream_t handle) {
    struct CUstream_st *s = emulation_stream(handle);
    if (!s) return cudaErrorInvalidResourceHandle;
    cudaError_t error = emulation_uncapturable_on(s, "cudaStreamSynchronize");
    if (error) return error;
    emulation_counter()->synchronisations++;
    emulation_run_stream(s);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : synchronise(stream));
}

/* Asked again and again, the stream gets on. */
static cudaError_t query(cudaStream_t handle) {
    struct CUstream_st *s = emulation_stream(handle);
    if (!s) return cudaErrorInvalidResourceHandle;
    cudaError_t error = emulation_uncapturable_on(s, "cudaStreamQuery");
    if (error) return error;
    bool waits = s->head != NULL;
    emulation_run_some();
    return waits ? cudaErrorNotReady : cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : query(stream));
}

static cudaError_t synchronise_all(void) {
    cudaError_t error = emulation_uncapturable("cudaDeviceSynchronize");
    if (error) return error;
    emulation_counter()->synchronisations++;
    emulation_run_all();
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void) {
    cudaError_t error = emulation_enter(__func__);
    return emulation_leave(error ? error : synchronise_all());
}
