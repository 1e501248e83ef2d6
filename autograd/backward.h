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

/* The same of share * loss; share is an input f32 (1), or 0 for 1. */
pr_status pr_backward_part(pr_graph *g, pr_tid loss, pr_tid share, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
