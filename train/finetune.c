#include "train/finetune.h"

#include <math.h>
#include <string.h>

#include "graph/memory.h"
#include "train/feed.h"
#include "train/finetune_internal.h"
#include "train/schedule.h"

pr_finetune_options pr_finetune_default(void) {
    return (pr_finetune_options){
        .epochs = 5,
        .batch_size = 16,
        .learning_rate = 2e-5,
        .weight_decay = 0.01,
        .clip = 1.0,
    };
}

int32_t pr_finetune_part(const pr_finetune_options *o) {
    return o->micro_batch < o->batch_size ? o->micro_batch : 0;
}

/* ---- building ---- */

static pr_status check_options(const pr_finetune_options *o, const pr_dataset *train,
                               pr_error *err) {
    if (!train->labelled || train->n == 0) {
        return pr_fail(err, PR_BAD_ARGUMENT, "the training set has no labelled rows");
    }
    if (o->epochs < 1 || o->batch_size < 1 || o->micro_batch < 0) {
        return pr_fail(err, PR_BAD_ARGUMENT, "epochs and batch size: expected 1 or more");
    }
    size_t steps;
    size_t per_epoch = (train->n - 1) / (size_t)o->batch_size + 1;
    if (!pr_size_multiply(per_epoch, (size_t)o->epochs, &steps) || steps > INT32_MAX / 2) {
        return pr_fail(err, PR_BAD_ARGUMENT, "a run of %d epochs over %zu rows is too long",
                       (int)o->epochs, train->n);
    }
    return PR_OK;
}

static pr_status make_trainer(pr_run *r, pr_backend *backend, pr_error *err) {
    const pr_finetune_options *o = r->options;
    float *rates = pr_alloc((size_t)r->steps, sizeof *rates);
    if (!rates) return pr_fail_memory(err, "the learning rates", (size_t)r->steps * sizeof *rates);
    double warmup = o->warmup >= 1.0 ? o->warmup : floor(o->warmup * r->steps);
    pr_schedule_linear(rates, r->steps, warmup < r->steps ? (int32_t)warmup : r->steps,
                       o->learning_rate);
    pr_trainer_options t = pr_trainer_default();
    t.adamw.weight_decay = (float)o->weight_decay;
    t.clip = (float)o->clip;
    t.rates = rates;
    t.steps = r->steps;
    t.seed = o->seed;
    t.micro_batch = pr_finetune_part(o);
    t.recompute = o->recompute;
    r->trainer = pr_trainer_new(r->g, backend, r->bert.loss, &t, err);
    pr_free(rates);
    if (!r->trainer) return err->code;
    pr_trainer_watch(r->trainer, r->calls.watch, r->calls.context);
    return PR_OK;
}

/* The largest group of `size` sentences, counted from the start of each batch of the run: orders
 * are drawn from the seed, so it is known beforehand, and memory is planned for it. */
static pr_extent largest_of(const pr_run *r, size_t size) {
    const pr_dataset *d = r->train;
    size_t batch = (size_t)r->options->batch_size;
    pr_extent most = {.sentences = (int64_t)(size < d->n ? size : d->n),
                      .longest = (int64_t)d->longest};
    for (int32_t epoch = 0; epoch < r->options->epochs; epoch++) {
        pr_dataset_shuffle(r->order, d->n, r->options->seed, epoch);
        int64_t tokens = 0;
        for (size_t i = 0; i < d->n; i++) {
            if (i % batch % size == 0) tokens = 0;
            tokens += (int64_t)(d->start[r->order[i] + 1] - d->start[r->order[i]]);
            if (tokens > most.tokens) most.tokens = tokens;
        }
    }
    return most;
}

static pr_status prepare(pr_run *r, pr_error *err) {
    return pr_trainer_prepare_parts(r->trainer, r->largest, r->largest_part, err);
}

static pr_status open_run(pr_run *r, pr_backend *backend, pr_error *err) {
    pr_status status = check_options(r->options, r->train, err);
    if (status != PR_OK) return status;
    size_t batch = (size_t)r->options->batch_size;
    r->per_epoch = (int32_t)((r->train->n - 1) / batch + 1);
    r->steps = r->per_epoch * r->options->epochs;
    r->fingerprint = pr_checkpoint_fingerprint(r->model);
    r->data = pr_checkpoint_data(r->train);
    r->order = pr_alloc(r->train->n, sizeof *r->order);
    r->g = pr_graph_new(r->model->store);
    if (!r->order || !r->g) return pr_fail_memory(err, "a run", r->train->n * sizeof *r->order);
    const pr_model *m = r->model;
    status = pr_method_flip_step(m->method, &m->options, r->per_epoch, r->steps, &r->flip, err);
    if (status != PR_OK) return status;
    r->largest = largest_of(r, batch);
    int32_t part = pr_finetune_part(r->options);
    if (part) r->largest_part = largest_of(r, (size_t)part);
    r->bert = pr_model_build(r->model, r->g);
    status = pr_batch_reserve(&r->batch, r->train, batch, err);
    return status == PR_OK ? make_trainer(r, backend, err) : status;
}

static void close_run(pr_run *r) {
    pr_trainer_free(r->trainer);
    pr_graph_free(r->g);
    pr_batch_free(&r->batch);
    pr_free(r->order);
}

/* ---- checkpoints ---- */

static pr_checkpoint_run checkpoint_run(const pr_run *r) {
    return (pr_checkpoint_run){r->model, r->options, r->train->n, r->data, r->fingerprint};
}

static pr_status save_checkpoint(pr_run *r, pr_error *err) {
    if (!r->options->checkpoint) return PR_OK;
    pr_status status = pr_trainer_catch_up(r->trainer, err);
    if (status != PR_OK) return status;
    const pr_checkpoint_run what = checkpoint_run(r);
    return pr_checkpoint_save(&what, &r->at, r->options->checkpoint, err);
}

/* ---- epochs ---- */

/* Outputs of the model for rows of data, those of the batch gathered last. */
static pr_status predict_batch(const pr_run *r, const pr_batch *batch, float *outputs,
                               pr_error *err) {
    pr_feed feeds[PR_BERT_FEEDS];
    int n = pr_bert_feeds(&r->bert, batch, r->model->config.regression, feeds);
    return pr_trainer_evaluate(r->trainer, r->bert.logits, batch->extent, feeds, n, outputs, err);
}

/* For all rows, (n, labels). */
static pr_status predict(const pr_run *r, const pr_dataset *data, int32_t batch_size,
                         const pr_predict_callbacks *calls, float *outputs, pr_error *err) {
    pr_batch batch = {0};
    size_t most = (size_t)batch_size, labels = (size_t)r->model->config.labels;
    pr_step_report report = {.steps = (int32_t)((data->n + most - 1) / most),
                             .trainer = r->trainer};
    pr_status status = pr_batch_reserve(&batch, data, most, err);
    for (size_t first = 0, n; first < data->n && status == PR_OK; first += n) {
        n = data->n - first < most ? data->n - first : most;
        double start = pr_run_now();
        pr_batch_gather(&batch, data, NULL, first, n);
        status = predict_batch(r, &batch, outputs + first * labels, err);
        report.seconds = pr_run_now() - start;
        report.step++;
        report.tokens = batch.extent.tokens;
        if (calls && calls->costs) pr_trainer_cost(r->trainer, &report.flops, &report.bytes);
        if (status == PR_OK && calls && calls->batch) calls->batch(calls->context, &report);
    }
    pr_batch_free(&batch);
    return status;
}

static pr_status evaluate(pr_run *r, pr_scores *scores, pr_error *err) {
    size_t labels = (size_t)r->model->config.labels;
    float *outputs = NULL;
    size_t count;
    if (pr_size_multiply(r->dev->n, labels, &count)) outputs = pr_alloc(count, sizeof *outputs);
    if (!outputs) return pr_fail_memory(err, "the dev set's outputs", r->dev->n);
    int32_t part = pr_finetune_part(r->options);
    int32_t batch_size = part ? part : r->options->batch_size;
    pr_status status = predict(r, r->dev, batch_size, NULL, outputs, err);
    if (status == PR_OK) status = pr_dataset_score(r->dev, outputs, scores, err);
    pr_free(outputs);
    return status;
}

static pr_status require_all(const char *const *patterns, pr_model *m, bool on, pr_error *err) {
    pr_status status = PR_OK;
    for (; patterns && *patterns && status == PR_OK; patterns++)
        status = pr_model_require_grad(m, *patterns, on, err);
    return status;
}

/* Sets what trains at a step: the method's choice, the user's on top. */
static pr_status set_flags(pr_run *r, int phase, pr_error *err) {
    pr_model *m = r->model;
    pr_status status = pr_method_begin(m->method, m->store, err);
    if (status == PR_OK) status = pr_method_phase(m->method, m->store, phase, err);
    if (status == PR_OK) status = require_all(r->options->train, m, true, err);
    return status == PR_OK ? require_all(r->options->freeze, m, false, err) : status;
}

/* The phase that a step (0, 1, ...) belongs to, as pr_method_phase counts them. */
static int phase_at(const pr_run *r, int32_t step) {
    return step >= r->flip;
}

static pr_phase_report phase_report(const pr_run *r) {
    bool second = r->flip && phase_at(r, r->at.step);
    pr_phase_report phase = {.phase = second,
                             .first = second ? r->flip : 0,
                             .end = second || !r->flip ? r->steps : r->flip,
                             .per_epoch = r->per_epoch,
                             .plan = *pr_trainer_report(r->trainer)};
    pr_store_totals(r->model->store, &phase.parameters, &phase.trained);
    return phase;
}

/* From phase 0 to phase 1. */
static pr_status make_flip(pr_run *r, pr_error *err) {
    pr_model *m = r->model;
    const pr_plan_report *before = pr_trainer_report(r->trainer);
    pr_flip_report report = {.step = r->at.step, .per_epoch = r->per_epoch};
    size_t all;
    if (before) report.before = *before;
    pr_store_totals(m->store, &all, &report.trained_before);
    pr_status status = pr_model_flip(m, err);
    if (status == PR_OK) status = set_flags(r, 1, err);
    if (status == PR_OK) status = prepare(r, err);
    if (status != PR_OK) return status;
    report.after = *pr_trainer_report(r->trainer);
    pr_store_totals(m->store, &all, &report.trained_after);
    bool changed = report.trained_after != report.trained_before;
    if (before && changed && r->calls.flip) r->calls.flip(r->calls.context, &report);
    return PR_OK;
}

/* Before a step that begins a phase, or the run: sets what trains and makes ready for it. */
static pr_status enter_phase(pr_run *r, pr_error *err) {
    pr_status status = PR_OK;
    bool flips = r->flip && r->at.step == r->flip;
    if (r->entered && !flips) return PR_OK;
    if (flips) {
        status = make_flip(r, err);
    } else {
        status = set_flags(r, phase_at(r, r->at.step), err);
        if (status == PR_OK) status = prepare(r, err);
    }
    if (status != PR_OK) return status;
    r->entered = true;
    const pr_phase_report phase = phase_report(r);
    size_t planned = pr_plan_bytes(&phase.plan);
    if (planned > r->result->peak_planned) r->result->peak_planned = planned;
    if (r->calls.phase) r->calls.phase(r->calls.context, &phase);
    return PR_OK;
}

static pr_status end_epoch(pr_run *r, int32_t epoch, double seconds, pr_error *err) {
    pr_scores scores;
    pr_epoch_report report = {
        .epoch = epoch,
        .epochs = r->options->epochs,
        .loss = r->at.epoch_loss / r->at.epoch_steps,
        .plan = *pr_trainer_report(r->trainer),
        .seconds = seconds,
    };
    pr_store_totals(r->model->store, &report.parameters, &report.trained);
    double start = pr_run_now();
    pr_status status = r->dev ? evaluate(r, &scores, err) : PR_OK;
    report.scores = r->dev ? &scores : NULL;
    report.evaluation_seconds = pr_run_now() - start;
    r->at.epoch_loss = 0.0;
    r->at.epoch_steps = 0;
    if (status == PR_OK && r->calls.epoch) r->calls.epoch(r->calls.context, &report);
    return status;
}

static pr_status train(pr_run *r, pr_error *err) {
    bool stop = r->options->max_steps && r->at.step >= r->options->max_steps;
    pr_status status = PR_OK;
    for (int32_t epoch = r->at.step / r->per_epoch; epoch < r->options->epochs && !stop; epoch++) {
        double before = r->seconds;
        pr_dataset_shuffle(r->order, r->train->n, r->options->seed, epoch);
        while (status == PR_OK && !stop && r->at.step < (epoch + 1) * r->per_epoch) {
            status = enter_phase(r, err);
            if (status == PR_OK) status = pr_run_step(r, epoch, &stop, err);
            /* An epoch's scores come before the checkpoint of its last step: whoever goes on from
             * there would never have them. */
            bool whole = r->at.step == (epoch + 1) * r->per_epoch;
            if (status == PR_OK && whole) status = end_epoch(r, epoch, r->seconds - before, err);
            bool due = stop || pr_run_checkpoint_due(r);
            if (status == PR_OK && due) status = save_checkpoint(r, err);
        }
        if (status != PR_OK) return status;
    }
    return pr_trainer_catch_up(r->trainer, err);
}

static pr_status resume(pr_run *r, pr_error *err) {
    const pr_checkpoint_run what = checkpoint_run(r);
    pr_status status = pr_checkpoint_peek(&what, r->options->resume, &r->at, err);
    if (status != PR_OK) return status;
    if (r->at.step % r->per_epoch == 0) r->at.epoch_loss = r->at.epoch_steps = 0;
    /* What trained in the last step: a flip that is due comes before the next one. */
    status = set_flags(r, phase_at(r, r->at.step > 0 ? r->at.step - 1 : 0), err);
    if (status == PR_OK) status = pr_store_settle(r->model->store, 0, err);
    if (status == PR_OK) status = pr_checkpoint_load(r->model, r->options->resume, err);
    pr_trainer_set_steps(r->trainer, r->at.step);
    if (status != PR_OK || r->at.step == 0 || r->at.step != r->flip) return status;
    /* A flip that comes at once is told of with the plan it ends. */
    return prepare(r, err);
}

pr_status pr_finetune_run(pr_model *model, pr_backend *backend, const pr_dataset *train_set,
                          const pr_dataset *dev, const pr_finetune_options *options,
                          const pr_finetune_callbacks *callbacks, pr_finetune_result *result,
                          pr_error *err) {
    pr_error local = {.code = PR_OK};
    if (!err) err = &local;
    *result = (pr_finetune_result){0};
    pr_run r = {
        .model = model, .train = train_set, .dev = dev, .options = options, .result = result};
    if (callbacks) r.calls = *callbacks;
    pr_status status = open_run(&r, backend, err);
    if (status == PR_OK && options->resume) status = resume(&r, err);
    if (status == PR_OK) status = train(&r, err);
    result->steps = r.at.step;
    close_run(&r);
    return status == PR_OK ? pr_model_end_method(model, err) : status;
}

/* ---- without training ---- */

pr_status pr_finetune_plan(pr_model *model, pr_backend *backend, const pr_dataset *train_set,
                           const pr_finetune_options *options, pr_phase_report *phases, int *n,
                           pr_error *err) {
    pr_error local = {.code = PR_OK};
    if (!err) err = &local;
    pr_finetune_result result = {0};
    pr_run r = {.model = model, .train = train_set, .options = options, .result = &result};
    pr_status status = open_run(&r, backend, err);
    int most = *n;
    *n = 0;
    while (status == PR_OK && r.at.step < r.steps && *n < most) {
        status = set_flags(&r, phase_at(&r, r.at.step), err);
        if (status == PR_OK) status = prepare(&r, err);
        if (status != PR_OK) break;
        phases[*n] = phase_report(&r);
        r.at.step = phases[(*n)++].end;
    }
    close_run(&r);
    return status;
}

pr_status pr_finetune_predict(pr_model *model, pr_backend *backend, const pr_dataset *data,
                              int32_t batch_size, const pr_predict_callbacks *callbacks,
                              float **outputs, pr_error *err) {
    pr_error local = {.code = PR_OK};
    if (!err) err = &local;
    pr_run r = {.model = model};
    size_t count;
    const pr_trainer_options none = {0};
    *outputs = NULL;
    if (batch_size < 1) return pr_fail(err, PR_BAD_ARGUMENT, "batch size: expected 1 or more");
    if (pr_size_multiply(data->n, (size_t)model->config.labels, &count)) {
        *outputs = pr_alloc(count, sizeof **outputs);
    }
    r.g = *outputs ? pr_graph_new(model->store) : NULL;
    pr_status status = PR_OK;
    if (r.g) {
        r.bert = pr_model_build(model, r.g);
        r.trainer = pr_trainer_new(r.g, backend, 0, &none, err);
        if (r.trainer && callbacks) {
            pr_trainer_watch(r.trainer, callbacks->watch, callbacks->context);
        }
        status = r.trainer ? predict(&r, data, batch_size, callbacks, *outputs, err) : err->code;
    } else {
        status = pr_fail_memory(err, "the outputs", data->n);
    }
    close_run(&r);
    if (status != PR_OK) {
        pr_free(*outputs);
        *outputs = NULL;
    }
    return status;
}
