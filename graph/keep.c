#include "graph/graph_internal.h"
#include "graph/memory.h"

/* How a parameter that only this node reads could be kept. */
static pr_keep allowed(const pr_op *op, int k) {
    if (!(op->bf16 >> k & 1u)) return PR_KEEP_F32;
    return op->sparse_reads >> k & 1u ? PR_KEEP_AS_ADDED : PR_KEEP_BF16;
}

/* keep (tensors + 1): the least of what the readers of each allow. */
static void limit_by_readers(const pr_graph *g, const bool *live, pr_keep *keep) {
    for (int32_t i = 0; i < g->nodes; i++) {
        const pr_node *n = &g->node[i];
        for (int k = 0; live[i] && k < n->op->n_in; k++) {
            pr_keep may = allowed(n->op, k);
            if (may < keep[n->in[k]]) keep[n->in[k]] = may;
        }
    }
}

pr_status pr_graph_keep(const pr_graph *g, bool bf16, pr_error *err) {
    pr_keep *keep = pr_alloc((size_t)g->tensors + 1, sizeof *keep);
    bool *live = pr_graph_live(g);
    pr_status status = PR_OK;
    if (keep && live) {
        for (pr_tid t = 0; t <= g->tensors; t++)
            keep[t] = bf16 ? PR_KEEP_BF16 : PR_KEEP_F32;
        limit_by_readers(g, live, keep);
        for (pr_tid t = 1; t <= g->tensors; t++) {
            const pr_tensor *tensor = pr_graph_tensor(g, t);
            if (tensor->role == PR_ROLE_PARAM) pr_store_keep(g->store, tensor->param, keep[t]);
        }
    } else {
        status = pr_fail_memory(err, "the graph", (size_t)g->tensors * sizeof *keep);
    }
    pr_free(keep);
    pr_free(live);
    return status;
}

void pr_graph_follow_store(pr_graph *g) {
    for (int32_t i = 0; i < g->tensors; i++) {
        pr_tensor *t = &g->entry[i].tensor;
        if (t->role != PR_ROLE_PARAM) continue;
        t->dtype = pr_store_param(g->store, t->param)->half ? PR_BF16 : PR_F32;
    }
}
