/* Backward that computes the forward part again: the same bits in less memory. */
#include "autograd/kept.h"
#include "backends/cpu.h"
#include "ops/ops.h"
#include "tests/scene.h"
#include "tests/test.h"

enum { ROWS = 24, BATCH = 8, STEPS = 6, LONG = 16, LENGTH = 30 };

static void check_same(pr_bert_kind kind, const char *method, int64_t part) {
    scene s[2];
    for (int i = 0; i < 2; i++) {
        scene_options o = scene_default(kind, method);
        o.batch = BATCH;
        o.micro_batch = part;
        o.recompute = i;
        scene_open(&s[i], &o, toy_data(ROWS, 3));
    }
    for (size_t step = 0; step < STEPS; step++) {
        if (step == STEPS / 2) {
            scene_flip(&s[0]);
            scene_flip(&s[1]);
        }
        float kept = scene_step(&s[0], step), again = scene_step(&s[1], step);
        assert_true(kept == again);
    }
    assert_same_scene(&s[0], &s[1]);
    scene_close(&s[0]);
    scene_close(&s[1]);
}

static void every_method_gives_the_same_bits(void **state) {
    (void)state;
    for (const pr_method *const *m = pr_methods; *m; m++) {
        check_same(PR_BERT, (*m)->name, 0);
        check_same(PR_DISTILBERT, (*m)->name, 0);
    }
    check_same(PR_BERT, "learner", 3);
}

static pr_plan_report report_of(const char *method, bool recompute, double *flops) {
    size_t length[LONG];
    scene s;
    scene_options o = scene_default(PR_BERT, method);
    double bytes;
    o.config.layers = 6;
    o.batch = LONG;
    o.recompute = recompute;
    for (int k = 0; k < LONG; k++)
        length[k] = LENGTH;
    scene_open(&s, &o, toy_data_of(LONG, length, o.config.vocab, 3));
    scene_step(&s, 0);
    pr_plan_report report = *pr_trainer_report(s.trainer);
    pr_trainer_cost(s.trainer, flops, &bytes);
    scene_close(&s);
    return report;
}

/* Of each of six blocks two values are kept, rather than ten or so; forward is made a second time.
 */
static void memory_is_less_and_work_more(void **state) {
    (void)state;
    static const char *const methods[] = {"full", "learner", "adapter"};
    for (int i = 0; i < 3; i++) {
        double before, after;
        pr_plan_report kept = report_of(methods[i], false, &before);
        pr_plan_report again = report_of(methods[i], true, &after);
        if (2 * again.arena > kept.arena)
            fail_msg("%s: %zu bytes, not %zu", methods[i], again.arena, kept.arena);
        if (!(after > 1.1 * before && after < 1.5 * before))
            fail_msg("%s: %g operations, not %g", methods[i], after, before);
    }
}

/* ---- what is kept ---- */

static void values_that_are_alone_are_kept(void **state) {
    (void)state;
    pr_backend *backend = pr_cpu_new(1, NULL);
    pr_store *store = pr_store_new(backend);
    pr_store_add(store, "w", pr_shape_2(4, 4), NULL, NULL);
    pr_graph *g = pr_graph_new(store);
    pr_tid x = pr_graph_input(g, "x", PR_F32, pr_shape_2(PR_TOKENS, 4));
    pr_tid a = pr_linear(g, x, pr_graph_param(g, "w"), 0); /* alone */
    pr_tid b = pr_tanh(g, a);                              /* a is read once more */
    pr_tid c = pr_linear(g, b, pr_graph_param(g, "w"), 0);
    pr_tid d = pr_add(g, c, a);  /* alone */
    pr_tid e = pr_gelu(g, d);    /* alone, but cheap */
    pr_tid side = pr_tanh(g, d); /* the loss does not depend on it */
    pr_tid offsets = pr_graph_input(g, "offsets", PR_I32, pr_shape_1(PR_OFFSETS));
    pr_tid first = pr_first_token(g, e, offsets); /* short */
    const pr_tid all[] = {x, a, b, c, d, e, side, offsets, first};
    const bool expected[] = {true, true, false, false, true, false, true, true, true};
    bool reaches[16] = {false}, kept[16] = {false};
    for (int i = 0; i < 9; i++)
        reaches[all[i]] = all[i] != side;
    pr_choose_kept(g, reaches, true, kept);
    for (int i = 0; i < 9; i++) {
        if (kept[all[i]] != expected[i])
            fail_msg("'%s' is%s kept", pr_graph_tensor(g, all[i])->name, expected[i] ? " not" : "");
    }
    pr_choose_kept(g, reaches, false, kept);
    for (int i = 0; i < 9; i++)
        assert_int_equal(kept[all[i]], all[i] != e);
    pr_graph_free(g);
    pr_store_free(store);
    pr_backend_free(backend);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_gives_the_same_bits),
        cmocka_unit_test(memory_is_less_and_work_more),
        cmocka_unit_test(values_that_are_alone_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
