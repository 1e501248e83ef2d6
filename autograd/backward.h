/* Reverse-mode differentiation: walks the forward nodes backwards and asks each op's rule for the
 * gradients that are needed, and only those. It knows no op but the two sums it makes itself. */
#ifndef PR_BACKWARD_H
#define PR_BACKWARD_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Appends the nodes that compute d loss / d p for every parameter p that trains, in phase BACKWARD;
 * pr_graph_gradient then finds them. loss is a scalar, shape (1), its own gradient being 1. Nothing
 * is appended for a frozen parameter or below the lowest that trains. A fault (an op on the way
 * without a gradient, named with the tensor it stops) sticks to the graph and is returned. */
pr_status pr_backward(pr_graph *g, pr_tid loss, pr_error *err);

typedef struct pr_backward_options {
    pr_tid share; /* an input f32 (1) that the loss is multiplied by; 0: by 1 */
    /* Keeps few values of the forward part, and computes the others again when they are needed: the
     * same bits in less memory and more time. */
    bool recompute;
} pr_backward_options;

pr_status pr_backward_with(pr_graph *g, pr_tid loss, const pr_backward_options *options,
                           pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
