#include <string.h>
#include <time.h>

#include "graph/plan_internal.h"

/* ---- addresses and shapes ---- */

void pr_plan_attach(pr_plan *plan, void *arena) {
    if (arena != plan->arena) pr_plan_forget_recordings(plan);
    plan->arena = arena;
    for (pr_tid t = 1; t <= plan->n_values; t++) {
        pr_value *v = &plan->value[t];
        if (v->block >= 0) v->address = plan->arena + plan->block[v->block].offset;
    }
    for (int32_t s = 0; s < plan->n_steps; s++) {
        pr_step *step = &plan->step[s];
        for (int k = 0; k < step->op->n_in; k++)
            step->call.in[k].data = plan->value[step->in[k]].address;
        for (int k = 0; k < step->op->n_out; k++)
            step->call.out[k].data = plan->value[step->out[k]].address;
        if (step->workspace >= 0) {
            step->call.workspace = plan->arena + plan->block[step->workspace].offset;
        }
    }
}

static void bind_view(const pr_plan *plan, pr_view *view, pr_tid t, pr_extent extent) {
    if (!t) return;
    view->shape = pr_shape_bind(plan->value[t].tensor.shape, extent);
    view->dtype = plan->value[t].tensor.dtype;
}

void pr_plan_bind(pr_plan *plan, pr_extent extent) {
    plan->bound = extent;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        pr_step *step = &plan->step[s];
        for (int k = 0; k < step->op->n_in; k++)
            bind_view(plan, &step->call.in[k], step->in[k], extent);
        for (int k = 0; k < step->op->n_out; k++)
            bind_view(plan, &step->call.out[k], step->out[k], extent);
        step->call.extent = extent;
    }
}

/* ---- in and out ---- */

static pr_status check_extent(const pr_plan *plan, pr_extent e, pr_error *err) {
    const pr_extent *c = &plan->capacity;
    const struct {
        const char *name;
        int64_t found, most;
    } parts[] = {
        {"tokens", e.tokens, c->tokens},
        {"sentences", e.sentences, c->sentences},
        {"tokens in one sentence", e.longest, c->longest},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].found >= 0 && parts[i].found <= parts[i].most) continue;
        return pr_fail(err, PR_BAD_ARGUMENT, "the plan has room for %lld %s, and was given %lld",
                       (long long)parts[i].most, parts[i].name, (long long)parts[i].found);
    }
    if (!plan->arena && plan->n_blocks) {
        return pr_fail(err, PR_BAD_ARGUMENT, "the plan has no arena yet");
    }
    return PR_OK;
}

/* The value that holds t's bytes; NULL when t is no tensor that the plan knows. */
static const pr_value *find_value(const pr_plan *plan, pr_tid t) {
    if (t <= 0 || t > plan->n_values) return NULL;
    return &plan->value[plan->value[t].root];
}

static bool bytes_of(const pr_value *v, pr_extent extent, size_t *bytes) {
    return pr_shape_bytes(pr_shape_bind(v->tensor.shape, extent), v->tensor.dtype, bytes);
}

/* What kernels see of a run: where the backend rounds up, more than the batch has. */
static pr_extent seen_extent(const pr_plan *plan, pr_extent e) {
    int64_t step = plan->backend->token_step;
    if (!step) return e;
    pr_extent seen = plan->capacity;
    int64_t tokens = e.tokens / step * step + (e.tokens % step ? step : 0);
    if (tokens < seen.tokens) seen.tokens = tokens;
    return seen;
}

static pr_status copy_in(const pr_plan *plan, const pr_value *v, pr_extent extent, const void *host,
                         pr_error *err) {
    pr_backend *backend = plan->backend;
    size_t bytes, room;
    if (!bytes_of(v, extent, &bytes) || !bytes_of(v, seen_extent(plan, extent), &room)) {
        return pr_fail(err, PR_INTERNAL, "an input has no size");
    }
    pr_status status = backend->upload(backend, v->address, host, bytes);
    if (status == PR_OK && room > bytes) {
        status = backend->fill(backend, (char *)v->address + bytes, 0, room - bytes);
    }
    if (status == PR_OK) return PR_OK;
    backend->sync(backend, err); /* what failed before says more */
    return pr_fail(err, status, "input '%s' could not be copied in", v->tensor.name);
}

pr_status pr_plan_feed(pr_plan *plan, pr_tid t, pr_extent extent, const void *host, pr_error *err) {
    const pr_value *v = find_value(plan, t);
    if (!v || plan->value[t].tensor.role != PR_ROLE_INPUT) {
        return pr_fail(err, PR_BAD_ARGUMENT, "tensor %d ('%s') is no input of this plan", (int)t,
                       v ? plan->value[t].tensor.name : "");
    }
    pr_status status = check_extent(plan, extent, err);
    if (status != PR_OK || v->block < 0) return status;
    return copy_in(plan, v, extent, host, err);
}

/* A wanted output, and how many bytes it has. */
static pr_status find_output(const pr_plan *plan, pr_tid t, pr_extent extent,
                             const pr_value **found, size_t *bytes, pr_error *err) {
    const pr_value *v = *found = find_value(plan, t);
    *bytes = 0;
    if (!v || !v->wanted) {
        return pr_fail(err, PR_BAD_ARGUMENT, "tensor %d ('%s') is not among the wanted outputs",
                       (int)t, v ? plan->value[t].tensor.name : "");
    }
    pr_status status = check_extent(plan, extent, err);
    if (status != PR_OK || bytes_of(v, extent, bytes)) return status;
    return pr_fail(err, PR_INTERNAL, "an output has no size");
}

static pr_status copied_out(pr_status copied, const pr_value *v, pr_error *err) {
    if (copied == PR_OK) return PR_OK;
    return pr_fail(err, copied, "output '%s' could not be copied out", v->tensor.name);
}

pr_status pr_plan_fetch(pr_plan *plan, pr_tid t, pr_extent extent, void *host, pr_error *err) {
    pr_backend *backend = plan->backend;
    const pr_value *v;
    size_t bytes;
    pr_status status = find_output(plan, t, extent, &v, &bytes, err);
    if (status != PR_OK) return status;
    pr_status copied = backend->download(backend, host, v->address, bytes);
    status = backend->sync(backend, err); /* what failed in the run says more */
    return status == PR_OK ? copied_out(copied, v, err) : status;
}

pr_status pr_plan_fetch_later(pr_plan *plan, pr_tid t, pr_extent extent, void *host,
                              pr_error *err) {
    pr_backend *backend = plan->backend;
    const pr_value *v;
    size_t bytes;
    pr_status status = find_output(plan, t, extent, &v, &bytes, err);
    if (status != PR_OK) return status;
    return copied_out(backend->download_later(backend, host, v->address, bytes), v, err);
}

/* ---- what a run costs ---- */

static double view_bytes(const pr_view *view) {
    size_t bytes;
    return view->data && pr_shape_bytes(view->shape, view->dtype, &bytes) ? (double)bytes : 0.0;
}

void pr_call_cost(const pr_call *call, const pr_op *op, double *flops, double *bytes) {
    *flops = op->flops ? op->flops(call) : 0.0;
    *bytes = op->bytes ? op->bytes(call) : 0.0;
    if (op->bytes) return;
    for (int k = 0; k < op->n_in; k++)
        *bytes += view_bytes(&call->in[k]);
    for (int k = 0; k < op->n_out; k++)
        *bytes += view_bytes(&call->out[k]);
}

size_t pr_plan_bytes(const pr_plan_report *report) {
    return report->weights + report->moments + report->gathered + report->arena;
}

void pr_plan_cost(const pr_plan *plan, double *flops, double *bytes) {
    *flops = *bytes = 0.0;
    for (int32_t s = 0; s < plan->n_steps; s++) {
        double step_flops, step_bytes;
        pr_call_cost(&plan->step[s].call, plan->step[s].op, &step_flops, &step_bytes);
        *flops += step_flops;
        *bytes += step_bytes;
    }
}

/* ---- running ---- */

void pr_plan_set_watch(pr_plan *plan, pr_plan_watch watch, void *context) {
    plan->watch = watch;
    plan->watch_context = context;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* All ones are NaN in every float type; 0x7f7f... is a number that no table has a row for. */
static void poison_dead(const pr_plan *plan, int32_t s) {
    for (int32_t i = 0; i < plan->n_blocks; i++) {
        const pr_block *b = &plan->block[i];
        int byte = b->is_float ? 0xff : 0x7f;
        if (b->last == s)
            plan->backend->fill(plan->backend, plan->arena + b->offset, byte, b->bytes);
    }
}

/* A watch sees a node's results, and a GPU has only been told of the node so far. */
static bool waits(const pr_plan *plan) {
    return plan->watch || plan->backend->careful;
}

static pr_status run_step(const pr_plan *plan, pr_step *step, pr_error *err) {
    double start = plan->watch ? now() : 0.0;
    step->call.err = err;
    pr_status status = step->kernel(&step->call);
    if (status == PR_OK && waits(plan)) {
        pr_error fault = {.code = PR_OK}; /* a GPU does not know which node it was */
        status = plan->backend->sync(plan->backend, &fault);
        if (status != PR_OK) {
            return pr_fail(err, status, "%s '%s': %s", step->op->name, step->call.name,
                           fault.message);
        }
    }
    if (status != PR_OK) {
        return pr_fail(err, status, "%s '%s' failed", step->op->name, step->call.name);
    }
    if (!plan->watch) return PR_OK;
    return plan->watch(plan->watch_context, &step->call, step->op, now() - start);
}

static pr_status run_many(const pr_plan *plan, int32_t s, int n, pr_error *err) {
    const pr_op *op = plan->step[s].op;
    for (int i = 0; i < n; i++) {
        plan->step[s + i].call.err = err;
        plan->calls[i] = &plan->step[s + i].call;
    }
    pr_status status = op->many[plan->backend->kind](plan->calls, n);
    if (status == PR_OK) return PR_OK;
    return pr_fail(err, status, "%s '%s' or one of the %d behind it failed", op->name,
                   plan->step[s].call.name, n - 1);
}

pr_status pr_plan_run_steps(pr_plan *plan, pr_error *err) {
    pr_status status = PR_OK;
    for (int32_t s = 0, n; s < plan->n_steps && status == PR_OK; s += n) {
        n = waits(plan) ? 1 : plan->step[s].to - s + 1;
        status = n > 1 ? run_many(plan, s, n, err) : run_step(plan, &plan->step[s], err);
        if (plan->poison) poison_dead(plan, s + n - 1);
    }
    return status;
}

/* Kernels whose views are rounded up read the run's own extent from the backend's memory. */
static pr_status tell_extent(const pr_plan *plan, pr_extent e, pr_error *err) {
    pr_backend *backend = plan->backend;
    if (!backend->token_step) return PR_OK;
    const int32_t live[PR_LIVE] = {[PR_LIVE_TOKENS] = (int32_t)e.tokens,
                                   [PR_LIVE_SENTENCES] = (int32_t)e.sentences,
                                   [PR_LIVE_LONGEST] = (int32_t)e.longest};
    pr_status status = backend->upload(backend, backend->live, live, sizeof live);
    return status == PR_OK ? PR_OK : pr_fail(err, status, "a run's extent could not be copied in");
}

pr_status pr_plan_begin(pr_plan *plan, pr_extent extent, pr_error *err) {
    pr_status status = check_extent(plan, extent, err);
    if (status == PR_OK) status = tell_extent(plan, extent, err);
    if (status == PR_OK) pr_plan_bind(plan, seen_extent(plan, extent));
    return status;
}

pr_status pr_plan_run(pr_plan *plan, pr_extent extent, pr_error *err) {
    pr_status status = pr_plan_begin(plan, extent, err);
    if (status != PR_OK) return status;
    bool replays = plan->backend->record && !waits(plan);
    return replays ? pr_plan_replay(plan, err) : pr_plan_run_steps(plan, err);
}
