/* A plan: addresses. Made from a graph for a backend, a store, a capacity and the outputs that are
 * wanted; it keeps only the nodes those need, gives every value a place in one arena by its
 * lifetime and checks itself. A run copies inputs in, calls kernels in order, and allocates
 * nothing. */
#ifndef PR_PLAN_H
#define PR_PLAN_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_plan pr_plan;

typedef struct pr_plan_options {
    pr_extent capacity;   /* the most tokens, sentences and longest sentence of any run */
    const pr_tid *wanted; /* outputs, readable after a run */
    int n_wanted;
    bool training; /* dropout drops; UPDATE nodes are kept */
    bool pinned;   /* no place is used twice (tests: must give the same bits) */
    bool poison;   /* NaN is written over a value where it dies (tests) */
    bool gather;   /* GATHER nodes are kept instead of UPDATE's: training on a part of a batch */
} pr_plan_options;

/* Planned bytes at capacity, by what they are for. */
typedef struct pr_plan_report {
    size_t weights;     /* the parameters that the plan reads or writes */
    size_t gradients;   /* the parameters' final gradients, as far as they live at once */
    size_t moments;     /* the optimizer's state of what trains */
    size_t gathered;    /* gradients that are added up over the parts of a batch */
    size_t activations; /* the rest of the arena: values, inputs, workspaces */
    size_t arena;       /* gradients + activations */
    size_t lower_bound; /* most bytes alive at one node: no arena can be smaller */
    int nodes;
    double flops; /* of one run at capacity */
} pr_plan_report;

/* All planned bytes: weights, moments, what is gathered, and the arena. */
size_t pr_plan_bytes(const pr_plan_report *report);

/* NULL with err set: a fault of the graph, a missing kernel, no memory. The graph may be rewound or
 * freed while a plan lives; the store and the backend must outlive it. Plans read parameters'
 * addresses when they are made: make them anew after pr_store_settle. */
pr_plan *pr_plan_new(const pr_graph *g, pr_store *store, pr_backend *backend,
                     const pr_plan_options *options, pr_error *err);
void pr_plan_free(pr_plan *plan);

const pr_plan_report *pr_plan_get_report(const pr_plan *plan);
pr_extent pr_plan_capacity(const pr_plan *plan);

/* Gives the plan its arena: pr_plan_report.arena bytes or more, aligned to a page, on its backend.
 * Several plans may take turns on one arena; what a run left there is then lost. */
void pr_plan_attach(pr_plan *plan, void *arena);

/* Copies an input's whole value for the next run: as many elements as its shape has when bound to
 * the extent. An input that the plan does not read is passed over. The value stays until another
 * plan uses the arena. PR_BAD_ARGUMENT when t is no input or the extent is over the capacity. */
pr_status pr_plan_feed(pr_plan *plan, pr_tid t, pr_extent extent, const void *host, pr_error *err);

/* Runs every node for a batch of this extent; stops at the first that fails and names it. */
pr_status pr_plan_run(pr_plan *plan, pr_extent extent, pr_error *err);

/* Copies a wanted output's value from the last run to the host. */
pr_status pr_plan_fetch(pr_plan *plan, pr_tid t, pr_extent extent, void *host, pr_error *err);

/* The same without waiting for the run: host is written by the backend's next sync. For backends
 * that have download_later. */
pr_status pr_plan_fetch_later(pr_plan *plan, pr_tid t, pr_extent extent, void *host, pr_error *err);

/* What a call has to do: floating-point operations, and the bytes that it reads and writes, by what
 * its op says of them, or if it goes over its inputs and outputs once. */
void pr_call_cost(const pr_call *call, const pr_op *op, double *flops, double *bytes);
/* The same of all calls of the last run, for the extent that it had. */
void pr_plan_cost(const pr_plan *plan, double *flops, double *bytes);

/* Called after each node of a run; anything but PR_OK ends the run with that status. NULL: none. */
typedef pr_status (*pr_plan_watch)(void *context, const pr_call *call, const pr_op *op,
                                   double seconds);
void pr_plan_set_watch(pr_plan *plan, pr_plan_watch watch, void *context);

#ifdef __cplusplus
}
#endif
#endif
