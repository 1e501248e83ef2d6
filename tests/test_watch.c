/* Watching a trainer: every node of every run, through flips and evaluations, and what the calls
 * have to do. */
#include "graph/memory.h"
#include "tests/scene.h"
#include "tests/test.h"

enum { ROWS = 24, AFTER_PRIMING = 2 };

typedef struct tally {
    int calls, evaluations; /* of all calls, those that do not train */
    double flops, bytes;
    pr_status answer;
} tally;

static pr_status note(void *context, const pr_call *call, const pr_op *op, double seconds) {
    tally *s = context;
    double flops, bytes;
    assert_true(seconds >= 0.0);
    pr_call_cost(call, op, &flops, &bytes);
    s->calls++;
    s->evaluations += !call->training;
    s->flops += flops;
    s->bytes += bytes;
    return s->answer;
}

static void open_watched(scene *s, tally *seen) {
    const scene_options o = scene_default(PR_BERT, "learner");
    scene_open(s, &o, toy_data(ROWS, 3));
    pr_trainer_watch(s->trainer, note, seen);
}

/* A step's calls are the plan's nodes, and cost what the plan says. */
static void expect_step(scene *s, tally *seen, size_t batch) {
    *seen = (tally){.calls = 0};
    scene_step(s, batch);
    double flops, bytes;
    pr_trainer_cost(s->trainer, &flops, &bytes);
    assert_int_equal(seen->calls, pr_trainer_report(s->trainer)->nodes);
    assert_int_equal(seen->evaluations, 0);
    assert_true(seen->flops == flops && seen->bytes == bytes && bytes > 0.0);
}

static void it_stays_when_the_trainer_plans_anew(void **state) {
    (void)state;
    scene s;
    tally seen;
    open_watched(&s, &seen);
    expect_step(&s, &seen, 0);
    int before = seen.calls;
    scene_epoch(&s, AFTER_PRIMING);
    expect_step(&s, &seen, 1);
    assert_true(seen.calls < before);
    pr_trainer_watch(s.trainer, NULL, NULL);
    int last = seen.calls;
    scene_step(&s, 2);
    assert_int_equal(seen.calls, last);
    scene_close(&s);
}

static pr_status evaluate(scene *s, pr_trainer *trainer) {
    pr_feed feeds[PR_BERT_FEEDS];
    pr_error err = {0};
    int n = scene_feed(s, 0, feeds);
    float *logits = pr_alloc(s->sentences * 2, sizeof *logits);
    pr_status status =
        pr_trainer_evaluate(trainer, s->bert.logits, s->batch.extent, feeds, n, logits, &err);
    pr_free(logits);
    return status;
}

static void it_tells_evaluations_apart(void **state) {
    (void)state;
    scene s;
    tally seen = {.calls = 0};
    open_watched(&s, &seen);
    assert_int_equal(evaluate(&s, s.trainer), PR_OK);
    assert_true(seen.calls > 0);
    assert_int_equal(seen.calls, seen.evaluations);
    scene_close(&s);
}

static void it_can_end_a_run(void **state) {
    (void)state;
    scene s;
    tally seen = {.answer = PR_CANCELLED};
    open_watched(&s, &seen);
    assert_int_equal(evaluate(&s, s.trainer), PR_CANCELLED);
    assert_int_equal(seen.calls, 1);
    scene_close(&s);
}

/* A trainer without a loss has but one plan to tell of. */
static void an_evaluating_trainer_tells_what_it_costs(void **state) {
    (void)state;
    scene s;
    tally seen = {.calls = 0};
    double flops, bytes;
    const scene_options o = scene_default(PR_BERT, "full");
    const pr_trainer_options none = {0};
    pr_error err = {0};
    scene_open_model(&s, &o, toy_data(ROWS, 3));
    s.g = pr_graph_new(s.model->store);
    s.bert = pr_model_build(s.model, s.g);
    s.trainer = pr_trainer_new(s.g, s.backend, 0, &none, &err);
    assert_string_equal(err.message, "");
    pr_trainer_watch(s.trainer, note, &seen);
    assert_null(pr_trainer_report(s.trainer));
    assert_int_equal(evaluate(&s, s.trainer), PR_OK);
    pr_trainer_cost(s.trainer, &flops, &bytes);
    assert_int_equal(seen.calls, pr_trainer_report(s.trainer)->nodes);
    assert_true(seen.flops == flops && seen.bytes == bytes && flops > 0.0);
    assert_int_equal(pr_trainer_capacity(s.trainer).sentences, s.batch.extent.sentences);
    scene_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stays_when_the_trainer_plans_anew),
        cmocka_unit_test(it_tells_evaluations_apart),
        cmocka_unit_test(it_can_end_a_run),
        cmocka_unit_test(an_evaluating_trainer_tells_what_it_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
