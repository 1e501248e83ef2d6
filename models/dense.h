/* A linear layer with parameters of its own: for models that start from nothing. */
#ifndef PR_DENSE_H
#define PR_DENSE_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* x W' + b: x (N, in) -> (N, width). Adds <name>.weight (width, in) and <name>.bias (width) to the
 * graph's store, both drawn from U(-1/sqrt in, 1/sqrt in) by the seed as torch.nn.Linear does, or
 * uses them where the store has them already. Faults, the store's too, stick to the graph. */
pr_tid pr_dense(pr_graph *g, pr_tid x, const char *name, int32_t width, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
