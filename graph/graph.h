/* A graph: tensors and nodes, nothing but structure. No address stands in it: one graph can have
 * plans on several backends at once. Gradients and updates are ordinary nodes behind a mark;
 * rewinding to the mark is the whole of their removal. A graph belongs to one thread.
 *
 * The first fault made while building sticks: constructors given none, or shapes that do not fit,
 * return 0, and later ones pass the 0 through. Model code stays straight; one check before
 * planning. */
#ifndef PR_GRAPH_H
#define PR_GRAPH_H

#include <stdio.h>

#include "graph/op.h"
#include "graph/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pr_role {
    PR_ROLE_INPUT, /* fed from the host before a run */
    PR_ROLE_PARAM, /* the store's bytes */
    PR_ROLE_STATE, /* the optimizer's bytes beside a parameter */
    PR_ROLE_VALUE  /* what a node computes */
} pr_role;

/* In what order nodes run: a plan sorts by phase first, then by number. */
typedef enum pr_phase {
    PR_PROLOGUE, /* brings parameters up to date before anything reads them */
    PR_FORWARD,  /* the model and its loss; only these are differentiated */
    PR_BACKWARD,
    PR_GATHER, /* adds gradients of a part of a batch onto those of the parts before; a node runs as
                  soon as what it reads is there */
    PR_UPDATE  /* writes parameters and states */
} pr_phase;

typedef struct pr_tensor {
    pr_shape shape;
    pr_dtype dtype;
    pr_role role;
    int32_t node;       /* that computes it, or -1 */
    int32_t param;      /* its index in the store, of PARAM and STATE, or -1 */
    pr_state_slot slot; /* of STATE */
    pr_tid rows;        /* of a sparse gradient: the tensor that lists its rows; else 0 */
    const char *name;   /* the graph's; never NULL */
} pr_tensor;

struct pr_node {
    const pr_op *op;
    pr_tid in[PR_MAX_IN], out[PR_MAX_OUT];
    pr_attr attr;
    pr_phase phase;
    bool superseded;  /* by pr_graph_supersede */
    const char *name; /* "blk.3.ffn_up/linear" */
};

/* The store gives parameters' shapes and says which train; it must outlive the graph. NULL when
 * there is no memory. */
pr_graph *pr_graph_new(pr_store *store);
void pr_graph_free(pr_graph *g);
pr_store *pr_graph_store(const pr_graph *g);

/* A tensor fed from the host. */
pr_tid pr_graph_input(pr_graph *g, const char *name, pr_dtype dtype, pr_shape shape);
/* A parameter of the store by name; the same tensor for the same name. */
pr_tid pr_graph_param(pr_graph *g, const char *name);
/* A state beside a parameter, in the shape given; the same tensor for the same slot. */
pr_tid pr_graph_state(pr_graph *g, int param, pr_state_slot slot, pr_dtype dtype, pr_shape shape);

/* What later nodes and their outputs are named after: "blk.0.attn_q". */
void pr_graph_scope(pr_graph *g, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends a node of the op in the current phase. `in` has op->n_in entries, 0 for an optional input
 * that is not given. Returns out[0], or 0 after a fault; with out, all op->n_out go there. */
pr_tid pr_graph_node(pr_graph *g, const pr_op *op, const pr_tid *in, pr_attr attr, pr_tid *out);

/* Sets the phase of the nodes that follow; returns the one before. */
pr_phase pr_graph_phase(pr_graph *g, pr_phase phase);

/* Replaces an optional input of a node by a tensor made before the node: how a gradient is added
 * onto another (op->accumulate). Shapes must agree. */
void pr_graph_set_input(pr_graph *g, int32_t node, int slot, pr_tid t);

/* Another way to compute t, for rewrites of a graph that is not marked yet: the nodes from number
 * `from` to the last move to right behind the node that makes t, and the last of them makes t in
 * its stead, as out[0]; whoever reads t reads what they make. The old node stays, and makes what
 * nobody reads. Shapes and dtypes must agree, and t be the old node's out[0]. */
void pr_graph_supersede(pr_graph *g, pr_tid t, int32_t from);

/* In what form the store is to keep parameters that do not train: with bf16 those in bf16 that
 * nothing reads but nodes that take them so (op->bf16), without it all in f32. Once the store has
 * settled, pr_graph_follow_store gives the graph's parameters the types they then have. */
pr_status pr_graph_keep(const pr_graph *g, bool bf16, pr_error *err);
/* The same for another store of the same parameters. */
pr_status pr_graph_keep_in(const pr_graph *g, pr_store *store, bool bf16, pr_error *err);
void pr_graph_follow_store(pr_graph *g);

/* Which nodes count (nodes): neither superseded nor read by such alone. From pr_alloc, the caller
 * frees it; NULL without memory. */
bool *pr_graph_live(const pr_graph *g);

/* Records a fault as if a constructor had failed; always returns 0. */
pr_tid pr_graph_fault(pr_graph *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* PR_OK, or the first fault, copied into err. */
pr_status pr_graph_check(const pr_graph *g, pr_error *err);

/* Everything after the mark, a fault too, goes at the next rewind. A graph is marked once its
 * forward part stands; without a mark a rewind does nothing. */
void pr_graph_mark(pr_graph *g);
void pr_graph_rewind(pr_graph *g);

int32_t pr_graph_tensors(const pr_graph *g); /* tensors are numbered 1 .. this */
int32_t pr_graph_nodes(const pr_graph *g);   /* nodes are numbered 0 .. this - 1 */
/* Valid until the next append. */
const pr_tensor *pr_graph_tensor(const pr_graph *g, pr_tid t);
const pr_node *pr_graph_get(const pr_graph *g, int32_t node);
/* The tensor of that name, or 0. */
pr_tid pr_graph_find(const pr_graph *g, const char *name);

/* The gradient of a tensor, set by autograd; 0: none. Rewinding forgets it. */
pr_tid pr_graph_gradient(const pr_graph *g, pr_tid t);
void pr_graph_set_gradient(pr_graph *g, pr_tid t, pr_tid gradient);

/* Writes the graph for graphviz: nodes by phase, edges with shapes. PR_IO when the stream fails. */
pr_status pr_graph_dot(const pr_graph *g, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
