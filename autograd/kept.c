#include "autograd/kept.h"

/* Tensors on the way to the loss that have a row a token, from the node that makes each to its last
 * reader. */
static bool is_long(const pr_graph *g, const bool *reaches, pr_tid t) {
    const pr_tensor *tensor = pr_graph_tensor(g, t);
    return reaches[t] && tensor->role == PR_ROLE_VALUE && tensor->shape.n_dims > 1 &&
           tensor->shape.dim[0] == PR_TOKENS;
}

/* Whether node i is the last of the forward part to read t. */
static bool is_last_reader(const pr_graph *g, const bool *reaches, int32_t i, pr_tid t) {
    for (int32_t later = i + 1; later < pr_graph_nodes(g); later++) {
        const pr_node *n = pr_graph_get(g, later);
        if (!reaches[n->out[0]]) continue;
        for (int k = 0; k < n->op->n_in; k++) {
            if (n->in[k] == t) return false;
        }
    }
    return true;
}

/* Keeps the long tensors that are alone alive after some node. */
static void keep_cuts(const pr_graph *g, const bool *reaches, bool *kept) {
    int64_t alive = 0, sum = 0; /* how many, and the sum of their numbers: one alone is the sum */
    for (int32_t i = 0; i < pr_graph_nodes(g); i++) {
        const pr_node *n = pr_graph_get(g, i);
        if (n->phase != PR_FORWARD || !n->op->n_out || !reaches[n->out[0]]) continue;
        for (int k = 0; k < n->op->n_in; k++) {
            bool again = false;
            for (int j = 0; j < k; j++)
                again |= n->in[j] == n->in[k];
            if (again || !n->in[k] || !is_long(g, reaches, n->in[k])) continue;
            if (!is_last_reader(g, reaches, i, n->in[k])) continue;
            alive--;
            sum -= n->in[k];
        }
        if (is_long(g, reaches, n->out[0])) {
            alive++;
            sum += n->out[0];
        }
        if (alive == 1) kept[sum] = true;
    }
}

void pr_choose_kept(const pr_graph *g, const bool *reaches, bool recompute, bool *kept) {
    for (pr_tid t = 1; t <= pr_graph_tensors(g); t++)
        kept[t] = !recompute || !is_long(g, reaches, t);
    if (recompute) keep_cuts(g, reaches, kept);
    for (int32_t i = 0; i < pr_graph_nodes(g); i++) {
        const pr_node *n = pr_graph_get(g, i);
        if (n->op->flags & PR_OP_CHEAP) kept[n->out[0]] = false;
        for (int k = 1; k < n->op->n_out; k++)
            kept[n->out[k]] = true;
    }
}
