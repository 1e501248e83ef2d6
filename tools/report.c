#include "tools/report.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/format.h"
#include "tools/numbers.h"

/* ---- opening and closing ---- */

pr_status report_begin(report *r, FILE *text, bool timed, pr_error *err) {
    *r = (report){.text = text, .epoch = -1};
    timing_begin(&r->timing, timed);
    progress_begin(&r->bar, stderr, text == NULL);
    r->epochs = json_array();
    return r->epochs ? PR_OK : pr_fail_memory(err, "the report", sizeof *r);
}

pr_status report_open_log(report *r, const char *path, bool append, pr_error *err) {
    r->log_path = path;
    r->log_new = access(path, F_OK) != 0;
    r->log_waiting = true;
    r->log_append = append;
    r->log = fopen(path, "a");
    return r->log ? PR_OK : pr_fail(err, PR_IO, "%s: %s", path, strerror(errno));
}

pr_status report_end(report *r, pr_error *err) {
    progress_erase(&r->bar);
    if (r->log && fclose(r->log) != 0 && !r->log_failed) {
        r->log_failed = true;
        r->log_error = errno;
    }
    if (r->log && r->log_new && r->log_waiting) unlink(r->log_path);
    r->log = NULL;
    json_decref(r->epochs);
    timing_free(&r->timing);
    r->epochs = NULL;
    if (!r->log_failed) return PR_OK;
    return pr_fail(err, PR_IO, "%s: the log can't be written: %s", r->log_path,
                   strerror(r->log_error));
}

/* ---- JSON ---- */

bool report_print_json(json_t *object, FILE *out) {
    bool good = object && json_dumpf(object, out, JSON_REAL_PRECISION(9)) == 0;
    if (good) fputc('\n', out);
    json_decref(object);
    return good;
}

static const char *metric_key(pr_metric metric) {
    if (metric == PR_MATTHEWS) return "mcc";
    return metric == PR_ACCURACY_MISMATCHED ? "accuracy_mm" : pr_metric_name(metric);
}

void report_scores_json(json_t *object, const pr_scores *scores) {
    for (int i = 0; scores && i < scores->n; i++) {
        json_object_set_new(object, metric_key(scores->metric[i]),
                            number_rounded(scores->value[i], 4));
    }
}

void report_plan_json(json_t *object, const pr_plan_report *plan) {
    json_object_set_new(object, "weights_bytes", number_count(plan->weights));
    json_object_set_new(object, "gradients_bytes", number_count(plan->gradients + plan->gathered));
    json_object_set_new(object, "moments_bytes", number_count(plan->moments));
    json_object_set_new(object, "activations_bytes", number_count(plan->activations));
}

/* Makes way for the first line. What is no plain file, a pipe say, keeps nothing. */
static bool clear_log(report *r) {
    struct stat info;
    bool old = r->log_waiting && !r->log_append && fstat(fileno(r->log), &info) == 0 &&
               S_ISREG(info.st_mode);
    r->log_waiting = false;
    return !old || ftruncate(fileno(r->log), 0) == 0;
}

/* Each line is flushed, so that the log can be followed and a full disk is noticed at once. */
static void log_line(report *r, json_t *object) {
    if (!r->log || r->log_failed) {
        json_decref(object);
        return;
    }
    errno = 0;
    bool good = clear_log(r);
    good = report_print_json(object, r->log) && good;
    if (good && fflush(r->log) == 0) return;
    r->log_failed = true;
    r->log_error = errno ? errno : ENOMEM;
}

bool report_json(const report *r, const report_summary *s, FILE *out) {
    json_t *o = json_object();
    json_object_set_new(o, "method", json_string(s->method));
    json_object_set_new(o, "rank", json_integer(s->rank));
    json_object_set_new(o, "prime", json_integer(s->prime));
    json_object_set_new(o, "seed", number_count(s->seed));
    json_object_set_new(o, "total", number_count(s->total));
    json_object_set_new(o, "trained", number_count(s->trained));
    timing_json(&r->timing, o);
    timing_device_json(s->backend, o);
    json_object_set(o, "epochs", r->epochs);
    if (s->profile) json_object_set_new(o, "profile", s->profile);
    return report_print_json(o, out);
}

/* ---- callbacks ---- */

static void show_step(report *r, const pr_step_report *step) {
    char label[48], note[96], rate[FORMAT_SIZE];
    double speed =
        step->trained_seconds > 0 ? (double)step->trained_tokens / step->trained_seconds : 0;
    snprintf(label, sizeof label, "epoch %d/%d", step->epoch + 1, step->epochs);
    snprintf(note, sizeof note, "loss %.4f, %s tokens/s", r->epoch_loss / r->epoch_steps,
             format_count(rate, (uint64_t)speed));
    double left = step->trained_seconds / (double)r->made * (step->steps - step->step);
    progress_show(&r->bar, label, step->step, step->steps, note, left);
}

bool report_step(report *r, const pr_step_report *step) {
    timing_step(&r->timing, step);
    if (step->epoch != r->epoch) {
        r->epoch = step->epoch;
        r->epoch_loss = 0;
        r->epoch_steps = 0;
    }
    r->epoch_loss += (double)step->loss;
    r->epoch_steps++;
    r->made++;
    show_step(r, step);
    if (!r->log) return true;
    json_t *o = json_object();
    json_object_set_new(o, "step", json_integer(step->step));
    json_object_set_new(o, "epoch", json_integer(step->epoch));
    json_object_set_new(o, "loss", number_exact((double)step->loss));
    json_object_set_new(o, "lr", number_exact(step->rate));
    json_object_set_new(o, "tokens", json_integer(step->tokens));
    json_object_set_new(o, "seconds", number_rounded(step->seconds, 6));
    log_line(r, o);
    return !r->log_failed;
}

static void log_epoch(report *r, const pr_epoch_report *epoch) {
    json_t *o = json_object();
    json_object_set_new(o, "epoch", json_integer(epoch->epoch));
    json_object_set_new(o, "seconds", number_rounded(epoch->seconds, 1));
    json_object_set_new(o, "loss", number_rounded(epoch->loss, 4));
    report_scores_json(o, epoch->scores);
    json_array_append(r->epochs, o);
    if (r->log) {
        json_t *line = json_deep_copy(o);
        json_object_set_new(line, "trained", number_count(epoch->trained));
        report_plan_json(line, &epoch->plan);
        log_line(r, line);
    }
    json_decref(o);
}

void report_plan(FILE *out, const pr_plan_report *p) {
    char all[FORMAT_SIZE], w[FORMAT_SIZE], g[FORMAT_SIZE], m[FORMAT_SIZE], a[FORMAT_SIZE];
    fprintf(out, "planned %s: weights %s, gradients %s, moments %s, activations %s",
            format_bytes(all, pr_plan_bytes(p)), format_bytes(w, p->weights),
            format_bytes(g, p->gradients + p->gathered), format_bytes(m, p->moments),
            format_bytes(a, p->activations));
}

void report_epoch(report *r, const pr_epoch_report *epoch) {
    log_epoch(r, epoch);
    progress_erase(&r->bar);
    if (!r->text) return;
    char seconds[FORMAT_SIZE], trained[FORMAT_SIZE], all[FORMAT_SIZE];
    fprintf(r->text, "Epoch %d/%d: loss %.4f", epoch->epoch + 1, epoch->epochs, epoch->loss);
    for (int i = 0; epoch->scores && i < epoch->scores->n; i++) {
        fprintf(r->text, ", %s%s %.4f", i ? "" : "dev ", pr_metric_name(epoch->scores->metric[i]),
                epoch->scores->value[i]);
    }
    fprintf(r->text, ", %s\n  %s of %s parameters trained; ",
            format_seconds(seconds, epoch->seconds), format_count(trained, epoch->trained),
            format_count(all, epoch->parameters));
    report_plan(r->text, &epoch->plan);
    fputc('\n', r->text);
    fflush(r->text);
}

json_t *report_phase_json(const pr_phase_report *phase) {
    const pr_plan_report *p = &phase->plan;
    json_t *o = json_object();
    json_object_set_new(o, "phase", json_integer(phase->phase));
    json_object_set_new(o, "first_step", json_integer(phase->first));
    json_object_set_new(o, "end_step", json_integer(phase->end));
    json_object_set_new(o, "total", number_count(phase->parameters));
    json_object_set_new(o, "trained", number_count(phase->trained));
    report_plan_json(o, p);
    json_object_set_new(o, "planned_bytes", number_count(pr_plan_bytes(p)));
    json_object_set_new(o, "flops", json_real(p->flops));
    return o;
}

void report_phase(report *r, const pr_phase_report *phase) {
    if (r->log) log_line(r, report_phase_json(phase));
}

/* "128 MB -> 96.0 MB" */
static void print_change(FILE *out, const char *what, size_t before, size_t after) {
    char b[FORMAT_SIZE], a[FORMAT_SIZE];
    fprintf(out, "%s %s -> %s", what, format_bytes(b, before), format_bytes(a, after));
}

void report_flip(report *r, const pr_flip_report *flip) {
    progress_erase(&r->bar);
    if (!r->text) return;
    const pr_plan_report *b = &flip->before, *a = &flip->after;
    char before[FORMAT_SIZE], after[FORMAT_SIZE], back[FORMAT_SIZE];
    size_t was = b->moments + b->arena, is = a->moments + a->arena;
    bool whole = flip->step % flip->per_epoch == 0;
    fprintf(r->text, "Priming ends after %s %d: %s -> %s parameters train, %d -> %d nodes\n",
            whole ? "epoch" : "step", whole ? flip->step / flip->per_epoch : flip->step,
            format_count(before, flip->trained_before), format_count(after, flip->trained_after),
            b->nodes, a->nodes);
    fprintf(r->text, "  given back %s: ", format_bytes(back, was > is ? was - is : 0));
    print_change(r->text, "moments", b->moments, a->moments);
    /* One arena: activations take the places of gradients that are not there yet. */
    print_change(r->text, ", gradients and activations", b->arena, a->arena);
    fputc('\n', r->text);
    fflush(r->text);
}
