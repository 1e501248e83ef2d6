/* The bytes of the arena as they would change in a run: a list of which value's bytes are whole,
 * and where. Writing a value destroys what it overlaps; reading wants it whole. Lifetimes, on which
 * placement rests, are not asked. */
#include "graph/memory.h"
#include "graph/plan_internal.h"

typedef struct region {
    size_t from, to;
    pr_tid t; /* 0: scratch memory */
} region;

typedef struct memory {
    const pr_plan *plan;
    region *whole;
    int32_t n_whole;
    pr_error *err;
} memory;

static bool in_store(const pr_value *v) {
    return v->tensor.role == PR_ROLE_PARAM || v->tensor.role == PR_ROLE_STATE;
}

static bool overlap(region a, region b) {
    return a.from < b.to && b.from < a.to;
}

static bool is_whole(const memory *m, pr_tid t) {
    for (int32_t i = 0; i < m->n_whole; i++) {
        if (m->whole[i].t == t) return true;
    }
    return false;
}

static const char *name_of(const memory *m, region r) {
    return r.t ? m->plan->value[r.t].tensor.name : "scratch memory";
}

/* The region of a block that holds `bytes` of t. */
static pr_status locate(const memory *m, pr_tid t, int32_t block, size_t bytes, region *r) {
    const pr_plan *plan = m->plan;
    *r = (region){.t = t};
    if (block < 0 || block >= plan->n_blocks) {
        return pr_fail(m->err, PR_INTERNAL, "plan: '%s' has no place", name_of(m, *r));
    }
    r->from = plan->block[block].offset;
    bool fits = pr_size_add(r->from, bytes, &r->to) && r->to <= plan->report.arena;
    if (!fits || r->from % plan->backend->alignment) {
        return pr_fail(m->err, PR_INTERNAL, "plan: '%s' is placed outside the arena or askew",
                       name_of(m, *r));
    }
    return PR_OK;
}

static pr_status locate_value(const memory *m, pr_tid t, region *r) {
    const pr_value *v = &m->plan->value[t];
    size_t bytes = 0;
    pr_shape shape = pr_shape_bind(v->tensor.shape, m->plan->capacity);
    if (!pr_shape_bytes(shape, v->tensor.dtype, &bytes)) {
        return pr_fail(m->err, PR_INTERNAL, "plan: '%s' has no size", v->tensor.name);
    }
    return locate(m, t, v->block, bytes, r);
}

/* Everything that r overlaps is lost; r itself is whole if it is a value's. */
static void overwrite(memory *m, region r) {
    int32_t kept = 0;
    for (int32_t i = 0; i < m->n_whole; i++) {
        if (!overlap(m->whole[i], r)) m->whole[kept++] = m->whole[i];
    }
    if (r.t) m->whole[kept++] = r;
    m->n_whole = kept;
}

/* The prologue, updates and what gathers gradients write parameters and states, and only those that
 * train. */
static pr_status check_store_write(const memory *m, const pr_step *step, int k) {
    const pr_value *v = &m->plan->value[step->in[k]];
    const char *op = step->op->name, *name = v->tensor.name;
    bool may = step->phase == PR_PROLOGUE || step->phase >= PR_GATHER;
    if (!in_store(v) || !may) {
        return pr_fail(m->err, PR_BAD_GRAPH, "%s '%s' may not write '%s'", op, step->call.name,
                       name);
    }
    if (!pr_store_param(m->plan->store, v->tensor.param)->require_grad) {
        return pr_fail(m->err, PR_BAD_GRAPH, "%s '%s' writes '%s', which is frozen", op,
                       step->call.name, name);
    }
    return PR_OK;
}

static pr_status check_reads(const memory *m, const pr_step *step) {
    for (int k = 0; k < step->op->n_in; k++) {
        pr_tid t = step->in[k];
        if (!t) continue;
        if (step->op->writes >> k & 1u) {
            pr_status status = check_store_write(m, step, k);
            if (status != PR_OK) return status;
        }
        const pr_value *v = &m->plan->value[t];
        if (in_store(v) || is_whole(m, t)) continue;
        return pr_fail(m->err, PR_INTERNAL,
                       "plan: %s '%s' reads '%s' before it is there or after it is gone",
                       step->op->name, step->call.name, v->tensor.name);
    }
    return PR_OK;
}

/* Whether what the step writes at r may lie over its input k: out[0] in that very place, when the
 * op allows it and reads those bytes through no other input. */
static bool may_cover(const pr_step *step, int out, region r, int k, region in) {
    if (out != 0 || !(step->op->inplace >> k & 1u)) return false;
    for (int j = 0; j < step->op->n_in; j++) {
        if (j != k && step->in[j] == step->in[k]) return false;
    }
    return r.from == in.from && r.to == in.to;
}

static pr_status check_write(const memory *m, const pr_step *step, int out, region r,
                             const region *written, int n_written) {
    for (int j = 0; j < n_written; j++) {
        if (!overlap(written[j], r)) continue;
        return pr_fail(m->err, PR_INTERNAL, "plan: %s '%s' writes '%s' over '%s'", step->op->name,
                       step->call.name, name_of(m, r), name_of(m, written[j]));
    }
    for (int k = 0; k < step->op->n_in; k++) {
        region in;
        if (!step->in[k] || in_store(&m->plan->value[step->in[k]])) continue;
        pr_status status = locate_value(m, step->in[k], &in);
        if (status != PR_OK) return status;
        if (!overlap(in, r) || may_cover(step, out, r, k, in)) continue;
        return pr_fail(m->err, PR_INTERNAL, "plan: %s '%s' writes '%s' over its input '%s'",
                       step->op->name, step->call.name, name_of(m, r), name_of(m, in));
    }
    return PR_OK;
}

static pr_status check_writes(memory *m, const pr_step *step) {
    region written[PR_MAX_OUT + 1];
    int n = 0;
    pr_status status = PR_OK;
    for (int k = 0; k <= step->op->n_out && status == PR_OK; k++) {
        bool scratch = k == step->op->n_out;
        if (scratch ? step->workspace < 0 : !step->out[k]) continue;
        region r;
        if (scratch) {
            size_t bytes = step->op->workspace[m->plan->backend->kind](&step->call);
            status = locate(m, 0, step->workspace, bytes, &r);
        } else {
            status = locate_value(m, step->out[k], &r);
        }
        if (status == PR_OK) status = check_write(m, step, k, r, written, n);
        if (status == PR_OK) written[n++] = r;
    }
    for (int j = 0; j < n && status == PR_OK; j++)
        overwrite(m, written[j]);
    return status;
}

static pr_status check_inputs(memory *m) {
    for (pr_tid t = 1; t <= m->plan->n_values; t++) {
        const pr_value *v = &m->plan->value[t];
        if (v->tensor.role != PR_ROLE_INPUT || v->block < 0) continue;
        region r;
        pr_status status = locate_value(m, t, &r);
        if (status != PR_OK) return status;
        overwrite(m, r);
    }
    return PR_OK;
}

/* Wanted values and inputs outlive a run. */
static pr_status check_end(const memory *m) {
    for (pr_tid t = 1; t <= m->plan->n_values; t++) {
        const pr_value *v = &m->plan->value[t];
        bool stays = v->wanted || (v->tensor.role == PR_ROLE_INPUT && v->block >= 0);
        if (!stays || in_store(v) || is_whole(m, t)) continue;
        return pr_fail(m->err, PR_INTERNAL, "plan: '%s' does not last to the end of a run",
                       v->tensor.name);
    }
    return PR_OK;
}

pr_status pr_plan_check(const pr_plan *plan, pr_error *err) {
    size_t room = (size_t)plan->n_values + 1;
    memory m = {.plan = plan, .whole = pr_alloc(room, sizeof(region)), .err = err};
    if (!m.whole) return pr_fail_memory(err, "checking a plan", room * sizeof(region));
    pr_status status = check_inputs(&m);
    for (int32_t s = 0; s < plan->n_steps && status == PR_OK; s++) {
        status = check_reads(&m, &plan->step[s]);
        if (status == PR_OK) status = check_writes(&m, &plan->step[s]);
    }
    if (status == PR_OK) status = check_end(&m);
    pr_free(m.whole);
    return status;
}
