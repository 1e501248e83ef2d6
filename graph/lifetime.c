#include "graph/memory.h"
#include "graph/plan_internal.h"

/* Steps of one op that follow each other are one where the op has a kernel for many: what any of
 * them reads stays for all, and what any makes is there from the first on. */
static void join_steps(pr_plan *plan) {
    for (int32_t s = 0; s < plan->n_steps; s++) {
        pr_step *step = &plan->step[s];
        const pr_step *before = s ? step - 1 : NULL;
        bool joins = before && before->op == step->op && step->op->many[plan->backend->kind];
        step->from = joins ? before->from : s;
        for (int32_t i = step->from; i <= s; i++)
            plan->step[i].to = s;
    }
}

/* From the step that makes a value to its last reader. Inputs are there before the first step and
 * stay, so that a plan can run again without being fed again. */
static void find_lifetimes(pr_plan *plan) {
    for (int32_t s = 0; s < plan->n_steps; s++) {
        const pr_step *step = &plan->step[s];
        for (int k = 0; k < step->op->n_out; k++)
            plan->value[step->out[k]].first = step->from, plan->value[step->out[k]].last = step->to;
        for (int k = 0; k < step->op->n_in; k++) {
            if (!step->in[k]) continue;
            plan->value[step->in[k]].used = true;
            plan->value[step->in[k]].last = step->to;
        }
    }
    for (pr_tid t = 1; t <= plan->n_values; t++) {
        pr_value *v = &plan->value[t];
        v->used |= v->wanted;
        bool stays = v->wanted || v->tensor.role == PR_ROLE_INPUT;
        if (v->used && stays) v->last = plan->n_steps;
        if (v->tensor.role == PR_ROLE_INPUT) v->first = -1;
    }
}

static void leave_out_unread(pr_plan *plan) {
    for (int32_t s = 0; s < plan->n_steps; s++) {
        pr_step *step = &plan->step[s];
        for (int k = 0; k < step->op->n_out; k++) {
            bool optional = step->op->optional_out >> k & 1u;
            if (optional && !plan->value[step->out[k]].used) step->out[k] = 0;
        }
    }
}

static pr_status measure(pr_plan *plan, pr_error *err) {
    for (pr_tid t = 1; t <= plan->n_values; t++) {
        pr_value *v = &plan->value[t];
        if (v->last < v->first) continue; /* nothing touches it */
        pr_shape shape = pr_shape_bind(v->tensor.shape, plan->capacity);
        if (pr_shape_bytes(shape, v->tensor.dtype, &v->bytes)) continue;
        return pr_fail(err, PR_BAD_ARGUMENT, "'%s' is too large at this capacity", v->tensor.name);
    }
    return PR_OK;
}

static void add_block(pr_plan *plan, int32_t *where, pr_block block) {
    *where = plan->n_blocks;
    plan->block[plan->n_blocks++] = block;
}

static void add_value(pr_plan *plan, pr_value *v) {
    bool is_float = v->tensor.dtype == PR_F32 || v->tensor.dtype == PR_F64;
    pr_block block = {.bytes = v->bytes, .first = v->first, .last = v->last, .is_float = is_float};
    add_block(plan, &v->block, block);
}

/* Whether out[0] can take the bytes of in[k] at step s. */
static bool can_take(const pr_plan *plan, int32_t s, int k) {
    const pr_step *step = &plan->step[s];
    if (!(step->op->inplace >> k & 1u) || !step->in[k] || step->from < step->to) return false;
    for (int j = 0; j < step->op->n_in; j++) {
        if (j != k && step->in[j] == step->in[k]) return false;
    }
    const pr_value *in = &plan->value[step->in[k]], *out = &plan->value[step->out[0]];
    return in->tensor.role == PR_ROLE_VALUE && in->last == s && in->bytes == out->bytes;
}

/* The input whose place out[0] takes, or -1. The one that is added onto comes first: taking its
 * place saves the kernel a copy. */
static int choose_inplace(const pr_plan *plan, int32_t s) {
    const pr_op *op = plan->step[s].op;
    if (plan->pinned || !plan->step[s].out[0]) return -1;
    if (op->accumulate >= 0 && can_take(plan, s, op->accumulate)) return op->accumulate;
    for (int k = 0; k < op->n_in; k++) {
        if (can_take(plan, s, k)) return k;
    }
    return -1;
}

static void add_outputs(pr_plan *plan, int32_t s) {
    pr_step *step = &plan->step[s];
    int taken = choose_inplace(plan, s);
    for (int k = 0; k < step->op->n_out; k++) {
        if (!step->out[k]) continue;
        pr_value *v = &plan->value[step->out[k]];
        if (k > 0 || taken < 0) {
            add_value(plan, v);
            continue;
        }
        v->block = plan->value[step->in[taken]].block;
        pr_block *block = &plan->block[v->block];
        block->last = v->last;
        block->is_float = v->tensor.dtype == PR_F32 || v->tensor.dtype == PR_F64;
    }
}

static void add_workspace(pr_plan *plan, int32_t s) {
    pr_step *step = &plan->step[s];
    size_t (*workspace)(const pr_call *c) = step->op->workspace[plan->backend->kind];
    size_t bytes = workspace ? workspace(&step->call) : 0;
    pr_block block = {.bytes = bytes, .first = step->from, .last = step->to, .is_float = true};
    if (bytes) add_block(plan, &step->workspace, block);
}

pr_status pr_plan_make_blocks(pr_plan *plan, pr_error *err) {
    join_steps(plan);
    find_lifetimes(plan);
    leave_out_unread(plan);
    pr_status status = measure(plan, err);
    if (status != PR_OK) return status;
    pr_plan_bind(plan, plan->capacity);
    size_t most = (size_t)plan->n_values + (size_t)plan->n_steps; /* each below 2^31 */
    plan->block = pr_alloc(most, sizeof *plan->block);
    if (!plan->block) return pr_fail_memory(err, "a plan", most * sizeof *plan->block);
    for (pr_tid t = 1; t <= plan->n_values; t++) {
        pr_value *v = &plan->value[t];
        if (v->tensor.role == PR_ROLE_INPUT && v->used) add_value(plan, v);
    }
    for (int32_t s = 0; s < plan->n_steps; s++) {
        add_outputs(plan, s);
        add_workspace(plan, s);
    }
    return PR_OK;
}
