#include "graph/graph_internal.h"

#include <stdarg.h>
#include <string.h>

#include "graph/memory.h"

pr_graph *pr_graph_new(pr_store *store) {
    pr_graph *g = pr_alloc(1, sizeof *g);
    pr_names *names = pr_names_new();
    char *scope = pr_copy_text("");
    if (!g || !names || !scope) {
        pr_free(g);
        pr_names_free(names);
        pr_free(scope);
        return NULL;
    }
    g->store = store;
    g->names = names;
    g->scope = scope;
    g->phase = PR_FORWARD;
    return g;
}

static void drop_texts(pr_graph *g, size_t keep) {
    while (g->texts > keep)
        pr_free(g->text[--g->texts]);
}

void pr_graph_free(pr_graph *g) {
    if (!g) return;
    drop_texts(g, 0);
    pr_free(g->text);
    pr_free(g->entry);
    pr_free(g->node);
    pr_names_free(g->names);
    pr_names_free(g->later);
    pr_free(g->scope);
    pr_free(g);
}

pr_store *pr_graph_store(const pr_graph *g) {
    return g->store;
}

/* ---- faults and names ---- */

static bool faulty(const pr_graph *g) {
    return g->fault.code != PR_OK;
}

pr_tid pr_graph_fault(pr_graph *g, const char *format, ...) {
    if (faulty(g)) return 0;
    va_list args;
    va_start(args, format);
    vsnprintf(g->fault.message, sizeof g->fault.message, format, args);
    va_end(args);
    g->fault.code = PR_BAD_GRAPH;
    return 0;
}

pr_status pr_graph_check(const pr_graph *g, pr_error *err) {
    if (!faulty(g)) return PR_OK;
    return pr_fail(err, g->fault.code, "%s", g->fault.message);
}

static pr_tid no_memory(pr_graph *g) {
    pr_fail_memory(&g->fault, "the graph", sizeof(pr_entry));
    return 0;
}

/* The text as a string to be freed; NULL when there is no memory. */
static char *print_text(const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *text = n < 0 ? NULL : pr_alloc((size_t)n + 1, 1);
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

/* A name that lives as long as what it names; NULL, with the fault recorded, without memory. */
static const char *keep_text(pr_graph *g, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const char *keep_text(pr_graph *g, const char *format, ...) {
    if (!pr_grow((void **)&g->text, &g->text_capacity, g->texts + 1, sizeof *g->text)) {
        no_memory(g);
        return NULL;
    }
    va_list args;
    va_start(args, format);
    char *text = print_text(format, args);
    va_end(args);
    if (!text) no_memory(g);
    if (text) g->text[g->texts++] = text;
    return text;
}

pr_tid pr_graph_find(const pr_graph *g, const char *name) {
    int32_t t = pr_names_get(g->names, name);
    if (t < 0 && g->later) t = pr_names_get(g->later, name);
    return t > 0 && t <= g->tensors ? t : 0;
}

/* "blk.3.ffn_up/linear", with a number behind it when the scope has one already. */
static const char *new_node_name(pr_graph *g, const char *op) {
    const char *slash = *g->scope ? "/" : "";
    const char *name = keep_text(g, "%s%s%s", g->scope, slash, op);
    for (int32_t n = g->nodes; name && pr_graph_find(g, name); n++) {
        drop_texts(g, g->texts - 1);
        name = keep_text(g, "%s%s%s.%d", g->scope, slash, op, (int)n);
    }
    return name;
}

void pr_graph_scope(pr_graph *g, const char *format, ...) {
    if (faulty(g)) return;
    va_list args;
    va_start(args, format);
    char *scope = print_text(format, args); /* may read the old one */
    va_end(args);
    if (!scope) {
        no_memory(g);
        return;
    }
    pr_free(g->scope);
    g->scope = scope;
}

pr_phase pr_graph_phase(pr_graph *g, pr_phase phase) {
    pr_phase before = g->phase;
    g->phase = phase;
    return before;
}

/* ---- tensors ---- */

static bool is_tensor(const pr_graph *g, pr_tid t) {
    return t > 0 && t <= g->tensors;
}

/* Whether a tensor can have the shape: dynamic in front at most, its fixed part countable. */
static bool is_shape(pr_shape shape) {
    if (shape.n_dims < 0 || shape.n_dims > PR_MAX_DIMS) return false;
    size_t bytes;
    return pr_shape_bytes(pr_shape_bind(shape, (pr_extent){1, 1, 1}), PR_F64, &bytes);
}

/* Appends a tensor, whose name must be the graph's and new. */
static pr_tid append_tensor(pr_graph *g, pr_tensor tensor) {
    bool room = g->tensors < INT32_MAX && pr_grow((void **)&g->entry, &g->entry_capacity,
                                                  (size_t)g->tensors + 1, sizeof *g->entry);
    if (room && g->mark.set && !g->later) room = (g->later = pr_names_new()) != NULL;
    pr_names *names = g->mark.set ? g->later : g->names;
    if (!room || pr_names_put(names, tensor.name, g->tensors + 1) != PR_OK) return no_memory(g);
    g->entry[g->tensors] = (pr_entry){.tensor = tensor};
    return ++g->tensors;
}

/* Appends a tensor that no node computes; its name is the graph's, or NULL without memory. */
static pr_tid append_leaf(pr_graph *g, pr_tensor tensor) {
    if (!tensor.name) return 0;
    if (pr_graph_find(g, tensor.name)) {
        return pr_graph_fault(g, "there are two tensors of the name '%s'", tensor.name);
    }
    if (!is_shape(tensor.shape)) {
        return pr_graph_fault(g, "'%s' has no possible shape", tensor.name);
    }
    tensor.node = -1;
    return append_tensor(g, tensor);
}

pr_tid pr_graph_input(pr_graph *g, const char *name, pr_dtype dtype, pr_shape shape) {
    if (faulty(g)) return 0;
    pr_tensor tensor = {
        .shape = shape,
        .dtype = dtype,
        .role = PR_ROLE_INPUT,
        .param = -1,
        .name = keep_text(g, "%s", name),
    };
    return append_leaf(g, tensor);
}

pr_tid pr_graph_param(pr_graph *g, const char *name) {
    if (faulty(g)) return 0;
    pr_tid t = pr_graph_find(g, name);
    if (t && pr_graph_tensor(g, t)->role == PR_ROLE_PARAM) return t;
    int param = pr_store_find(g->store, name);
    if (param < 0) return pr_graph_fault(g, "there is no parameter '%s'", name);
    pr_tensor tensor = {
        .shape = pr_store_param(g->store, param)->shape,
        .dtype = PR_F32,
        .role = PR_ROLE_PARAM,
        .param = param,
        .name = keep_text(g, "%s", name),
    };
    return append_leaf(g, tensor);
}

pr_tid pr_graph_state(pr_graph *g, int param, pr_state_slot slot, pr_dtype dtype, pr_shape shape) {
    static const char *const slot_names[PR_STATE_SLOTS] = {"first", "second", "gradient", "rows"};
    if (faulty(g)) return 0;
    const pr_param *p = pr_store_param(g->store, param);
    if (!p) return pr_graph_fault(g, "there is no parameter number %d", param);
    pr_tensor tensor = {
        .shape = shape,
        .dtype = dtype,
        .role = PR_ROLE_STATE,
        .param = param,
        .slot = slot,
        .name = keep_text(g, "%s/%s", p->name, slot_names[slot]),
    };
    pr_tid t = tensor.name ? pr_graph_find(g, tensor.name) : 0;
    if (!t) return append_leaf(g, tensor);
    drop_texts(g, g->texts - 1);
    const pr_tensor *old = pr_graph_tensor(g, t);
    if (old->role == PR_ROLE_STATE && old->dtype == dtype && pr_shape_equal(old->shape, shape)) {
        return t;
    }
    return pr_graph_fault(g, "'%s' is already there, of another kind", old->name);
}

/* ---- nodes ---- */

enum { WHAT = 160 };

/* "linear 'blk.3.ffn_up'" */
static const char *describe(char what[WHAT], const pr_op *op, const char *scope) {
    if (*scope)
        snprintf(what, WHAT, "%s '%s'", op->name, scope);
    else
        snprintf(what, WHAT, "%s", op->name);
    return what;
}

/* Runs the op's shape rule on inputs that are there; false, with the fault recorded, if it won't
 * have them. */
static bool infer(pr_graph *g, const pr_op *op, const pr_tid *in, const pr_attr *attr,
                  const char *what, pr_infer *c) {
    *c = (pr_infer){.attr = *attr, .what = what, .err = &g->fault};
    for (int k = 0; k < op->n_in; k++) {
        if (!in[k] && (op->optional_in >> k & 1u)) continue;
        if (!is_tensor(g, in[k])) {
            pr_graph_fault(g, "%s: input %d is missing", what, k);
            return false;
        }
        const pr_tensor *t = pr_graph_tensor(g, in[k]);
        c->in[k] = t->shape;
        c->in_dtype[k] = t->dtype;
        c->has[k] = true;
    }
    pr_status status = op->infer(c);
    if (status != PR_OK) pr_fail(&g->fault, status, "%s: inputs that do not fit", what);
    for (int k = 0; k < op->n_out && !faulty(g); k++) {
        if (!is_shape(c->out[k])) {
            pr_graph_fault(g, "%s: output %d would have no possible shape", what, k);
        }
    }
    return !faulty(g);
}

static bool append_outputs(pr_graph *g, pr_node *n, const pr_infer *c) {
    for (int k = 0; k < n->op->n_out; k++) {
        const char *name = k ? keep_text(g, "%s:%d", n->name, k) : n->name;
        if (!name) return false;
        pr_tensor tensor = {
            .shape = c->out[k],
            .dtype = c->out_dtype[k],
            .role = PR_ROLE_VALUE,
            .node = g->nodes,
            .param = -1,
            .name = name,
        };
        n->out[k] = append_tensor(g, tensor);
        if (!n->out[k]) return false;
    }
    if (n->op->flags & PR_OP_SPARSE) g->entry[n->out[0] - 1].tensor.rows = n->out[1];
    return true;
}

pr_tid pr_graph_node(pr_graph *g, const pr_op *op, const pr_tid *in, pr_attr attr, pr_tid *out) {
    for (int k = 0; out && k < op->n_out; k++)
        out[k] = 0;
    if (faulty(g)) return 0;
    char what[WHAT];
    pr_infer c;
    pr_node n = {.op = op, .attr = attr, .phase = g->phase};
    if (op->n_in) memcpy(n.in, in, op->n_in * sizeof *in);
    if (!infer(g, op, n.in, &attr, describe(what, op, g->scope), &c)) return 0;
    if (g->nodes == INT32_MAX ||
        !pr_grow((void **)&g->node, &g->node_capacity, (size_t)g->nodes + 1, sizeof *g->node)) {
        return no_memory(g);
    }
    n.name = new_node_name(g, op->name);
    if (!n.name || !append_outputs(g, &n, &c)) return 0;
    g->node[g->nodes++] = n;
    for (int k = 0; out && k < op->n_out; k++)
        out[k] = n.out[k];
    return n.out[0];
}

/* Whether t is there before the node runs, and for as long as the node. */
static bool precedes(const pr_graph *g, pr_tid t, int32_t node) {
    if (!is_tensor(g, t)) return false;
    if (g->mark.set && node < g->mark.nodes && t > g->mark.tensors) return false;
    int32_t maker = pr_graph_tensor(g, t)->node;
    return maker < 0 || (maker < node && g->node[maker].phase <= g->node[node].phase);
}

void pr_graph_set_input(pr_graph *g, int32_t node, int slot, pr_tid t) {
    if (faulty(g)) return;
    if (node < 0 || node >= g->nodes) {
        pr_graph_fault(g, "there is no node number %d", (int)node);
        return;
    }
    pr_node *n = &g->node[node];
    if (slot < 0 || slot >= n->op->n_in || !(n->op->optional_in >> slot & 1u)) {
        pr_graph_fault(g, "%s '%s': input %d can't be replaced", n->op->name, n->name, slot);
        return;
    }
    if (!precedes(g, t, node)) {
        pr_graph_fault(g, "%s '%s': a new input must be made before it", n->op->name, n->name);
        return;
    }
    char what[WHAT];
    pr_infer c;
    pr_tid in[PR_MAX_IN];
    memcpy(in, n->in, sizeof in);
    in[slot] = t;
    if (!infer(g, n->op, in, &n->attr, describe(what, n->op, n->name), &c)) return;
    for (int k = 0; k < n->op->n_out; k++) {
        const pr_tensor *old = pr_graph_tensor(g, n->out[k]);
        if (pr_shape_equal(old->shape, c.out[k]) && old->dtype == c.out_dtype[k]) continue;
        pr_graph_fault(g, "%s: a new input changes its output's shape", what);
        return;
    }
    n->in[slot] = t;
}

/* ---- mark and rewind ---- */

void pr_graph_mark(pr_graph *g) {
    for (pr_tid t = g->mark.tensors + 1; g->mark.set && t <= g->tensors; t++) {
        if (pr_names_put(g->names, pr_graph_tensor(g, t)->name, t) != PR_OK) no_memory(g);
    }
    pr_names_free(g->later);
    g->later = NULL;
    g->mark = (pr_mark){
        .set = true,
        .tensors = g->tensors,
        .nodes = g->nodes,
        .texts = g->texts,
        .phase = g->phase,
        .sound = !faulty(g),
    };
}

void pr_graph_rewind(pr_graph *g) {
    if (!g->mark.set) return;
    g->tensors = g->mark.tensors;
    g->nodes = g->mark.nodes;
    g->phase = g->mark.phase;
    drop_texts(g, g->mark.texts);
    pr_names_free(g->later);
    g->later = NULL;
    for (int32_t i = 0; i < g->tensors; i++)
        g->entry[i].gradient = 0;
    if (g->mark.sound) g->fault = (pr_error){.code = PR_OK};
}

/* ---- reading ---- */

int32_t pr_graph_tensors(const pr_graph *g) {
    return g->tensors;
}

int32_t pr_graph_nodes(const pr_graph *g) {
    return g->nodes;
}

const pr_tensor *pr_graph_tensor(const pr_graph *g, pr_tid t) {
    return is_tensor(g, t) ? &g->entry[t - 1].tensor : NULL;
}

const pr_node *pr_graph_get(const pr_graph *g, int32_t node) {
    return node >= 0 && node < g->nodes ? &g->node[node] : NULL;
}

pr_tid pr_graph_gradient(const pr_graph *g, pr_tid t) {
    return is_tensor(g, t) ? g->entry[t - 1].gradient : 0;
}

void pr_graph_set_gradient(pr_graph *g, pr_tid t, pr_tid gradient) {
    if (is_tensor(g, t)) g->entry[t - 1].gradient = gradient;
}
