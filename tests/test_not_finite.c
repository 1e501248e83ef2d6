/* A loss or a gradient that is not finite: the step and the first node that went wrong are named,
 * and nothing is updated. */
#include "graph/memory.h"
#include "tests/scene.h"
#include "tests/scratch.h"
#include "tests/test.h"
#include "tests/toy_run.h"

enum { ROWS = 24, STEPS = 3 };

static void fill(scene *s, const char *name, float value) {
    const pr_param *p = scene_param(s, name);
    size_t n = p->bytes / sizeof(float);
    float *values = pr_alloc(n, sizeof *values);
    pr_error err = {0};
    for (size_t i = 0; i < n; i++)
        values[i] = value;
    pr_store_write(s->model->store, pr_store_find(s->model->store, name), values, &err);
    assert_string_equal(err.message, "");
    pr_free(values);
}

/* Weights whose products overflow on the way to the loss: to infinity or, where the order of a sum
 * has infinities of both signs meet, to NaN. */
static void break_the_loss(scene *s) {
    fill(s, "blk.1.ffn_up.weight", 3e38f);
}

/* The logits of every row are 3e38 and -3e38, and the second is right: the loss is above the
 * largest float, while its gradient is 1 and -1 over the number of rows. */
static void break_the_loss_alone(scene *s) {
    for (size_t row = 0; row < ROWS; row++)
        s->data->label[row] = 1;
    fill(s, "cls.output.weight", 0.0f);
    pr_error err = {0};
    const float bias[2] = {3e38f, -3e38f};
    pr_store_write(s->model->store, pr_store_find(s->model->store, "cls.output.bias"), bias, &err);
    assert_string_equal(err.message, "");
}

/* Zeros come to a layer norm: its output is its bias, but 1e6 times its weight lies on the way
 * back. */
static void break_a_gradient(scene *s) {
    static const char *const zeros[] = {"token_embd_norm.weight", "token_embd_norm.bias",
                                        "blk.0.attn_v.bias", "blk.0.attn_output.bias"};
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
        fill(s, zeros[i], 0.0f);
    fill(s, "blk.0.attn_output_norm.weight", 3e38f);
}

/* s meets the fault; its twin, the same up to there, makes no step. */
static void meet(const char *method, void (*break_it)(scene *s), const char *message) {
    scene_options o = scene_default(PR_BERT, method);
    scene scenes[2];
    pr_error err = {0};
    for (int i = 0; i < 2; i++) {
        scene_open(&scenes[i], &o, toy_data(ROWS, 3));
        scene_steps(&scenes[i], STEPS);
        break_it(&scenes[i]);
    }
    scene *s = &scenes[0];
    pr_feed feeds[PR_BERT_FEEDS];
    float loss = 0.0f;
    int n = scene_feed(s, 1, feeds);
    pr_status status = pr_trainer_step(s->trainer, s->batch.extent, feeds, n, &loss, &err);
    assert_int_equal(status, PR_NOT_FINITE);
    assert_says(err.message, message);
    assert_int_equal(pr_trainer_steps(s->trainer), STEPS);
    err = (pr_error){0};
    for (int i = 0; i < 2; i++)
        pr_trainer_catch_up(scenes[i].trainer, &err);
    assert_string_equal(err.message, "");
    assert_same_scene(s, &scenes[1]);
    for (int i = 0; i < 2; i++)
        scene_close(&scenes[i]);
}

static void a_loss_is_named(void **state) {
    (void)state;
    const char *first = "step 4: matmul 'blk.1.ffn_up/first/matmul' is the first to compute ";
    meet("full", break_the_loss, first);
    meet("learner", break_the_loss, first);
}

static void a_loss_alone_is_enough(void **state) {
    (void)state;
    const char *first = "step 4: cross_entropy 'loss";
    meet("full", break_the_loss_alone, first);
    meet("learner", break_the_loss_alone, first);
}

static void a_gradient_is_named(void **state) {
    (void)state;
    const char *first = "step 4: residual_norm_grad 'gradient/blk.0.attn_output_norm/";
    meet("full", break_a_gradient, first);
    meet("learner", break_a_gradient, first);
}

static void a_run_ends_with_the_step(void **state) {
    (void)state;
    toy_run run = toy_run_default("full", 0);
    toy_result result;
    pr_error err = {0};
    run.model = toy_run_model(PR_BERT);
    run.unsaved = true;
    run.options.learning_rate = 1e37;
    assert_int_equal(toy_run_make(&run, &result, &err), PR_NOT_FINITE);
    assert_says(err.message, "step 2: ");
    assert_says(err.message, " is the first to compute ");
    assert_int_equal(result.result.steps, 1);
    assert_false(result.result.cancelled);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loss_is_named),
        cmocka_unit_test(a_loss_alone_is_enough),
        cmocka_unit_test(a_gradient_is_named),
        cmocka_unit_test_teardown(a_run_ends_with_the_step, scratch_empty),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
