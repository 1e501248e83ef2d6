/* Every allocation that training makes fails in turn: a status with a message comes back, nothing
 * leaks, and the process goes on. */
#include "backends/cpu.h"
#include "graph/memory.h"
#include "tests/alloc_fault.h"
#include "tests/scene.h"
#include "tests/scratch.h"
#include "tests/test.h"
#include "tests/toy_run.h"

enum { ROWS = 16 };

/* The graph, its gradients and updates, the plans, steps across a flip, an evaluation. */
static pr_status train(scene *s, const scene_options *o, pr_error *err) {
    pr_feed feeds[PR_BERT_FEEDS];
    float loss, logits[16];
    pr_status status = scene_open_trainer(s, o, err);
    for (int32_t epoch = 1; epoch <= 2 && status == PR_OK; epoch++) {
        status = pr_method_phase(s->model->method, s->model->store,
                                 epoch >= s->model->options.prime, err);
        int n = scene_feed(s, (size_t)epoch, feeds);
        if (status == PR_OK) status = pr_trainer_prepare(s->trainer, s->batch.extent, err);
        if (status == PR_OK)
            status = pr_trainer_step(s->trainer, s->batch.extent, feeds, n, &loss, err);
        if (status == PR_OK) {
            status = pr_trainer_evaluate(s->trainer, s->bert.logits, s->batch.extent, feeds, n,
                                         logits, err);
        }
    }
    return status == PR_OK ? pr_trainer_catch_up(s->trainer, err) : status;
}

static void assert_told(pr_status status, const pr_error *err) {
    bool fine = status == PR_OK && err->code == PR_OK;
    bool unmapped = status == PR_IO && strstr(err->message, "Cannot allocate memory");
    bool told = (status == PR_NO_MEMORY || unmapped) && err->code == status && err->message[0];
    if (!fine && !told) fail_msg("status %d, error %d '%s'", status, err->code, err->message);
}

static bool train_in_scene(void *context) {
    const scene_options *o = context;
    pr_error err = {0};
    scene s;
    alloc_fault_pause(true);
    scene_open_model(&s, o, toy_data(ROWS, 3));
    alloc_fault_pause(false);
    pr_status status = train(&s, o, &err);
    scene_close(&s);
    assert_told(status, &err);
    return status == PR_OK;
}

static void training_survives(void **state) {
    (void)state;
    static const char *const methods[] = {"learner", "full"};
    for (int m = 0; m < 2; m++) {
        scene_options o = scene_default(PR_BERT, methods[m]);
        o.config.layers = o.threads = 1;
        alloc_fault_every(train_in_scene, &o);
    }
}

/* A whole run, its checkpoints and evaluations included. It leaves no half-written file. */
static bool run_through(void *context) {
    const toy_run *run = context;
    toy_result result;
    pr_error err = {0};
    pr_status status = toy_run_make(run, &result, &err);
    assert_told(status, &err);
    assert_in_range(scratch_entries(), 1, 2); /* the model and the checkpoint */
    return status == PR_OK;
}

static void a_run_survives_and_its_going_on(void **state) {
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path("checkpoint"));
    static const char *const methods[] = {"full", "far"}; /* which flips after a checkpoint */
    for (int m = 0; m < 2; m++) {
        toy_run run = toy_run_default(methods[m], RUN_EPOCH_STEPS - 1);
        pr_bert_config config = toy_config(PR_DISTILBERT);
        config.layers = 1;
        run.unsaved = true;
        run.threads = 1;
        run.model = toy_run_model_of(&config);
        run.options.max_steps = RUN_EPOCH_STEPS;
        run.options.save_every = RUN_EPOCH_STEPS / 2;
        run.options.checkpoint = path;
        alloc_fault_every(run_through, &run);
        run.options.resume = path;
        run.options.max_steps++;
        alloc_fault_every(run_through, &run);
        remove(path);
    }
}

/* What a method adds, or how it rearranges. */
static bool set_method(void *context) {
    const pr_method *method = context;
    pr_method_options options = method->defaults;
    pr_error err = {0};
    options.size = 4;
    alloc_fault_pause(true);
    pr_backend *backend = pr_cpu_new(1, &err);
    pr_model *model = toy_model(PR_BERT, backend, 1);
    alloc_fault_pause(false);
    pr_status status = pr_model_set_method(model, method, &options, &err);
    pr_model_free(model);
    pr_backend_free(backend);
    assert_told(status, &err);
    return status == PR_OK;
}

static void beginning_survives(void **state) {
    (void)state;
    for (const pr_method *const *m = pr_methods; *m; m++)
        alloc_fault_every(set_method, (void *)*m);
}

/* A dry run, and a prediction. */
static bool plan_and_predict(void *context) {
    const scene_options *o = context;
    pr_error err = {0};
    scene s;
    pr_phase_report phases[PR_MAX_PHASES];
    int n = PR_MAX_PHASES;
    float *outputs = NULL;
    pr_finetune_options options = pr_finetune_default();
    alloc_fault_pause(true);
    scene_open_model(&s, o, toy_data(ROWS, 3));
    alloc_fault_pause(false);
    pr_status status = pr_finetune_plan(s.model, s.backend, s.data, &options, phases, &n, &err);
    if (status == PR_OK)
        status = pr_finetune_predict(s.model, s.backend, s.data, 8, NULL, &outputs, &err);
    assert_int_equal(status == PR_OK, outputs != NULL);
    pr_free(outputs);
    scene_close(&s);
    assert_told(status, &err);
    return status == PR_OK;
}

static void runs_without_training_survive(void **state) {
    (void)state;
    scene_options o = scene_default(PR_BERT, "learner");
    o.config.layers = o.threads = 1;
    alloc_fault_every(plan_and_predict, &o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beginning_survives),
        cmocka_unit_test(training_survives),
        cmocka_unit_test(runs_without_training_survive),
        cmocka_unit_test_teardown(a_run_survives_and_its_going_on, scratch_empty),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
