/* Where a step's time goes: calls, seconds, floating-point operations and bytes of each op in each
 * part of a step, from a plan's watch. Its first steps are left out as in timing.h. The watch costs
 * two readings of the clock a node, which are counted as time outside of nodes. */
#ifndef PROFILE_H
#define PROFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "graph/plan.h"
#include "tools/products.h"

typedef struct profile_sums {
    double calls, seconds, flops, bytes;
} profile_sums;

/* A product's gradients are told apart: one of a weight sums over the batch. */
typedef enum profile_part {
    PROFILE_FORWARD,
    PROFILE_RECOMPUTED, /* by backward, rather than kept */
    PROFILE_GRADIENT,
    PROFILE_GRADIENT_OF_INPUT,
    PROFILE_GRADIENT_OF_WEIGHT,
    PROFILE_UPDATE
} profile_part;

/* Of one op in one part of a step: [0] in a run's first steps, [1] in the others. */
typedef struct profile_row {
    const char *op;
    profile_part part;
    profile_sums sums[2];
} profile_row;

/* All zero at first. */
typedef struct profile {
    profile_row *row;
    size_t n, capacity;
    products products;
    size_t steps;
    double step_seconds[2];
} profile;

/* A node of the step under way. PR_NO_MEMORY. */
pr_status profile_node(profile *p, const pr_call *call, const pr_op *op, double seconds);
/* The end of a step that took so long. */
void profile_step(profile *p, double seconds);

/* A table for people: a line for each op and part, what takes longest first. A step is called
 * `what` there: "step", "batch". */
void profile_print(const profile *p, const char *what, FILE *out);
/* {"steps", "step_s", "outside_s", "ops": [{"op", "part", "share", "calls", "seconds", "flops",
 * "bytes"}, ...], "products": as products.h has it}: of a mean step; shares are of its time. NULL
 * without memory. */
json_t *profile_json(const profile *p);

void profile_free(profile *p);

#endif
