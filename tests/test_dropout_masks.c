/* What the dropout of a whole model does: how many are dropped and by what the rest grows; that
 * masks belong to their site, seed, step and sentence, and to nothing else. */
#include "tests/dropout_scene.h"

#include <math.h>

#include "autograd/backward.h"
#include "backends/cpu.h"
#include "graph/memory.h"
#include "graph/plan.h"
#include "ops/ops.h"
#include "tests/test.h"

static void rate_and_scale_are_right(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        dropout_scene s;
        dropout_scene_open_dropping(&s, k ? PR_BERT : PR_DISTILBERT, "full");
        for (int i = 0; i < s.n; i++) {
            const pr_node *node = pr_graph_get(s.g, s.node[i]);
            if (strcmp(node->op->name, "dropout") != 0) continue;
            double p = (double)node->attr.f[0];
            float *out[2];
            scene_run(&s, true, (uint64_t[]){7, 11, 0}, (pr_tid[]){node->in[0], node->out[0]}, 2,
                      out);
            double dropped = 0, alive = 0;
            for (size_t e = 0; e < scene_elements(&s, i); e++) {
                double x = (double)out[0][e], y = (double)out[1][e];
                if (x == 0.0) continue; /* behind a ReLU */
                alive++;
                dropped += y == 0.0;
                if (y != 0.0) assert_true(fabs(y * (1.0 - p) / x - 1.0) < 1e-6);
            }
            assert_true(alive > 1000);
            assert_true(fabs(dropped / alive - p) < 4.0 * sqrt(p * (1.0 - p) / alive));
            pr_free(out[0]);
            pr_free(out[1]);
        }
        dropout_scene_close(&s);
    }
}

/* Scores that are all alike and values that pick out one key each show attention's own masks: row
 * (query, head) is then its weights. */
static void attention_drops_its_weights(void **state) {
    (void)state;
    enum { LENGTH = 48, HEADS = 3, D = LENGTH * HEADS };
    static float zeros[LENGTH * D], pick[LENGTH * D], y[LENGTH * D];
    const int32_t offsets[] = {0, LENGTH};
    const uint64_t clock[3] = {5, 2, 0};
    const pr_extent extent = {LENGTH, 1, LENGTH};
    const float p = 0.25f;
    pr_error err = {0};
    pr_backend *backend = pr_cpu_new(2, &err);
    pr_store *store = pr_store_new(backend);
    pr_graph *g = pr_graph_new(store);
    pr_tid q = pr_graph_input(g, "q", PR_F32, pr_shape_2(PR_TOKENS, D));
    pr_tid v = pr_graph_input(g, "v", PR_F32, pr_shape_2(PR_TOKENS, D));
    pr_tid o = pr_graph_input(g, "offsets", PR_I32, pr_shape_1(PR_OFFSETS));
    pr_tid c = pr_graph_input(g, "clock", PR_U64, pr_shape_1(3));
    pr_tid out = pr_attention(g, q, q, v, o, c, HEADS, p, "blk.0.attention");
    const pr_plan_options options = {
        .capacity = extent, .wanted = &out, .n_wanted = 1, .training = true};
    pr_plan *plan = pr_plan_new(g, store, backend, &options, &err);
    assert_string_equal(err.message, "");
    size_t bytes = pr_plan_get_report(plan)->arena;
    void *arena = backend->alloc(backend, bytes);
    pr_plan_attach(plan, arena);
    for (int i = 0; i < LENGTH; i++) {
        for (int h = 0; h < HEADS; h++)
            pick[i * D + h * LENGTH + i] = 1.0f;
    }
    pr_plan_feed(plan, q, extent, zeros, &err);
    pr_plan_feed(plan, v, extent, pick, &err);
    pr_plan_feed(plan, o, extent, offsets, &err);
    pr_plan_feed(plan, c, extent, clock, &err);
    pr_plan_run(plan, extent, &err);
    pr_plan_fetch(plan, out, extent, y, &err);
    assert_string_equal(err.message, "");
    int dropped = 0, unlike = 0;
    for (int i = 0; i < LENGTH * D; i++) {
        dropped += y[i] == 0.0f;
        if (y[i] != 0.0f) assert_true(fabsf(y[i] * LENGTH * (1.0f - p) - 1.0f) < 1e-6f);
        if (i % D >= LENGTH) unlike += (y[i] == 0.0f) != (y[i - LENGTH] == 0.0f);
    }
    double n = LENGTH * D, tolerance = 4.0 * sqrt((double)p * (1.0 - (double)p) / n);
    assert_true(fabs(dropped / n - (double)p) < tolerance);
    assert_true(unlike > LENGTH * LENGTH / 4); /* each head draws its own */
    pr_plan_free(plan);
    backend->free(backend, arena, bytes);
    pr_graph_free(g);
    pr_store_free(store);
    pr_backend_free(backend);
}

static void evaluation_drops_nothing(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        dropout_scene s, plain;
        float *out[2][2];
        const uint64_t clock[3] = {7, 11, 0};
        dropout_scene_open_dropping(&s, k ? PR_BERT : PR_DISTILBERT, "full");
        dropout_scene_open(&plain, k ? PR_BERT : PR_DISTILBERT, "full", (float[]){0, 0, 0});
        scene_run(&s, false, clock, &s.bert.logits, 1, out[0]);
        scene_run(&s, true, clock, &s.bert.logits, 1, out[0] + 1);
        scene_run(&plain, false, clock, &plain.bert.logits, 1, out[1]);
        scene_run(&plain, true, clock, &plain.bert.logits, 1, out[1] + 1);
        size_t bytes = SCENE_ROWS * 2 * sizeof(float);
        assert_memory_equal(out[0][0], out[1][0], bytes);
        assert_memory_equal(out[1][1], out[1][0], bytes);
        assert_memory_not_equal(out[0][1], out[0][0], bytes);
        for (int i = 0; i < 4; i++)
            pr_free(out[i / 2][i % 2]);
        dropout_scene_close(&plain);
        dropout_scene_close(&s);
    }
}

static bool drops_whole_rows(const dropout_scene *s, int site) {
    return strcmp(pr_graph_get(s->g, s->node[site])->op->name, "dropout") == 0;
}

/* Whether two masks of rate p look drawn apart from each other: they differ in 2 p (1 - p) of their
 * places. Nothing is zero before it is dropped but behind a ReLU, which is left out. */
static void assert_independent(const float *a, const float *b, size_t n, double p) {
    double unlike = 0, expected = 2.0 * p * (1.0 - p);
    for (size_t i = 0; i < n; i++)
        unlike += (a[i] == 0.0f) != (b[i] == 0.0f);
    assert_true(fabs(unlike / (double)n - expected) <
                4.0 * sqrt(expected * (1.0 - expected) / (double)n));
}

static void sites_draw_apart(void **state) {
    (void)state;
    dropout_scene s;
    dropout_scene_open_dropping(&s, PR_BERT, "full");
    drawn d = scene_draw(&s, 7, 11, 0);
    int pairs = 0;
    for (int i = 0; i < s.n - 1; i++) {
        for (int k = 0; k < i; k++) {
            if (!drops_whole_rows(&s, i) || !drops_whole_rows(&s, k)) continue;
            assert_independent(d.out[i], d.out[k], scene_elements(&s, i), (double)scene_body);
            pairs++;
        }
    }
    assert_int_equal(pairs, 10);
    scene_drop_drawn(&d);
    dropout_scene_close(&s);
}

static void steps_and_seeds_draw_apart(void **state) {
    (void)state;
    static const uint64_t others[][2] = {{7, 12}, {8, 11}, {11, 7}, {0, 0}, {7, UINT32_MAX}};
    dropout_scene s;
    dropout_scene_open_dropping(&s, PR_BERT, "full");
    drawn d = scene_draw(&s, 7, 11, 0);
    for (size_t o = 0; o < sizeof others / sizeof *others; o++) {
        drawn e = scene_draw(&s, others[o][0], others[o][1], 0);
        for (int i = 0; i < s.n; i++) {
            size_t bytes = scene_elements(&s, i) * sizeof(float);
            double p = (double)(i == s.n - 1 ? scene_head : scene_body);
            if (drops_whole_rows(&s, i))
                assert_independent(d.out[i], e.out[i], scene_elements(&s, i), p);
            else
                assert_memory_not_equal(d.out[i], e.out[i], bytes);
        }
        scene_drop_drawn(&e);
    }
    scene_drop_drawn(&d);
    dropout_scene_close(&s);
}

/* The masks are the same if what is behind them is; products may round in another way. */
static void assert_same_draw(const dropout_scene *s, int site, const float *a, const float *b,
                             size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (drops_whole_rows(s, site)) assert_int_equal(a[i] == 0.0f, b[i] == 0.0f);
        assert_true(fabsf(a[i] - b[i]) <= 1e-5f);
    }
}

static void a_sentence_keeps_its_masks_in_a_part_of_the_batch(void **state) {
    (void)state;
    enum { FIRST = 50, PART = 30 };
    dropout_scene s;
    dropout_scene_open_dropping(&s, PR_DISTILBERT, "full");
    drawn whole = scene_draw(&s, 7, 11, 0);
    pr_batch_gather(&s.batch, s.data, NULL, FIRST, PART);
    drawn part = scene_draw(&s, 7, 11, FIRST), wrong = scene_draw(&s, 7, 11, FIRST + 1);
    for (int i = 0; i < s.n; i++) {
        size_t n = scene_elements(&s, i);
        size_t row = i == s.n - 1 ? FIRST : s.data->start[FIRST];
        assert_same_draw(&s, i, part.out[i], whole.out[i] + row * SCENE_WIDTH, n);
        assert_memory_not_equal(part.out[i], wrong.out[i], n * sizeof(float));
    }
    scene_drop_drawn(&whole);
    scene_drop_drawn(&part);
    scene_drop_drawn(&wrong);
    dropout_scene_close(&s);
}

/* A learner's P2 is zero at first: the same model with other nodes, and other numbers of nodes. */
static void another_graph_has_the_same_masks(void **state) {
    (void)state;
    dropout_scene s, with_learner;
    dropout_scene_open_dropping(&s, PR_BERT, "full");
    dropout_scene_open_dropping(&with_learner, PR_BERT, "learner");
    assert_true(s.node[s.n - 1] != with_learner.node[s.n - 1]);
    drawn a = scene_draw(&s, 7, 11, 0), b = scene_draw(&with_learner, 7, 11, 0);
    for (int i = 0; i < s.n; i++)
        assert_same_draw(&s, i, a.out[i], b.out[i], scene_elements(&s, i));
    scene_drop_drawn(&a);
    scene_drop_drawn(&b);
    dropout_scene_close(&s);
    dropout_scene_close(&with_learner);
}

/* Every site's output, and a gradient from the far end of the graph, which meets every mask again
 * on its way back. */
static void derive_and_draw(dropout_scene *s, int32_t epoch, float **out) {
    const uint64_t clock[3] = {7, 11, 0};
    pr_error err = {0};
    pr_tid wanted[SCENE_SITES + 1];
    pr_store *store = s->model->store;
    pr_method_phase(s->model->method, store, epoch >= s->model->options.prime, &err);
    pr_store_settle(store, 0, &err);
    pr_graph_rewind(s->g);
    pr_backward(s->g, s->bert.loss, &err);
    assert_string_equal(err.message, "");
    for (int i = 0; i < s->n; i++)
        wanted[i] = pr_graph_get(s->g, s->node[i])->out[0];
    wanted[s->n] = pr_graph_gradient(s->g, pr_graph_find(s->g, "blk.0.attn_q.bias"));
    scene_run(s, true, clock, wanted, s->n + 1, out);
}

static void a_flip_keeps_the_masks(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        dropout_scene s;
        pr_error err = {0};
        float *before[SCENE_SITES + 1], *after[SCENE_SITES + 1];
        dropout_scene_open_dropping(&s, k ? PR_BERT : PR_DISTILBERT, "learner");
        pr_method_begin(s.model->method, s.model->store, &err);
        pr_graph_mark(s.g);
        derive_and_draw(&s, 0, before);
        int32_t nodes = pr_graph_nodes(s.g);
        derive_and_draw(&s, s.model->options.prime, after);
        assert_true(pr_graph_nodes(s.g) < nodes);
        for (int i = 0; i <= s.n; i++) {
            size_t n = i < s.n ? scene_elements(&s, i) : SCENE_WIDTH;
            assert_memory_equal(before[i], after[i], n * sizeof(float));
            pr_free(before[i]);
            pr_free(after[i]);
        }
        dropout_scene_close(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rate_and_scale_are_right),
        cmocka_unit_test(attention_drops_its_weights),
        cmocka_unit_test(evaluation_drops_nothing),
        cmocka_unit_test(sites_draw_apart),
        cmocka_unit_test(steps_and_seeds_draw_apart),
        cmocka_unit_test(a_sentence_keeps_its_masks_in_a_part_of_the_batch),
        cmocka_unit_test(another_graph_has_the_same_masks),
        cmocka_unit_test(a_flip_keeps_the_masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
