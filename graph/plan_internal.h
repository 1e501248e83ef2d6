/* How a plan comes about, in the order of these functions; only graph/ and its tests include this.
 *
 *     select.c    which nodes the wanted outputs need
 *     plan.c      a step for each, with its kernel
 *     lifetime.c  values into blocks: what can share bytes, and from which step to which it lives
 *     place.c     blocks into the arena
 *     check.c     everything again, by another road
 *     run.c       addresses, and running
 *     record.c    runs that the backend keeps and repeats */
#ifndef PR_PLAN_INTERNAL_H
#define PR_PLAN_INTERNAL_H

#include "graph/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A stretch of the arena, alive from step `first` to step `last`, both counted. What is there
 * before the first step has first = -1; what stays behind the last has last = n_steps. */
typedef struct pr_block {
    size_t bytes, offset; /* place.c rounds bytes up to the alignment */
    int32_t first, last;
    bool is_float; /* what dies there: poisoned with NaN, or with a large number */
} pr_block;

/* A tensor of the graph, as the plan remembers it. */
typedef struct pr_value {
    pr_tensor tensor; /* its name is the plan's */
    pr_tid root;      /* whose bytes it has: itself, or what an op passes through unchanged */
    size_t bytes;     /* at capacity; of a root that is used */
    int32_t block;    /* of a root in the arena, or -1 */
    int32_t first, last;
    void *address; /* of a used PARAM or STATE; of what is in the arena once that is attached */
    bool used;     /* a root that a step reads, or that is wanted */
    bool wanted;   /* itself, or an alias of it */
    bool gradient; /* of a parameter */
} pr_value;

typedef struct pr_step {
    const pr_op *op;
    pr_kernel kernel;
    pr_phase phase;
    pr_tid in[PR_MAX_IN], out[PR_MAX_OUT]; /* roots; 0: not given, or left out as nobody reads it */
    int32_t workspace;                     /* its block, or -1 */
    int32_t from, to; /* the steps that are called as one with it; itself where there are none */
    pr_call call;
} pr_step;

struct pr_plan {
    pr_backend *backend;
    pr_store *store;
    pr_extent capacity, bound; /* bound: what calls have the shapes of */
    bool training, pinned, poison;
    pr_value *value; /* value[t] is tensor t; value[0] is none, whose address is NULL */
    int32_t n_values;
    pr_step *step;
    int32_t n_steps;
    pr_block *block;
    int32_t n_blocks;
    const pr_call **calls; /* (n_steps): scratch for kernels of many calls */
    void **recording;      /* (n_recordings): by tokens over the backend's step; NULL: not yet */
    bool *met;             /* (n_recordings): whether a run of so many tokens was made */
    size_t n_recordings;
    char *text; /* all names, one after the other */
    char *arena;
    pr_plan_report report;
    pr_plan_watch watch;
    void *watch_context;
};

/* Sets keep[node] of each node that the options ask for. */
pr_status pr_plan_select(const pr_graph *g, const pr_plan_options *options, bool *keep,
                         pr_error *err);

/* Fills in lifetimes and makes the blocks. */
pr_status pr_plan_make_blocks(pr_plan *plan, pr_error *err);

/* Gives each block an offset: largest first, at the lowest that is free while it lives; pinned:
 * one behind the other. *arena is set to the end of the last. */
pr_status pr_plan_place(pr_block *block, int32_t n, size_t alignment, bool pinned, size_t *arena,
                        pr_error *err);

/* The most bytes alive at one of the steps -1 .. n_steps. */
pr_status pr_plan_peak(const pr_block *block, int32_t n, int32_t n_steps, size_t *peak,
                       pr_error *err);

/* Follows the steps with nothing but their tensors and places at hand. PR_INTERNAL when a value is
 * read where it is not, or no longer; PR_BAD_GRAPH when a parameter is written that must not be. */
pr_status pr_plan_check(const pr_plan *plan, pr_error *err);

/* Gives every call the shapes of this extent. */
void pr_plan_bind(pr_plan *plan, pr_extent extent);

/* Binds the extent of a run that begins, and tells the backend of it. */
pr_status pr_plan_begin(pr_plan *plan, pr_extent extent, pr_error *err);

/* Calls every step's kernel, for the extent that is bound. */
pr_status pr_plan_run_steps(pr_plan *plan, pr_error *err);

/* Room for recordings, where the backend records. */
pr_status pr_plan_make_recordings(pr_plan *plan, pr_error *err);
void pr_plan_forget_recordings(pr_plan *plan);
/* As pr_plan_run_steps, by a recording that is made when as many tokens are met again. The first
 * run of them is made step by step: there backends look for what they need, as they may not while
 * they record. */
pr_status pr_plan_replay(pr_plan *plan, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
