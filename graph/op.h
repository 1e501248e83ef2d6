/* The contract of an op: read this first. An op is its descriptor; nothing else in Primer lists
 * what ops there are but the table in ops/ops.c, and there is no switch over ops anywhere.
 *
 * Ops are pure functions of their inputs. What looks like writing in place is the plan's choice: it
 * lets out[0] take the bytes of an input that dies there. The exceptions are ops that update a
 * parameter or its optimizer state; they say so in `writes`.
 *
 * To add an op: ops/NAME.c (formula, shape rule, CPU kernel, gradient, descriptor), ops/NAME.cu and
 * a line in ops/cuda.h (kernel for GPUs), a constructor in ops/ops.h, a line in ops/ops.c, its
 * double-precision reference and its cases in tests/, and in tests/check_mutations.py a fault of
 * the GPU's kernel that they must find. */
#ifndef PR_OP_H
#define PR_OP_H

#include "graph/backend.h"
#include "graph/shape.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PR_MAX_IN = 10, PR_MAX_OUT = 4 };

typedef int32_t pr_tid; /* a tensor's number in its graph; 0 is none */
typedef struct pr_graph pr_graph;
typedef struct pr_node pr_node;

/* Constants of a node. Each op file says at its top what it keeps in which place. */
typedef struct pr_attr {
    uint64_t site; /* of dropout: pr_site("blk.0.ffn") */
    float f[4];
    int32_t i[4];
} pr_attr;

/* A tensor as a kernel sees it: no dynamic dimension, data NULL when it is absent or unread. */
typedef struct pr_view {
    void *data;
    pr_shape shape;
    pr_dtype dtype;
} pr_view;

/* One call of a kernel. */
typedef struct pr_call {
    pr_view in[PR_MAX_IN], out[PR_MAX_OUT];
    pr_attr attr;
    pr_extent extent; /* of the batch at hand; of the capacity when workspace() or flops() ask */
    bool training;    /* pr_plan_options.training: attention's dropout drops */
    const pr_backend *backend;
    void *workspace;  /* the bytes that workspace() asked for; their content is arbitrary */
    const char *name; /* of the node, for messages */
    pr_error *err;
} pr_call;

/* What a shape rule gets, and fills in for every out. Dynamic dimensions stay names. */
typedef struct pr_infer {
    pr_shape in[PR_MAX_IN], out[PR_MAX_OUT];
    pr_dtype in_dtype[PR_MAX_IN], out_dtype[PR_MAX_OUT];
    bool has[PR_MAX_IN]; /* an optional input is given */
    pr_attr attr;
    const char *what; /* "linear 'blk.3.ffn_up'": begin a fault's message with it */
    pr_error *err;
} pr_infer;

typedef pr_status (*pr_kernel)(const pr_call *call);
/* Calls of one op that follow each other, as one. */
typedef pr_status (*pr_kernel_of_many)(const pr_call *const *calls, int n);

enum {
    /* Out[0] is in[0] unless the plan is one for training (dropout): no kernel runs then. */
    PR_OP_TRAINING_ONLY = 1 << 0,
    /* There is no gradient, on purpose (gradients and updates themselves, losses' helpers). */
    PR_OP_NO_GRADIENT = 1 << 1,
    /* Out[0] is a sparse gradient: it holds only the rows whose numbers out[1] lists, i32, -1 past
     * the last. */
    PR_OP_SPARSE = 1 << 2,
    /* A pass over its inputs, or over what `again` reads, makes out[0], and backward reads those
     * anyway: rather than keep out[0] for another node's gradient, backward computes it again. */
    PR_OP_CHEAP = 1 << 3
};

typedef struct pr_op {
    const char *name;
    uint8_t n_in, n_out;   /* slots, the optional ones counted */
    unsigned optional_in;  /* bit k: in[k] may be none */
    unsigned optional_out; /* bit k: out[k] may be left out where nobody reads it */
    unsigned inplace;      /* bit k: out[0] may take the place of in[k] when that dies here */
    unsigned writes;       /* bit k: in[k] is a parameter or a state that the kernel writes */
    unsigned bf16;         /* bit k: in[k] may be bf16, if it is a parameter */
    unsigned sparse_reads; /* bit k: a call reads few rows of in[k] */
    unsigned by_row;       /* bit k: row r of out[0] takes of in[k] row r alone */
    int accumulate;        /* the optional input that is added to out[0]; -1: it has none */
    unsigned flags;

    /* Shapes and dtypes out of shapes and dtypes in. PR_OK, or pr_fail(c->err, PR_BAD_GRAPH, ...).
     */
    pr_status (*infer)(pr_infer *c);
    /* Emits nodes that compute dx[k] for every bit k set in need, and no others, through the public
     * constructors. dy[j] is 0 where nothing flows back to out[j]. dx[k] may be left 0 when its
     * gradient is zero. n is a copy: it outlives the nodes that are added. */
    void (*vjp)(pr_graph *g, const pr_node *n, const pr_tid *dy, unsigned need, pr_tid *dx);
    /* Emits the node that computes those rows of out[0] that are a sentence's first, (B, ...), and
     * returns them; n is a copy whose in[k] with a bit in by_row are such rows already. NULL: the
     * same op on the same attr does. */
    pr_tid (*first_rows)(pr_graph *g, const pr_node *n);
    /* Of a PR_OP_CHEAP op: emits the node that makes out[0] again from the op's other outputs and
     * from parameters, so that backward needs none of its other inputs, and returns it; n is a
     * copy. NULL: the same op on the same inputs does. */
    pr_tid (*again)(pr_graph *g, const pr_node *n);
    /* Scratch bytes at the capacity in c->extent with c->backend, by its kind; NULL: none. */
    size_t (*workspace[PR_BACKEND_KINDS])(const pr_call *c);
    /* Floating-point operations of a call, a multiply-add counted as two; NULL: negligible. */
    double (*flops)(const pr_call *c);
    /* Bytes that a call reads from memory and writes to it; NULL: every input and output once. */
    double (*bytes)(const pr_call *c);
    pr_kernel kernel[PR_BACKEND_KINDS];       /* NULL: not on this backend */
    pr_kernel_of_many many[PR_BACKEND_KINDS]; /* in place of two calls or more; NULL: one by one */
} pr_op;

#ifdef __cplusplus
}
#endif
#endif
