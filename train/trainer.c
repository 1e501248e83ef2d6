
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "autograd/backward.h"
#include "graph/memory.h"
#include "ops/rewrite.h"
#include "train/trainer_internal.h"

enum { TOKEN_STEP = 64 }; /* capacities are multiples of this many tokens */

pr_trainer_options pr_trainer_default(void) {
    pr_optimizer o = pr_optimizer_default();
    return (pr_trainer_options){.adamw = o.adamw, .clip = o.clip};
}

static pr_tid clock_of(pr_graph *g) {
    pr_tid clock = pr_graph_find(g, "clock");
    return clock ? clock : pr_graph_input(g, "clock", PR_U64, pr_shape_1(3));
}

pr_trainer *pr_trainer_new(pr_graph *g, pr_backend *backend, pr_tid loss,
                           const pr_trainer_options *options, pr_error *err) {
    if (pr_rewrite(g, err) != PR_OK) return NULL;
    if (loss && options->steps < 1) {
        pr_fail(err, PR_BAD_ARGUMENT, "a trainer needs the learning rate of one step or more");
        return NULL;
    }
    pr_trainer *t = pr_alloc(1, sizeof *t);
    float *rates = pr_alloc((size_t)options->steps, sizeof *rates);
    int64_t micro = loss && options->micro_batch > 0 ? options->micro_batch : 0;
    int32_t *offsets = pr_alloc((size_t)micro + 1, sizeof *offsets);
    if (!t || !rates || !offsets) {
        pr_fail_memory(err, "a trainer", (size_t)options->steps * sizeof *rates);
        pr_free(t);
        pr_free(rates);
        pr_free(offsets);
        return NULL;
    }
    if (options->steps) memcpy(rates, options->rates, (size_t)options->steps * sizeof *rates);
    *t = (pr_trainer){
        .g = g,
        .store = pr_graph_store(g),
        .backend = backend,
        .loss = loss,
        .clock = clock_of(g),
        .rates = rates,
        .n_rates = options->steps,
        .seed = options->seed,
        .optimizer = {.adamw = options->adamw, .clip = options->clip},
        .parts = {.sentences = micro, .offsets = offsets},
        .recompute = options->recompute,
    };
    t->optimizer.clock = t->clock;
    if (!micro) t->optimizer.loss = loss;
    if (loss) t->optimizer.rates = pr_graph_input(g, "rates", PR_F32, pr_shape_1(t->n_rates));
    pr_graph_mark(g);
    if (pr_graph_check(g, err) != PR_OK) {
        pr_trainer_free(t);
        return NULL;
    }
    return t;
}

static void drop_plans(pr_trainer *t) {
    pr_plan_free(t->training);
    pr_plan_free(t->evaluation);
    pr_plan_free(t->update);
    t->training = t->evaluation = t->update = NULL;
}

void pr_trainer_free(pr_trainer *t) {
    if (!t) return;
    if (t->ahead.n) t->backend->sync(t->backend, NULL); /* it writes into the trainer */
    drop_plans(t);
    t->backend->free(t->backend, t->arena, t->arena_bytes);
    pr_parts_clear(&t->parts);
    pr_free(t->parts.offsets);
    pr_free(t->rates);
    pr_free(t);
}

/* Rows of parameters that are about to freeze, or of all, brought up to date. */
static pr_status catch_up(pr_trainer *t, bool frozen_only, pr_error *err) {
    pr_status status = PR_OK;
    for (int i = 0; i < pr_store_count(t->store) && status == PR_OK; i++) {
        const pr_param *p = pr_store_param(t->store, i);
        if (!p->state[PR_STATE_ROWS] || (frozen_only && p->require_grad)) continue;
        status = pr_adamw_catch_up(t->store, i, t->rates, t->steps, &t->optimizer.adamw, err);
    }
    return status;
}

pr_status pr_trainer_catch_up(pr_trainer *t, pr_error *err) {
    pr_status status = pr_trainer_at_rest(t, err);
    return status == PR_OK ? catch_up(t, false, err) : status;
}

/* Appends gradients and updates. */
static pr_status emit(pr_trainer *t, pr_error *err) {
    bool parts = t->parts.sentences > 0;
    pr_status status = parts ? pr_parts_begin(&t->parts, t->g, err) : PR_OK;
    if (status == PR_OK) {
        const pr_backward_options o = {.share = parts ? t->parts.share : 0,
                                       .recompute = t->recompute};
        status = pr_backward_with(t->g, t->loss, &o, err);
    }
    if (status == PR_OK && parts) status = pr_parts_emit(&t->parts, t->g, t->clock, err);
    if (status != PR_OK) return status;
    return pr_optimizer_emit(t->g, &t->optimizer, t->parts.gradient, &t->factor, err);
}

/* Gradients and updates for what trains now. */
pr_status pr_trainer_derive(pr_trainer *t, pr_error *err) {
    uint64_t version = pr_store_version(t->store);
    if (t->derived && t->derived_for == version) return PR_OK;
    drop_plans(t);
    pr_graph_rewind(t->g);
    pr_status status = catch_up(t, true, err);
    bool bf16 = t->backend->precision == PR_PRECISION_BF16;
    if (status == PR_OK) status = pr_graph_keep(t->g, bf16, err);
    if (status == PR_OK) status = pr_store_settle(t->store, t->steps, err);
    if (status == PR_OK) pr_graph_follow_store(t->g);
    if (status == PR_OK && t->loss) status = emit(t, err);
    t->derived = status == PR_OK;
    t->derived_for = version;
    return status;
}

bool pr_trainer_has_room(const pr_plan *plan, pr_extent e) {
    if (!plan) return false;
    pr_extent c = pr_plan_capacity(plan);
    return e.tokens <= c.tokens && e.sentences <= c.sentences && e.longest <= c.longest;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Room for e, and for all that an older plan had room for: one plan then serves both. */
static pr_extent capacity_for(const pr_plan *old, pr_extent e) {
    if (old) {
        pr_extent c = pr_plan_capacity(old);
        e.tokens = larger(e.tokens, c.tokens);
        e.sentences = larger(e.sentences, c.sentences);
        e.longest = larger(e.longest, c.longest);
    }
    e.tokens = (e.tokens + TOKEN_STEP - 1) / TOKEN_STEP * TOKEN_STEP;
    return e;
}

static pr_status alloc_arena(pr_trainer *t, size_t need, pr_error *err) {
    pr_backend *backend = t->backend;
    backend->free(backend, t->arena, t->arena_bytes);
    t->arena = backend->alloc(backend, need);
    t->arena_bytes = t->arena ? need : 0;
    if (t->arena) return PR_OK;
    return pr_backend_no_memory(backend, "the plan's arena", need,
                                "smaller batches, or parts of them, need less", err);
}

/* One arena serves all plans; it follows their need up, and down when a tenth or more is spare. */
static pr_status fit_arena(pr_trainer *t, pr_error *err) {
    size_t need = 1;
    enum { PLANS = 3 };
    pr_plan *plans[PLANS] = {t->training, t->evaluation, t->update};
    for (int i = 0; i < PLANS; i++) {
        size_t bytes = plans[i] ? pr_plan_get_report(plans[i])->arena : 0;
        if (bytes > need) need = bytes;
    }
    bool fits = need <= t->arena_bytes && need >= t->arena_bytes - t->arena_bytes / 10;
    pr_status status = fits ? PR_OK : alloc_arena(t, need, err);
    if (status != PR_OK) {
        drop_plans(t);
        return status;
    }
    for (int i = 0; i < PLANS; i++) {
        if (plans[i]) pr_plan_attach(plans[i], t->arena);
    }
    return PR_OK;
}

/* Makes a plan of these options, but for their capacity, in the place of an older one. */
pr_status pr_trainer_replan(pr_trainer *t, pr_plan **plan, pr_extent e, pr_plan_options options,
                            pr_error *err) {
    options.capacity = capacity_for(*plan, e);
    pr_plan *made = pr_plan_new(t->g, t->store, t->backend, &options, err);
    if (!made) return err && err->code != PR_OK ? err->code : PR_NO_MEMORY;
    pr_plan_set_watch(made, t->watch, t->watch_context);
    pr_plan_free(*plan);
    *plan = made;
    return fit_arena(t, err);
}

pr_status pr_trainer_make_ready(pr_trainer *t, pr_extent extent, pr_error *err) {
    if (t->parts.sentences) return pr_trainer_make_ready_in_parts(t, extent, err);
    if (!t->loss) return pr_fail(err, PR_BAD_ARGUMENT, "this trainer has no loss to train");
    pr_status status = pr_trainer_derive(t, err);
    if (status != PR_OK || pr_trainer_has_room(t->training, extent)) return status;
    const pr_tid wanted[] = {t->loss, t->factor};
    const pr_plan_options options = {.wanted = wanted, .n_wanted = 2, .training = true};
    return pr_trainer_replan(t, &t->training, extent, options, err);
}

pr_status pr_trainer_prepare(pr_trainer *t, pr_extent extent, pr_error *err) {
    pr_status status = pr_trainer_at_rest(t, err);
    return status == PR_OK ? pr_trainer_make_ready(t, extent, err) : status;
}

/* first: the number of the first sentence in its batch; share: of the batch's mean. */
pr_status pr_trainer_feed_part(pr_trainer *t, pr_plan *plan, pr_extent extent, const pr_feed *feeds,
                               int n_feeds, int64_t first, float share, pr_error *err) {
    const uint64_t clock[3] = {t->seed, (uint64_t)t->steps, (uint64_t)first};
    pr_status status = pr_plan_feed(plan, t->clock, extent, clock, err);
    if (status == PR_OK && t->parts.sentences && t->derived) {
        status = pr_plan_feed(plan, t->parts.share, extent, &share, err);
    }
    if (status == PR_OK && t->loss) {
        status = pr_plan_feed(plan, t->optimizer.rates, extent, t->rates, err);
    }
    for (int i = 0; i < n_feeds && status == PR_OK; i++) {
        status = pr_plan_feed(plan, feeds[i].input, extent, feeds[i].data, err);
    }
    return status;
}

pr_status pr_trainer_feed_all(pr_trainer *t, pr_plan *plan, pr_extent extent, const pr_feed *feeds,
                              int n_feeds, pr_error *err) {
    return pr_trainer_feed_part(t, plan, extent, feeds, n_feeds, 0, 1.0f, err);
}

/* The watch that finds where numbers stop being finite. */
typedef struct first_fault {
    const char *when; /* "step 3: ", or nothing */
    pr_error *err;
} first_fault;

/* A copy of out[k], to be freed; NULL without elements. */
static pr_status on_host(const pr_call *call, int k, float **copy, size_t *n, pr_error *err) {
    pr_backend *backend = (pr_backend *)call->backend;
    *copy = NULL;
    if (!pr_shape_count(call->out[k].shape, n) || !*n) return PR_OK;
    *copy = pr_alloc(*n, sizeof **copy);
    if (!*copy) return pr_fail_memory(err, call->name, *n * sizeof **copy);
    pr_status status = backend->download(backend, *copy, call->out[k].data, *n * sizeof **copy);
    return status == PR_OK ? PR_OK : pr_fail(err, status, "'%s' could not be read", call->name);
}

static pr_status look_for_fault(void *context, const pr_call *call, const pr_op *op,
                                double seconds) {
    (void)seconds;
    const first_fault *f = context;
    pr_status status = PR_OK;
    for (int k = 0; k < op->n_out && status == PR_OK; k++) {
        if (!call->out[k].data || call->out[k].dtype != PR_F32) continue;
        float *copy;
        size_t n;
        status = on_host(call, k, &copy, &n, f->err);
        size_t i = 0;
        while (status == PR_OK && copy && i < n && isfinite(copy[i]))
            i++;
        if (status == PR_OK && copy && i < n) {
            status =
                pr_fail(f->err, PR_NOT_FINITE, "%s%s '%s' is the first to compute %s (element %zu)",
                        f->when, op->name, call->name, isnan(copy[i]) ? "NaN" : "infinity", i);
        }
        pr_free(copy);
    }
    return status;
}

static pr_status run_whole(pr_trainer *t, pr_extent extent, const pr_feed *feeds, int n_feeds,
                           float *loss, float *factor, pr_error *err) {
    pr_status status = pr_trainer_feed_all(t, t->training, extent, feeds, n_feeds, err);
    if (status == PR_OK) status = pr_plan_run(t->training, extent, err);
    if (status == PR_OK) status = pr_plan_fetch(t->training, t->loss, extent, loss, err);
    if (status == PR_OK) status = pr_plan_fetch(t->training, t->factor, extent, factor, err);
    return status;
}

/* ---- */

/* Runs the batch again, looking at every node; its updates still change nothing. */
static pr_status name_fault(pr_trainer *t, pr_plan *plan, pr_extent extent, const pr_feed *feeds,
                            int n_feeds, pr_error *err) {
    pr_error ignored = {.code = PR_OK};
    char when[32] = "";
    /* Steps count from 1, as in reports; a trainer without a loss makes none. */
    if (plan == t->training) snprintf(when, sizeof when, "step %d: ", (int)t->steps + 1);
    if (plan != t->training && t->loss) {
        snprintf(when, sizeof when, "after step %d: ", (int)t->steps);
    }
    first_fault f = {when, err};
    double loss;
    pr_plan_set_watch(plan, look_for_fault, &f);
    if (plan == t->training && t->parts.sentences) {
        pr_trainer_run_parts(t, extent, feeds, n_feeds, &loss, &ignored);
    } else if (pr_trainer_feed_all(t, plan, extent, feeds, n_feeds, &ignored) == PR_OK) {
        pr_plan_run(plan, extent, &ignored);
    }
    pr_plan_set_watch(plan, t->watch, t->watch_context);
    return pr_fail(err, PR_NOT_FINITE, "%sa result is not finite", when);
}

pr_status pr_trainer_has_rate(const pr_trainer *t, pr_error *err) {
    if (t->steps < t->n_rates) return PR_OK;
    return pr_fail(err, PR_BAD_ARGUMENT, "step %d: the run was given %d learning rates",
                   (int)t->steps, (int)t->n_rates);
}

pr_status pr_trainer_make_step(pr_trainer *t, pr_extent extent, const pr_feed *feeds, int n_feeds,
                               float *loss, pr_error *err) {
    float factor = 0.0f;
    pr_status status = pr_trainer_has_rate(t, err);
    if (status == PR_OK) status = pr_trainer_make_ready(t, extent, err);
    if (status != PR_OK) return status;
    status = t->parts.sentences
                 ? pr_trainer_run_in_parts(t, extent, feeds, n_feeds, loss, &factor, err)
                 : run_whole(t, extent, feeds, n_feeds, loss, &factor, err);
    if (status != PR_OK) return status;
    if (!isfinite(*loss) || !isfinite(factor)) {
        return name_fault(t, t->training, extent, feeds, n_feeds, err);
    }
    t->steps++;
    pr_store_release_sparse(t->store);
    return PR_OK;
}

pr_status pr_trainer_step(pr_trainer *t, pr_extent extent, const pr_feed *feeds, int n_feeds,
                          float *loss, pr_error *err) {
    pr_status status = pr_trainer_at_rest(t, err);
    return status == PR_OK ? pr_trainer_make_step(t, extent, feeds, n_feeds, loss, err) : status;
}

static pr_status evaluate(pr_trainer *t, pr_tid wanted, pr_extent extent, const pr_feed *feeds,
                          int n_feeds, void *out, pr_error *err) {
    pr_status status = pr_trainer_at_rest(t, err);
    if (status == PR_OK) status = pr_trainer_derive(t, err);
    if (status == PR_OK &&
        (wanted != t->evaluated || !pr_trainer_has_room(t->evaluation, extent))) {
        t->evaluated = wanted;
        const pr_plan_options options = {.wanted = &wanted, .n_wanted = 1};
        status = pr_trainer_replan(t, &t->evaluation, extent, options, err);
    }
    if (status == PR_OK)
        status = pr_trainer_feed_all(t, t->evaluation, extent, feeds, n_feeds, err);
    if (status == PR_OK) status = pr_plan_run(t->evaluation, extent, err);
    if (status == PR_OK) status = pr_plan_fetch(t->evaluation, wanted, extent, out, err);
    pr_store_release_sparse(t->store);
    return status;
}

static bool all_finite(const float *x, size_t n) {
    bool finite = true;
    for (size_t i = 0; i < n; i++)
        finite &= isfinite(x[i]) != 0;
    return finite;
}

pr_status pr_trainer_evaluate(pr_trainer *t, pr_tid wanted, pr_extent extent, const pr_feed *feeds,
                              int n_feeds, void *out, pr_error *err) {
    pr_status status = evaluate(t, wanted, extent, feeds, n_feeds, out, err);
    if (status != PR_OK) return status;
    const pr_tensor *tensor = pr_graph_tensor(t->g, wanted);
    size_t n;
    if (tensor->dtype != PR_F32 || !pr_shape_count(pr_shape_bind(tensor->shape, extent), &n) ||
        all_finite(out, n)) {
        return PR_OK;
    }
    return name_fault(t, t->evaluation, extent, feeds, n_feeds, err);
}

pr_status pr_trainer_gradient(pr_trainer *t, pr_tid param, pr_extent extent, const pr_feed *feeds,
                              int n_feeds, float *out, pr_error *err) {
    pr_status status = pr_trainer_prepare(t, extent, err);
    if (status != PR_OK) return status;
    pr_tid gradient = pr_graph_gradient(t->g, param);
    if (gradient && pr_graph_tensor(t->g, gradient)->rows) {
        pr_phase before = pr_graph_phase(t->g, PR_BACKWARD);
        gradient = pr_densify(t->g, gradient, pr_graph_tensor(t->g, param)->shape.dim[0]);
        pr_graph_phase(t->g, before);
    }
    if (!gradient) {
        return pr_fail(err, PR_BAD_ARGUMENT, "'%s' has no gradient",
                       pr_graph_tensor(t->g, param)->name);
    }
    return evaluate(t, gradient, extent, feeds, n_feeds, out, err);
}

void pr_trainer_watch(pr_trainer *t, pr_plan_watch watch, void *context) {
    t->watch = watch;
    t->watch_context = context;
    if (t->training) pr_plan_set_watch(t->training, watch, context);
    if (t->evaluation) pr_plan_set_watch(t->evaluation, watch, context);
    if (t->update) pr_plan_set_watch(t->update, watch, context);
}

int32_t pr_trainer_steps(const pr_trainer *t) {
    return t->steps;
}

void pr_trainer_set_steps(pr_trainer *t, int32_t steps) {
    t->steps = steps;
}

float pr_trainer_rate(const pr_trainer *t, int32_t step) {
    return step >= 0 && step < t->n_rates ? t->rates[step] : 0.0f;
}

/* What a trainer is there for: steps, or without a loss evaluations. */
static const pr_plan *main_plan(const pr_trainer *t) {
    return t->loss ? t->training : t->evaluation;
}

const pr_plan_report *pr_trainer_report(const pr_trainer *t) {
    if (t->update) return &t->both;
    return main_plan(t) ? pr_plan_get_report(main_plan(t)) : NULL;
}

pr_extent pr_trainer_capacity(const pr_trainer *t) {
    return main_plan(t) ? pr_plan_capacity(main_plan(t)) : (pr_extent){0};
}

void pr_trainer_cost(const pr_trainer *t, double *flops, double *bytes) {
    *flops = t->flops;
    *bytes = t->bytes;
    if (main_plan(t) && !t->parts.sentences) pr_plan_cost(main_plan(t), flops, bytes);
}
