/* matmul: y = alpha op(a) op(b) + bias + onto.
 *     a (M, K) or, where PR_TRANSPOSE_A, (K, M); b (K, N) or, where PR_TRANSPOSE_B, (N, K);
 *     bias (N); onto and y (M, N). Where a is not transposed b may be bf16: a is then rounded to it
 *     too, and the sums are f32.
 * Gradient: with A = op(a) and B = op(b), dA = alpha dy B', dB = alpha A' dy, dbias = the sum of
 * dy's rows, donto = dy. Backward reads the other factor, never y.
 * in: a, b, bias, onto. attr: f[0] alpha, i[0] the transpositions. */
#include "backends/gemm.h"
#include "backends/gemm_bf16.h"
#include "ops/cuda.h"
#include "ops/ops.h"
#include "ops/table.h"

enum { A, B, BIAS, ONTO, INPUTS };

typedef struct extents {
    int64_t m, n, k, k_of_b;
} extents;

static extents extents_of(pr_shape a, pr_shape b, int32_t transpose) {
    int ta = (transpose & PR_TRANSPOSE_A) != 0, tb = (transpose & PR_TRANSPOSE_B) != 0;
    return (extents){.m = a.dim[ta], .k = a.dim[1 - ta], .n = b.dim[1 - tb], .k_of_b = b.dim[tb]};
}

static pr_status infer(pr_infer *c) {
    char a[PR_SHAPE_TEXT], b[PR_SHAPE_TEXT];
    for (int k = 0; k < INPUTS; k++) {
        if (k == B && c->in_dtype[B] == PR_BF16 && !(c->attr.i[0] & PR_TRANSPOSE_A)) continue;
        if (c->has[k] && c->in_dtype[k] != PR_F32) {
            return pr_fail(c->err, PR_BAD_GRAPH, "%s: expected f32, found %s", c->what,
                           pr_dtype_name(c->in_dtype[k]));
        }
    }
    pr_shape_text(c->in[A], a);
    pr_shape_text(c->in[B], b);
    if (c->in[A].n_dims != 2 || c->in[B].n_dims != 2) {
        return pr_fail(c->err, PR_BAD_GRAPH, "%s: expected two matrices, found %s and %s", c->what,
                       a, b);
    }
    extents e = extents_of(c->in[A], c->in[B], c->attr.i[0]);
    if (e.k != e.k_of_b) {
        return pr_fail(c->err, PR_BAD_GRAPH, "%s: %s%s by %s%s do not fit together", c->what, a,
                       c->attr.i[0] & PR_TRANSPOSE_A ? " transposed" : "", b,
                       c->attr.i[0] & PR_TRANSPOSE_B ? " transposed" : "");
    }
    if (e.n < 0) {
        return pr_fail(c->err, PR_BAD_GRAPH,
                       "%s: only rows may be as many as a batch has, but %s %s", c->what, b,
                       "would make them columns");
    }
    c->out[0] = pr_shape_2(e.m, e.n);
    c->out_dtype[0] = PR_F32;
    if (c->has[BIAS] && !pr_shape_equal(c->in[BIAS], pr_shape_1(e.n))) {
        return pr_fail(c->err, PR_BAD_GRAPH, "%s: expected a bias of (%lld), found %s", c->what,
                       (long long)e.n, pr_shape_text(c->in[BIAS], a));
    }
    if (c->has[ONTO] && !pr_shape_equal(c->in[ONTO], c->out[0])) {
        return pr_fail(c->err, PR_BAD_GRAPH, "%s: %s cannot be added to %s", c->what,
                       pr_shape_text(c->in[ONTO], a), pr_shape_text(c->out[0], b));
    }
    return PR_OK;
}

static double flops(const pr_call *c) {
    extents e = extents_of(c->in[A].shape, c->in[B].shape, c->attr.i[0]);
    return 2.0 * (double)e.m * (double)e.n * (double)e.k;
}

static size_t workspace(const pr_call *c) {
    if (c->in[B].dtype != PR_BF16) return 0;
    extents e = extents_of(c->in[A].shape, c->in[B].shape, c->attr.i[0]);
    return pr_gemm_bf16_workspace(c->backend, e.m, e.k);
}

static pr_status matmul_cpu(const pr_call *c) {
    extents e = extents_of(c->in[A].shape, c->in[B].shape, c->attr.i[0]);
    bool bf16 = c->in[B].dtype == PR_BF16;
    const pr_gemm product = {
        .a = c->in[A].data,
        .b = bf16 ? NULL : c->in[B].data,
        .half = bf16 ? c->in[B].data : NULL,
        .bias = c->in[BIAS].data,
        .onto = c->in[ONTO].data,
        .c = c->out[0].data,
        .m = e.m,
        .n = e.n,
        .k = e.k,
        .alpha = c->attr.f[0],
        .transpose_a = (c->attr.i[0] & PR_TRANSPOSE_A) != 0,
        .transpose_b = (c->attr.i[0] & PR_TRANSPOSE_B) != 0,
    };
    if (!bf16) return pr_gemm_run(c->backend, &product, c->err);
    pr_gemm_bf16_run(c->backend, &product, c->workspace);
    return PR_OK;
}

/* Where op() transposes a factor, its gradient is made transposed too: dA' rather than dA. */
static void vjp(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx) {
    bool ta = n->attr.i[0] & PR_TRANSPOSE_A, tb = n->attr.i[0] & PR_TRANSPOSE_B;
    float alpha = n->attr.f[0];
    pr_tid a = n->in[A], b = n->in[B], d = dy[0];
    if (need >> A & 1u) {
        dx[A] = ta ? pr_matmul(g, b, d, PR_TRANSPOSE_B | (tb ? PR_TRANSPOSE_A : 0), alpha, 0, 0)
                   : pr_matmul(g, d, b, tb ? 0 : PR_TRANSPOSE_B, alpha, 0, 0);
    }
    if (need >> B & 1u) {
        dx[B] = tb ? pr_matmul(g, d, a, PR_TRANSPOSE_A | (ta ? PR_TRANSPOSE_B : 0), alpha, 0, 0)
                   : pr_matmul(g, a, d, ta ? 0 : PR_TRANSPOSE_A, alpha, 0, 0);
    }
    if (need >> BIAS & 1u) dx[BIAS] = pr_sum_rows(g, d, 0);
    if (need >> ONTO & 1u) dx[ONTO] = d;
}

const pr_op pr_op_matmul = {
    .name = "matmul",
    .n_in = INPUTS,
    .n_out = 1,
    .optional_in = 1u << BIAS | 1u << ONTO,
    .inplace = 1u << ONTO,
    .bf16 = 1u << B,
    .by_row = 1u << A | 1u << ONTO,
    .accumulate = ONTO,
    .infer = infer,
    .vjp = vjp,
    .workspace = {[PR_CPU] = workspace, [PR_CUDA] = PR_ON_CUDA(pr_matmul_cuda_workspace)},
    .flops = flops,
    .kernel = {[PR_CPU] = matmul_cpu, [PR_CUDA] = PR_ON_CUDA(pr_matmul_cuda)},
};

pr_tid pr_matmul(pr_graph *g, pr_tid a, pr_tid b, unsigned transpose, float alpha, pr_tid bias,
                 pr_tid onto) {
    const pr_tid in[INPUTS] = {a, b, bias, onto};
    return pr_graph_node(g, &pr_op_matmul, in, (pr_attr){.f = {alpha}, .i = {(int32_t)transpose}},
                         NULL);
}

pr_tid pr_linear(pr_graph *g, pr_tid x, pr_tid weight, pr_tid bias) {
    return pr_matmul(g, x, weight, PR_TRANSPOSE_B, 1.0f, bias, 0);
}
