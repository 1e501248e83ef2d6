#include <string.h>

#include "graph/graph_internal.h"
#include "graph/memory.h"

/* Moves the nodes from `from` on to number `to`. */
static bool move_nodes(pr_graph *g, int32_t from, int32_t to) {
    size_t moved = (size_t)(g->nodes - from), passed = (size_t)(from - to);
    pr_node *copy = pr_alloc(moved, sizeof *copy);
    if (!copy) return false;
    memcpy(copy, g->node + from, moved * sizeof *copy);
    memmove(g->node + to + moved, g->node + to, passed * sizeof *copy);
    memcpy(g->node + to, copy, moved * sizeof *copy);
    pr_free(copy);
    for (int32_t i = to; i < g->nodes; i++) {
        for (int k = 0; k < g->node[i].op->n_out; k++)
            g->entry[g->node[i].out[k] - 1].tensor.node = i;
    }
    return true;
}

/* Whether the new nodes read what is there before the old one. */
static bool come_after(const pr_graph *g, int32_t from, int32_t old) {
    for (int32_t i = from; i < g->nodes; i++) {
        for (int k = 0; k < g->node[i].op->n_in; k++) {
            pr_tid in = g->node[i].in[k];
            int32_t maker = in ? pr_graph_tensor(g, in)->node : -1;
            if (maker >= old && maker < from) return false;
        }
    }
    return true;
}

void pr_graph_supersede(pr_graph *g, pr_tid t, int32_t from) {
    if (pr_graph_check(g, NULL) != PR_OK) return;
    int32_t old = pr_graph_tensor(g, t) ? pr_graph_tensor(g, t)->node : -1, last = g->nodes - 1;
    if (g->mark.set || old < 0 || from <= old || from > last || g->node[old].out[0] != t ||
        !come_after(g, from, old)) {
        pr_graph_fault(g, "nodes from %d on can't supersede the one that makes tensor %d",
                       (int)from, (int)t);
        return;
    }
    pr_tid made = g->node[last].out[0];
    const pr_tensor *is = pr_graph_tensor(g, t), *by = pr_graph_tensor(g, made);
    if (!pr_shape_equal(is->shape, by->shape) || is->dtype != by->dtype) {
        pr_graph_fault(g, "'%s' can't supersede '%s': it has another shape", by->name, is->name);
        return;
    }
    g->node[last].out[0] = t;
    g->node[old].out[0] = made;
    g->node[old].superseded = true;
    g->entry[made - 1].tensor.node = old;
    if (!move_nodes(g, from, old + 1)) pr_fail_memory(&g->fault, "the graph", sizeof(pr_node));
}

bool *pr_graph_live(const pr_graph *g) {
    bool *live = pr_alloc((size_t)g->nodes + 1, sizeof *live);
    /* By tensor: a node that counts reads it; another one does. */
    bool *read = pr_alloc((size_t)g->tensors + 1, sizeof *read);
    bool *passed = pr_alloc((size_t)g->tensors + 1, sizeof *passed);
    for (int32_t i = g->nodes - 1; live && read && passed && i >= 0; i--) {
        const pr_node *n = &g->node[i];
        bool any_read = false, any_passed = false;
        for (int k = 0; k < n->op->n_out; k++) {
            any_read |= read[n->out[k]];
            any_passed |= passed[n->out[k]];
        }
        live[i] = !n->superseded && (any_read || !any_passed);
        for (int k = 0; k < n->op->n_in; k++)
            (live[i] ? read : passed)[n->in[k]] = true;
    }
    if (!read || !passed) {
        pr_free(live);
        live = NULL;
    }
    pr_free(read);
    pr_free(passed);
    return live;
}
