/* The machine's state: what it is, what went wrong on it, what a test wants to go wrong, and what
 * was counted. */
#include "tests/emulation/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_FAILURES = 8, MESSAGE_BYTES = 1024, TEXT_BYTES = 512 };

typedef struct failure {
    const char *function;
    long in; /* calls until it; 0: none */
    int error;
} failure;

static struct {
    bool started;
    emulation_machine machine;
    size_t taken;
    uint64_t random;
    cudaError_t last, fault;
    char message[MESSAGE_BYTES];
    failure failures[MOST_FAILURES];
    emulation_counts counts;
    int live[EMULATION_KINDS];
} state;

static const char *const kind_names[EMULATION_KINDS] = {
    "streams", "events", "graphs", "graph instances", "cuBLASLt handles and descriptors"};

emulation_machine emulation_usual(void) {
    return (emulation_machine){
        .driver = true, .devices = 1, .major = 8, .memory = (size_t)1 << 30, .early = 8};
}

/* One that lets something lie ends like a failed test. */
static void end_with_leaks(void) {
    if (emulation_leaks()) _exit(1);
}

void emulation_seed(uint64_t seed) {
    if (!seed) {
        const char *text = getenv("PR_EMULATION_SEED");
        seed = text ? strtoull(text, NULL, 0) : 1;
    }
    state.machine.seed = seed;
    state.random = seed;
}

static void begin(const emulation_machine *machine) {
    if (!state.started) atexit(end_with_leaks);
    memset(&state, 0, sizeof state);
    state.started = true;
    state.machine = *machine;
    emulation_seed(machine->seed);
}

void emulation_start(const emulation_machine *machine) {
    emulation_forget_streams();
    emulation_forget_events();
    emulation_forget_kernels();
    emulation_forget_captures();
    emulation_forget_memory();
    begin(machine);
}

static void ensure_started(void) {
    emulation_machine usual = emulation_usual();
    if (!state.started) begin(&usual);
}

const emulation_machine *emulation_now(void) {
    ensure_started();
    return &state.machine;
}

void emulation_run_early(unsigned early) {
    ensure_started();
    state.machine.early = early;
}

void emulation_take_memory(size_t bytes) {
    ensure_started();
    state.taken = bytes;
}

size_t emulation_taken(void) {
    return state.taken;
}

/* splitmix64. */
uint32_t emulation_draw(uint32_t n) {
    uint64_t z = state.random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (uint32_t)((z >> 32) * n >> 32);
}

void emulation_fail(const char *function, long n, int error) {
    ensure_started();
    failure *found = NULL;
    for (int i = 0; i < MOST_FAILURES; i++) {
        failure *f = &state.failures[i];
        if (f->in && !strcmp(f->function, function)) {
            found = f;
            break;
        }
        if (!f->in && !found) found = f;
    }
    if (!found) {
        fprintf(stderr, "emulation: at most %d functions can be made to fail\n", MOST_FAILURES);
        abort();
    }
    *found = (failure){function, n, error};
}

int emulation_wanted(const char *function) {
    for (int i = 0; i < MOST_FAILURES; i++) {
        failure *f = &state.failures[i];
        if (f->in && !strcmp(f->function, function) && !--f->in) {
            snprintf(state.message, sizeof state.message, "%s was made to fail", function);
            return f->error;
        }
    }
    return 0;
}

cudaError_t emulation_enter(const char *function) {
    ensure_started();
    state.message[0] = '\0';
    if (!state.machine.driver) return cudaErrorInsufficientDriver;
    if (!state.machine.devices) return cudaErrorNoDevice;
    if (state.fault) return state.fault;
    return (cudaError_t)emulation_wanted(function);
}

cudaError_t emulation_leave(cudaError_t error) {
    if (!error && state.fault) error = state.fault;
    if (error && error != cudaErrorNotReady) state.last = error;
    return error;
}

static cudaError_t last_error(bool clear) {
    cudaError_t error = state.fault ? state.fault : state.last;
    if (clear) state.last = cudaSuccess;
    return error;
}

cudaError_t cudaGetLastError(void) {
    return last_error(true);
}

cudaError_t cudaPeekAtLastError(void) {
    return last_error(false);
}

void emulation_fault(cudaError_t error, const char *format, ...) {
    if (state.fault) return;
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *where = emulation_where();
    snprintf(state.message, sizeof state.message, "%s%s%s (seed %llu)", where, *where ? ": " : "",
             text, (unsigned long long)state.machine.seed);
    fprintf(stderr, "emulation: %s\n", state.message);
    state.fault = error;
}

bool emulation_faulted(void) {
    return state.fault != cudaSuccess;
}

cudaError_t emulation_refuse(cudaError_t error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(state.message, sizeof state.message, format, arguments);
    va_end(arguments);
    return error;
}

const char *emulation_message(void) {
    return state.message;
}

emulation_counts *emulation_counter(void) {
    return &state.counts;
}

void emulation_mark(void) {
    state.counts = (emulation_counts){0};
}

emulation_counts emulation_counted(void) {
    return state.counts;
}

void emulation_live(emulation_kind kind, int change) {
    state.live[kind] += change;
    if (change > 0 && kind != EMULATION_BLAS) state.counts.objects += change;
}

int emulation_leaks(void) {
    int leaks = emulation_memory_leaks();
    for (int kind = 0; kind < EMULATION_KINDS; kind++) {
        if (!state.live[kind]) continue;
        fprintf(stderr, "emulation: %d %s were never destroyed\n", state.live[kind],
                kind_names[kind]);
        leaks += state.live[kind];
    }
    return leaks;
}
