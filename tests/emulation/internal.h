/* What the emulation's parts have of each other. Prototypes of the runtime are the toolkit's. */
#ifndef PR_EMULATION_INTERNAL_H
#define PR_EMULATION_INTERNAL_H

#include <cuda_runtime_api.h>

#include "tests/emulation/emulation.h"
#include "tests/emulation/fibers.h"

enum { EMULATION_ALIGNMENT = 256, EMULATION_PAGE = 4096, EMULATION_WARP = 32 };
enum { EMULATION_STATIC_SHARED = 48 << 10 };

/* machine.c: every function of the runtime begins and ends with these. The first has the error that
 * the call is to end with at once, or 0; the second keeps the error for cudaGetLastError. */
cudaError_t emulation_enter(const char *function);
cudaError_t emulation_leave(cudaError_t error);
/* The error that a test wants of this call of a function, or 0. */
int emulation_wanted(const char *function);
/* A fault of queued work: it is told, and every later call ends with it. The first one counts. */
__attribute__((format(printf, 2, 3))) void emulation_fault(cudaError_t error, const char *format,
                                                           ...);
bool emulation_faulted(void);
/* Says why a call fails, and hands its error back. */
__attribute__((format(printf, 2, 3))) cudaError_t emulation_refuse(cudaError_t error,
                                                                   const char *format, ...);
const emulation_machine *emulation_now(void);
size_t emulation_taken(void);
emulation_counts *emulation_counter(void);
/* One of 0 .. n - 1. */
uint32_t emulation_draw(uint32_t n);
/* An object of a kind was made (1) or let go (-1). */
typedef enum emulation_kind {
    EMULATION_STREAM,
    EMULATION_EVENT,
    EMULATION_GRAPH,
    EMULATION_GRAPH_EXEC,
    EMULATION_BLAS,
    EMULATION_KINDS
} emulation_kind;
void emulation_live(emulation_kind kind, int change);

/* memory.c */
bool emulation_is_device(const void *at);
bool emulation_is_pinned(const void *at);
/* Whether the bytes lie in one live allocation of device memory. */
bool emulation_holds(const void *at, size_t bytes);
/* Opens device memory to what runs queued work, and closes it. */
void emulation_open_memory(void);
void emulation_close_memory(void);
/* After a kernel: whether it wrote behind an allocation. */
void emulation_check_ends(void);
void emulation_forget_memory(void);
int emulation_memory_leaks(void);
/* Says to stderr what lies at an address; for the handler of SIGSEGV. */
void emulation_tell_address(const void *at);
void emulation_fill(void *at, size_t bytes);

/* crash.c: says of a SIGSEGV what touched what, before whoever saw to it otherwise does. */
void emulation_watch_crashes(void);

/* stream.c: work is a function and what it is given, copied. It may run many times in a graph. */
typedef struct emulation_task {
    void (*run)(void *context);
    bool (*ready)(void *context); /* NULL: at once; otherwise whether it may run yet */
} emulation_task;
struct emulation_work {
    struct emulation_work *next;
    uint64_t sequence; /* of all that was queued */
    emulation_task task;
    size_t bytes;
    _Alignas(16) unsigned char context[];
};
/* Queues the task, or records it where the stream is being captured. */
cudaError_t emulation_queue(cudaStream_t stream, emulation_task task, const void *context,
                            size_t bytes);
/* The stream behind a handle, with NULL the default one; NULL if there is none. */
struct CUstream_st *emulation_stream(cudaStream_t stream);
void emulation_run_stream(struct CUstream_st *stream);
void emulation_run_all(void);
/* Runs until the condition holds or nothing is left. */
void emulation_run_until(bool (*done)(void *context), void *context);
/* Runs some of what is queued, perhaps. */
void emulation_run_some(void);
void emulation_forget_streams(void);
struct emulation_work *emulation_work_new(emulation_task task, const void *context, size_t bytes);
/* Whether work of the default stream waits for this one's. */
bool emulation_stream_blocks(const struct CUstream_st *stream);
/* Where the stream has its capture; NULL there while it is not recorded. */
struct emulation_capture;
struct emulation_capture **emulation_capture_of(struct CUstream_st *stream);

/* event.c */
void emulation_forget_events(void);

/* device.c: the most dynamic shared memory that a kernel can be granted. */
int emulation_shared_limit(void);

/* launch.c */
void emulation_forget_kernels(void);

/* graph.c */
void emulation_record(struct emulation_capture *capture, emulation_task task, const void *context,
                      size_t bytes);
bool emulation_capturing(void); /* any stream */
/* The error of a call that no capture in global mode allows; it spoils the captures there are. */
cudaError_t emulation_uncapturable(const char *function);
/* The same of a call on a stream, and of work given to the default stream. */
cudaError_t emulation_uncapturable_on(struct CUstream_st *stream, const char *function);
cudaError_t emulation_default_stream_refused(void);
void emulation_forget_captures(void);

/* block.c: runs the blocks of a grid. */
typedef struct emulation_grid {
    const void *kernel;
    void (*call)(const void *arguments);
    dim3 grid, block;
    size_t shared; /* bytes of dynamic shared memory */
    _Alignas(16) unsigned char arguments[];
} emulation_grid;
void emulation_run_grid(const emulation_grid *grid);
/* "kernel NAME, block (x, y, z), thread (x, y, z)" of what runs; "" where nothing does. */
const char *emulation_where(void);

/* symbols.c: what the program's own symbols say. */
typedef struct emulation_range {
    void *at;
    size_t bytes;
} emulation_range;
/* NULL where the program has no such function. */
const char *emulation_symbol(const void *function);
const emulation_range *emulation_shared_variables(size_t *n);

#endif
