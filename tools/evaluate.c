/* evaluate: scores a tuned model on labelled text. */
#include "graph/memory.h"
#include "tools/answers.h"
#include "tools/cli.h"
#include "tools/data.h"
#include "tools/format.h"
#include "tools/processor.h"
#include "tools/profile.h"
#include "tools/progress.h"
#include "tools/report.h"
#include "tools/timing.h"
#include "train/finetune.h"

typedef struct settings {
    const char *model;
    data_choice data;
    int64_t batch_size;
    processor_choice processor;
    bool json, profile;
} settings;

/* What a run gives. */
typedef struct findings {
    pr_scores scores;
    double seconds; /* of all batches, and of getting ready for them */
    timing timing;
    profile profile;
} findings;

static void on_batch(void *context, const pr_step_report *batch) {
    findings *f = context;
    timing_step(&f->timing, batch);
    profile_step(&f->profile, batch->seconds);
}

static pr_status on_node(void *context, const pr_call *call, const pr_op *op, double seconds) {
    findings *f = context;
    return profile_node(&f->profile, call, op, seconds);
}

static pr_status score(const settings *s, pr_model *model, pr_backend *backend,
                       const pr_dataset *data, findings *found, pr_error *err) {
    const pr_label_set labels = {.name = (const char *const *)data->label_name,
                                 .n = data->n_labels,
                                 .regression = data->regression};
    int32_t *column = answers_match(model, &labels, err);
    if (!column) return err->code;
    float *outputs;
    const pr_predict_callbacks calls = {.context = found,
                                        .costs = s->json,
                                        .batch = on_batch,
                                        .watch = s->profile ? on_node : NULL};
    pr_status status =
        pr_finetune_predict(model, backend, data, (int32_t)s->batch_size, &calls, &outputs, err);
    if (status == PR_OK) status = answers_order(column, labels.n, outputs, data->n, err);
    if (status == PR_OK) status = pr_dataset_score(data, outputs, &found->scores, err);
    pr_free(outputs);
    pr_free(column);
    return status;
}

static void print_scores(const settings *s, const data_sets *sets, const findings *found) {
    const pr_scores *scores = &found->scores;
    char n[FORMAT_SIZE], time[FORMAT_SIZE];
    printf("%s%s: ", data_name(&s->data),
           data_is_sample(&s->data) ? ", since no --task or --dev-file is named" : "");
    for (int i = 0; i < scores->n; i++) {
        printf("%s%s %.4f", i ? ", " : "", pr_metric_name(scores->metric[i]), scores->value[i]);
    }
    printf(" (%s texts, %s)\n", format_count(n, sets->dev->n),
           format_seconds(time, found->seconds));
    data_tell_losses(stdout, &s->data, sets);
    if (s->profile) profile_print(&found->profile, "batch", stdout);
}

static pr_status print_json(const settings *s, const data_sets *sets, const findings *found,
                            const pr_backend *backend, pr_error *err) {
    const pr_dataset *data = sets->dev;
    json_t *o = json_object();
    json_object_set_new(o, "data", json_string(data_name(&s->data)));
    json_object_set_new(o, "texts", json_integer((json_int_t)data->n));
    json_object_set_new(o, "truncated", json_integer((json_int_t)data->truncated));
    json_object_set_new(o, "skipped", json_integer((json_int_t)sets->skipped));
    report_scores_json(o, &found->scores);
    json_object_set_new(o, "seconds", json_real(found->seconds));
    timing_json(&found->timing, o);
    timing_device_json(backend, o);
    bool good =
        !s->profile || json_object_set_new(o, "profile", profile_json(&found->profile)) == 0;
    good = report_print_json(o, stdout) && good;
    return good ? PR_OK : pr_fail(err, PR_IO, "the JSON line can't be written");
}

static pr_status evaluate_model(const settings *s, pr_model *model, pr_backend *backend,
                                findings *found, pr_error *err) {
    data_sets sets;
    if (!model->has_head) {
        return pr_fail(err, PR_BAD_FILE, "%s has no classification head: fine-tune it first",
                       s->model);
    }
    pr_status status = data_read(&s->data, model, s->model, false, &sets, err);
    if (status != PR_OK) return status;
    double start = progress_now();
    status = score(s, model, backend, sets.dev, found, err);
    found->seconds = progress_now() - start;
    if (status == PR_OK && s->json) {
        status = print_json(s, &sets, found, backend, err);
    } else if (status == PR_OK) {
        print_scores(s, &sets, found);
    }
    data_free(&sets);
    return status;
}

static pr_status evaluate(const settings *s, pr_error *err) {
    findings found = {.seconds = 0};
    timing_begin(&found.timing, s->json);
    pr_backend *backend = processor_open(&s->processor, stderr, err);
    pr_model *model = backend ? pr_model_open(s->model, backend, err) : NULL;
    pr_status status = model ? evaluate_model(s, model, backend, &found, err) : err->code;
    timing_free(&found.timing);
    profile_free(&found.profile);
    pr_model_free(model);
    pr_backend_free(backend);
    return status;
}

static void add_options(cli_options *o, settings *s) {
    data_add_options(o, &s->data, false);
    cli_group(o, "Running");
    cli_int(o, "batch-size", "N", "texts at a time", &s->batch_size, 1, 65536);
    processor_add_options(o, &s->processor);
    cli_flag(o, "json", "print one JSON line", &s->json);
    cli_flag(o, "profile", "tell which ops a batch's time went to", &s->profile);
}

int main(int argc, char **argv) {
    settings s = {.batch_size = 16};
    cli_options options = {.n = 0};
    add_options(&options, &s);
    const cli_program program = {
        .name = "evaluate",
        .usage = "MODEL [options]",
        .description =
            "Scores a tuned MODEL, a GGUF file or a Hugging Face folder, on the dev part of a task "
            "or on a file of labelled texts; without either on the sample data.",
        .examples = "  evaluate model-tuned.gguf\n"
                    "  evaluate model-tuned.gguf --task CoLA --data glue\n"
                    "  evaluate stars.gguf --dev-file test.csv --text review --label stars\n",
        .options = &options,
        .least_arguments = 1,
        .most_arguments = 1,
    };
    s.model = argv[cli_parse(&program, argc, argv)];
    data_check(&program, &s.data, false);
    pr_error err = {.code = PR_OK};
    pr_status status = evaluate(&s, &err);
    return cli_end(&program, status, &err);
}
