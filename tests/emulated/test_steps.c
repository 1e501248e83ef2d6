/* What a step of training asks of a GPU: nothing but copies and one launch of the recorded run; and
 * a wait where its results are read. */
#include "tests/backend_under_test.h"
#include "tests/emulation/emulation.h"
#include "tests/scene.h"
#include "tests/test.h"

enum { ROWS = 24, BATCHES = 3 };

static void a_step_allocates_nothing_and_launches_once(void **state) {
    (void)state;
    static const char *const methods[] = {"full", "learner", "bitfit"};
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        const scene_options o = scene_default(PR_BERT, methods[m]);
        scene s;
        scene_open(&s, &o, toy_data(ROWS, 3));
        scene_steps(&s, 2 * BATCHES); /* every number of tokens is met, and recorded */
        for (size_t i = 0; i < BATCHES; i++) {
            pr_feed feeds[PR_BERT_FEEDS];
            pr_error err = {0};
            float losses[PR_MOST_AHEAD];
            int n = scene_feed(&s, i, feeds);
            emulation_mark();
            pr_trainer_begin(s.trainer, s.batch.extent, feeds, n, &err);
            emulation_counts waits = emulation_counted();
            assert_int_equal(waits.synchronisations, 0);
            pr_trainer_finish(s.trainer, losses, &n, &err);
            assert_string_equal(err.message, "");
            emulation_counts c = emulation_counted();
            assert_int_equal(c.allocations, 0);
            assert_int_equal(c.frees, 0);
            assert_int_equal(c.objects, 0);
            assert_int_equal(c.launches, 0);
            assert_int_equal(c.products, 0);
            assert_int_equal(c.graph_launches, 1);
            assert_int_equal(c.synchronisations, 1);
            assert_true(c.kernels > 50);
        }
        scene_close(&s);
    }
}

/* Runs of nearly the same size share a recording, which all but the first two repeat. */
static void recordings_are_few(void **state) {
    (void)state;
    enum { STEPS = 3 * BATCHES };
    const scene_options o = scene_default(PR_DISTILBERT, "full");
    scene s;
    scene_open(&s, &o, toy_data(ROWS, 3));
    emulation_mark();
    scene_steps(&s, STEPS);
    emulation_counts c = emulation_counted();
    long sizes = (long)(pr_trainer_capacity(s.trainer).tokens / 64) + 1;
    long per_run = c.kernels / STEPS;
    assert_in_range(c.graph_launches, STEPS - sizes, STEPS - 1);
    assert_in_range(c.launches, 2 * per_run, 2 * per_run * sizes);
    scene_close(&s);
}

/* Nothing has run: what the memory for faults held before it was the backend's is no fault. */
static void a_new_backend_has_nothing_to_tell(void **state) {
    (void)state;
    pr_error err = {0};
    pr_backend *backend = test_backend_new(1, &err);
    assert_int_equal(backend->sync(backend, &err), PR_OK);
    pr_backend_free(backend);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_backend_has_nothing_to_tell),
        cmocka_unit_test(a_step_allocates_nothing_and_launches_once),
        cmocka_unit_test(recordings_are_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
