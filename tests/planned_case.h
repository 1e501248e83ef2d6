/* A case as a model's node runs: through a graph and a plan on a backend, in an arena. */
#ifndef PR_PLANNED_CASE_H
#define PR_PLANNED_CASE_H

#include "graph/plan.h"
#include "tests/cases.h"

typedef struct planned_how {
    pr_extent capacity;
    unsigned left_out; /* bit k: nobody reads out[k] */
    unsigned copied; /* bit k: in[k] (f32) is a copy that another node makes and nobody else reads,
                        so that the op may work in place of it */
    unsigned
        strayed; /* bit k: rows of in[k] (f32) that kernels see past the run's own hold numbers,
                    as those of a value that another node made may, in place of zeros */
} planned_how;

typedef struct planned_case {
    pr_backend *backend;
    pr_store *store;
    pr_graph *graph;
    pr_plan *plan;
    planned_how how;
    pr_tid in[PR_MAX_IN], out[PR_MAX_OUT]; /* out 0: left out */
    void *arena;
    size_t arena_bytes;
    size_t changed; /* bytes of the arena that are others after the last run than before it */
} planned_case;

/* The node is called "here/" and its op's name. */
void planned_open(planned_case *p, pr_backend *backend, const op_case *c, planned_how how);
void planned_close(planned_case *p);

/* Fills the arena with bytes of 0xff, NaN; feeds the data of c, which has the shapes of the case
 * that was opened; runs, and waits. */
pr_status planned_run(planned_case *p, const op_case *c, pr_error *err);

/* What kernels see of a run of the extent e: on some backends more than the run has (backend.h). */
pr_extent planned_seen(const planned_case *p, pr_extent e);

/* Output k of the last run as far as the extent says, malloc'd; NULL where it is left out. */
void *planned_fetch(const planned_case *p, int k, pr_extent e, size_t *bytes);

#endif
