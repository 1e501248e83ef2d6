/* The flip of requires-grad: what freezes gives back its nodes, its plan and its moments; what goes
 * on is untouched, bit for bit; what begins to train begins afresh. */
#include <math.h>

#include "graph/memory.h"
#include "tests/alloc_fault.h"
#include "tests/scene.h"
#include "tests/test.h"

enum { ROWS = 24, STEPS = 6, AFTER_PRIMING = 2 };

static void open_learner(scene *s, pr_bert_kind kind) {
    const scene_options o = scene_default(kind, "learner");
    scene_open(s, &o, toy_data(ROWS, 3));
}

static bool is_primed(const char *name) {
    return pr_glob("blk.*.attn_{q,k,v,output}.weight", name);
}

/* ---- on to off ---- */

static void the_plan_and_the_graph_shrink(void **state) {
    (void)state;
    scene s;
    open_learner(&s, PR_BERT);
    scene_steps(&s, STEPS);
    pr_plan_report before = *pr_trainer_report(s.trainer);
    double flops[2], bytes[2];
    pr_trainer_cost(s.trainer, &flops[0], &bytes[0]);
    int32_t nodes = pr_graph_nodes(s.g);
    scene_epoch(&s, AFTER_PRIMING);
    pr_plan_report after = *pr_trainer_report(s.trainer);
    assert_true(pr_graph_nodes(s.g) < nodes);
    assert_true(after.nodes < before.nodes);
    assert_true(after.arena < before.arena);
    assert_true(after.moments < before.moments);
    assert_true(after.flops < before.flops);
    /* Each weight that froze was read four times and written three. */
    pr_trainer_cost(s.trainer, &flops[1], &bytes[1]);
    double frozen = (double)(before.moments - after.moments) / 2;
    assert_true(flops[1] < flops[0]);
    assert_true(bytes[0] - bytes[1] >= 7 * frozen);
    scene_close(&s);
}

/* Copies of the parameters (slot -1) or of a state of each that has it; NULL elsewhere. */
static void **copy_blocks(const scene *s, int slot) {
    const pr_store *store = s->model->store;
    int n = pr_store_count(store);
    void **kept = pr_alloc((size_t)n, sizeof *kept);
    for (int i = 0; i < n; i++) {
        const pr_param *p = pr_store_param(store, i);
        const void *block = slot < 0 ? p->data : p->state[slot];
        if (!block) continue;
        size_t bytes = slot < 0 ? p->bytes : p->state_bytes[slot];
        kept[i] = pr_alloc(1, bytes);
        memcpy(kept[i], scene_host(s, block, bytes), bytes);
    }
    return kept;
}

static void free_blocks(const pr_store *store, void **kept) {
    for (int i = 0; i < pr_store_count(store); i++)
        pr_free(kept[i]);
    pr_free(kept);
}

static void moments_of_the_rest_are_untouched(void **state) {
    (void)state;
    scene s;
    open_learner(&s, PR_DISTILBERT);
    scene_steps(&s, STEPS);
    pr_store *store = s.model->store;
    int untouched = 0, freed = 0;
    for (int slot = PR_STATE_FIRST; slot <= PR_STATE_SECOND; slot++) {
        scene_epoch(&s, 0);
        scene_steps(&s, 1);
        void **kept = copy_blocks(&s, slot);
        scene_epoch(&s, AFTER_PRIMING);
        for (int i = 0; i < pr_store_count(store); i++) {
            const pr_param *p = pr_store_param(store, i);
            if (is_primed(p->name)) {
                assert_false(p->require_grad);
                assert_non_null(kept[i]);
                assert_null(p->state[slot]);
                freed++;
            } else if (kept[i]) {
                assert_memory_equal(kept[i], scene_host(&s, p->state[slot], p->state_bytes[slot]),
                                    p->state_bytes[slot]);
                untouched++;
            }
        }
        free_blocks(store, kept);
    }
    assert_int_equal(freed, 2 * 8);
    assert_true(untouched > 2 * 40);
    scene_close(&s);
}

static void the_frozen_do_not_move(void **state) {
    (void)state;
    scene s;
    open_learner(&s, PR_BERT);
    assert_true(pr_trainer_default().adamw.weight_decay > 0.0f);
    scene_steps(&s, STEPS);
    scene_epoch(&s, AFTER_PRIMING);
    pr_store *store = s.model->store;
    void **kept = copy_blocks(&s, -1);
    scene_steps(&s, STEPS);
    int moved = 0;
    for (int i = 0; i < pr_store_count(store); i++) {
        const pr_param *p = pr_store_param(store, i);
        const void *now = scene_host(&s, p->data, p->bytes);
        if (!p->require_grad)
            assert_memory_equal(kept[i], now, p->bytes);
        else
            moved += memcmp(kept[i], now, p->bytes) != 0;
    }
    assert_true(moved > 20);
    free_blocks(store, kept);
    scene_close(&s);
}

/* A scene that never knew the primed weights to train, with the parameters of s. */
static void open_fresh(scene *fresh, const scene *s) {
    pr_error err = {0};
    open_learner(fresh, PR_BERT);
    scene_epoch(fresh, AFTER_PRIMING);
    for (int i = 0; i < pr_store_count(s->model->store); i++) {
        const pr_param *p = pr_store_param(s->model->store, i);
        pr_store_write(fresh->model->store, i, scene_host(s, p->data, p->bytes), &err);
    }
    pr_trainer_set_steps(fresh->trainer, pr_trainer_steps(s->trainer));
    assert_string_equal(err.message, "");
}

static void read_gradient(scene *s, const char *name, float *to) {
    pr_error err = {0};
    pr_feed feeds[PR_BERT_FEEDS];
    int n = scene_feed(s, 0, feeds);
    pr_trainer_gradient(s->trainer, pr_graph_find(s->g, name), s->batch.extent, feeds, n, to, &err);
    assert_string_equal(err.message, "");
}

static void gradients_equal_a_fresh_build(void **state) {
    (void)state;
    scene s, fresh;
    open_learner(&s, PR_BERT);
    scene_steps(&s, STEPS);
    scene_epoch(&s, AFTER_PRIMING);
    open_fresh(&fresh, &s);
    int compared = 0;
    for (int i = 0; i < pr_store_count(s.model->store); i++) {
        const pr_param *p = pr_store_param(s.model->store, i);
        if (!p->require_grad) continue;
        float *a = pr_alloc(1, p->bytes), *b = pr_alloc(1, p->bytes);
        read_gradient(&s, p->name, a);
        read_gradient(&fresh, p->name, b);
        assert_memory_equal(a, b, p->bytes);
        pr_free(a);
        pr_free(b);
        compared++;
    }
    assert_true(compared > 40);
    scene_close(&s);
    scene_close(&fresh);
}

/* Masks are drawn for a site's name, not for a place in the graph: a flip moves none. */
static void dropout_is_that_of_a_fresh_build(void **state) {
    (void)state;
    scene s, fresh;
    open_learner(&s, PR_BERT);
    scene_steps(&s, STEPS);
    scene_epoch(&s, AFTER_PRIMING);
    open_fresh(&fresh, &s);
    float a = scene_step(&s, 1), b = scene_step(&fresh, 1);
    assert_memory_equal(&a, &b, sizeof a);
    scene_close(&s);
    scene_close(&fresh);
}

/* Rows that a sparse gradient passed over get the steps they missed before nothing can write them
 * any more. */
static void a_frozen_embedding_is_up_to_date(void **state) {
    (void)state;
    const scene_options o = scene_default(PR_BERT, "full");
    scene s, twin;
    pr_error err = {0};
    scene_open(&s, &o, toy_data(ROWS, 3));
    scene_open(&twin, &o, toy_data(ROWS, 3));
    scene_steps(&s, STEPS);
    scene_steps(&twin, STEPS);
    const pr_param *p = scene_param(&s, "token_embd.weight");
    void **behind = copy_blocks(&s, -1);
    int index = pr_store_find(s.model->store, p->name);
    assert_non_null(p->state[PR_STATE_ROWS]);
    pr_store_require_grad(s.model->store, p->name, false, &err);
    pr_trainer_prepare(s.trainer, s.batch.extent, &err);
    pr_trainer_catch_up(twin.trainer, &err);
    assert_string_equal(err.message, "");
    assert_null(p->state[PR_STATE_ROWS]);
    const void *now = scene_host(&s, p->data, p->bytes);
    assert_memory_equal(now, scene_host(&twin, scene_param(&twin, p->name)->data, p->bytes),
                        p->bytes);
    assert_memory_not_equal(now, behind[index], p->bytes);
    free_blocks(s.model->store, behind);
    scene_close(&s);
    scene_close(&twin);
}

/* ---- off to on ---- */

static void assert_zeros(const void *block, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(((const char *)block)[i], 0);
}

static void a_flip_twice_starts_moments_anew(void **state) {
    (void)state;
    scene s;
    open_learner(&s, PR_BERT);
    scene_steps(&s, STEPS);
    scene_epoch(&s, AFTER_PRIMING);
    scene_epoch(&s, 0);
    const pr_param *p = scene_param(&s, "blk.0.attn_q.weight");
    assert_int_equal(p->since, STEPS);
    assert_zeros(scene_host(&s, p->state[PR_STATE_FIRST], p->bytes), p->bytes);
    assert_zeros(scene_host(&s, p->state[PR_STATE_SECOND], p->bytes), p->bytes);
    assert_int_equal(scene_param(&s, "blk.0.attn_q.bias")->since, 0);
    scene_steps(&s, 1);
    scene_close(&s);
}

/* With moments of zero and a bias correction that counts from here, AdamW's first update of an
 * element is the whole learning rate, however small its gradient. */
static void what_begins_late_counts_its_own_steps(void **state) {
    (void)state;
    scene s;
    pr_error err = {0};
    open_learner(&s, PR_BERT);
    scene_steps(&s, STEPS);
    const pr_param *p = scene_param(&s, "blk.1.ffn_up.weight");
    assert_false(p->require_grad);
    void **kept = copy_blocks(&s, -1);
    void **moments = copy_blocks(&s, PR_STATE_FIRST);
    const float *start = kept[pr_store_find(s.model->store, p->name)];
    pr_store_require_grad(s.model->store, p->name, true, &err);
    pr_trainer_prepare(s.trainer, s.batch.extent, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(p->since, STEPS);
    assert_memory_equal(scene_host(&s, p->data, p->bytes), start, p->bytes);
    for (int i = 0; i < pr_store_count(s.model->store); i++) {
        const pr_param *other = pr_store_param(s.model->store, i);
        if (!moments[i]) continue;
        assert_memory_equal(moments[i], scene_host(&s, other->state[PR_STATE_FIRST], other->bytes),
                            other->bytes);
    }
    scene_steps(&s, 1);
    float rate = pr_trainer_rate(s.trainer, STEPS), most = 0.0f;
    float keep = 1.0f - rate * pr_trainer_default().adamw.weight_decay;
    const float *now = scene_host(&s, p->data, p->bytes);
    for (size_t i = 0; i < p->bytes / sizeof(float); i++)
        most = fmaxf(most, fabsf(now[i] - keep * start[i]));
    assert_true(most > 0.99f * rate && most < 1.01f * rate);
    free_blocks(s.model->store, kept);
    free_blocks(s.model->store, moments);
    scene_close(&s);
}

/* ---- memory ---- */

static void take_every_step(scene *s) {
    float logits[8 * 2];
    pr_error err = {0};
    for (size_t i = 0; i < 4; i++) {
        pr_feed feeds[PR_BERT_FEEDS];
        scene_step(s, i);
        int n = scene_feed(s, i, feeds);
        pr_trainer_evaluate(s->trainer, s->bert.logits, s->batch.extent, feeds, n, logits, &err);
        assert_string_equal(err.message, "");
    }
}

static void steps_allocate_nothing(void **state) {
    (void)state;
    static const char *const methods[] = {"learner", "full"};
    for (int m = 0; m < 2; m++) {
        const scene_options o = scene_default(PR_BERT, methods[m]);
        scene s;
        scene_open(&s, &o, toy_data(ROWS, 3));
        for (int32_t epoch = 0; epoch <= AFTER_PRIMING; epoch++) {
            scene_epoch(&s, epoch);
            take_every_step(&s); /* meets the largest batch */
            alloc_fault_arm(0);
            take_every_step(&s);
            assert_int_equal(alloc_fault_count(), 0);
        }
        scene_close(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plan_and_the_graph_shrink),
        cmocka_unit_test(moments_of_the_rest_are_untouched),
        cmocka_unit_test(the_frozen_do_not_move),
        cmocka_unit_test(gradients_equal_a_fresh_build),
        cmocka_unit_test(dropout_is_that_of_a_fresh_build),
        cmocka_unit_test(a_frozen_embedding_is_up_to_date),
        cmocka_unit_test(a_flip_twice_starts_moments_anew),
        cmocka_unit_test(what_begins_late_counts_its_own_steps),
        cmocka_unit_test(steps_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
