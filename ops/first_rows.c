/* Moves first_token up to where rows mix. How much of each tensor is read is found from the end of
 * the graph to its start; then what makes first_token's input is built again on first rows alone,
 * and takes first_token's place. */
#include <string.h>

#include "graph/memory.h"
#include "ops/ops.h"
#include "ops/rewrite.h"
#include "ops/table.h"

typedef enum reading { UNREAD, FIRST_ROWS, WHOLE } reading;

typedef struct pass {
    pr_graph *g;
    int32_t nodes, tensors; /* before the pass */
    pr_tid offsets;         /* of the first_tokens at hand */
    reading *reading;       /* by tensor */
    pr_tid *first;          /* by tensor: its first rows, once they are built */
} pass;

static void read_as(pass *p, pr_tid t, reading how) {
    if (p->reading[t] < how) p->reading[t] = how;
}

static bool is_first_token(const pass *p, const pr_node *n) {
    return n->op == &pr_op_first_token && n->in[1] == p->offsets &&
           pr_graph_tensor(p->g, n->in[0])->shape.dim[0] == PR_TOKENS;
}

/* Whether the node makes a row of out[0] from one row of each input that has a row a token. */
static bool goes_by_row(const pass *p, const pr_node *n) {
    pr_shape out = pr_graph_tensor(p->g, n->out[0])->shape;
    return n->op->by_row && out.n_dims == 2 && out.dim[0] == PR_TOKENS;
}

static bool takes_rows(const pr_node *n, int k) {
    return n->op->by_row >> k & 1u && n->in[k];
}

static void read_inputs(pass *p, const pr_node *n) {
    reading all = UNREAD, rest = UNREAD;
    for (int k = 0; k < n->op->n_out; k++) {
        reading how = p->reading[n->out[k]];
        all = how > all ? how : all;
        rest = k && how > rest ? how : rest;
    }
    if (all == UNREAD) all = WHOLE; /* for whoever wants it */
    bool by_row = all == FIRST_ROWS && rest == UNREAD && goes_by_row(p, n);
    for (int k = 0; k < n->op->n_in; k++) {
        bool first = by_row ? takes_rows(n, k) : k == 0 && is_first_token(p, n);
        read_as(p, n->in[k], first ? FIRST_ROWS : WHOLE);
    }
}

static const pr_node *maker_of(const pass *p, pr_tid t) {
    return pr_graph_get(p->g, pr_graph_tensor(p->g, t)->node);
}

/* Whether t is made anew on first rows alone; else they are taken from the whole. */
static bool shrinks(const pass *p, pr_tid t) {
    const pr_node *n = maker_of(p, t);
    return p->reading[t] == FIRST_ROWS && n && n->out[0] == t && goes_by_row(p, n);
}

/* "blk.5.ffn_up/first" for "blk.5.ffn_up/matmul". */
static void name_after(pr_graph *g, const char *name) {
    const char *last = strrchr(name, '/');
    pr_graph_scope(g, "%.*s/first", (int)(last ? (size_t)(last - name) : strlen(name)), name);
}

static pr_tid first_rows(pass *p, pr_tid t);

/* Appends the maker of t once more, for first rows. */
static pr_tid shrink(pass *p, pr_tid t) {
    pr_node n = *maker_of(p, t);
    for (int k = 0; k < n.op->n_in; k++) {
        if (takes_rows(&n, k)) n.in[k] = first_rows(p, n.in[k]);
    }
    name_after(p->g, n.name);
    return n.op->first_rows ? n.op->first_rows(p->g, &n)
                            : pr_graph_node(p->g, n.op, n.in, n.attr, NULL);
}

/* The first rows of t, (B, d). */
static pr_tid first_rows(pass *p, pr_tid t) {
    if (p->first[t]) return p->first[t];
    if (shrinks(p, t)) return p->first[t] = shrink(p, t);
    name_after(p->g, pr_graph_tensor(p->g, t)->name);
    return p->first[t] = pr_first_token(p->g, t, p->offsets);
}

static void run(pass *p, const bool *live) {
    for (int32_t i = p->nodes - 1; i >= 0; i--) {
        if (live[i]) read_inputs(p, pr_graph_get(p->g, i));
    }
    for (pr_tid t = 1; t <= p->tensors; t++) {
        const pr_node *n = maker_of(p, t);
        if (!n || n->superseded || !is_first_token(p, n) || !shrinks(p, n->in[0])) continue;
        int32_t from = pr_graph_nodes(p->g);
        shrink(p, n->in[0]);
        pr_graph_supersede(p->g, t, from);
    }
}

pr_status pr_rewrite_first_rows(pr_graph *g, pr_error *err) {
    pass p = {.g = g, .nodes = pr_graph_nodes(g), .tensors = pr_graph_tensors(g)};
    for (int32_t i = 0; i < p.nodes && !p.offsets; i++) {
        const pr_node *n = pr_graph_get(g, i);
        if (n->op == &pr_op_first_token) p.offsets = n->in[1];
    }
    if (!p.offsets || pr_graph_check(g, err) != PR_OK) return pr_graph_check(g, err);
    size_t n = (size_t)p.tensors + 1;
    pr_status status = PR_OK;
    bool *live = pr_graph_live(g);
    p.reading = pr_alloc(n, sizeof *p.reading);
    p.first = pr_alloc(n, sizeof *p.first);
    if (live && p.reading && p.first) {
        run(&p, live);
        status = pr_graph_check(g, err);
    } else {
        status = pr_fail_memory(err, "a rewrite", n * sizeof *p.reading);
    }
    pr_free(live);
    pr_free(p.reading);
    pr_free(p.first);
    return status;
}
