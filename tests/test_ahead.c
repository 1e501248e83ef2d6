/* Steps that are begun one behind the other, and finished together. */
#include "graph/memory.h"
#include "tests/scene.h"
#include "tests/scratch.h"
#include "tests/test.h"

enum { ROWS = 24, STEPS = 3, WRONG = 1 /* the step that goes wrong */ };

static void open(scene *s, const char *method) {
    const scene_options o = scene_default(PR_BERT, method);
    scene_open(s, &o, toy_data(ROWS, 3));
}

static bool goes_ahead(const scene *s) {
    return s->backend->kind == PR_CUDA;
}

static pr_status begin(scene *s, size_t i, pr_error *err) {
    pr_feed feeds[PR_BERT_FEEDS];
    int n = scene_feed(s, i, feeds);
    return pr_trainer_begin(s->trainer, s->batch.extent, feeds, n, err);
}

/* As many as can be begun. */
static pr_status begin_all(scene *s, pr_error *err) {
    pr_status status = PR_OK;
    for (size_t i = 0; i < STEPS && status == PR_OK; i++)
        status = begin(s, i, err);
    return status;
}

/* Of batches of any length. */
static void make_ready(scene *s) {
    pr_error err = {0};
    const pr_extent most = {.tokens = 256, .sentences = 8, .longest = (int64_t)s->data->longest};
    assert_int_equal(pr_trainer_prepare(s->trainer, most, &err), PR_OK);
}

static void bring_up_to_date(scene *s) {
    pr_error err = {0};
    pr_trainer_catch_up(s->trainer, &err);
    assert_string_equal(err.message, "");
}

static void they_are_the_steps_of_one_who_waits(void **state) {
    (void)state;
    static const char *const methods[] = {"full", "learner"};
    for (size_t m = 0; m < 2; m++) {
        scene ahead, waiting;
        pr_error err = {0};
        float losses[PR_MOST_AHEAD], expected[STEPS];
        int n;
        open(&ahead, methods[m]);
        open(&waiting, methods[m]);
        make_ready(&ahead);
        assert_int_equal(pr_trainer_goes_ahead(ahead.trainer), goes_ahead(&ahead));
        for (size_t i = 0; i < STEPS; i++)
            expected[i] = scene_step(&waiting, i);
        for (size_t i = 0; i < STEPS; i++) {
            begin(&ahead, i, &err);
            assert_int_equal(pr_trainer_steps(ahead.trainer), i + 1);
        }
        assert_int_equal(pr_trainer_finish(ahead.trainer, losses, &n, &err), PR_OK);
        assert_string_equal(err.message, "");
        assert_int_equal(n, STEPS);
        assert_memory_equal(losses, expected, sizeof expected);
        bring_up_to_date(&ahead);
        bring_up_to_date(&waiting);
        assert_same_scene(&ahead, &waiting);
        assert_int_equal(pr_trainer_finish(ahead.trainer, losses, &n, &err), PR_OK);
        assert_int_equal(n, 0);
        scene_close(&ahead);
        scene_close(&waiting);
    }
}

/* The loss of the labels 0 is none, and of the labels 1 above the largest float. */
static void break_the_loss_of_ones(scene *s) {
    pr_error err = {0};
    pr_store *store = s->model->store;
    int weight = pr_store_find(store, "cls.output.weight");
    size_t bytes = pr_store_param(store, weight)->bytes;
    float *zeros = pr_alloc(bytes, 1);
    const float bias[2] = {3e38f, -3e38f};
    pr_store_write(store, weight, zeros, &err);
    pr_store_write(store, pr_store_find(store, "cls.output.bias"), bias, &err);
    assert_string_equal(err.message, "");
    pr_free(zeros);
    for (size_t row = 0; row < ROWS; row++)
        s->data->label[row] = row / s->sentences == WRONG;
}

/* Its wrong step, and all behind it, leave no trace: s is the twin that ended before. */
static void assert_same_as_a_shorter_run(scene *s, void (*break_it)(scene *s)) {
    scene twin;
    open(&twin, "full");
    make_ready(&twin);
    break_it(&twin);
    scene_steps(&twin, WRONG);
    bring_up_to_date(s);
    bring_up_to_date(&twin);
    assert_same_scene(s, &twin);
    scene_close(&twin);
}

static void none_behind_one_that_is_not_finite_changes_anything(void **state) {
    (void)state;
    scene s;
    pr_error err = {0}, named = {0}, fine = {0};
    pr_feed feeds[PR_BERT_FEEDS];
    float losses[PR_MOST_AHEAD], loss;
    int n;
    open(&s, "full");
    make_ready(&s);
    break_the_loss_of_ones(&s);
    pr_status status = begin_all(&s, &err);
    assert_int_equal(status, goes_ahead(&s) ? PR_OK : PR_NOT_FINITE);
    status = pr_trainer_finish(s.trainer, losses, &n, &err);
    assert_int_equal(status, goes_ahead(&s) ? PR_NOT_FINITE : PR_OK);
    assert_says(err.message, "step 2: ");
    assert_int_equal(n, WRONG);
    assert_int_equal(pr_trainer_steps(s.trainer), WRONG);
    int n_feeds = scene_feed(&s, WRONG, feeds);
    status = pr_trainer_step(s.trainer, s.batch.extent, feeds, n_feeds, &loss, &named);
    assert_int_equal(status, PR_NOT_FINITE);
    assert_says(named.message, "step 2: cross_entropy 'loss");
    assert_same_as_a_shorter_run(&s, break_the_loss_of_ones);
    assert_int_equal(begin(&s, 0, &fine), PR_OK); /* and others go on */
    assert_int_equal(pr_trainer_finish(s.trainer, losses, &n, &fine), PR_OK);
    assert_int_equal(n, 1);
    scene_close(&s);
}

static void break_a_label(scene *s) {
    s->data->label[WRONG * s->sentences + 3] = 9;
}

static void none_behind_a_fault_changes_anything(void **state) {
    (void)state;
    scene s;
    pr_error err = {0};
    float losses[PR_MOST_AHEAD];
    int n;
    open(&s, "full");
    make_ready(&s);
    break_a_label(&s);
    pr_status status = begin_all(&s, &err);
    if (goes_ahead(&s)) assert_int_equal(status, PR_OK);
    status = pr_trainer_finish(s.trainer, losses, &n, &err);
    assert_int_equal(status, goes_ahead(&s) ? PR_BAD_ARGUMENT : PR_OK);
    assert_says(err.message, "label 9 of sentence 3 is outside");
    assert_int_equal(n, WRONG);
    assert_int_equal(pr_trainer_steps(s.trainer), WRONG);
    assert_same_as_a_shorter_run(&s, break_a_label);
    scene_close(&s);
}

static void assert_refused(pr_status status, pr_error *err, const char *message) {
    assert_int_equal(status, PR_BAD_ARGUMENT);
    assert_string_equal(err->message, message);
    *err = (pr_error){0};
}

static void nothing_else_is_done_meanwhile(void **state) {
    (void)state;
    static const char busy[] = "1 steps are still under way: finish them first";
    scene s;
    pr_error err = {0};
    pr_feed feeds[PR_BERT_FEEDS];
    float losses[PR_MOST_AHEAD], out[ROWS];
    int n;
    open(&s, "full");
    int n_feeds = scene_feed(&s, 0, feeds);
    pr_extent e = s.batch.extent;
    begin(&s, 0, &err);
    pr_tid weight = pr_graph_find(s.g, "cls.output.bias");
    assert_refused(pr_trainer_step(s.trainer, e, feeds, n_feeds, losses, &err), &err, busy);
    assert_refused(pr_trainer_evaluate(s.trainer, s.bert.logits, e, feeds, n_feeds, out, &err),
                   &err, busy);
    assert_refused(pr_trainer_gradient(s.trainer, weight, e, feeds, n_feeds, out, &err), &err,
                   busy);
    assert_refused(pr_trainer_prepare(s.trainer, e, &err), &err, busy);
    assert_refused(pr_trainer_catch_up(s.trainer, &err), &err, busy);
    pr_extent larger = e;
    larger.sentences += 1;
    if (goes_ahead(&s)) {
        assert_refused(pr_trainer_begin(s.trainer, larger, feeds, n_feeds, &err), &err, busy);
    }
    assert_int_equal(pr_trainer_finish(s.trainer, losses, &n, &err), PR_OK);
    assert_int_equal(pr_trainer_prepare(s.trainer, e, &err), PR_OK);
    for (int i = 0; i < PR_MOST_AHEAD; i++)
        pr_trainer_begin(s.trainer, e, feeds, n_feeds, &err);
    assert_string_equal(err.message, "");
    assert_refused(pr_trainer_begin(s.trainer, e, feeds, n_feeds, &err), &err,
                   "32 steps are still under way: finish them first");
    scene_close(&s); /* with them under way */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_the_steps_of_one_who_waits),
        cmocka_unit_test(none_behind_one_that_is_not_finite_changes_anything),
        cmocka_unit_test(none_behind_a_fault_changes_anything),
        cmocka_unit_test(nothing_else_is_done_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
