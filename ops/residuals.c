/* Puts residual_norm in the place of the layer_norm of a sum, with the dropout of one operand where
 * there is one. */
#include <string.h>

#include "graph/memory.h"
#include "ops/ops.h"
#include "ops/rewrite.h"
#include "ops/table.h"

typedef struct pass {
    pr_graph *g;
    pr_tid tensors;   /* before the pass */
    int32_t *readers; /* by tensor: nodes that count and read it */
    bool *made;       /* by tensor: a node that counts makes it */
} pass;

static void count_readers(pass *p, const bool *live) {
    for (int32_t i = 0; i < pr_graph_nodes(p->g); i++) {
        const pr_node *n = pr_graph_get(p->g, i);
        for (int k = 0; live[i] && k < n->op->n_in; k++)
            p->readers[n->in[k]]++;
        for (int k = 0; live[i] && k < n->op->n_out; k++)
            p->made[n->out[k]] = true;
    }
}

/* The node of the op that makes t as its out[0]; NULL: something else does. */
static const pr_node *made_by(const pass *p, pr_tid t, const pr_op *op) {
    const pr_node *n = pr_graph_get(p->g, pr_graph_tensor(p->g, t)->node);
    return n && n->op == op && n->out[0] == t ? n : NULL;
}

/* The same, where nobody but one node reads t. */
static const pr_node *made_for_one(const pass *p, pr_tid t, const pr_op *op) {
    return p->readers[t] == 1 ? made_by(p, t, op) : NULL;
}

/* x and z of x + dropout(z), the sum that `add` makes. */
static void take_apart(const pass *p, const pr_node *add, pr_tid *x, pr_tid *z, pr_dropped *drop) {
    *z = add->in[0];
    *x = add->in[1];
    *drop = (pr_dropped){0};
    for (int k = 0; k < 2; k++) {
        const pr_node *n = made_for_one(p, add->in[k], &pr_op_dropout);
        if (!n) continue;
        *z = n->in[0];
        *x = add->in[1 - k];
        *drop = (pr_dropped){n->in[1], n->in[2], n->attr.site, n->attr.f[0]};
        return;
    }
}

static void fuse(const pass *p, pr_tid t) {
    const pr_node *norm = p->made[t] ? made_by(p, t, &pr_op_layer_norm) : NULL;
    const pr_node *add = norm ? made_for_one(p, norm->in[0], &pr_op_add) : NULL;
    if (!add || p->readers[norm->out[1]] || p->readers[norm->out[2]]) return;
    pr_tid x, z, gamma = norm->in[1], beta = norm->in[2];
    pr_dropped dropped;
    float epsilon = norm->attr.f[0];
    take_apart(p, add, &x, &z, &dropped);
    const char *last = strrchr(norm->name, '/');
    size_t scope = last ? (size_t)(last - norm->name) : 0;
    pr_graph_scope(p->g, "%.*s", (int)scope, norm->name);
    int32_t from = pr_graph_nodes(p->g);
    pr_residual_norm(p->g, x, z, gamma, beta, epsilon, &dropped);
    pr_graph_supersede(p->g, t, from);
}

pr_status pr_rewrite_residuals(pr_graph *g, pr_error *err) {
    pr_status status = pr_graph_check(g, err);
    if (status != PR_OK) return status;
    pass p = {.g = g, .tensors = pr_graph_tensors(g)};
    size_t n = (size_t)p.tensors + 1;
    bool *live = pr_graph_live(g);
    p.readers = pr_alloc(n, sizeof *p.readers);
    p.made = pr_alloc(n, sizeof *p.made);
    if (live && p.readers && p.made) {
        count_readers(&p, live);
        for (pr_tid t = 1; t <= p.tensors; t++)
            fuse(&p, t);
        status = pr_graph_check(g, err);
    } else {
        status = pr_fail_memory(err, "a rewrite", n * sizeof *p.readers);
    }
    pr_free(live);
    pr_free(p.readers);
    pr_free(p.made);
    return status;
}
