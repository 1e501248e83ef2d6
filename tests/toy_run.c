#include "tests/toy_run.h"

#include "tests/alloc_fault.h"
#include "tests/backend_under_test.h"
#include "tests/scratch.h"
#include "tests/test.h"

enum { ROWS = 22, DEV_ROWS = 10, BATCH = 4, RANK = 4, RETAIN = 25 };

const char *toy_run_model_of(const pr_bert_config *config) {
    static char path[512];
    pr_error err = {0};
    snprintf(path, sizeof path, "%s", scratch_path("toy.gguf"));
    pr_backend *backend = test_backend_new(1, &err);
    pr_model *model = toy_model_of(config, backend, 1);
    pr_model_save(model, path, false, &err);
    assert_string_equal(err.message, "");
    pr_model_free(model);
    pr_backend_free(backend);
    return path;
}

const char *toy_run_model(pr_bert_kind kind) {
    const pr_bert_config config = toy_config(kind);
    return toy_run_model_of(&config);
}

toy_run toy_run_default(const char *method, int32_t prime) {
    toy_run run = {
        .method = method,
        .prime = prime,
        .model_seed = 9,
        .data_seed = 3,
        .threads = 2,
        .options = pr_finetune_default(),
    };
    run.options.epochs = RUN_EPOCHS;
    run.options.batch_size = BATCH;
    run.options.learning_rate = 1e-2;
    run.options.seed = 7;
    return run;
}

/* What the callbacks are given. */
typedef struct listener {
    const toy_run *run;
    toy_result *result;
} listener;

static bool note_step(void *context, const pr_step_report *report) {
    listener *l = context;
    l->result->loss[report->step - 1] = report->loss;
    return !l->run->step || l->run->step(l->run->context, report);
}

static void note_epoch(void *context, const pr_epoch_report *report) {
    listener *l = context;
    l->result->epoch_loss[report->epoch] = report->loss;
    l->result->score[report->epoch] = report->scores->value[0];
}

static void note_flip(void *context, const pr_flip_report *report) {
    (void)report;
    listener *l = context;
    l->result->flips++;
}

static pr_model *open_model(const toy_run *run, pr_backend *backend) {
    pr_error err = {0};
    pr_model *model = pr_model_open(run->model, backend, &err);
    const pr_method *method = pr_method_find(run->method);
    pr_method_options options = method->defaults;
    if (method->takes & PR_TAKES_SIZE) options.size = RANK;
    if (method->takes & PR_TAKES_PRIME) options.prime = run->prime;
    if (method->takes & PR_TAKES_PRIME_STEPS) options.prime_steps = run->prime;
    if (method->takes & PR_TAKES_RETAIN) options.retain = RETAIN;
    options.seed = run->model_seed;
    if (model) pr_model_set_method(model, method, &options, &err);
    assert_string_equal(err.message, "");
    return model;
}

static void save(const pr_model *model, toy_result *result) {
    pr_error err = {0};
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path("tuned.gguf"));
    pr_model_save(model, path, false, &err);
    assert_string_equal(err.message, "");
    result->file = scratch_read(path, &result->size);
}

pr_status toy_run_make(const toy_run *run, toy_result *result, pr_error *err) {
    alloc_fault_pause(true);
    *result = (toy_result){0};
    listener l = {run, result};
    const pr_finetune_callbacks calls = {
        .context = &l, .step = note_step, .epoch = note_epoch, .flip = note_flip};
    pr_backend *backend = test_backend_new(run->threads, NULL);
    backend->precision = run->precision;
    pr_model *model = open_model(run, backend);
    pr_dataset *train = toy_data(ROWS, run->data_seed), *dev = toy_data(DEV_ROWS, 4);
    alloc_fault_pause(false);
    pr_status status =
        pr_finetune_run(model, backend, train, dev, &run->options, &calls, &result->result, err);
    alloc_fault_pause(true);
    if (!run->unsaved) save(model, result);
    pr_dataset_free(train);
    pr_dataset_free(dev);
    pr_model_free(model);
    pr_backend_free(backend);
    alloc_fault_pause(false);
    return status;
}

toy_result toy_run_through(const toy_run *run) {
    toy_result result;
    pr_error err = {0};
    assert_int_equal(toy_run_make(run, &result, &err), PR_OK);
    assert_string_equal(err.message, "");
    return result;
}

void assert_same_file(const toy_result *a, const toy_result *b) {
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->file, b->file, a->size);
}
