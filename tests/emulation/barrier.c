/* Where the threads of a block wait for each other. */
#include "tests/emulation/block.h"

static void release_all(emulation_block *b) {
    b->at_barrier = 0;
    for (int i = 0; i < b->n; i++) {
        b->threads[i].at_barrier = false;
        emulation_ready(&b->threads[i]);
    }
}

/* CUDA has a barrier in a branch legal only where all threads take the branch. */
static void check_line(emulation_block *b) {
    const emulation_thread *mine = b->current;
    for (int i = 0; i < b->n; i++) {
        const emulation_thread *t = &b->threads[i];
        if (!t->at_barrier || t->line == mine->line) continue;
        emulation_fault(cudaErrorLaunchFailure,
                        "the barrier at line %d; thread (%u, %u, %u) is at that of line %d",
                        mine->line, t->index.x, t->index.y, t->index.z, t->line);
        emulation_abandon_thread();
    }
}

void emulation_barrier(int line) {
    emulation_block *b = emulation_current_block();
    emulation_thread *mine = b->current;
    mine->state = EMULATION_WAITS;
    mine->at_barrier = true;
    mine->line = line;
    if (++b->at_barrier == b->n) {
        check_line(b);
        release_all(b);
    }
    emulation_wait();
}

void emulation_tell_stuck(void) {
    emulation_block *b = emulation_current_block();
    const emulation_thread *waiting = NULL, *ended = NULL;
    for (int i = 0; i < b->n; i++) {
        const emulation_thread *t = &b->threads[i];
        if (t->state == EMULATION_ENDED && !ended) ended = t;
        if (t->state == EMULATION_WAITS && (!waiting || (t->at_barrier && !waiting->at_barrier)))
            waiting = t;
    }
    b->current = (emulation_thread *)waiting;
    if (!waiting) {
        emulation_fault(cudaErrorUnknown, "the block ends before its threads");
    } else if (waiting->at_barrier && ended) {
        emulation_fault(cudaErrorLaunchFailure,
                        "it waits at the barrier of line %d; thread (%u, %u, %u) has ended",
                        waiting->line, ended->index.x, ended->index.y, ended->index.z);
    } else if (waiting->at_barrier) {
        emulation_fault(cudaErrorLaunchFailure,
                        "it waits at the barrier of line %d, and others for their warp",
                        waiting->line);
    } else {
        emulation_fault(cudaErrorLaunchFailure,
                        "it waits for the lanes of mask %08x, which have not all come",
                        waiting->mask);
    }
}

void emulation_atomic(void) {
    emulation_block *b = emulation_current_block();
    const long most = 1L << 26;
    if (++b->atomics < most) return;
    emulation_fault(cudaErrorLaunchTimeout, "the kernel made %ld atomic operations: it spins",
                    most);
    emulation_abandon_thread();
}
