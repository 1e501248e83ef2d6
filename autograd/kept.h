/* Which values of the forward part are kept for gradients; the others backward computes again.
 * Internal to autograd/. */
#ifndef PR_KEPT_H
#define PR_KEPT_H

#include "graph/graph.h"

/* kept (tensors + 1): all but what PR_OP_CHEAP nodes make; with recompute, of what has a row a
 * token only the values that a cut through the graph meets alone, such as a block's sums: what lies
 * between two of them is then there for one stretch at a time. reaches: by tensor, whether the loss
 * depends on it. */
void pr_choose_kept(const pr_graph *g, const bool *reaches, bool recompute, bool *kept);

#endif
