/* Two bits decide what is differentiated: a tensor needs a gradient when a parameter that trains
 * flows into it, and a node counts when it also flows into the loss. Everything else is not
 * visited, so that what is frozen costs nothing. */
#include "autograd/backward.h"

#include <string.h>

#include "autograd/kept.h"
#include "graph/memory.h"
#include "ops/ops.h"

typedef struct walk {
    pr_graph *g;
    bool *needs;   /* by tensor: a parameter that trains flows into it */
    bool *reaches; /* by tensor: it flows into the loss */
    pr_tid *gradient;
    bool *kept;                 /* by tensor: its value is there for backward */
    pr_tid *again;              /* by tensor: what backward computes again instead */
    int32_t n_nodes, n_tensors; /* of the forward part */
} walk;

static void mark_needs(walk *w) {
    const pr_store *store = pr_graph_store(w->g);
    for (pr_tid t = 1; t <= w->n_tensors; t++) {
        const pr_tensor *tensor = pr_graph_tensor(w->g, t);
        if (tensor->role == PR_ROLE_PARAM) {
            w->needs[t] = pr_store_param(store, tensor->param)->require_grad;
        }
    }
    for (int32_t i = 0; i < w->n_nodes; i++) {
        const pr_node *n = pr_graph_get(w->g, i);
        if (n->phase != PR_FORWARD) continue;
        bool any = false;
        for (int k = 0; k < n->op->n_in; k++)
            any |= n->in[k] && w->needs[n->in[k]];
        for (int k = 0; k < n->op->n_out; k++)
            w->needs[n->out[k]] = any;
    }
}

static void mark_reaches(walk *w, pr_tid loss) {
    w->reaches[loss] = true;
    for (int32_t i = w->n_nodes - 1; i >= 0; i--) {
        const pr_node *n = pr_graph_get(w->g, i);
        if (n->phase != PR_FORWARD) continue;
        bool any = false;
        for (int k = 0; k < n->op->n_out; k++)
            any |= w->reaches[n->out[k]];
        for (int k = 0; any && k < n->op->n_in; k++)
            w->reaches[n->in[k]] = true;
    }
}

/* Whether the gradient d, one of dx, may be made by adding onto an older one: a node of the rule
 * that has just run computes it for this input alone, and no other node of the rule reads it. */
static bool can_add_onto(const pr_graph *g, const pr_tid *dx, int n_dx, pr_tid d,
                         int32_t rule_from) {
    const pr_tensor *tensor = pr_graph_tensor(g, d);
    if (tensor->node < rule_from) return false;
    const pr_node *maker = pr_graph_get(g, tensor->node);
    int slot = maker->op->accumulate;
    if (slot < 0 || maker->in[slot] || maker->out[0] != d) return false;
    int uses = 0;
    for (int k = 0; k < n_dx; k++)
        uses += dx[k] == d;
    for (int32_t i = tensor->node + 1; i < pr_graph_nodes(g); i++) {
        const pr_node *n = pr_graph_get(g, i);
        for (int k = 0; k < n->op->n_in; k++)
            uses += n->in[k] == d;
    }
    return uses == 1;
}

static pr_tid dense(pr_graph *g, pr_tid t, pr_tid d) {
    if (!d || !pr_graph_tensor(g, d)->rows) return d;
    return pr_densify(g, d, pr_graph_tensor(g, t)->shape.dim[0]);
}

static void accumulate(walk *w, pr_tid t, const pr_tid *dx, int n_dx, int k, int32_t rule_from) {
    pr_graph *g = w->g;
    pr_tid d = dx[k], old = w->gradient[t];
    const pr_tensor *of = pr_graph_tensor(g, t), *is = pr_graph_tensor(g, d);
    if (!is->rows && (!pr_shape_equal(of->shape, is->shape) || of->dtype != is->dtype)) {
        char a[PR_SHAPE_TEXT], b[PR_SHAPE_TEXT];
        pr_graph_fault(g, "the gradient of '%s' %s has the shape %s", of->name,
                       pr_shape_text(of->shape, a), pr_shape_text(is->shape, b));
        return;
    }
    if (!old) {
        w->gradient[t] = d;
    } else if (is->rows || pr_graph_tensor(g, old)->rows) {
        w->gradient[t] = pr_add(g, dense(g, t, old), dense(g, t, d));
    } else if (can_add_onto(g, dx, n_dx, d, rule_from)) {
        int32_t maker = is->node;
        pr_graph_set_input(g, maker, pr_graph_get(g, maker)->op->accumulate, old);
        w->gradient[t] = d;
    } else {
        w->gradient[t] = pr_add(g, old, d);
    }
}

/* The tensor itself, or where it is not kept one that backward makes anew, from what is: the same
 * bits, and the memory of the first is free between its last use forward and here. Where the rule
 * does not read it, a plan leaves the new nodes out. */
static pr_tid afresh(walk *w, pr_tid t) {
    int32_t index = t ? pr_graph_tensor(w->g, t)->node : -1;
    if (index < 0 || t > w->n_tensors || w->kept[t] || w->again[t]) {
        return t && w->again[t] ? w->again[t] : t;
    }
    pr_node n = *pr_graph_get(w->g, index);
    if (n.phase != PR_FORWARD) return t;
    for (int k = 0; k < n.op->n_in && !n.op->again; k++)
        n.in[k] = afresh(w, n.in[k]);
    pr_graph_scope(w->g, "again/%s", n.name);
    return w->again[t] =
               n.op->again ? n.op->again(w->g, &n) : pr_graph_node(w->g, n.op, n.in, n.attr, NULL);
}

/* Runs one node's rule and hands its results to the node's inputs. */
static void visit(walk *w, int32_t index) {
    pr_node n = *pr_graph_get(w->g, index); /* a copy: appending moves nodes */
    pr_tid dy[PR_MAX_OUT] = {0}, dx[PR_MAX_IN] = {0};
    bool flows = false;
    for (int k = 0; k < n.op->n_out; k++) {
        dy[k] = w->gradient[n.out[k]];
        flows |= dy[k] != 0;
    }
    unsigned need = 0;
    for (int k = 0; k < n.op->n_in; k++) {
        if (n.in[k] && w->needs[n.in[k]]) need |= 1u << k;
    }
    if (n.phase != PR_FORWARD || !flows || !need) return;
    if (!n.op->vjp) {
        pr_graph_fault(w->g, "%s '%s' has no gradient, and the loss depends on it", n.op->name,
                       n.name);
        return;
    }
    pr_tid in[PR_MAX_IN];
    memcpy(in, n.in, sizeof in);
    for (int k = 0; k < n.op->n_in; k++)
        n.in[k] = afresh(w, in[k]);
    if (!(n.op->flags & PR_OP_CHEAP)) n.out[0] = afresh(w, n.out[0]);
    if (pr_graph_check(w->g, NULL) != PR_OK) return;
    int32_t rule_from = pr_graph_nodes(w->g);
    pr_graph_scope(w->g, "gradient/%s", n.name);
    n.op->vjp(w->g, &n, dy, need, dx);
    if (pr_graph_check(w->g, NULL) != PR_OK) return;
    for (int k = 0; k < n.op->n_in; k++) {
        if ((need >> k & 1u) && dx[k]) accumulate(w, in[k], dx, n.op->n_in, k, rule_from);
    }
}

static pr_status check_loss(pr_graph *g, pr_tid loss, pr_error *err) {
    pr_status status = pr_graph_check(g, err);
    if (status != PR_OK) return status;
    if (loss <= 0 || loss > pr_graph_tensors(g)) {
        return pr_fail(err, PR_BAD_GRAPH, "the loss is no tensor of this graph");
    }
    const pr_tensor *t = pr_graph_tensor(g, loss);
    if (t->dtype != PR_F32 || !pr_shape_equal(t->shape, pr_shape_1(1))) {
        char text[PR_SHAPE_TEXT];
        return pr_fail(err, PR_BAD_GRAPH, "the loss '%s' must be one f32, shape (1), and is %s",
                       t->name, pr_shape_text(t->shape, text));
    }
    return PR_OK;
}

static void walk_back(walk *w, pr_tid loss, const pr_backward_options *o) {
    pr_graph *g = w->g;
    mark_needs(w);
    mark_reaches(w, loss);
    pr_choose_kept(g, w->reaches, o->recompute, w->kept);
    pr_phase before = pr_graph_phase(g, PR_BACKWARD);
    pr_graph_scope(g, "gradient");
    w->gradient[loss] = o->share ? o->share : pr_constant(g, 1.0f, 1);
    for (int32_t i = w->n_nodes - 1; i >= 0 && pr_graph_check(g, NULL) == PR_OK; i--) {
        bool reaches = false;
        const pr_node *n = pr_graph_get(g, i);
        for (int k = 0; k < n->op->n_out; k++)
            reaches |= w->reaches[n->out[k]];
        if (reaches) visit(w, i);
    }
    pr_graph_phase(g, before);
    for (pr_tid t = 1; t <= w->n_tensors; t++) {
        if (w->gradient[t]) pr_graph_set_gradient(g, t, w->gradient[t]);
    }
}

pr_status pr_backward(pr_graph *g, pr_tid loss, pr_error *err) {
    const pr_backward_options plain = {0};
    return pr_backward_with(g, loss, &plain, err);
}

pr_status pr_backward_with(pr_graph *g, pr_tid loss, const pr_backward_options *options,
                           pr_error *err) {
    pr_status status = check_loss(g, loss, err);
    if (status != PR_OK) return status;
    walk w = {.g = g, .n_nodes = pr_graph_nodes(g), .n_tensors = pr_graph_tensors(g)};
    size_t n = (size_t)w.n_tensors + 1;
    w.needs = pr_alloc(n, sizeof *w.needs);
    w.reaches = pr_alloc(n, sizeof *w.reaches);
    w.gradient = pr_alloc(n, sizeof *w.gradient);
    w.kept = pr_alloc(n, sizeof *w.kept);
    w.again = pr_alloc(n, sizeof *w.again);
    if (w.needs && w.reaches && w.gradient && w.kept && w.again) {
        walk_back(&w, loss, options);
        status = pr_graph_check(g, err);
    } else {
        status = pr_fail_memory(err, "the backward walk", n * sizeof *w.gradient);
    }
    pr_free(w.needs);
    pr_free(w.reaches);
    pr_free(w.gradient);
    pr_free(w.kept);
    pr_free(w.again);
    return status;
}
