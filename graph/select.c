#include "graph/memory.h"
#include "graph/plan_internal.h"

typedef struct selection {
    const pr_graph *g;
    bool training;
    bool *keep;     /* by node */
    bool *read;     /* by tensor: a node that is kept reads it */
    int32_t *to_do; /* nodes kept, whose inputs have not been followed */
    int32_t n_to_do;
} selection;

static void keep(selection *s, int32_t node) {
    if (node < 0 || s->keep[node]) return;
    s->keep[node] = true;
    s->to_do[s->n_to_do++] = node;
}

static void follow(selection *s) {
    while (s->n_to_do) {
        const pr_node *n = pr_graph_get(s->g, s->to_do[--s->n_to_do]);
        bool passes = !s->training && (n->op->flags & PR_OP_TRAINING_ONLY);
        for (int k = 0; k < (passes ? 1 : n->op->n_in); k++) {
            if (!n->in[k]) continue;
            s->read[n->in[k]] = true;
            keep(s, pr_graph_tensor(s->g, n->in[k])->node);
        }
    }
}

static bool writes_what_is_read(const selection *s, const pr_node *n) {
    for (int k = 0; k < n->op->n_in; k++) {
        if ((n->op->writes >> k & 1u) && n->in[k] && s->read[n->in[k]]) return true;
    }
    return false;
}

/* What brings a parameter up to date is needed where the parameter is read. Keeping one such node
 * may make others needed. */
static void follow_prologue(selection *s) {
    for (bool again = true; again;) {
        again = false;
        for (int32_t i = 0; i < pr_graph_nodes(s->g); i++) {
            const pr_node *n = pr_graph_get(s->g, i);
            if (n->phase != PR_PROLOGUE || s->keep[i] || !writes_what_is_read(s, n)) continue;
            keep(s, i);
            follow(s);
            again = true;
        }
    }
}

pr_status pr_plan_select(const pr_graph *g, const pr_plan_options *options, bool *kept,
                         pr_error *err) {
    size_t nodes = (size_t)pr_graph_nodes(g), tensors = (size_t)pr_graph_tensors(g) + 1;
    selection s = {.g = g, .training = options->training, .keep = kept};
    s.read = pr_alloc(tensors, sizeof *s.read);
    s.to_do = pr_alloc(nodes, sizeof *s.to_do);
    pr_status status = PR_OK;
    if (s.read && s.to_do) {
        for (int k = 0; k < options->n_wanted; k++)
            keep(&s, pr_graph_tensor(g, options->wanted[k])->node);
        pr_phase last = options->gather ? PR_GATHER : PR_UPDATE;
        for (int32_t i = 0; i < pr_graph_nodes(g); i++) {
            if (options->training && pr_graph_get(g, i)->phase == last) keep(&s, i);
        }
        follow(&s);
        follow_prologue(&s);
    } else {
        status = pr_fail_memory(err, "a plan", nodes * sizeof *s.to_do);
    }
    pr_free(s.read);
    pr_free(s.to_do);
    return status;
}
