/* Constructors of the ops that only gradient rules use. None of them has a gradient itself. dy is
 * the gradient of the forward op's output; each returns the gradient of the input it is named
 * after, or of the only one there is, in that input's shape. */
#ifndef PR_OPS_GRAD_H
#define PR_OPS_GRAD_H

#include "ops/ops.h"

/* dy (Phi(x) + x phi(x)), phi the normal density. */
pr_tid pr_gelu_grad(pr_graph *g, pr_tid dy, pr_tid x);
/* dy (1 - y^2), from tanh's output. */
pr_tid pr_tanh_grad(pr_graph *g, pr_tid dy, pr_tid y);
/* dy where relu's output is above 0, else 0. */
pr_tid pr_relu_grad(pr_graph *g, pr_tid dy, pr_tid y);

/* dx of layer_norm: dy, x (N, d), gamma (d), and mean and rstd (N), which the forward op left. */
pr_tid pr_layer_norm_grad(pr_graph *g, pr_tid dy, pr_tid x, pr_tid gamma, pr_tid mean, pr_tid rstd);
/* dgamma (d) of layer_norm; dbeta is pr_sum_rows of dy. */
pr_tid pr_layer_norm_grad_gamma(pr_graph *g, pr_tid dy, pr_tid x, pr_tid mean, pr_tid rstd);

/* dz of residual_norm, whose sum is s (N, d), and ds, which is dx: what pr_layer_norm_grad makes of
 * s, and dropout's masks on that. */
pr_tid pr_residual_norm_grad(pr_graph *g, pr_tid dy, pr_tid s, pr_tid gamma, pr_tid mean,
                             pr_tid rstd, const pr_dropped *dropped, pr_tid *ds);

/* The sparse gradient of a table: dy (N, d), ids i32 (N), n_rows the table's. Out[0] is values
 * (N, d): the first `count` rows are the sums over the tokens of each distinct id, in the tokens'
 * order; the rest is not written. Out[1] is those ids i32 (N), ascending, then -1; out[2] is count,
 * i32 (1). */
pr_tid pr_embed_grad(pr_graph *g, pr_tid dy, pr_tid ids, int64_t n_rows);
/* The count of a sparse gradient (out[2] of what made it, as above); 0 when t is dense. */
pr_tid pr_sparse_count(const pr_graph *g, pr_tid t);

/* dy (B, d) put back at each sentence's first row, zero elsewhere; n_rows is x's leading dimension,
 * PR_TOKENS or a number, so that x itself need not be kept. */
pr_tid pr_first_token_grad(pr_graph *g, pr_tid dy, pr_tid offsets, int64_t n_rows);

/* y (dy - sum of dy y over the row), from softmax's output. */
pr_tid pr_softmax_grad(pr_graph *g, pr_tid dy, pr_tid y);

/* dy (1) times (softmax(logits) - onehot(labels)) / B. */
pr_tid pr_cross_entropy_grad(pr_graph *g, pr_tid dy, pr_tid logits, pr_tid labels);
/* dy (1) times 2 (x - targets) / B. */
pr_tid pr_mse_grad(pr_graph *g, pr_tid dy, pr_tid x, pr_tid targets);

#endif
