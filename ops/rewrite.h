/* Rewrites: a graph of plain ops, as models are written, becomes one with less to compute and the
 * same results to rounding. They run once, on the forward part, before gradients are derived from
 * it; tensors keep their numbers and names. */
#ifndef PR_REWRITE_H
#define PR_REWRITE_H

#include "graph/graph.h"

/* All of them, for a graph that is not marked yet. A graph with a fault is left as it is. */
pr_status pr_rewrite(pr_graph *g, pr_error *err);

/* Where of a value (N, d) only first_token's rows are read, as of all after the last block's keys
 * and values, only those rows are computed. */
pr_status pr_rewrite_first_rows(pr_graph *g, pr_error *err);

/* layer_norm(x + dropout(z)), where nobody else reads what is between, becomes residual_norm; z may
 * come as it is, and either operand first. */
pr_status pr_rewrite_residuals(pr_graph *g, pr_error *err);

#endif
