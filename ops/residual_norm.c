/* residual_norm: y = layer_norm(s), s = x + dropout(z), what each sublayer of a model ends in; as
 * the three ops, in one pass over the rows and with the same bits.
 *     x, z (N, d) with offsets i32 (B + 1), or (B, d) without; gamma, beta (d); rng u64 (3), as
 *     dropout's. rng and offsets may be missing where p is 0. Nothing is dropped but in training.
 * Gradient: ds as layer_norm's dx, of s; dx = ds, dz = dropout's masks on ds; dgamma, dbeta as
 * layer_norm's. All read s, mean and rstd, and neither x nor z.
 * residual_norm in: x, z, gamma, beta, rng, offsets; out: y, s (N, d), mean (N), rstd (N).
 * residual_norm_grad in: dy, s, mean, rstd, gamma, rng, offsets; out: dz, ds.
 * attr: site, f[0] p, f[1] epsilon. */
#include <string.h>

#include "ops/cuda.h"
#include "ops/dropout.h"
#include "ops/kernel.h"
#include "ops/layer_norm.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/rule.h"
#include "ops/table.h"

enum { X, Z, GAMMA, BETA, RNG, OFFSETS, INPUTS };
enum { Y, S, MEAN, RSTD, OUTPUTS };
enum { DY, GRAD_S, GRAD_MEAN, GRAD_RSTD, GRAD_GAMMA, GRAD_RNG, GRAD_OFFSETS, GRAD_INPUTS };
enum { DZ, DS, GRAD_OUTPUTS };

/* Whether the dropout of rows like in[0]'s can be drawn from in[rng] and in[offsets]. */
static bool dropout_fits(const pr_infer *c, int rng, int offsets) {
    float p = c->attr.f[0];
    if (!(p >= 0.0f && p < 1.0f)) {
        pr_fail(c->err, PR_BAD_GRAPH, "%s: expected a dropout in [0, 1), found %g", c->what,
                (double)p);
        return false;
    }
    if (c->has[rng] && !pr_rule_shape(c, rng, "rng", PR_U64, pr_shape_1(3))) return false;
    if (c->has[offsets] && !pr_rule_rank(c, offsets, "offsets", PR_I32, 1)) return false;
    bool packed = c->in[0].dim[0] == PR_TOKENS;
    if (p == 0.0f || (c->has[rng] && (c->has[offsets] || !packed))) return true;
    pr_fail(c->err, PR_BAD_GRAPH, "%s: dropout needs rng, u64 (3), and rows of tokens offsets",
            c->what);
    return false;
}

static pr_status infer(pr_infer *c) {
    if (!pr_rule_rank(c, X, "x", PR_F32, 2)) return PR_BAD_GRAPH;
    pr_shape row = pr_shape_1(c->in[X].dim[1]), column = pr_shape_1(c->in[X].dim[0]);
    if (!pr_rule_shape(c, Z, "z", PR_F32, c->in[X]) ||
        !pr_rule_shape(c, GAMMA, "gamma", PR_F32, row) ||
        !pr_rule_shape(c, BETA, "beta", PR_F32, row) || !dropout_fits(c, RNG, OFFSETS)) {
        return PR_BAD_GRAPH;
    }
    pr_rule_output(c, Y, PR_F32, c->in[X]);
    pr_rule_output(c, S, PR_F32, c->in[X]);
    pr_rule_output(c, MEAN, PR_F32, column);
    pr_rule_output(c, RSTD, PR_F32, column);
    return PR_OK;
}

static bool drops(const pr_call *c) {
    return c->training && c->attr.f[0] != 0.0f;
}

/* s = x + dropout(z), (d); at: NULL to drop nothing. s may be x or z. */
PR_INLINE void add_row(const pr_drops *at, const float *x, const float *z, int64_t d, float *s) {
    float kept[PR_DRAWN_COLUMNS];
    for (int64_t from = 0; from < d; from += PR_DRAWN_COLUMNS) {
        int64_t n = d - from < PR_DRAWN_COLUMNS ? d - from : PR_DRAWN_COLUMNS;
        const float *added = at ? kept : z + from;
        if (at) pr_drop_columns(at, from, n, z + from, kept);
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            s[from + i] = x[from + i] + added[i];
    }
}

PR_VECTOR static void residual_rows(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *gamma = c->in[GAMMA].data, *beta = c->in[BETA].data; /* (d) */
    float *means = c->out[MEAN].data, *rstds = c->out[RSTD].data;     /* (N) or NULL */
    int64_t d = c->in[X].shape.dim[1];
    bool dropping = drops(c);
    pr_drops at = {0};
    if (dropping) at = pr_drops_from(c, &c->in[RNG], &c->in[OFFSETS], begin);
    for (int64_t row = begin; row < end; row++) {
        const float *x = (const float *)c->in[X].data + row * d; /* (N, d) */
        const float *z = (const float *)c->in[Z].data + row * d; /* (N, d) */
        float *y = (float *)c->out[Y].data + row * d;            /* (N, d) */
        float *s = c->out[S].data ? (float *)c->out[S].data + row * d : y;
        if (dropping) pr_drops_move(&at, row);
        add_row(dropping ? &at : NULL, x, z, d, s);
        pr_norm norm = pr_norm_row(s, gamma, beta, c->attr.f[1], d, y);
        if (means) means[row] = norm.mean;
        if (rstds) rstds[row] = norm.rstd;
    }
}

static pr_status residual_norm_cpu(const pr_call *c) {
    int64_t rows = c->in[X].shape.dim[0];
    if (drops(c) && c->in[OFFSETS].data && !pr_offsets_fit(c, "residual_norm", OFFSETS, rows)) {
        return PR_BAD_ARGUMENT;
    }
    pr_each_item(c, rows, c->in[X].shape.dim[1], residual_rows);
    return PR_OK;
}

/* ---- gradient ---- */

static pr_status grad_infer(pr_infer *c) {
    if (!pr_norm_grad_fits(c) || !dropout_fits(c, GRAD_RNG, GRAD_OFFSETS)) return PR_BAD_GRAPH;
    pr_rule_output(c, DZ, PR_F32, c->in[DY]);
    pr_rule_output(c, DS, PR_F32, c->in[DY]);
    return PR_OK;
}

PR_VECTOR static void residual_grad_rows(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *means = c->in[GRAD_MEAN].data, *rstds = c->in[GRAD_RSTD].data; /* (N) */
    const float *gamma = c->in[GRAD_GAMMA].data;                                /* (d) */
    int64_t d = c->in[DY].shape.dim[1];
    bool dropping = drops(c);
    pr_drops at = {0};
    if (dropping) at = pr_drops_from(c, &c->in[GRAD_RNG], &c->in[GRAD_OFFSETS], begin);
    for (int64_t row = begin; row < end; row++) {
        const float *dy = (const float *)c->in[DY].data + row * d;    /* (N, d) */
        const float *s = (const float *)c->in[GRAD_S].data + row * d; /* (N, d) */
        float *dz = (float *)c->out[DZ].data + row * d;               /* (N, d) */
        float *ds = c->out[DS].data ? (float *)c->out[DS].data + row * d : dz;
        pr_norm_grad_row(dy, s, (pr_norm){means[row], rstds[row]}, gamma, d, ds);
        if (dropping) {
            pr_drops_move(&at, row);
            pr_drop_columns(&at, 0, d, ds, dz);
        } else if (dz != ds) {
            memcpy(dz, ds, (size_t)d * sizeof *dz);
        }
    }
}

static pr_status residual_norm_grad_cpu(const pr_call *c) {
    int64_t rows = c->in[DY].shape.dim[0];
    if (drops(c) && c->in[GRAD_OFFSETS].data &&
        !pr_offsets_fit(c, "residual_norm_grad", GRAD_OFFSETS, rows)) {
        return PR_BAD_ARGUMENT;
    }
    pr_each_item(c, rows, c->in[DY].shape.dim[1], residual_grad_rows);
    return PR_OK;
}

/* ---- rules ---- */

static pr_dropped dropped_of(const pr_node *n) {
    return (pr_dropped){n->in[RNG], n->in[OFFSETS], n->attr.site, n->attr.f[0]};
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    pr_tid s = n->out[S], gamma = n->in[GAMMA], mean = n->out[MEAN], rstd = n->out[RSTD];
    pr_dropped dropped = dropped_of(n);
    bool needs_x = need >> X & 1u, needs_z = need >> Z & 1u;
    if (dy[S] || dy[MEAN] || dy[RSTD]) {
        pr_graph_fault(g, "residual_norm '%s': s, mean and rstd have no gradient of their own",
                       n->name);
        return;
    }
    if (needs_z && dropped.p != 0.0f) {
        pr_tid ds;
        dx[Z] = pr_residual_norm_grad(g, dy[Y], s, gamma, mean, rstd, &dropped, &ds);
        if (needs_x) dx[X] = ds;
    } else if (needs_x || needs_z) {
        pr_tid ds = pr_layer_norm_grad(g, dy[Y], s, gamma, mean, rstd);
        if (needs_x) dx[X] = ds;
        if (needs_z) dx[Z] = ds;
    }
    if (need >> GAMMA & 1u) dx[GAMMA] = pr_layer_norm_grad_gamma(g, dy[Y], s, mean, rstd);
    if (need >> BETA & 1u) dx[BETA] = pr_sum_rows(g, dy[Y], 0);
}

/* The masks are drawn for (sentence, 0, column) either way. */
static pr_tid first_rows(pr_graph *g, const pr_node *n) {
    pr_tid in[INPUTS];
    memcpy(in, n->in, sizeof in);
    in[OFFSETS] = 0;
    return pr_graph_node(g, &pr_op_residual_norm, in, n->attr, NULL);
}

static pr_tid again(pr_graph *g, const pr_node *n) {
    return pr_layer_norm(g, n->out[S], n->in[GAMMA], n->in[BETA], n->attr.f[1]);
}

/* ---- descriptors ---- */

const pr_op pr_op_residual_norm = {
    .name = "residual_norm",
    .n_in = INPUTS,
    .n_out = OUTPUTS,
    .optional_in = 1u << RNG | 1u << OFFSETS,
    .optional_out = 1u << S | 1u << MEAN | 1u << RSTD,
    .inplace = 1u << X | 1u << Z,
    .by_row = 1u << X | 1u << Z,
    .accumulate = -1,
    .flags = PR_OP_CHEAP,
    .infer = infer,
    .vjp = vjp,
    .first_rows = first_rows,
    .again = again,
    .kernel = {[PR_CPU] = residual_norm_cpu, [PR_CUDA] = PR_ON_CUDA(pr_residual_norm_cuda)},
};

const pr_op pr_op_residual_norm_grad = {
    .name = "residual_norm_grad",
    .n_in = GRAD_INPUTS,
    .n_out = GRAD_OUTPUTS,
    .optional_in = 1u << GRAD_RNG | 1u << GRAD_OFFSETS,
    .optional_out = 1u << DS,
    .inplace = 1u << DY | 1u << GRAD_S,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = grad_infer,
    .kernel =
        {[PR_CPU] = residual_norm_grad_cpu, [PR_CUDA] = PR_ON_CUDA(pr_residual_norm_grad_cuda)},
};

pr_tid pr_residual_norm(pr_graph *g, pr_tid x, pr_tid z, pr_tid gamma, pr_tid beta, float epsilon,
                        const pr_dropped *dropped) {
    const pr_tid in[INPUTS] = {x, z, gamma, beta, dropped->rng, dropped->offsets};
    pr_attr attr = {.site = dropped->site, .f = {dropped->p, epsilon}};
    return pr_graph_node(g, &pr_op_residual_norm, in, attr, NULL);
}

pr_tid pr_residual_norm_grad(pr_graph *g, pr_tid dy, pr_tid s, pr_tid gamma, pr_tid mean,
                             pr_tid rstd, const pr_dropped *dropped, pr_tid *ds) {
    const pr_tid in[GRAD_INPUTS] = {dy, s, mean, rstd, gamma, dropped->rng, dropped->offsets};
    pr_attr attr = {.site = dropped->site, .f = {dropped->p}};
    pr_tid out[GRAD_OUTPUTS];
    pr_graph_node(g, &pr_op_residual_norm_grad, in, attr, out);
    *ds = out[DS];
    return out[DZ];
}
