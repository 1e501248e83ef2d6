/* Memory limits: which parts and whether to recompute, and what is refused. */
#include "backends/cpu.h"
#include "tests/scratch.h"
#include "tests/test.h"
#include "tests/toy_run.h"

enum { BESIDE = 40000000, ROWS = 32, LENGTH = 30 };

typedef struct world {
    pr_backend *backend;
    pr_model *model;
    pr_dataset *data;
    pr_finetune_options options;
} world;

static int set_up(void **state) {
    world *w = calloc(1, sizeof *w);
    pr_error err = {0};
    size_t length[ROWS];
    for (int i = 0; i < ROWS; i++)
        length[i] = LENGTH;
    pr_bert_config config = toy_config(PR_BERT);
    w->backend = pr_cpu_new(1, &err);
    w->model = toy_model_of(&config, w->backend, 1);
    pr_method_options options = pr_method_find("learner")->defaults;
    options.size = 4;
    pr_model_set_method(w->model, pr_method_find("learner"), &options, &err);
    w->data = toy_data_of(ROWS, length, config.vocab, 3);
    w->options = pr_finetune_default();
    assert_string_equal(err.message, "");
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;
    pr_dataset_free(w->data);
    pr_model_free(w->model);
    pr_backend_free(w->backend);
    free(w);
    return 0;
}

/* What a way to go needs, as pr_finetune_fit counts it. */
static size_t need(world *w, int32_t part, bool recompute) {
    pr_finetune_options options = w->options;
    pr_phase_report phase;
    pr_error err = {0};
    int n = 1;
    options.micro_batch = part;
    options.recompute = recompute;
    pr_finetune_plan(w->model, w->backend, w->data, &options, &phase, &n, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(n, 1);
    return pr_plan_bytes(&phase.plan) + BESIDE;
}

static void assert_fits(world *w, size_t limit, int32_t part, bool recompute) {
    pr_finetune_options options = w->options;
    pr_error err = {0};
    size_t bytes;
    assert_int_equal(pr_finetune_fit(w->model, w->backend, w->data, limit, &options, &bytes, &err),
                     PR_OK);
    if (options.micro_batch != part || options.recompute != recompute)
        fail_msg("%zu bytes: %d at a time%s", limit, (int)options.micro_batch,
                 options.recompute ? ", recomputed" : "");
    assert_int_equal(bytes, need(w, part, recompute));
    assert_true(bytes <= limit);
}

static void the_least_costly_way_that_fits_is_taken(void **state) {
    world *w = *state;
    const struct {
        int32_t part;
        bool recompute;
    } ways[] = {{0, false}, {8, false}, {4, false}, {2, false}, {1, false}, {1, true}};
    enum { WAYS = sizeof ways / sizeof *ways };
    size_t before = SIZE_MAX;
    for (int i = 0; i < WAYS; i++) {
        size_t bytes = need(w, ways[i].part, ways[i].recompute);
        if (bytes >= before) continue; /* no less than the way before, which is then taken */
        assert_fits(w, bytes, ways[i].part, ways[i].recompute);
        assert_fits(w, before - 1, ways[i].part, ways[i].recompute);
        before = bytes;
    }
    assert_true(before < need(w, 4, false));
}

static void what_was_asked_for_stays(void **state) {
    world *w = *state;
    w->options.micro_batch = 3;
    assert_fits(w, need(w, 3, false), 3, false);
    assert_fits(w, need(w, 3, false) - 1, 3, true);
    w->options.micro_batch = 0;
    w->options.recompute = true;
    assert_fits(w, need(w, 0, true), 0, true);
    assert_fits(w, need(w, 0, true) - 1, 8, true);
}

static void what_cannot_fit_is_refused(void **state) {
    world *w = *state;
    pr_finetune_options options = w->options;
    pr_error err = {0};
    size_t bytes;
    assert_int_equal(pr_finetune_fit(w->model, w->backend, w->data, 1000, &options, &bytes, &err),
                     PR_NO_MEMORY);
    assert_says(err.message,
                "0 MB of memory are too little: at least 41 MB are needed, with 1 text "
                "at a time and the forward part computed twice");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_least_costly_way_that_fits_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_asked_for_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_fit_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
