/* Ops with no use but in tests of the graph and the plan: small kernels in every shape of contract
 * that an op may have. They work on f32. */
#ifndef PR_TOY_H
#define PR_TOY_H

#include "graph/graph.h"

enum { TOY_FLOPS = 10 };

/* 0.5 a - 0.75 b + onto; a and onto may die in place. b is optional too. */
extern const pr_op toy_mix;
/* y[i] = x[(i + 1) mod n], through a workspace as large as x. */
extern const pr_op toy_rotate;
/* y of attr.i[0] leading (or dynamic) and attr.i[1] further elements: y[i] = x[i mod n]. */
extern const pr_op toy_map;
/* x + 1, and x / 2 if wanted, and x + 3 always. */
extern const pr_op toy_split;
/* x / 4, in training plans. */
extern const pr_op toy_drop;
/* Writes: parameter += attr.f[0] * (x[i mod n] + 1), state += 1; out: one number. in: parameter,
 * state or 0, x or 0. */
extern const pr_op toy_write;
/* A sparse gradient: (N, d) -> rows (N, d), their numbers i32 (N). */
extern const pr_op toy_sparse;
/* Has no kernel. */
extern const pr_op toy_nowhere;
/* Fails when it runs. */
extern const pr_op toy_fail;

pr_tid toy_node(pr_graph *g, const pr_op *op, pr_tid a, pr_tid b, pr_tid c);
pr_tid toy_to(pr_graph *g, pr_tid x, int32_t lead, int32_t width);

#endif
