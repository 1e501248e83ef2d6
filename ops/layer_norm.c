/* layer_norm: y = xhat gamma + beta, xhat = (x - mean) rstd over each row of x (N, d), with
 * rstd = 1 / sqrt(variance + epsilon), the variance over d; gamma, beta (d).
 * Gradient, with h = dy gamma: dx = rstd (h - mean(h) - xhat mean(h xhat)), means over the row;
 * dgamma = sum over rows of dy xhat; dbeta = sum over rows of dy. dx reads x, gamma, mean, rstd;
 * dgamma reads x, mean, rstd; dbeta nothing.
 * layer_norm in: x, gamma, beta; out: y, mean (N), rstd (N). attr: f[0] epsilon. */
#include "ops/layer_norm.h"

#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/rule.h"
#include "ops/table.h"

static pr_status infer(pr_infer *c) {
    if (!pr_rule_rank(c, 0, "x", PR_F32, 2)) return PR_BAD_GRAPH;
    pr_shape row = pr_shape_1(c->in[0].dim[1]), column = pr_shape_1(c->in[0].dim[0]);
    if (!pr_rule_shape(c, 1, "gamma", PR_F32, row) || !pr_rule_shape(c, 2, "beta", PR_F32, row)) {
        return PR_BAD_GRAPH;
    }
    pr_rule_output(c, 0, PR_F32, c->in[0]);
    pr_rule_output(c, 1, PR_F32, column);
    pr_rule_output(c, 2, PR_F32, column);
    return PR_OK;
}

PR_VECTOR static void norm_rows(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *gamma = c->in[1].data, *beta = c->in[2].data; /* (d) */
    float *means = c->out[1].data, *rstds = c->out[2].data;    /* (N) or NULL */
    int64_t d = c->in[0].shape.dim[1];
    for (int64_t row = begin; row < end; row++) {
        const float *x = (const float *)c->in[0].data + row * d; /* (N, d) */
        float *y = (float *)c->out[0].data + row * d;            /* (N, d) */
        pr_norm norm = pr_norm_row(x, gamma, beta, c->attr.f[0], d, y);
        if (means) means[row] = norm.mean;
        if (rstds) rstds[row] = norm.rstd;
    }
}

static pr_status layer_norm_cpu(const pr_call *c) {
    pr_each_item(c, c->in[0].shape.dim[0], c->in[0].shape.dim[1], norm_rows);
    return PR_OK;
}

/* ---- gradients: in dy, x, mean, rstd, and gamma for dx ---- */

static bool gradients_fit(const pr_infer *c) {
    if (!pr_rule_rank(c, 1, "x", PR_F32, 2)) return false;
    pr_shape column = pr_shape_1(c->in[1].dim[0]);
    return pr_rule_shape(c, 0, "dy", PR_F32, c->in[1]) &&
           pr_rule_shape(c, 2, "mean", PR_F32, column) &&
           pr_rule_shape(c, 3, "rstd", PR_F32, column);
}

bool pr_norm_grad_fits(const pr_infer *c) {
    return gradients_fit(c) && pr_rule_shape(c, 4, "gamma", PR_F32, pr_shape_1(c->in[1].dim[1]));
}

static pr_status grad_infer(pr_infer *c) {
    if (!pr_norm_grad_fits(c)) return PR_BAD_GRAPH;
    pr_rule_output(c, 0, PR_F32, c->in[1]);
    return PR_OK;
}

PR_VECTOR static void norm_grad_rows(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *means = c->in[2].data, *rstds = c->in[3].data; /* (N) */
    const float *gamma = c->in[4].data;                         /* (d) */
    int64_t d = c->in[1].shape.dim[1];
    for (int64_t row = begin; row < end; row++) {
        const float *dy = (const float *)c->in[0].data + row * d; /* (N, d) */
        const float *x = (const float *)c->in[1].data + row * d;  /* (N, d) */
        float *dx = (float *)c->out[0].data + row * d;            /* (N, d) */
        pr_norm_grad_row(dy, x, (pr_norm){means[row], rstds[row]}, gamma, d, dx);
    }
}

static pr_status grad_cpu(const pr_call *c) {
    pr_each_item(c, c->in[1].shape.dim[0], c->in[1].shape.dim[1], norm_grad_rows);
    return PR_OK;
}

static pr_status gamma_infer(pr_infer *c) {
    if (!gradients_fit(c)) return PR_BAD_GRAPH;
    pr_rule_output(c, 0, PR_F32, pr_shape_1(c->in[1].dim[1]));
    return PR_OK;
}

PR_VECTOR static void gamma_tiles(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *dy = c->in[0].data, *x = c->in[1].data;        /* (N, d) */
    const float *means = c->in[2].data, *rstds = c->in[3].data; /* (N) */
    int64_t rows = c->in[1].shape.dim[0], d = c->in[1].shape.dim[1];
    for (int64_t tile = begin; tile < end; tile++) {
        int64_t from = tile * PR_TILE_COLUMNS;
        int64_t n = d - from < PR_TILE_COLUMNS ? d - from : PR_TILE_COLUMNS;
        float total[PR_TILE_COLUMNS] = {0};
        for (int64_t block = 0; block < rows; block += PR_BLOCK_ROWS) {
            int64_t last = block + PR_BLOCK_ROWS < rows ? block + PR_BLOCK_ROWS : rows;
            float part[PR_TILE_COLUMNS] = {0};
            for (int64_t row = block; row < last; row++) {
                const float *dy_row = dy + row * d + from, *x_row = x + row * d + from;
#pragma omp simd
                for (int64_t i = 0; i < n; i++)
                    part[i] += dy_row[i] * ((x_row[i] - means[row]) * rstds[row]);
            }
            for (int64_t i = 0; i < n; i++)
                total[i] += part[i];
        }
        for (int64_t i = 0; i < n; i++)
            ((float *)c->out[0].data)[from + i] = total[i]; /* (d) */
    }
}

static pr_status gamma_cpu(const pr_call *c) {
    int64_t rows = c->in[1].shape.dim[0], d = c->in[1].shape.dim[1];
    pr_each_item(c, pr_tiles(d), rows * PR_TILE_COLUMNS, gamma_tiles);
    return PR_OK;
}

/* ---- descriptors ---- */

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    pr_tid x = n->in[0], mean = n->out[1], rstd = n->out[2];
    if (dy[1] || dy[2]) {
        pr_graph_fault(g, "layer_norm '%s': mean and rstd have no gradient of their own", n->name);
        return;
    }
    if (need & 1u) dx[0] = pr_layer_norm_grad(g, dy[0], x, n->in[1], mean, rstd);
    if (need >> 1 & 1u) dx[1] = pr_layer_norm_grad_gamma(g, dy[0], x, mean, rstd);
    if (need >> 2 & 1u) dx[2] = pr_sum_rows(g, dy[0], 0);
}

const pr_op pr_op_layer_norm = {
    .name = "layer_norm",
    .n_in = 3,
    .n_out = 3,
    .optional_out = 1u << 1 | 1u << 2,
    .inplace = 1,
    .by_row = 1,
    .accumulate = -1,
    .flags = PR_OP_CHEAP,
    .infer = infer,
    .vjp = vjp,
    .kernel = {[PR_CPU] = layer_norm_cpu, [PR_CUDA] = PR_ON_CUDA(pr_layer_norm_cuda)},
};

const pr_op pr_op_layer_norm_grad = {
    .name = "layer_norm_grad",
    .n_in = 5,
    .n_out = 1,
    .inplace = 3,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = grad_infer,
    .kernel = {[PR_CPU] = grad_cpu, [PR_CUDA] = PR_ON_CUDA(pr_layer_norm_grad_cuda)},
};

const pr_op pr_op_layer_norm_grad_gamma = {
    .name = "layer_norm_grad_gamma",
    .n_in = 4,
    .n_out = 1,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT,
    .infer = gamma_infer,
    .kernel = {[PR_CPU] = gamma_cpu, [PR_CUDA] = PR_ON_CUDA(pr_layer_norm_grad_gamma_cuda)},
};

pr_tid pr_layer_norm(pr_graph *g, pr_tid x, pr_tid gamma, pr_tid beta, float epsilon) {
    return pr_graph_node(g, &pr_op_layer_norm, (pr_tid[]){x, gamma, beta},
                         (pr_attr){.f = {epsilon}}, NULL);
}

pr_tid pr_layer_norm_grad(pr_graph *g, pr_tid dy, pr_tid x, pr_tid gamma, pr_tid mean,
                          pr_tid rstd) {
    return pr_graph_node(g, &pr_op_layer_norm_grad, (pr_tid[]){dy, x, mean, rstd, gamma},
                         (pr_attr){0}, NULL);
}

pr_tid pr_layer_norm_grad_gamma(pr_graph *g, pr_tid dy, pr_tid x, pr_tid mean, pr_tid rstd) {
    return pr_graph_node(g, &pr_op_layer_norm_grad_gamma, (pr_tid[]){dy, x, mean, rstd},
                         (pr_attr){0}, NULL);
}
