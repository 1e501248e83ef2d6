#include "graph/graph_internal.h"
#include "graph/memory.h"

/* How a parameter that only this node reads could be kept. */
static pr_keep allowed(const pr_op *op, int k) {
    if (!(op->bf16 >> k & 1u)) return PR_KEEP_F32;
    return op->sparse_reads >> k & 1u ? PR_KEEP_AS_ADDED : PR_KEEP_BF16;
}

/* What the readers of a tensor together allow. */
typedef struct reading {
    pr_keep keep;
    bool sparse; /* few rows at a time */
} reading;

/* all (tensors + 1): the least of what the readers of each allow. */
static void limit_by_readers(const pr_graph *g, const bool *live, reading *all) {
    for (int32_t i = 0; i < g->nodes; i++) {
        const pr_node *n = &g->node[i];
        for (int k = 0; live[i] && k < n->op->n_in; k++) {
            reading *r = &all[n->in[k]];
            pr_keep may = allowed(n->op, k);
            if (may < r->keep) r->keep = may;
            r->sparse &= n->op->sparse_reads >> k & 1u;
        }
    }
}

pr_status pr_graph_keep_in(const pr_graph *g, pr_store *store, bool bf16, pr_error *err) {
    reading *all = pr_alloc((size_t)g->tensors + 1, sizeof *all);
    bool *live = pr_graph_live(g);
    pr_status status = PR_OK;
    if (all && live) {
        for (pr_tid t = 0; t <= g->tensors; t++)
            all[t] = (reading){bf16 ? PR_KEEP_BF16 : PR_KEEP_F32, true};
        limit_by_readers(g, live, all);
        for (pr_tid t = 1; t <= g->tensors; t++) {
            const pr_tensor *tensor = pr_graph_tensor(g, t);
            if (tensor->role != PR_ROLE_PARAM) continue;
            pr_store_keep(store, tensor->param, all[t].keep);
            pr_store_reads_sparsely(store, tensor->param, all[t].sparse);
        }
    } else {
        status = pr_fail_memory(err, "the graph", (size_t)g->tensors * sizeof *all);
    }
    pr_free(all);
    pr_free(live);
    return status;
}

pr_status pr_graph_keep(const pr_graph *g, bool bf16, pr_error *err) {
    return pr_graph_keep_in(g, g->store, bf16, err);
}

void pr_graph_follow_store(pr_graph *g) {
    for (int32_t i = 0; i < g->tensors; i++) {
        pr_tensor *t = &g->entry[i].tensor;
        if (t->role != PR_ROLE_PARAM) continue;
        t->dtype = pr_store_param(g->store, t->param)->half ? PR_BF16 : PR_F32;
    }
}
