/* Steps of training on two backends side by side: they are the steps that one makes alone. */
#include "tests/scene.h"
#include "tests/test.h"
#include "train/compare.h"

enum { ROWS = 24, STEPS = 3 };

typedef struct seen {
    int n;
    int apart; /* of those, that were not the same to the bit */
} seen;

static pr_status note(void *context, const pr_difference *d) {
    seen *s = context;
    s->n++;
    s->apart += d->apart != 0.0;
    return PR_OK;
}

static pr_status compare_step(scene *s, pr_store *other, size_t i, seen *found, pr_error *err) {
    pr_feed feeds[PR_BERT_FEEDS];
    float loss = 0.0f;
    int n = scene_feed(s, i, feeds);
    const pr_comparison c = {other, note, found};
    *found = (seen){.n = 0};
    return pr_trainer_compare(s->trainer, s->batch.extent, feeds, n, &c, &loss, err);
}

/* A trainer, the same one again that steps alone, and the model that the first is compared with. */
typedef struct three {
    scene s, alone, beside;
} three;

static three open_three(const char *method, pr_precision precision) {
    const scene_options o = scene_default(PR_BERT, method);
    pr_error err = {0};
    three t;
    scene_open_model(&t.s, &o, toy_data(ROWS, 3));
    scene_open_model(&t.alone, &o, toy_data(ROWS, 3));
    scene_open_model(&t.beside, &o, toy_data(ROWS, 3));
    t.s.backend->precision = t.alone.backend->precision = precision;
    scene_open_trainer(&t.s, &o, &err);
    scene_open_trainer(&t.alone, &o, &err);
    assert_string_equal(err.message, "");
    return t;
}

static void close_three(three *t) {
    scene_close(&t->s);
    scene_close(&t->alone);
    scene_close(&t->beside);
}

/* Steps in between, which the other model does not make, so that it has to be given moments too. */
static void compare_steps(const char *method, pr_precision precision) {
    three t = open_three(method, precision);
    pr_error err = {0};
    seen found;
    for (size_t i = 0; i < STEPS; i++) {
        compare_step(&t.s, t.beside.model->store, 2 * i, &found, &err);
        assert_string_equal(err.message, "");
        assert_int_equal(found.apart, 0);
        assert_true(found.n > pr_trainer_report(t.s.trainer)->nodes / 2);
        scene_step(&t.s, 2 * i + 1);
    }
    scene_steps(&t.alone, (size_t)2 * STEPS);
    assert_int_equal(pr_trainer_steps(t.s.trainer), 2 * STEPS);
    assert_same_scene(&t.s, &t.alone);
    close_three(&t);
}

static void it_makes_the_step_of_every_method(void **state) {
    (void)state;
    static const char *const methods[] = {"full", "learner", "adapter", "bitfit", "freeze-ffn"};
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
        compare_steps(methods[m], PR_PRECISION_F32);
}

/* The graph has frozen weights in bf16, whatever the other backend would have chosen. */
static void the_other_keeps_weights_as_the_trainer_does(void **state) {
    (void)state;
    compare_steps("learner", PR_PRECISION_BF16);
}

static void batches_in_parts_are_refused(void **state) {
    (void)state;
    scene_options o = scene_default(PR_BERT, "full");
    scene s;
    seen found;
    pr_error err = {0};
    o.micro_batch = 2;
    scene_open(&s, &o, toy_data(ROWS, 3));
    assert_int_equal(compare_step(&s, s.model->store, 0, &found, &err), PR_UNSUPPORTED);
    assert_string_equal(err.message, "only whole batches can be compared");
    assert_int_equal(found.n, 0);
    scene_close(&s);
}

static void another_model_is_refused(void **state) {
    (void)state;
    three t = open_three("full", PR_PRECISION_F32);
    pr_error err = {0};
    seen found;
    pr_store *other = t.beside.model->store;
    assert_int_equal(pr_store_truncate(other, pr_store_count(other) - 1, &err), PR_OK);
    assert_int_equal(compare_step(&t.s, other, 0, &found, &err), PR_BAD_ARGUMENT);
    assert_string_equal(err.message, "the models to compare are not the same");
    close_three(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_makes_the_step_of_every_method),
        cmocka_unit_test(the_other_keeps_weights_as_the_trainer_does),
        cmocka_unit_test(batches_in_parts_are_refused),
        cmocka_unit_test(another_model_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
