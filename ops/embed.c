/* embed: y = the rows of a table that ids name; table (V, d), ids i32 (N) in [0, V), y (N, d).
 * Gradient: sparse. The tokens are sorted by id, ties staying in order (a radix sort in the
 * workspace), and the rows of dy that share an id are added in that order; reads ids and dy.
 * embed in: table, f32 or bf16, ids. embed_grad in: dy, ids; out: values (N, d), ids i32 (N), count
 * i32 (1); attr: i[0] V. */
#include <string.h>

#include "backends/simd.h"
#include "graph/bf16.h"
#include "ops/cuda.h"
#include "ops/kernel.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/rule.h"
#include "ops/table.h"

static bool ids_fit(const pr_call *c, int k, int64_t n_rows) {
    const int32_t *id = c->in[k].data; /* (N) */
    for (int64_t i = 0; i < c->in[k].shape.dim[0]; i++) {
        if (id[i] >= 0 && id[i] < n_rows) continue;
        pr_fail(c->err, PR_BAD_ARGUMENT,
                "embed '%s': id %d at token %lld is outside the table's %lld rows", c->name,
                (int)id[i], (long long)i, (long long)n_rows);
        return false;
    }
    return true;
}

static pr_status infer(pr_infer *c) {
    bool half = c->in_dtype[0] == PR_BF16;
    if (!pr_rule_rank(c, 0, "the table", half ? PR_BF16 : PR_F32, 2) ||
        !pr_rule_rank(c, 1, "ids", PR_I32, 1)) {
        return PR_BAD_GRAPH;
    }
    pr_rule_output(c, 0, PR_F32, pr_shape_2(c->in[1].dim[0], c->in[0].dim[1]));
    return PR_OK;
}

PR_VECTOR static void widen_rows(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const uint16_t *table = c->in[0].data; /* (V, d) bf16 */
    const int32_t *id = c->in[1].data;     /* (N) */
    float *y = c->out[0].data;             /* (N, d) */
    int64_t d = c->in[0].shape.dim[1];
    for (int64_t i = begin; i < end; i++) {
        for (int64_t j = 0; j < d; j++)
            y[i * d + j] = pr_f32_from_bf16(table[id[i] * d + j]);
    }
}

static void copy_rows(const void *context, int64_t begin, int64_t end) {
    const pr_call *c = context;
    const float *table = c->in[0].data; /* (V, d) */
    const int32_t *id = c->in[1].data;  /* (N) */
    float *y = c->out[0].data;          /* (N, d) */
    int64_t d = c->in[0].shape.dim[1];
    for (int64_t i = begin; i < end; i++)
        memcpy(y + i * d, table + id[i] * d, (size_t)d * sizeof *y);
}

static pr_status embed_cpu(const pr_call *c) {
    if (!ids_fit(c, 1, c->in[0].shape.dim[0])) return PR_BAD_ARGUMENT;
    pr_each_item(c, c->in[1].shape.dim[0], c->in[0].shape.dim[1],
                 c->in[0].dtype == PR_BF16 ? widen_rows : copy_rows);
    return PR_OK;
}

static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    int64_t n_rows = pr_graph_tensor(g, n->in[0])->shape.dim[0];
    if (need & 1u) dx[0] = pr_embed_grad(g, dy[0], n->in[1], n_rows);
}

/* ---- the gradient ---- */

static pr_status grad_infer(pr_infer *c) {
    if (!pr_rule_rank(c, 0, "dy", PR_F32, 2)) return PR_BAD_GRAPH;
    pr_shape ids = pr_shape_1(c->in[0].dim[0]);
    if (!pr_rule_shape(c, 1, "ids", PR_I32, ids)) return PR_BAD_GRAPH;
    pr_rule_output(c, 0, PR_F32, c->in[0]);
    pr_rule_output(c, 1, PR_I32, ids);
    pr_rule_output(c, 2, PR_I32, pr_shape_1(1));
    return PR_OK;
}

/* Two lists of tokens to sort between. */
static size_t grad_workspace(const pr_call *c) {
    return (size_t)c->in[1].shape.dim[0] * 2 * sizeof(int32_t);
}

/* The tokens 0 .. n - 1 by id, ties in order; within list (2 n). */
static const int32_t *sort_tokens(const int32_t *id, int64_t n, int32_t n_rows, int32_t *list) {
    if (n == 0) return list; /* it may be NULL then */
    int32_t *from = list, *to = list + n;
    for (int64_t i = 0; i < n; i++)
        from[i] = (int32_t)i;
    for (int shift = 0; shift < 31 && (n_rows - 1) >> shift; shift += 8) {
        int32_t start[257] = {0};
        for (int64_t i = 0; i < n; i++)
            start[(id[i] >> shift & 255) + 1]++;
        for (int k = 0; k < 256; k++)
            start[k + 1] += start[k];
        for (int64_t i = 0; i < n; i++)
            to[start[id[from[i]] >> shift & 255]++] = from[i];
        int32_t *sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

typedef struct segments {
    const pr_call *call;
    const int32_t *order;
} segments;

PR_VECTOR static void sum_table_tiles(const void *context, int64_t begin, int64_t end) {
    const segments *all = context;
    const pr_call *c = all->call;
    const int32_t *id = c->in[1].data; /* (N) */
    int64_t n = c->in[1].shape.dim[0], d = c->in[0].shape.dim[1];
    int64_t from = begin * PR_TILE_COLUMNS,
            to = end * PR_TILE_COLUMNS < d ? end * PR_TILE_COLUMNS : d;
    int64_t row = -1;
    for (int64_t k = 0; k < n; k++) {
        const float *dy = (const float *)c->in[0].data + all->order[k] * d; /* (N, d) */
        bool again = k > 0 && id[all->order[k]] == id[all->order[k - 1]];
        row += !again;
        float *values = (float *)c->out[0].data + row * d; /* (N, d) */
        if (again) {
#pragma omp simd
            for (int64_t i = from; i < to; i++)
                values[i] += dy[i];
        } else {
            memcpy(values + from, dy + from, (size_t)(to - from) * sizeof *values);
        }
    }
}

static pr_status grad_cpu(const pr_call *c) {
    const int32_t *id = c->in[1].data;  /* (N) */
    int32_t *distinct = c->out[1].data; /* (N) */
    int32_t count = 0;
    int64_t n = c->in[1].shape.dim[0], d = c->in[0].shape.dim[1];
    if (!ids_fit(c, 1, c->attr.i[0])) return PR_BAD_ARGUMENT;
    segments all = {c, sort_tokens(id, n, c->attr.i[0], c->workspace)};
    for (int64_t k = 0; k < n; k++) {
        int32_t this = id[all.order[k]];
        if (count == 0 || distinct[count - 1] != this) distinct[count++] = this;
    }
    for (int64_t k = count; k < n; k++)
        distinct[k] = -1;
    *(int32_t *)c->out[2].data = count;
    pr_parallel_range(c->backend, pr_tiles(d), pr_grain(n * PR_TILE_COLUMNS), sum_table_tiles,
                      &all);
    return PR_OK;
}

/* Only the rows that are copied. */
static double bytes(const pr_call *c) {
    size_t n;
    return pr_shape_bytes(c->out[0].shape, PR_F32, &n) ? 2.0 * (double)n : 0.0;
}

const pr_op pr_op_embed = {
    .name = "embed",
    .n_in = 2,
    .n_out = 1,
    .bf16 = 1,
    .sparse_reads = 1,
    .accumulate = -1,
    .infer = infer,
    .vjp = vjp,
    .bytes = bytes,
    .kernel = {[PR_CPU] = embed_cpu, [PR_CUDA] = PR_ON_CUDA(pr_embed_cuda)},
};

const pr_op pr_op_embed_grad = {
    .name = "embed_grad",
    .n_in = 2,
    .n_out = 3,
    .accumulate = -1,
    .flags = PR_OP_NO_GRADIENT | PR_OP_SPARSE,
    .infer = grad_infer,
    .workspace = {[PR_CPU] = grad_workspace, [PR_CUDA] = PR_ON_CUDA(pr_embed_grad_cuda_workspace)},
    .kernel = {[PR_CPU] = grad_cpu, [PR_CUDA] = PR_ON_CUDA(pr_embed_grad_cuda)},
};

pr_tid pr_embed(pr_graph *g, pr_tid table, pr_tid ids) {
    return pr_graph_node(g, &pr_op_embed, (pr_tid[]){table, ids}, (pr_attr){0}, NULL);
}

pr_tid pr_embed_grad(pr_graph *g, pr_tid dy, pr_tid ids, int64_t n_rows) {
    if (n_rows < 0 || n_rows > INT32_MAX) {
        return pr_graph_fault(g, "embed_grad: a table can't have %lld rows", (long long)n_rows);
    }
    pr_attr attr = {.i = {(int32_t)n_rows}};
    return pr_graph_node(g, &pr_op_embed_grad, (pr_tid[]){dy, ids}, attr, NULL);
}

pr_tid pr_sparse_count(const pr_graph *g, pr_tid t) {
    const pr_tensor *tensor = pr_graph_tensor(g, t);
    return tensor && tensor->rows ? pr_graph_get(g, tensor->node)->out[2] : 0;
}
