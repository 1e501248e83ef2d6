/* Batches that are run in parts: the same losses, weights and masks as whole ones to rounding, in
 * less memory; the same bits with any number of threads and after a resume; and faults are named.
 */
#include <math.h>

#include "backends/cpu.h"
#include "ops/table.h"
#include "tests/scene.h"
#include "tests/scratch.h"
#include "tests/test.h"
#include "tests/toy_run.h"

/* ---- steps ---- */

enum { ROWS = 24, BATCH = 8, STEPS = 6 };

static void open_in_parts(scene *s, pr_bert_kind kind, const char *method, int64_t part) {
    scene_options o = scene_default(kind, method);
    o.batch = BATCH;
    o.micro_batch = part;
    scene_open(s, &o, toy_data(ROWS, 3));
}

static void assert_near(const char *name, const float *a, const float *b, size_t n) {
    double most = 0, apart = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i]));
        apart = fmax(apart, fabs((double)a[i] - (double)b[i]));
    }
    if (apart > 1e-5 * fmax(most, 1.0)) fail_msg("'%s' is %g apart of %g", name, apart, most);
}

/* After some steps, which the dropout of each site is part of. */
static void check_same(pr_bert_kind kind, const char *method, int64_t part) {
    scene whole, parts;
    open_in_parts(&whole, kind, method, 0);
    open_in_parts(&parts, kind, method, part);
    for (size_t step = 0; step < STEPS; step++) {
        if (step == STEPS / 2) {
            scene_flip(&whole);
            scene_flip(&parts);
        }
        float a = scene_step(&whole, step), b = scene_step(&parts, step);
        if (fabsf(a - b) > 1e-5f)
            fail_msg("%s in parts of %d: step %zu: %g, not %g", method, (int)part, step, (double)b,
                     (double)a);
    }
    pr_error err = {0};
    pr_trainer_catch_up(whole.trainer, &err);
    pr_trainer_catch_up(parts.trainer, &err);
    for (int i = 0; i < pr_store_count(whole.model->store); i++) {
        const pr_param *p = pr_store_param(whole.model->store, i);
        const pr_param *q = pr_store_param(parts.model->store, i);
        assert_near(p->name, scene_host(&whole, p->data, p->bytes),
                    scene_host(&parts, q->data, q->bytes), p->bytes / sizeof *p->data);
    }
    scene_close(&whole);
    scene_close(&parts);
}

static void parts_come_to_the_whole(void **state) {
    (void)state;
    const int64_t sizes[] = {1, 3, 4, 7, BATCH, 100};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_same(PR_BERT, "full", sizes[i]);
        check_same(PR_DISTILBERT, "learner", sizes[i]);
    }
    check_same(PR_BERT, "far", 2);
    check_same(PR_DISTILBERT, "bitfit", 2);
}

static void parts_take_less_memory(void **state) {
    (void)state;
    size_t bytes[2], flops[2];
    for (int i = 0; i < 2; i++) {
        enum { LONG = 16, LENGTH = 30 };
        size_t length[LONG];
        scene s;
        scene_options o = scene_default(PR_BERT, "learner");
        for (int k = 0; k < LONG; k++)
            length[k] = LENGTH;
        o.batch = LONG;
        o.micro_batch = i;
        scene_open(&s, &o, toy_data_of(LONG, length, o.config.vocab, 3));
        scene_step(&s, 0);
        const pr_plan_report *r = pr_trainer_report(s.trainer);
        double f, b;
        pr_trainer_cost(s.trainer, &f, &b);
        bytes[i] = r->activations;
        flops[i] = (size_t)f;
        assert_true((r->gathered > 0) == (i == 1));
        assert_int_equal(pr_plan_bytes(r), r->weights + r->moments + r->gathered + r->arena);
        scene_close(&s);
    }
    if (bytes[1] >= bytes[0] / 3) fail_msg("%zu and %zu bytes", bytes[1], bytes[0]);
    assert_true(flops[1] > flops[0] * 99 / 100 && flops[1] < flops[0] * 101 / 100);
}

static void a_flip_gives_gathered_gradients_back(void **state) {
    (void)state;
    scene s;
    open_in_parts(&s, PR_BERT, "learner", 3);
    scene_step(&s, 0);
    size_t before = pr_trainer_report(s.trainer)->gathered;
    assert_non_null(scene_param(&s, "blk.0.attn_q.weight")->state[PR_STATE_GRADIENT]);
    scene_flip(&s);
    scene_step(&s, 1);
    assert_null(scene_param(&s, "blk.0.attn_q.weight")->state[PR_STATE_GRADIENT]);
    assert_true(pr_trainer_report(s.trainer)->gathered < before);
    scene_close(&s);
}

/* Nothing is updated, and the step and its node are named; the next batch is none the worse. */
static void a_loss_that_is_not_finite_is_named(void **state) {
    (void)state;
    scene s;
    open_in_parts(&s, PR_BERT, "full", 3);
    scene_step(&s, 0);
    int index = pr_store_find(s.model->store, "blk.1.ffn_up.bias");
    const pr_param *p = pr_store_param(s.model->store, index);
    float kept[32], broken[32];
    assert_true(p->bytes == sizeof kept);
    pr_store_read(s.model->store, index, kept, NULL);
    memcpy(broken, kept, sizeof kept);
    broken[5] = NAN;
    pr_store_write(s.model->store, index, broken, NULL);
    pr_feed feeds[PR_BERT_FEEDS];
    float loss;
    pr_error err = {0};
    int n = scene_feed(&s, 1, feeds);
    assert_int_equal(pr_trainer_step(s.trainer, s.batch.extent, feeds, n, &loss, &err),
                     PR_NOT_FINITE);
    assert_says(err.message,
                "step 2: matmul 'blk.1.ffn_up/first/matmul' is the first to compute NaN");
    pr_store_write(s.model->store, index, kept, NULL);
    assert_true(isfinite(scene_step(&s, 1)));
    scene_close(&s);
}

static void offsets_that_are_none_are_refused(void **state) {
    (void)state;
    scene s;
    open_in_parts(&s, PR_BERT, "learner", 3);
    scene_step(&s, 0);
    pr_feed feeds[PR_BERT_FEEDS];
    pr_error err = {0};
    float loss;
    int n = scene_feed(&s, 1, feeds);
    const int32_t shifts[] = {-1000, 1000};
    for (int i = 0; i < 2; i++) {
        s.batch.offsets[3] += shifts[i];
        assert_int_equal(pr_trainer_step(s.trainer, s.batch.extent, feeds, n, &loss, &err),
                         PR_BAD_ARGUMENT);
        assert_says(err.message, "a batch in parts: sentence ");
        s.batch.offsets[3] -= shifts[i];
        err = (pr_error){0};
    }
    int kept = 0; /* without the offsets */
    for (int i = 0; i < n; i++) {
        if (feeds[i].input != s.bert.offsets) feeds[kept++] = feeds[i];
    }
    assert_int_equal(pr_trainer_step(s.trainer, s.batch.extent, feeds, kept, &loss, &err),
                     PR_BAD_ARGUMENT);
    assert_says(err.message, "a batch in parts: expected one input of offsets");
    scene_close(&s);
}

/* ---- the op ---- */

static const pr_op *ran;

static bool was_run(const pr_op *op) {
    return ran == op;
}

static void run_accumulate(pr_backend *backend, float *total, float *x, int64_t n,
                           uint64_t first_sentence) {
    uint64_t clock[3] = {1, 2, first_sentence};
    const pr_call c = {
        .in = {{total, pr_shape_1(n), PR_F32},
               {x, pr_shape_1(n), PR_F32},
               {clock, pr_shape_1(3), PR_U64}},
        .backend = backend,
    };
    ran = &pr_op_accumulate;
    assert_int_equal(ran->kernel[PR_CPU](&c), PR_OK);
}

/* What stood there before the first part is not read: it may be anything. */
static void parts_are_added_onto_the_first(void **state) {
    (void)state;
    enum { N = 100003 };
    float *total = malloc(N * sizeof *total), *x = malloc(N * sizeof *x);
    pr_backend *backend = pr_cpu_new(2, NULL);
    for (int i = 0; i < N; i++) {
        total[i] = NAN;
        x[i] = (float)i;
    }
    run_accumulate(backend, total, x, N, 0);
    assert_memory_equal(total, x, N * sizeof *x);
    run_accumulate(backend, total, x, N, 4);
    run_accumulate(backend, total, x, N, 1);
    for (int i = 0; i < N; i++)
        assert_true(total[i] == 3.0f * (float)i);
    assert_true(was_run(&pr_op_accumulate));
    pr_backend_free(backend);
    free(total);
    free(x);
}

/* ---- runs ---- */

static toy_run run_in_parts(const char *method, int32_t prime) {
    toy_run run = toy_run_default(method, prime);
    run.model = toy_run_model(PR_BERT);
    run.options.micro_batch = 3;
    return run;
}

static void threads_change_no_bit(void **state) {
    (void)state;
    toy_run run = run_in_parts("learner", 1);
    run.threads = 1;
    toy_result one = toy_run_through(&run);
    run.threads = 3;
    toy_result three = toy_run_through(&run);
    assert_same_file(&one, &three);
    free(one.file);
    free(three.file);
}

static void a_run_resumes_bit_for_bit(void **state) {
    (void)state;
    static const char *const methods[] = {"full", "learner"};
    for (int i = 0; i < 2; i++) {
        toy_run run = run_in_parts(methods[i], i);
        toy_result whole = toy_run_through(&run);
        toy_run first = run, second = run;
        char checkpoint[512];
        snprintf(checkpoint, sizeof checkpoint, "%s", scratch_path("checkpoint"));
        first.options.max_steps = RUN_EPOCH_STEPS + 1;
        first.options.checkpoint = checkpoint;
        second.options.resume = checkpoint;
        toy_result part = toy_run_through(&first), rest = toy_run_through(&second);
        assert_same_file(&whole, &rest);
        pr_error err = {0};
        toy_result none;
        second.options.micro_batch = 0;
        second.unsaved = true;
        assert_int_equal(toy_run_make(&second, &none, &err), PR_BAD_ARGUMENT);
        assert_says(err.message, "made with micro batch 3; this run has 0");
        free(whole.file);
        free(part.file);
        free(rest.file);
    }
}

/* Parts as large as the batch are no parts. */
static void large_parts_are_whole_batches(void **state) {
    (void)state;
    toy_run run = run_in_parts("learner", 1);
    run.options.micro_batch = 4;
    toy_result parts = toy_run_through(&run);
    run.options.micro_batch = 0;
    toy_result whole = toy_run_through(&run);
    assert_same_file(&parts, &whole);
    free(parts.file);
    free(whole.file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_to_the_whole),
        cmocka_unit_test(parts_take_less_memory),
        cmocka_unit_test(a_flip_gives_gathered_gradients_back),
        cmocka_unit_test(a_loss_that_is_not_finite_is_named),
        cmocka_unit_test(offsets_that_are_none_are_refused),
        cmocka_unit_test(parts_are_added_onto_the_first),
        cmocka_unit_test_teardown(threads_change_no_bit, scratch_empty),
        cmocka_unit_test_teardown(a_run_resumes_bit_for_bit, scratch_empty),
        cmocka_unit_test_teardown(large_parts_are_whole_batches, scratch_empty),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
