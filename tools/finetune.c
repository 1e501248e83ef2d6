/* finetune: trains a model on labelled text and writes the tuned one. */
#include <string.h>

#include "backends/cuda.h"
#include "graph/memory.h"
#include "tools/format.h"
#include "tools/interrupt.h"
#include "tools/paths.h"
#include "tools/profile.h"
#include "tools/report.h"
#include "tools/settings.h"
#include "tools/side_by_side.h"

/* Everything that is open. */
typedef struct session {
    settings *s;
    FILE *text; /* lines for people; NULL: quiet */
    pr_backend *backend;
    pr_model *model;
    data_sets data;
    report report;
    profile profile;
    pr_finetune_result result;
    pr_backend *beside_backend; /* --check: */
    pr_model *beside;
    side_by_side found;
    pr_comparison comparison;
    pr_error judged; /* what the first step came to */
    size_t trained;  /* parameters, in the first step */
    int32_t steps;   /* of the whole run; 0: none was made */
    bool saved;
} session;

static void tell_data(const session *e) {
    const data_sets *d = &e->data;
    if (!e->text) return;
    char rows[FORMAT_SIZE], dev[FORMAT_SIZE];
    fprintf(e->text, "Training on %s%s: %s texts", data_name(&e->s->data),
            data_is_sample(&e->s->data) ? ", since no --task or --train-file is named" : "",
            format_count(rows, d->train->n));
    if (d->dev) fprintf(e->text, ", %s more to score on", format_count(dev, d->dev->n));
    fputc('\n', e->text);
    data_tell_losses(e->text, &e->s->data, d);
}

/* Before the work that they are to hold. */
static pr_status check_files(const settings *s, pr_error *err) {
    pr_status status = path_check_writable(s->out, err);
    if (status == PR_OK && s->checkpoint) status = path_check_writable(s->checkpoint, err);
    return status;
}

/* A model has one method at a time. */
static pr_status check_plain(const settings *s, const pr_model *model, pr_error *err) {
    const pr_method *method = model->method;
    if (!method->add) return PR_OK;
    if (pr_model_check_folds(model, NULL) == PR_OK) {
        return pr_fail(err, PR_BAD_FILE,
                       "%s was tuned with --method %s, fold that in first: collapse %s PLAIN.gguf",
                       s->model, method->name, s->model);
    }
    return pr_fail(err, PR_BAD_FILE,
                   "%s was tuned with --method %s, which can't be folded in (%s): tune the model "
                   "that it was made from",
                   s->model, method->name, method->why_not);
}

/* Every glob must match a parameter that the model has with its method. */
static pr_status check_globs(const char *option, const cli_list *globs, const pr_model *model,
                             pr_error *err) {
    for (int k = 0; k < globs->n; k++) {
        if (pr_model_matches(model, globs->text[k])) continue;
        return pr_fail(err, PR_BAD_ARGUMENT, "%s '%s' matches no parameter: see 'inspect'", option,
                       globs->text[k]);
    }
    return PR_OK;
}

/* Chooses how to stay within --memory. */
static pr_status fit(session *e, pr_error *err) {
    settings *s = e->s;
    size_t bytes;
    char need[FORMAT_SIZE], limit[FORMAT_SIZE];
    pr_status status =
        pr_finetune_fit(e->model, e->backend, e->data.train, s->memory_bytes, &s->run, &bytes, err);
    if (status != PR_OK || !e->text) return status;
    int part = (int)pr_finetune_part(&s->run);
    fprintf(e->text, "Within %s: ", format_bytes(limit, s->memory_bytes));
    if (part)
        fprintf(e->text, "%d text%s at a time", part, part == 1 ? "" : "s");
    else
        fprintf(e->text, "whole batches");
    fprintf(e->text, "%s; %s needed\n", s->run.recompute ? ", the forward part computed twice" : "",
            format_bytes(need, bytes));
    return PR_OK;
}

/* The model once more, on the processor, for the first step to be compared with. */
static pr_status open_beside(session *e, pr_error *err) {
    const settings *s = e->s;
    e->beside_backend = processor_open_named(&s->processor, "cpu", e->text, err);
    if (!e->beside_backend) return err->code;
    e->beside = pr_model_open(s->model, e->beside_backend, err);
    if (!e->beside) return err->code;
    e->found = (side_by_side){.step = 1};
    e->found.tolerance =
        side_by_side_tolerance(e->backend->precision, e->beside_backend->precision);
    e->comparison = (pr_comparison){e->beside->store, side_by_side_note, &e->found};
    return methods_give(e->beside, e->data.train, s->method, &s->method_options, err);
}

static void close_beside(session *e) {
    side_by_side_free(&e->found);
    pr_model_free(e->beside);
    pr_backend_free(e->beside_backend);
    e->beside = NULL;
    e->beside_backend = NULL;
}

/* After the first step: goes on only where both backends made the same of it. */
static bool judge(session *e) {
    FILE *out = e->text ? e->text : stderr;
    fprintf(out, "The first step, beside the processor's:\n");
    pr_status status = side_by_side_judge(&e->found, out, &e->judged);
    close_beside(e);
    return status == PR_OK;
}

/* Opens the model and its data and gives it the head and the method. */
static pr_status prepare(session *e, pr_error *err) {
    settings *s = e->s;
    e->backend = processor_open(&s->processor, e->text, err);
    if (!e->backend) return err->code;
    e->model = pr_model_open(s->model, e->backend, err);
    if (!e->model) return err->code;
    pr_status status = check_plain(s, e->model, err);
    if (status == PR_OK && !s->dry_run) status = check_files(s, err);
    if (status != PR_OK) return status;
    status = data_read(&s->data, e->model, s->model, true, &e->data, err);
    if (status != PR_OK) return status;
    tell_data(e);
    status = methods_give(e->model, e->data.train, s->method, &s->method_options, err);
    if (status == PR_OK) status = check_globs("--train", &s->train, e->model, err);
    if (status == PR_OK) status = check_globs("--freeze", &s->freeze, e->model, err);
    if (status == PR_OK && s->check) status = open_beside(e, err);
    if (s->dropout >= 0) {
        e->model->config.dropout = (float)s->dropout;
        e->model->config.attention_dropout = (float)s->dropout;
    }
    if (s->head_dropout >= 0) e->model->config.head_dropout = (float)s->head_dropout;
    return status == PR_OK && s->memory_bytes ? fit(e, err) : status;
}

static void tell_method(const session *e) {
    const settings *s = e->s;
    if (!e->text) return;
    const pr_method_options *o = &s->method_options;
    unsigned takes = s->method->takes;
    fprintf(e->text, "Method %s", s->method_name);
    if (takes & PR_TAKES_SIZE) fprintf(e->text, ", %s %d", s->method->size_name, (int)o->size);
    if (takes & PR_TAKES_SCALE) fprintf(e->text, ", scale %g", (double)o->scale);
    if (takes & PR_TAKES_ALPHA) fprintf(e->text, ", alpha %g", (double)o->scale * o->size);
    if (takes & PR_TAKES_PRIME) {
        fprintf(e->text, ", primed for %d of %lld epochs", (int)o->prime, (long long)s->epochs);
    }
    if (takes & PR_TAKES_RETAIN) fprintf(e->text, ", retains %g %% of nodes", o->retain);
    fprintf(e->text, "; batches of %lld, learning rate %g, seed %lld\n", (long long)s->batch_size,
            s->learning_rate, (long long)s->seed);
    fflush(e->text);
}

/* At the first step of this process. */
static void tell_resume(const session *e, const pr_step_report *step) {
    if (!e->text || !e->s->resume) return;
    fprintf(e->text, "Going on from %s after step %d of %d\n", e->s->resume, step->step - 1,
            step->steps);
    fflush(e->text);
}

static bool on_step(void *context, const pr_step_report *step) {
    session *e = context;
    size_t all;
    if (!e->trained) {
        pr_store_totals(e->model->store, &all, &e->trained);
        tell_resume(e, step);
    }
    e->steps = step->steps;
    if (e->beside && !judge(e)) {
        e->s->run.checkpoint = NULL; /* nothing comes of wrong numbers */
        return false;
    }
    if (e->s->profile) profile_step(&e->profile, step->seconds);
    bool go_on = report_step(&e->report, step) && !interrupt_asked();
    /* The loop looks for a checkpoint's name when it stops: a run that is cut off leaves one even
     * if none was asked for. */
    if (!go_on && !e->s->run.checkpoint) e->s->run.checkpoint = e->s->stop_checkpoint;
    return go_on;
}

static void on_epoch(void *context, const pr_epoch_report *epoch) {
    session *e = context;
    report_epoch(&e->report, epoch);
}

static void on_flip(void *context, const pr_flip_report *flip) {
    session *e = context;
    report_flip(&e->report, flip);
}

static void on_phase(void *context, const pr_phase_report *phase) {
    session *e = context;
    report_phase(&e->report, phase);
}

/* Of steps: the dev set's evaluations are none. */
static pr_status on_node(void *context, const pr_call *call, const pr_op *op, double seconds) {
    session *e = context;
    return call->training ? profile_node(&e->profile, call, op, seconds) : PR_OK;
}

static void tell_stop(const session *e) {
    const settings *s = e->s;
    if (!e->text || e->result.steps >= e->steps) return;
    fprintf(e->text, "Stopped after step %d of %d", (int)e->result.steps, (int)e->steps);
    if (s->run.checkpoint) fprintf(e->text, "; go on with --resume %s", s->run.checkpoint);
    fputc('\n', e->text);
}

static pr_status train(session *e, pr_error *err) {
    settings *s = e->s;
    tell_method(e);
    pr_status status = PR_OK;
    if (s->log) {
        status = report_open_log(&e->report, s->log, s->resume != NULL, err);
    }
    if (status != PR_OK) return status;
    const pr_finetune_callbacks calls = {.context = e,
                                         .costs = s->json,
                                         .step = on_step,
                                         .epoch = on_epoch,
                                         .flip = on_flip,
                                         .phase = on_phase,
                                         .watch = s->profile ? on_node : NULL,
                                         .compare = &e->comparison,
                                         .compared = e->beside != NULL};
    interrupt_watch();
    status = pr_finetune_run(e->model, e->backend, e->data.train, e->data.dev, &s->run, &calls,
                             &e->result, err);
    progress_erase(&e->report.bar);
    if (status != PR_OK) return status;
    if (e->judged.code) {
        return pr_fail(err, e->judged.code, "in the first step %s", e->judged.message);
    }
    tell_stop(e);
    /* A run that its log stopped, which report_end tells, has its checkpoint to go on from. */
    if (e->report.log_failed && e->result.cancelled) return PR_OK;
    status = pr_model_save(e->model, s->out, s->collapse, err);
    e->saved = status == PR_OK;
    return status;
}

/* What was planned is a part of what is allocated: parameters stay on the GPU too. */
static void tell_gpu(const session *e) {
    char peak[FORMAT_SIZE], beside[FORMAT_SIZE];
    if (e->backend->kind != PR_CUDA) return;
    pr_cuda_memory m = pr_cuda_memory_of(e->backend);
    fprintf(e->text,
            "GPU memory: at most %s allocated; %s beside, CUDA's own and other programs'\n",
            format_bytes(peak, m.peak), format_bytes(beside, m.beside));
}

static void tell_end(const session *e) {
    const settings *s = e->s;
    char seconds[FORMAT_SIZE], peak[FORMAT_SIZE];
    if (!e->text) return;
    fprintf(e->text, "Saved %s after %d %s; %s in all, at most %s planned\n", s->out,
            (int)e->result.steps, e->result.steps == 1 ? "step" : "steps",
            format_seconds(seconds, progress_now() - e->report.timing.started),
            format_bytes(peak, e->result.peak_planned));
    tell_gpu(e);
    if (s->profile) profile_print(&e->profile, "step", e->text);
}

static bool print_summary(const session *e) {
    const settings *s = e->s;
    report_summary summary = {.method = s->method_name,
                              .rank = s->method_options.size,
                              .prime = s->method_options.prime,
                              .seed = (uint64_t)s->seed,
                              .backend = e->backend};
    pr_store_totals(e->model->store, &summary.total, &summary.trained);
    if (e->trained) summary.trained = e->trained;
    if (s->profile) summary.profile = profile_json(&e->profile);
    if (s->profile && !summary.profile) return false;
    return report_json(&e->report, &summary, stdout);
}

/* ---- --dry-run ---- */

static void print_phase(FILE *out, const pr_phase_report *p) {
    char trained[FORMAT_SIZE], flops[FORMAT_SIZE];
    bool whole = p->first % p->per_epoch == 0 && p->end % p->per_epoch == 0;
    int32_t unit = whole ? p->per_epoch : 1, first = p->first / unit + 1, last = p->end / unit;
    fprintf(out, "%s%s %d", whole ? "Epoch" : "Step", first == last ? "" : "s", (int)first);
    if (first != last) fprintf(out, " to %d", (int)last);
    fprintf(out, ": %s parameters train, %s a step\n  ", format_count(trained, p->trained),
            format_flops(flops, p->plan.flops));
    report_plan(out, &p->plan);
    fputc('\n', out);
}

static pr_status dry_run(session *e, pr_error *err) {
    pr_phase_report phase[PR_MAX_PHASES];
    int n = PR_MAX_PHASES;
    size_t total, trained;
    tell_method(e);
    pr_status status =
        pr_finetune_plan(e->model, e->backend, e->data.train, &e->s->run, phase, &n, err);
    if (status != PR_OK) return status;
    pr_store_totals(e->model->store, &total, &trained);
    char all[FORMAT_SIZE];
    if (e->text) fprintf(e->text, "%s parameters in all\n", format_count(all, total));
    for (int i = 0; e->text && i < n; i++)
        print_phase(e->text, &phase[i]);
    if (!e->s->json) return PR_OK;
    json_t *o = json_object(), *phases = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(phases, report_phase_json(&phase[i]));
    json_object_set_new(o, "method", json_string(e->s->method_name));
    json_object_set_new(o, "total", json_integer((json_int_t)total));
    json_object_set_new(o, "phases", phases);
    return report_print_json(o, stdout) ? PR_OK
                                        : pr_fail(err, PR_IO, "the JSON line can't be written");
}

/* ---- */

/* Of a GPU's memory, which is what it is. */
static void tell_remedy(const session *e, pr_error *err) {
    if (err->code != PR_NO_MEMORY || !e->backend || !e->backend->available) return;
    if (e->s->memory_bytes) return; /* what would do was said */
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof err->message - used,
             " (--dry-run --backend cpu tells what is planned, --memory SIZE stays within less)");
}

static pr_status finetune(session *e, pr_error *err) {
    settings *s = e->s;
    if (!s->quiet) e->text = s->json ? stderr : stdout;
    pr_status status = report_begin(&e->report, e->text, s->json, err);
    if (status == PR_OK) status = prepare(e, err);
    if (status == PR_OK) status = s->dry_run ? dry_run(e, err) : train(e, err);
    tell_remedy(e, err);
    if (e->saved) {
        tell_end(e);
        if (s->json && !print_summary(e)) {
            status = pr_fail(err, PR_IO, "the JSON line can't be written");
        }
    }
    pr_status closed = report_end(&e->report, err);
    profile_free(&e->profile);
    data_free(&e->data);
    close_beside(e);
    pr_model_free(e->model);
    pr_backend_free(e->backend);
    return status == PR_OK ? closed : status;
}

int main(int argc, char **argv) {
    settings s;
    pr_error err = {.code = PR_OK};
    pr_status status = settings_read(&s, argc, argv, &err);
    if (status == PR_OK) {
        session e = {.s = &s};
        status = finetune(&e, &err);
    }
    settings_free(&s);
    return cli_end(&s.program, status, &err);
}
