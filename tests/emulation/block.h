/* The block that runs, as what its threads wait for sees it. */
#ifndef PR_EMULATION_BLOCK_H
#define PR_EMULATION_BLOCK_H

#include "tests/emulation/internal.h"
#include "tests/emulation/launch.h"

enum { EMULATION_THREADS = 1024, EMULATION_WARPS = EMULATION_THREADS / EMULATION_WARP };

typedef struct worker worker;

typedef enum emulation_state {
    EMULATION_NEW,
    EMULATION_RUNS,
    EMULATION_WAITS, /* and is not among those that are ready, or is there */
    EMULATION_ENDED
} emulation_state;

typedef struct emulation_thread {
    uint3 index;
    emulation_state state;
    worker *worker; /* whose stack it waits on */
    /* What it waits for: a barrier at a line of the source, or its warp. */
    bool at_barrier;
    int line;
    emulation_exchange exchange;
    unsigned mask;
    int lane, width;
    uint64_t value, result;
} emulation_thread;

typedef struct emulation_block {
    const emulation_grid *grid; /* NULL: none runs */
    emulation_thread threads[EMULATION_THREADS], *ready[EMULATION_THREADS], *current;
    int n, n_ready, ended;
    int at_barrier;                    /* threads there */
    unsigned arrived[EMULATION_WARPS]; /* lanes that wait for their warp */
    bool given_up;                     /* a fault: threads end where they wait */
    long atomics;
} emulation_block;

emulation_block *emulation_current_block(void);

/* The thread may go on. */
void emulation_ready(emulation_thread *thread);
/* Lets others run until the current thread, whose state says that it waits, is ready. */
void emulation_wait(void);
/* After a fault: ends the current thread here. */
__attribute__((noreturn)) void emulation_abandon_thread(void);

/* barrier.c: says why nobody can go on. */
void emulation_tell_stuck(void);
/* shared.c: makes shared memory a new block's. */
void emulation_clear_shared(size_t dynamic_bytes);

#endif
