#include <string.h>

#include "graph/memory.h"
#include "graph/plan_internal.h"

/* ---- what was asked for ---- */

static pr_status check_request(const pr_graph *g, const pr_store *store, const pr_backend *backend,
                               const pr_plan_options *o, pr_error *err) {
    pr_status status = pr_graph_check(g, err);
    if (status != PR_OK) return status;
    const pr_extent *c = &o->capacity;
    /* One less: there are as many offsets as sentences, and one. A backend that rounds runs up is
     * told their own extents in 32 bits. */
    int64_t most = (backend->token_step ? INT32_MAX : INT64_MAX) - 1;
    if (c->tokens < 0 || c->tokens > most || c->sentences < 0 || c->sentences > most ||
        c->longest < 0 || c->longest > most) {
        return pr_fail(err, PR_BAD_ARGUMENT, "a plan's capacity is out of range");
    }
    for (int k = 0; k < o->n_wanted; k++) {
        if (pr_graph_tensor(g, o->wanted[k])) continue;
        return pr_fail(err, PR_BAD_ARGUMENT, "wanted output %d is no tensor of this graph", k);
    }
    if (pr_store_backend(store)->kind != backend->kind) {
        return pr_fail(err, PR_BAD_ARGUMENT, "the parameters are not on the backend '%s'",
                       backend->name);
    }
    return PR_OK;
}

/* ---- what is remembered of the graph ---- */

/* Copies all names into one block; the graph may go while the plan lives. */
static bool copy_names(pr_plan *plan, const pr_graph *g) {
    size_t room = 1;
    for (pr_tid t = 1; t <= plan->n_values; t++) {
        if (!pr_size_add(room, strlen(pr_graph_tensor(g, t)->name) + 1, &room)) return false;
    }
    for (int32_t i = 0; i < pr_graph_nodes(g); i++) {
        if (!pr_size_add(room, strlen(pr_graph_get(g, i)->name) + 1, &room)) return false;
    }
    plan->text = pr_alloc(room, 1);
    return plan->text != NULL;
}

static const char *next_name(char **free_text, const char *name) {
    char *copy = *free_text;
    *free_text = stpcpy(copy, name) + 1;
    return copy;
}

static pr_status copy_tensors(pr_plan *plan, const pr_graph *g, char **free_text, pr_error *err) {
    size_t n = (size_t)plan->n_values + 1;
    plan->value = pr_alloc(n, sizeof *plan->value);
    if (!plan->value) return pr_fail_memory(err, "a plan", n * sizeof *plan->value);
    plan->value[0] = (pr_value){.block = -1};
    for (pr_tid t = 1; t <= plan->n_values; t++) {
        pr_value *v = &plan->value[t];
        *v = (pr_value){.tensor = *pr_graph_tensor(g, t), .root = t, .block = -1, .last = -1};
        v->tensor.name = next_name(free_text, v->tensor.name);
    }
    for (pr_tid t = 1; t <= plan->n_values; t++) {
        pr_tid gradient = pr_graph_gradient(g, t);
        if (plan->value[t].tensor.role == PR_ROLE_PARAM && gradient)
            plan->value[gradient].gradient = true;
    }
    return PR_OK;
}

/* ---- steps ---- */

/* Makes out[0] of a node that is passed over another name of in[0]. */
static pr_status pass_through(pr_plan *plan, const pr_node *n, pr_error *err) {
    pr_value *out = &plan->value[n->out[0]];
    const pr_value *in = &plan->value[n->in[0]];
    if (!pr_shape_equal(in->tensor.shape, out->tensor.shape) ||
        in->tensor.dtype != out->tensor.dtype) {
        return pr_fail(err, PR_BAD_GRAPH, "%s '%s' can't be left out: it changes the shape",
                       n->op->name, n->name);
    }
    out->root = in->root;
    return PR_OK;
}

static pr_status check_phase(const pr_graph *g, const pr_node *n, pr_error *err) {
    for (int k = 0; k < n->op->n_in; k++) {
        int32_t maker = n->in[k] ? pr_graph_tensor(g, n->in[k])->node : -1;
        if (maker < 0 || pr_graph_get(g, maker)->phase <= n->phase) continue;
        return pr_fail(err, PR_BAD_GRAPH, "%s '%s' reads '%s', which a later phase computes",
                       n->op->name, n->name, pr_graph_tensor(g, n->in[k])->name);
    }
    return PR_OK;
}

static pr_status add_step(pr_plan *plan, const pr_node *n, char **free_text, pr_error *err) {
    const pr_op *op = n->op;
    if (!plan->training && (op->flags & PR_OP_TRAINING_ONLY)) return pass_through(plan, n, err);
    pr_kernel kernel = op->kernel[plan->backend->kind];
    if (!kernel) {
        return pr_fail(err, PR_UNSUPPORTED, "%s '%s': there is no kernel for the backend '%s'",
                       op->name, n->name, plan->backend->name);
    }
    pr_step *step = &plan->step[plan->n_steps++];
    *step = (pr_step){.op = op, .kernel = kernel, .phase = n->phase, .workspace = -1};
    step->call.attr = n->attr;
    step->call.training = plan->training;
    step->call.backend = plan->backend;
    step->call.name = next_name(free_text, n->name);
    for (int k = 0; k < op->n_in; k++)
        step->in[k] = plan->value[n->in[k]].root;
    for (int k = 0; k < op->n_out; k++)
        step->out[k] = n->out[k];
    return PR_OK;
}

/* The kept nodes that gather, listed by the last node of the backward part that makes what they
 * read: first[maker + 1], then next[node]. */
typedef struct gathering {
    int32_t *first, *next; /* -1: none */
} gathering;

static int32_t last_maker(const pr_graph *g, const pr_node *n) {
    int32_t last = -1;
    for (int k = 0; k < n->op->n_in; k++) {
        int32_t maker = n->in[k] ? pr_graph_tensor(g, n->in[k])->node : -1;
        if (maker > last && pr_graph_get(g, maker)->phase == PR_BACKWARD) last = maker;
    }
    return last;
}

static bool list_gathering(const pr_graph *g, const bool *keep, gathering *list) {
    int32_t n_nodes = pr_graph_nodes(g);
    list->first = pr_alloc((size_t)n_nodes + 1, sizeof *list->first);
    list->next = pr_alloc((size_t)n_nodes + 1, sizeof *list->next);
    if (!list->first || !list->next) return false;
    for (int32_t i = 0; i <= n_nodes; i++)
        list->first[i] = -1;
    for (int32_t i = 0; i < n_nodes; i++) {
        const pr_node *n = pr_graph_get(g, i);
        if (!keep[i] || n->phase != PR_GATHER) continue;
        int32_t *first = &list->first[last_maker(g, n) + 1];
        list->next[i] = *first;
        *first = i;
    }
    return true;
}

static pr_status add_gathering(pr_plan *plan, const pr_graph *g, const gathering *list,
                               int32_t maker, char **free_text, pr_error *err) {
    pr_status status = PR_OK;
    for (int32_t i = list->first[maker + 1]; i >= 0 && status == PR_OK; i = list->next[i])
        status = add_step(plan, pr_graph_get(g, i), free_text, err);
    return status;
}

/* The kept nodes of a phase by number; what gathers runs as soon as it can. */
static pr_status add_phase(pr_plan *plan, const pr_graph *g, const bool *keep, pr_phase phase,
                           const gathering *list, char **free_text, pr_error *err) {
    if (phase == PR_GATHER) return add_gathering(plan, g, list, -1, free_text, err);
    for (int32_t i = 0; i < pr_graph_nodes(g); i++) {
        const pr_node *n = pr_graph_get(g, i);
        if (!keep[i] || n->phase != phase) continue;
        pr_status status = check_phase(g, n, err);
        if (status == PR_OK) status = add_step(plan, n, free_text, err);
        if (status == PR_OK) status = add_gathering(plan, g, list, i, free_text, err);
        if (status != PR_OK) return status;
    }
    return PR_OK;
}

static pr_status add_steps(pr_plan *plan, const pr_graph *g, const bool *keep, char **free_text,
                           pr_error *err) {
    size_t n_nodes = (size_t)pr_graph_nodes(g);
    gathering list = {0};
    pr_status status = PR_OK;
    plan->step = pr_alloc(n_nodes, sizeof *plan->step);
    plan->calls = pr_alloc(n_nodes, sizeof(void *));
    if (!plan->step || !plan->calls || !list_gathering(g, keep, &list))
        status = pr_fail_memory(err, "a plan", n_nodes * sizeof *plan->step);
    for (int phase = PR_PROLOGUE; phase <= PR_UPDATE && status == PR_OK; phase++)
        status = add_phase(plan, g, keep, (pr_phase)phase, &list, free_text, err);
    pr_free(list.first);
    pr_free(list.next);
    return status;
}

static pr_status take_from_graph(pr_plan *plan, const pr_graph *g, const pr_plan_options *options,
                                 pr_error *err) {
    plan->n_values = pr_graph_tensors(g);
    size_t n_nodes = (size_t)pr_graph_nodes(g);
    if (!copy_names(plan, g)) return pr_fail_memory(err, "a plan's names", n_nodes);
    bool *keep = pr_alloc(n_nodes, sizeof *keep);
    if (!keep) return pr_fail_memory(err, "a plan", n_nodes);
    char *free_text = plan->text;
    pr_status status = copy_tensors(plan, g, &free_text, err);
    if (status == PR_OK) status = pr_plan_select(g, options, keep, err);
    if (status == PR_OK) status = add_steps(plan, g, keep, &free_text, err);
    pr_free(keep);
    for (int k = 0; k < options->n_wanted && status == PR_OK; k++)
        plan->value[plan->value[options->wanted[k]].root].wanted = true;
    return status;
}

/* ---- parameters and the report ---- */

/* The addresses of the parameters and states that are used, and their sizes. */
static pr_status bind_store(pr_plan *plan, pr_error *err) {
    for (pr_tid t = 1; t <= plan->n_values; t++) {
        pr_value *v = &plan->value[t];
        bool is_state = v->tensor.role == PR_ROLE_STATE;
        if (!v->used || (v->tensor.role != PR_ROLE_PARAM && !is_state)) continue;
        const pr_param *p = pr_store_param(plan->store, v->tensor.param);
        if (!p || (!is_state && !pr_shape_equal(p->shape, v->tensor.shape))) {
            return pr_fail(err, PR_BAD_ARGUMENT, "the store does not hold '%s' as the graph has it",
                           v->tensor.name);
        }
        if (is_state && p->state_bytes[v->tensor.slot] < v->bytes) {
            return pr_fail(err, PR_BAD_ARGUMENT, "'%s' has %zu bytes in the store, and needs %zu",
                           v->tensor.name, p->state_bytes[v->tensor.slot], v->bytes);
        }
        bool in_half = v->tensor.dtype == PR_BF16;
        if (!is_state && in_half != (p->half != NULL)) {
            return pr_fail(err, PR_BAD_ARGUMENT, "'%s' is %s in the graph and %s in the store",
                           v->tensor.name, pr_dtype_name(v->tensor.dtype),
                           pr_dtype_name(p->half ? PR_BF16 : PR_F32));
        }
        v->address = is_state ? p->state[v->tensor.slot] : in_half ? (void *)p->half : p->data;
        bool gathered = is_state && v->tensor.slot == PR_STATE_GRADIENT;
        *(gathered   ? &plan->report.gathered
          : is_state ? &plan->report.moments
                     : &plan->report.weights) += v->bytes;
    }
    return PR_OK;
}

/* The stretches of time in which blocks hold gradients of parameters. A block that one gradient
 * hands to another in place is counted once. */
static pr_status report_gradients(pr_plan *plan, pr_error *err) {
    size_t n = (size_t)plan->n_blocks;
    pr_block *held = pr_alloc(n, sizeof *held);
    if (!held) return pr_fail_memory(err, "a plan's report", n * sizeof *held);
    for (size_t i = 0; i < n; i++)
        held[i] = (pr_block){.bytes = plan->block[i].bytes, .first = INT32_MAX, .last = -1};
    for (pr_tid t = 1; t <= plan->n_values; t++) {
        const pr_value *v = &plan->value[t];
        if (!v->gradient || v->block < 0) continue;
        pr_block *b = &held[v->block];
        if (v->first < b->first) b->first = v->first;
        if (v->last > b->last) b->last = v->last;
    }
    pr_status status =
        pr_plan_peak(held, plan->n_blocks, plan->n_steps, &plan->report.gradients, err);
    pr_free(held);
    return status;
}

static pr_status fill_report(pr_plan *plan, pr_error *err) {
    pr_plan_report *r = &plan->report;
    r->nodes = plan->n_steps;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const pr_step *step = &plan->step[s];
        if (step->op->flops) r->flops += step->op->flops(&step->call);
    }
    pr_status status =
        pr_plan_peak(plan->block, plan->n_blocks, plan->n_steps, &r->lower_bound, err);
    if (status == PR_OK) status = report_gradients(plan, err);
    r->activations = r->arena - r->gradients;
    return status;
}

/* ---- the plan ---- */

pr_plan *pr_plan_new(const pr_graph *g, pr_store *store, pr_backend *backend,
                     const pr_plan_options *options, pr_error *err) {
    if (check_request(g, store, backend, options, err) != PR_OK) return NULL;
    pr_plan *plan = pr_alloc(1, sizeof *plan);
    if (!plan) {
        pr_fail_memory(err, "a plan", sizeof *plan);
        return NULL;
    }
    plan->backend = backend;
    plan->store = store;
    plan->capacity = options->capacity;
    plan->training = options->training;
    plan->pinned = options->pinned;
    plan->poison = options->poison;
    pr_status status = take_from_graph(plan, g, options, err);
    if (status == PR_OK) status = pr_plan_make_blocks(plan, err);
    if (status == PR_OK) status = bind_store(plan, err);
    if (status == PR_OK) {
        status = pr_plan_place(plan->block, plan->n_blocks, backend->alignment, plan->pinned,
                               &plan->report.arena, err);
    }
    if (status == PR_OK) status = pr_plan_check(plan, err);
    if (status == PR_OK) status = fill_report(plan, err);
    if (status == PR_OK) status = pr_plan_make_recordings(plan, err);
    if (status == PR_OK && !plan->n_blocks) pr_plan_attach(plan, NULL);
    if (status == PR_OK) return plan;
    pr_plan_free(plan);
    return NULL;
}

void pr_plan_free(pr_plan *plan) {
    if (!plan) return;
    pr_plan_forget_recordings(plan);
    pr_free(plan->recording);
    pr_free(plan->met);
    pr_free((void *)plan->calls);
    pr_free(plan->value);
    pr_free(plan->step);
    pr_free(plan->block);
    pr_free(plan->text);
    pr_free(plan);
}

const pr_plan_report *pr_plan_get_report(const pr_plan *plan) {
    return &plan->report;
}

pr_extent pr_plan_capacity(const pr_plan *plan) {
    return plan->capacity;
}
