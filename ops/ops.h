/* The ops: a constructor each, with its formula. All of them append to the graph in its current
 * phase and return the output, or 0 once the graph holds a fault. Capital letters are shapes: N
 * tokens, B sentences, d the width, V rows of a table. A matrix is (rows, columns), row-major. */
#ifndef PR_OPS_H
#define PR_OPS_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The table of all ops, ended by NULL. */
extern const pr_op *const pr_ops[];

/* ---- products ---- */

/* How pr_matmul reads its factors: as they are, or transposed. */
enum { PR_TRANSPOSE_A = 1, PR_TRANSPOSE_B = 2 };

/* alpha op(a) op(b) + bias + onto, (M, N). a and b are matrices that op() makes (M, K) and (K, N);
 * bias (N) is added to every row; onto (M, N) is added whole. bias and onto may be 0. Only M or K
 * may be dynamic. */
pr_tid pr_matmul(pr_graph *g, pr_tid a, pr_tid b, unsigned transpose, float alpha, pr_tid bias,
                 pr_tid onto);

/* x W' + b: x (N, in), weight (out, in), bias (out) or 0 -> (N, out). */
pr_tid pr_linear(pr_graph *g, pr_tid x, pr_tid weight, pr_tid bias);

/* ---- elementwise ---- */

/* a + b, of one shape. */
pr_tid pr_add(pr_graph *g, pr_tid a, pr_tid b);
/* factor * x. */
pr_tid pr_scale(pr_graph *g, pr_tid x, float factor);
/* x Phi(x) = x/2 (1 + erf(x / sqrt 2)) (Hendrycks and Gimpel 2016, eq. 2): the exact form, as BERT.
 */
pr_tid pr_gelu(pr_graph *g, pr_tid x);
pr_tid pr_tanh(pr_graph *g, pr_tid x);
/* n copies of a value, (n). */
pr_tid pr_constant(pr_graph *g, float value, int32_t n);
/* max(x, 0). */
pr_tid pr_relu(pr_graph *g, pr_tid x);

/* The number of a dropout site, from its name alone (FNV-1a, 64 bits). */
uint64_t pr_site(const char *name);

/* Each element of x is dropped with probability p, the rest divided by 1 - p; the identity where
 * the plan is not for training. rng is u64 (3): seed, step, number of the batch's first sentence. x
 * is (N, d) with offsets i32 (B + 1): masks are drawn for (sentence, position, column); or (B, d)
 * with offsets 0: for (sentence, 0, column). p in [0, 1); with 0 it returns x. */
pr_tid pr_dropout(pr_graph *g, pr_tid x, pr_tid rng, pr_tid offsets, float p, const char *site);

/* ---- rows ---- */

/* (x - mean) / sqrt(variance + epsilon) * gamma + beta over each row of x (N, d); gamma, beta (d)
 * (Ba, Kiros, Hinton 2016, eq. 4). */
pr_tid pr_layer_norm(pr_graph *g, pr_tid x, pr_tid gamma, pr_tid beta, float epsilon);

/* What is dropped on the way, as by pr_dropout: site is pr_site's number; rng and offsets may be 0
 * where p is. */
typedef struct pr_dropped {
    pr_tid rng, offsets;
    uint64_t site;
    float p;
} pr_dropped;

/* layer_norm(x + dropout(z)) in one pass over x, z (N, d); gamma, beta, epsilon as pr_layer_norm's.
 * A rewrite makes it of those three; it drops in plans for training alone. */
pr_tid pr_residual_norm(pr_graph *g, pr_tid x, pr_tid z, pr_tid gamma, pr_tid beta, float epsilon,
                        const pr_dropped *dropped);

/* Rows of a table: table (V, d), ids i32 (N), each in [0, V) -> (N, d). The gradient is sparse. */
pr_tid pr_embed(pr_graph *g, pr_tid table, pr_tid ids);

/* Each sentence's first row: x (N, d), offsets i32 (B + 1) -> (B, d). */
pr_tid pr_first_token(pr_graph *g, pr_tid x, pr_tid offsets);

/* The sum of x's rows: x (M, N) -> (N); with onto (N), added to it. */
pr_tid pr_sum_rows(pr_graph *g, pr_tid x, pr_tid onto);

/* softmax of each row of x (N, C). */
pr_tid pr_softmax(pr_graph *g, pr_tid x);

/* A sparse gradient as a dense one, (V, d): rows it does not hold are zero. */
pr_tid pr_densify(pr_graph *g, pr_tid sparse, int64_t n_rows);

/* ---- attention ---- */

/* Multi-head attention within each sentence (Vaswani et al. 2017, eq. 1), one op over packed
 * tokens: q, k, v (N, d), d = heads * size; per head, softmax(q k' / sqrt(size)), dropped with
 * probability p at the site (as pr_dropout, for head, query and key), times v -> (N, d). rng and
 * offsets as pr_dropout's; rng may be 0 where p is. Keeps only the row's log-sum-exp, (N, heads),
 * for its gradient. With q (B, d) each sentence's first token alone asks -> (B, d). */
pr_tid pr_attention(pr_graph *g, pr_tid q, pr_tid k, pr_tid v, pr_tid offsets, pr_tid rng,
                    int32_t heads, float p, const char *site);

/* ---- losses: scalars of shape (1) ---- */

/* Mean over B of -log softmax(logits)[label]: logits (B, C), labels i32 (B), each in [0, C). */
pr_tid pr_cross_entropy(pr_graph *g, pr_tid logits, pr_tid labels);
/* Mean over B of (x - target)^2: x (B, 1), targets f32 (B). */
pr_tid pr_mse(pr_graph *g, pr_tid x, pr_tid targets);

/* ---- the optimizer's ---- */

/* total + the sum of x's squares, f64 (1); total may be 0. A sparse x counts the rows it holds. */
pr_tid pr_sum_squares(pr_graph *g, pr_tid x, pr_tid total);

/* What gradients are multiplied by so that their norm, the square root of total (f64 (1)), is at
 * most max_norm: min(1, max_norm / (norm + 1e-6)), f32 (1), as torch.nn.utils.clip_grad_norm_; 1
 * where max_norm is 0. NaN where the norm is not finite: updates then leave everything as it is. */
pr_tid pr_clip_factor(pr_graph *g, pr_tid total, float max_norm);

typedef struct pr_adamw_options {
    float beta_1, beta_2, epsilon;
    float weight_decay; /* applied where pr_param.decay is set */
} pr_adamw_options;

/* One step of AdamW (Loshchilov and Hutter 2019, algorithm 2, as torch.optim.AdamW) on a parameter
 * that trains; makes no output that anyone reads. gradient: dense in the parameter's shape, or
 * sparse. factor: pr_clip_factor's. rates: f32 (steps of the run), the learning rate of each step.
 * clock: u64 (3), pr_dropout's rng: [1] is the step. The states must have been made
 * (pr_store_make_state: FIRST, SECOND; ROWS too where the gradient is sparse). Where the gradient
 * is sparse a prologue node is appended as well: it brings the rows that ids names up to date
 * before they are read, by replaying the steps they missed, bit for bit as a dense update would
 * have made them. */
pr_tid pr_adamw(pr_graph *g, pr_tid param, pr_tid gradient, pr_tid factor, pr_tid rates,
                pr_tid clock, const pr_adamw_options *options);

/* total += x, or total = x where clock (u64 (3), pr_dropout's rng) is at a batch's first sentence;
 * total is a state beside a parameter, x of its shape. Makes no output. */
pr_tid pr_accumulate(pr_graph *g, pr_tid total, pr_tid x, pr_tid clock);

/* Brings every row of a sparsely updated parameter up to `step` (the number of updates made so
 * far): before it is saved, frozen or read as a whole. rates is the host's copy. A parameter
 * without ROWS is left alone. */
pr_status pr_adamw_catch_up(pr_store *store, int param, const float *rates, int32_t step,
                            const pr_adamw_options *options, pr_error *err);

/* After the moments of a sparsely updated parameter were put back from a checkpoint made at `step`,
 * with all rows caught up: makes its ROWS state. PR_BAD_ARGUMENT without moments. */
pr_status pr_adamw_restore_rows(pr_store *store, int param, int32_t step, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
