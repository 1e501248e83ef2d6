/* What shape rules have in common. The checks return whether the input is as expected; if not, the
 * fault is recorded and the rule returns PR_BAD_GRAPH. label names the input to the reader. */
#ifndef PR_RULE_H
#define PR_RULE_H

#include "graph/op.h"

/* Input k has this dtype and number of dimensions. */
bool pr_rule_rank(const pr_infer *c, int k, const char *label, pr_dtype dtype, int n_dims);

/* Input k has this dtype and shape. */
bool pr_rule_shape(const pr_infer *c, int k, const char *label, pr_dtype dtype, pr_shape shape);

/* B out of the shape of offsets, (B + 1). */
int64_t pr_rule_sentences(pr_shape offsets);

void pr_rule_output(pr_infer *c, int k, pr_dtype dtype, pr_shape shape);

/* The rule of elementwise ops: every input is f32 in in[0]'s shape, and so is out[0]. */
pr_status pr_rule_elementwise(pr_infer *c);

#endif
