/* The threads of a block, in an order that is drawn whenever one of them waits. Each runs until it
 * waits or ends: at once, on the stack of whoever looks for work, so that a kernel without barriers
 * costs no switch; a stack that a waiting thread stays on is left, and another one looks for work.
 */
#include "tests/emulation/block.h"

#include "tests/emulation/internal.h"
#include "tests/emulation/launch.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

/* A stack that threads run on, one after another. */
struct worker {
    emulation_fiber *fiber;
    jmp_buf again;        /* where it looks for work, left by a thread that is given up */
    emulation_thread *on; /* the thread on it, or the one that it is to begin with */
};

/* What kernels read. They have CUDA's names. */
uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

static emulation_block block;
static worker outer, workers[EMULATION_THREADS], *running, *idle[EMULATION_THREADS + 1];
static int n_workers, n_idle;

emulation_block *emulation_current_block(void) {
    return &block;
}

const char *emulation_where(void) {
    static char text[320];
    if (!block.grid) return "";
    const emulation_thread *t = block.current;
    int n = snprintf(text, sizeof text, "kernel %s, block (%u, %u, %u)",
                     emulation_symbol(block.grid->kernel), blockIdx.x, blockIdx.y, blockIdx.z);
    if (t && n > 0 && (size_t)n < sizeof text) {
        snprintf(text + n, sizeof text - (size_t)n, ", thread (%u, %u, %u)", t->index.x, t->index.y,
                 t->index.z);
    }
    return text;
}

void emulation_ready(emulation_thread *thread) {
    block.ready[block.n_ready++] = thread;
}

/* A thread that may go on; NULL where there is none. */
static emulation_thread *draw_thread(void) {
    if (!block.n_ready) return NULL;
    uint32_t i = emulation_draw((uint32_t)block.n_ready);
    emulation_thread *t = block.ready[i];
    block.ready[i] = block.ready[--block.n_ready];
    return t;
}

static void set_current(emulation_thread *t) {
    block.current = t;
    threadIdx = t->index;
}

static void run_thread(worker *self, emulation_thread *t) {
    self->on = t;
    set_current(t);
    t->state = EMULATION_RUNS;
    block.grid->call(block.grid->arguments);
    t->state = EMULATION_ENDED;
    block.ended++;
}

/* Nobody can go on: those that wait are given up. */
static void give_up(void) {
    if (!emulation_faulted()) emulation_tell_stuck();
    block.given_up = true;
    for (int i = 0; i < block.n; i++)
        if (block.threads[i].state == EMULATION_WAITS) emulation_ready(&block.threads[i]);
}

static void switch_to(worker *to) {
    running = to;
    emulation_fiber_switch(to->fiber);
}

/* For a stack with no thread on it. */
static void rest(worker *self, worker *to) {
    idle[n_idle++] = self;
    self->on = NULL;
    switch_to(to);
}

/* The block is done, and the outer stack rests. */
static void return_to_outer(worker *self) {
    for (int i = 0; i < n_idle; i++)
        if (idle[i] == &outer) idle[i] = idle[--n_idle];
    rest(self, &outer);
}

/* Looks for work until the block is done; only the outer stack returns. */
static void look_for_work(worker *self) {
    (void)setjmp(self->again);
    for (;;) {
        emulation_thread *t = self->on && self->on->state == EMULATION_NEW ? self->on : NULL;
        if (!t) t = draw_thread();
        if (t && t->state == EMULATION_NEW) {
            if (block.given_up)
                block.ended++;
            else
                run_thread(self, t);
            self->on = NULL;
        } else if (t) {
            rest(self, t->worker);
        } else if (block.ended < block.n) {
            give_up();
        } else if (self == &outer) {
            return;
        } else {
            return_to_outer(self);
        }
    }
}

static void begin_worker(void *self) {
    look_for_work(self);
}

/* A stack for a thread that has not begun. */
static worker *free_worker(void) {
    if (n_idle) return idle[--n_idle];
    worker *w = &workers[n_workers++];
    w->fiber = emulation_fiber_new(begin_worker, w);
    return w;
}

__attribute__((noreturn)) static void leave_thread(worker *self) {
    self->on->state = EMULATION_ENDED;
    self->on = NULL;
    block.ended++;
    longjmp(self->again, 1);
}

void emulation_abandon_thread(void) {
    block.given_up = true;
    leave_thread(running);
}

void emulation_wait(void) {
    worker *self = running;
    emulation_thread *mine = block.current, *t = draw_thread();
    mine->worker = self;
    if (!t) {
        give_up();
        t = draw_thread();
    }
    if (t != mine && t->state == EMULATION_NEW) {
        worker *to = free_worker();
        to->on = t;
        switch_to(to);
    } else if (t != mine) {
        switch_to(t->worker);
    }
    set_current(mine);
    if (block.given_up) leave_thread(self);
    mine->state = EMULATION_RUNS;
}

static void begin_block(const emulation_grid *grid) {
    block.n = (int)(grid->block.x * grid->block.y * grid->block.z);
    block.n_ready = block.ended = block.at_barrier = 0;
    block.given_up = false;
    emulation_thread *t = block.threads;
    for (unsigned z = 0; z < grid->block.z; z++) {
        for (unsigned y = 0; y < grid->block.y; y++) {
            for (unsigned x = 0; x < grid->block.x; x++, t++) {
                t->index = (uint3){x, y, z};
                t->state = EMULATION_NEW;
                emulation_ready(t);
            }
        }
    }
    for (int i = 0; i * EMULATION_WARP < block.n; i++)
        block.arrived[i] = 0;
    emulation_clear_shared(grid->shared);
}

static uint64_t common_divisor(uint64_t a, uint64_t b) {
    return b ? common_divisor(b, a % b) : a;
}

/* A drawn beginning and stride order the blocks. */
void emulation_run_grid(const emulation_grid *grid) {
    uint64_t n = (uint64_t)grid->grid.x * grid->grid.y * grid->grid.z;
    uint32_t most = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    uint64_t i = emulation_draw(most), stride = 1 + emulation_draw(most);
    while (common_divisor(stride, n) != 1)
        stride = stride % n + 1;
    outer.fiber = emulation_fiber_outer();
    running = &outer;
    block.grid = grid;
    block.atomics = 0;
    blockDim = grid->block;
    gridDim = grid->grid;
    for (uint64_t k = 0; k < n && !emulation_faulted(); k++, i = (i + stride) % n) {
        blockIdx = (uint3){(unsigned)(i % gridDim.x), (unsigned)(i / gridDim.x % gridDim.y),
                           (unsigned)(i / gridDim.x / gridDim.y)};
        begin_block(grid);
        look_for_work(&outer);
    }
    block.current = NULL;
    emulation_check_ends();
    block.grid = NULL;
}
