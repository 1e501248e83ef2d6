/* A run stopped at any step and resumed ends in the same file, bit for bit, as one that was not,
 * and its losses and scores on the way are the same. */
#include "tests/scratch.h"
#include "tests/test.h"
#include "tests/toy_run.h"

static char checkpoint[512], older[512];

static int set_up(void **state) {
    if (scratch_make(state)) return -1;
    snprintf(checkpoint, sizeof checkpoint, "%s", scratch_path("checkpoint"));
    snprintf(older, sizeof older, "%s", scratch_path("older"));
    return 0;
}

/* From step `first` (1, 2, ...) on, b did as a did. */
static void assert_same_course(const toy_result *a, const toy_result *b, int32_t first) {
    for (int32_t step = first; step <= RUN_STEPS; step++) {
        float x = a->loss[step - 1], y = b->loss[step - 1];
        if (x != y) fail_msg("step %d: loss %a, not %a", (int)step, y, x);
    }
    for (int32_t epoch = (first - 1) / RUN_EPOCH_STEPS; epoch < RUN_EPOCHS; epoch++) {
        assert_true(a->epoch_loss[epoch] == b->epoch_loss[epoch]);
        assert_true(a->score[epoch] == b->score[epoch]);
    }
    assert_same_file(a, b);
}

/* Stops after steps 1, 1 + stride, ... */
static void resume_everywhere(const char *method, int32_t prime, int flips, int32_t stride,
                              pr_precision precision) {
    toy_run run = toy_run_default(method, prime);
    run.precision = precision;
    run.model = toy_run_model(PR_BERT);
    toy_result whole = toy_run_through(&run);
    assert_int_equal(whole.flips, flips);
    for (int32_t stop = 1; stop <= RUN_STEPS; stop += stride) {
        toy_run first = run, second = run;
        first.options.max_steps = stop;
        first.options.checkpoint = checkpoint;
        second.options.resume = checkpoint;
        toy_result part = toy_run_through(&first), rest = toy_run_through(&second);
        assert_int_equal(part.result.steps, stop);
        assert_int_equal(rest.result.steps, RUN_STEPS);
        assert_int_equal(part.flips + rest.flips, flips); /* each is told of once */
        if (stop < RUN_STEPS) assert_memory_not_equal(part.file, whole.file, whole.size);
        assert_same_course(&whole, &rest, stop + 1);
        free(part.file);
        free(rest.file);
    }
    free(whole.file);
}

static void full_resumes_at_any_step(void **state) {
    (void)state;
    resume_everywhere("full", 0, 0, 1, PR_PRECISION_F32);
}

static void bf16_resumes_around_a_flip(void **state) {
    (void)state;
    resume_everywhere("learner", 1, 1, 2, PR_PRECISION_BF16);
}

static void learner_resumes_around_a_flip_at_step_6(void **state) {
    (void)state;
    resume_everywhere("learner", 1, 1, 1, PR_PRECISION_F32);
}

static void learner_resumes_around_a_flip_at_step_12(void **state) {
    (void)state;
    resume_everywhere("learner", 2, 1, 1, PR_PRECISION_F32);
}

/* Between two epochs, and in the middle of one: nodes have changed places, or are about to. */
static void far_resumes_around_its_flip(void **state) {
    (void)state;
    resume_everywhere("far", 7, 1, 1, PR_PRECISION_F32);
    resume_everywhere("far", 12, 1, 1, PR_PRECISION_F32);
}

static void methods_without_a_flip_resume(void **state) {
    (void)state;
    for (const pr_method *const *m = pr_methods; *m; m++) {
        if (!(*m)->primed) resume_everywhere((*m)->name, 0, 0, 8, PR_PRECISION_F32);
    }
}

/* A process that died: its last checkpoint is from some steps before. The copy of a checkpoint is
 * made when the step after it has been made. */
typedef struct crash {
    int32_t every, at;
} crash;

static bool copy_checkpoint(void *context, const pr_step_report *report) {
    const crash *c = context;
    if (report->step == c->at + 1) {
        size_t size;
        unsigned char *bytes = scratch_read(checkpoint, &size);
        scratch_write(older, bytes, size);
        free(bytes);
    }
    return true;
}

static void any_saved_checkpoint_serves(void **state) {
    (void)state;
    static const crash crashes[] = {{4, 4}, {4, 8}, {4, 12}, {4, 16}, {6, 6}, {6, 12}, {1, 17}};
    static const struct {
        const char *name;
        int32_t prime;
    } methods[] = {{"full", 0}, {"learner", 2}, {"far", 8}};
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        toy_run run = toy_run_default(methods[m].name, methods[m].prime);
        run.model = toy_run_model(PR_DISTILBERT);
        toy_result whole = toy_run_through(&run);
        for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) {
            crash c = crashes[i];
            toy_run saving = run, second = run;
            saving.options.save_every = c.every;
            saving.options.checkpoint = checkpoint;
            saving.step = copy_checkpoint;
            saving.context = &c;
            second.options.resume = older;
            toy_result all = toy_run_through(&saving), rest = toy_run_through(&second);
            assert_same_course(&whole, &all, 1); /* saving changes nothing */
            assert_true(rest.loss[c.at - 1] == 0.0f);
            assert_same_course(&whole, &rest, c.at + 1);
            free(all.file);
            free(rest.file);
        }
        free(whole.file);
    }
}

static bool stop_at_seven(void *context, const pr_step_report *report) {
    (void)context;
    return report->step < 7;
}

static void a_cancelled_run_goes_on(void **state) {
    (void)state;
    toy_run run = toy_run_default("learner", 1), first = run;
    first.model = run.model = toy_run_model(PR_BERT);
    toy_result whole = toy_run_through(&run);
    first.step = stop_at_seven;
    first.options.checkpoint = run.options.resume = checkpoint;
    toy_result part = toy_run_through(&first), rest = toy_run_through(&run);
    assert_true(part.result.cancelled && !rest.result.cancelled && !whole.result.cancelled);
    assert_int_equal(part.result.steps, 7);
    assert_true(part.loss[6] != 0.0f && part.loss[7] == 0.0f);
    assert_same_course(&whole, &rest, 8);
    free(whole.file);
    free(part.file);
    free(rest.file);
}

/* Stopped and resumed time and again, on other numbers of threads each time. */
static void a_run_in_pieces_is_the_same(void **state) {
    (void)state;
    toy_run run = toy_run_default("full", 0);
    run.model = toy_run_model(PR_BERT);
    toy_result whole = toy_run_through(&run);
    for (int32_t stop = 3; stop < RUN_STEPS; stop += 3) {
        run.threads = stop % 4 + 1;
        run.options.checkpoint = checkpoint;
        run.options.max_steps = stop;
        toy_result part = toy_run_through(&run);
        run.options.resume = checkpoint;
        free(part.file);
    }
    run.options.max_steps = 0;
    toy_result rest = toy_run_through(&run);
    assert_same_file(&whole, &rest);
    free(whole.file);
    free(rest.file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(full_resumes_at_any_step, scratch_empty),
        cmocka_unit_test_teardown(bf16_resumes_around_a_flip, scratch_empty),
        cmocka_unit_test_teardown(learner_resumes_around_a_flip_at_step_6, scratch_empty),
        cmocka_unit_test_teardown(learner_resumes_around_a_flip_at_step_12, scratch_empty),
        cmocka_unit_test_teardown(far_resumes_around_its_flip, scratch_empty),
        cmocka_unit_test_teardown(methods_without_a_flip_resume, scratch_empty),
        cmocka_unit_test_teardown(any_saved_checkpoint_serves, scratch_empty),
        cmocka_unit_test_teardown(a_cancelled_run_goes_on, scratch_empty),
        cmocka_unit_test_teardown(a_run_in_pieces_is_the_same, scratch_empty),
    };
    return cmocka_run_group_tests(tests, set_up, scratch_remove);
}
