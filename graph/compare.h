/* Two plans of one graph, usually on two backends, side by side: how a wrong kernel is found. */
#ifndef PR_COMPARE_H
#define PR_COMPARE_H

#include "graph/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What two backends made of the same inputs: one output of a node, or a parameter or a state that
 * the node updates. */
typedef struct pr_difference {
    const pr_op *op;
    const char *node, *value; /* names in the graph; value is an update's parameter */
    pr_phase phase;
    pr_shape shape; /* bound to the extent */
    double norm;    /* of the first plan's values: the root of the sum of squares */
    double apart;   /* the same of the difference; integers that differ make it infinite */
    double largest; /* the largest difference of two elements */
    size_t at;      /* its place */
} pr_difference;

/* Anything but PR_OK ends the comparison with that status. */
typedef pr_status (*pr_compare_report)(void *context, const pr_difference *d);

/* Runs a node of plan a, then the same node of plan b on what a's was given, and so on to the end;
 * reports on each. Both plans are of one graph with the same options, and both have been fed; what
 * their stores held is the same. PR_BAD_ARGUMENT where the plans differ. */
pr_status pr_plan_compare(pr_plan *a, pr_plan *b, pr_extent extent, pr_compare_report report,
                          void *context, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
