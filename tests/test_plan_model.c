/* The plans of a real model: the same bits whether places are used again or not, with NaN over
 * whatever is dead or was never written, and in a plan with no room to spare. */
#include "graph/memory.h"
#include "graph/plan.h"
#include "tests/scene.h"
#include "tests/test.h"

enum { ROWS = 24, BATCH = 8, STEPS = 3 };

typedef struct variant {
    bool pinned, poison, tight;
} variant;

static const variant variants[] = {
    {.pinned = false}, {.pinned = true},
    {.poison = true},  {.pinned = true, .poison = true},
#ifndef TEST_CUDA /* a GPU sees tokens rounded up to the capacity: products of another size */
    {.tight = true},   {.tight = true, .poison = true},
#endif
};
enum { VARIANTS = sizeof variants / sizeof *variants };

/* Room for the largest batch, or for more: what lies beyond a batch must not be read either. */
static pr_extent capacity(scene *s, bool tight) {
    if (!tight) return (pr_extent){128, 10, 16};
    pr_extent most = {0};
    pr_feed feeds[PR_BERT_FEEDS];
    for (size_t step = 0; step < STEPS; step++) {
        scene_feed(s, step, feeds);
        pr_extent e = s->batch.extent;
        if (e.tokens > most.tokens) most.tokens = e.tokens;
        if (e.longest > most.longest) most.longest = e.longest;
    }
    most.sentences = BATCH;
    return most;
}

/* The batch's inputs and the trainer's. */
static void feed(scene *s, pr_plan *plan, size_t step) {
    pr_feed feeds[PR_BERT_FEEDS];
    float rates[SCENE_STEPS];
    pr_error err = {0};
    const uint64_t clock[3] = {5, step, 0};
    int n = scene_feed(s, step, feeds);
    for (int i = 0; i < n; i++)
        pr_plan_feed(plan, feeds[i].input, s->batch.extent, feeds[i].data, &err);
    for (int i = 0; i < SCENE_STEPS; i++)
        rates[i] = pr_trainer_rate(s->trainer, i);
    pr_plan_feed(plan, pr_graph_find(s->g, "clock"), s->batch.extent, clock, &err);
    pr_plan_feed(plan, pr_graph_find(s->g, "rates"), s->batch.extent, rates, &err);
    assert_string_equal(err.message, "");
}

/* Runs a plan of the variant for each batch; the values of wanted go to out, end to end. Returns
 * the arena's size. */
static size_t run(scene *s, variant v, pr_tid wanted, bool training, float *out) {
    pr_error err = {0};
    const pr_plan_options options = {.capacity = capacity(s, v.tight),
                                     .wanted = &wanted,
                                     .n_wanted = 1,
                                     .training = training,
                                     .pinned = v.pinned,
                                     .poison = v.poison};
    pr_plan *plan = pr_plan_new(s->g, s->model->store, s->backend, &options, &err);
    assert_string_equal(err.message, "");
    size_t bytes = pr_plan_get_report(plan)->arena, n = 0;
    void *arena = s->backend->alloc(s->backend, bytes);
    if (v.poison) s->backend->fill(s->backend, arena, 0xff, bytes);
    pr_plan_attach(plan, arena);
    pr_shape shape = pr_graph_tensor(s->g, wanted)->shape;
    for (size_t step = 0; step < STEPS; step++, out += n) {
        feed(s, plan, step);
        pr_plan_run(plan, s->batch.extent, &err);
        pr_plan_fetch(plan, wanted, s->batch.extent, out, &err);
        assert_string_equal(err.message, "");
        pr_shape_count(pr_shape_bind(shape, s->batch.extent), &n);
    }
    s->backend->free(s->backend, arena, bytes);
    pr_plan_free(plan);
    return bytes;
}

static void assert_the_same_everywhere(pr_bert_kind kind, const char *method, int32_t epoch) {
    const scene_options o = scene_default(kind, method);
    scene s[VARIANTS];
    float loss[VARIANTS][STEPS], logits[VARIANTS][STEPS * BATCH * 2];
    size_t arena[VARIANTS];
    for (int i = 0; i < VARIANTS; i++) {
        scene_open(&s[i], &o, toy_data(ROWS, 3));
        scene_epoch(&s[i], epoch);
        arena[i] = run(&s[i], variants[i], s[i].bert.loss, true, loss[i]);
        run(&s[i], variants[i], s[i].bert.logits, false, logits[i]);
    }
    assert_true(loss[0][0] != loss[0][1] && loss[0][0] > 0.0f);
    for (int i = 1; i < VARIANTS; i++) {
        assert_memory_equal(loss[0], loss[i], sizeof loss[0]);
        assert_memory_equal(logits[0], logits[i], sizeof logits[0]);
        assert_same_scene(&s[0], &s[i]);
        if (variants[i].pinned)
            assert_true(arena[i] > 2 * arena[0]);
        else
            assert_true(variants[i].tight ? arena[i] < arena[0] : arena[i] == arena[0]);
    }
    for (int i = 0; i < VARIANTS; i++)
        scene_close(&s[i]);
}

static void full_is_the_same(void **state) {
    (void)state;
    assert_the_same_everywhere(PR_BERT, "full", 0);
    assert_the_same_everywhere(PR_DISTILBERT, "full", 0);
}

static void a_priming_learner_is_the_same(void **state) {
    (void)state;
    assert_the_same_everywhere(PR_BERT, "learner", 0);
    assert_the_same_everywhere(PR_DISTILBERT, "learner", 0);
}

static void a_primed_learner_is_the_same(void **state) {
    (void)state;
    assert_the_same_everywhere(PR_BERT, "learner", 2);
    assert_the_same_everywhere(PR_DISTILBERT, "learner", 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_is_the_same),
        cmocka_unit_test(a_priming_learner_is_the_same),
        cmocka_unit_test(a_primed_learner_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
