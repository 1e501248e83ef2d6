/* The flip of priming: what freezes gives back its nodes, its plan, its moments
 * and its pages; what goes on is untouched, bit for bit. */
#include "autograd/backward.h"
#include "backends/cpu.h"
#include "graph/memory.h"
#include "tests/test.h"
#include "tests/toy_model.h"
#include "train/trainer.h"

enum { ROWS = 24, BATCH = 8, STEPS = 6 };

typedef struct scene {
    pr_backend *backend;
    pr_model *model;
    pr_dataset *data;
    pr_graph *g;
    pr_bert bert;
    pr_trainer *trainer;
    pr_batch batch;
} scene;

static void open_scene(scene *s, pr_bert_kind kind) {
    pr_error err = {0};
    *s = (scene){.backend = pr_cpu_new(2, &err)};
    s->model = toy_model(kind, s->backend, 1);
    const pr_method *learner = pr_method_find("learner");
    pr_method_options options = learner->defaults;
    options.size = 4;
    options.seed = 1;
    assert_int_equal(pr_model_set_method(s->model, learner, &options, &err), PR_OK);
    s->data = toy_data(ROWS, 3);
    s->g = pr_graph_new(s->model->store);
    s->bert = pr_model_build(s->model, s->g);
    static float rates[2 * STEPS];
    for (int i = 0; i < 2 * STEPS; i++)
        rates[i] = 1e-2f;
    pr_trainer_options o = pr_trainer_default();
    o.rates = rates;
    o.steps = 2 * STEPS;
    o.seed = 5;
    s->trainer = pr_trainer_new(s->g, s->backend, s->bert.loss, &o, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(pr_batch_reserve(&s->batch, s->data, BATCH, &err), PR_OK);
    pr_method_begin(learner, s->model->store, &err);
    pr_method_epoch(learner, s->model->store, &options, 0, &err);
    assert_string_equal(err.message, "");
}

static void close_scene(scene *s) {
    pr_trainer_free(s->trainer);
    pr_graph_free(s->g);
    pr_batch_free(&s->batch);
    pr_dataset_free(s->data);
    pr_model_free(s->model);
    pr_backend_free(s->backend);
}

static int feed(scene *s, pr_feed feeds[6]) {
    int n = 0;
    feeds[n++] = (pr_feed){s->bert.ids, s->batch.ids};
    feeds[n++] = (pr_feed){s->bert.positions, s->batch.positions};
    if (s->bert.types) feeds[n++] = (pr_feed){s->bert.types, s->batch.types};
    feeds[n++] = (pr_feed){s->bert.offsets, s->batch.offsets};
    feeds[n++] = (pr_feed){s->bert.labels, s->batch.label};
    return n;
}

static void steps(scene *s, int n) {
    for (int i = 0; i < n; i++) {
        pr_feed feeds[6];
        pr_error err = {0};
        float loss;
        pr_batch_gather(&s->batch, s->data, NULL, (size_t)(i % 3) * BATCH, BATCH);
        pr_trainer_step(s->trainer, s->batch.extent, feeds, feed(s, feeds), &loss, &err);
        assert_string_equal(err.message, "");
    }
}

/* Flips as an epoch after priming does, and derives. */
static void flip(scene *s) {
    pr_error err = {0};
    pr_method_epoch(s->model->method, s->model->store, &s->model->options, 2, &err);
    pr_trainer_prepare(s->trainer, s->batch.extent, &err);
    assert_string_equal(err.message, "");
}

static bool is_primed(const char *name) {
    return pr_glob("blk.*.attn_{q,k,v,output}.weight", name);
}

static void the_plan_and_the_graph_shrink(void **state) {
    (void)state;
    scene s;
    open_scene(&s, PR_BERT);
    steps(&s, STEPS);
    pr_plan_report before = *pr_trainer_report(s.trainer);
    int32_t nodes = pr_graph_nodes(s.g);
    flip(&s);
    pr_plan_report after = *pr_trainer_report(s.trainer);
    assert_true(pr_graph_nodes(s.g) < nodes);
    assert_true(after.nodes < before.nodes);
    assert_true(after.arena < before.arena);
    assert_true(after.moments < before.moments);
    assert_true(after.flops < before.flops);
    close_scene(&s);
}

static void moments_of_the_rest_are_untouched(void **state) {
    (void)state;
    scene s;
    open_scene(&s, PR_DISTILBERT);
    steps(&s, STEPS);
    pr_store *store = s.model->store;
    int n = pr_store_count(store);
    void **kept = pr_alloc((size_t)n, sizeof *kept);
    for (int i = 0; i < n; i++) {
        const pr_param *p = pr_store_param(store, i);
        if (!p->require_grad || is_primed(p->name)) continue;
        kept[i] = pr_alloc(2, p->bytes);
        memcpy(kept[i], p->state[PR_STATE_FIRST], p->bytes);
        memcpy((char *)kept[i] + p->bytes, p->state[PR_STATE_SECOND], p->bytes);
    }
    flip(&s);
    for (int i = 0; i < n; i++) {
        const pr_param *p = pr_store_param(store, i);
        if (is_primed(p->name)) {
            assert_false(p->require_grad);
            assert_null(p->state[PR_STATE_FIRST]);
            assert_null(p->state[PR_STATE_SECOND]);
        }
        if (!kept[i]) continue;
        assert_memory_equal(kept[i], p->state[PR_STATE_FIRST], p->bytes);
        assert_memory_equal((char *)kept[i] + p->bytes, p->state[PR_STATE_SECOND], p->bytes);
        pr_free(kept[i]);
    }
    pr_free(kept);
    close_scene(&s);
}

static void the_frozen_do_not_move(void **state) {
    (void)state;
    scene s;
    open_scene(&s, PR_BERT);
    steps(&s, STEPS);
    flip(&s);
    pr_store *store = s.model->store;
    int n = pr_store_count(store), moved = 0;
    float **kept = pr_alloc((size_t)n, sizeof *kept);
    for (int i = 0; i < n; i++) {
        const pr_param *p = pr_store_param(store, i);
        kept[i] = pr_alloc(1, p->bytes);
        memcpy(kept[i], p->data, p->bytes);
    }
    steps(&s, STEPS);
    for (int i = 0; i < n; i++) {
        const pr_param *p = pr_store_param(store, i);
        if (!p->require_grad)
            assert_memory_equal(kept[i], p->data, p->bytes);
        else
            moved += memcmp(kept[i], p->data, p->bytes) != 0;
        pr_free(kept[i]);
    }
    assert_true(moved > 20);
    pr_free(kept);
    close_scene(&s);
}

/* After the flip the gradients are those of a graph that never knew the primed
 * weights to train. */
static void gradients_equal_a_fresh_build(void **state) {
    (void)state;
    scene s, fresh;
    open_scene(&s, PR_BERT);
    steps(&s, STEPS);
    flip(&s);
    open_scene(&fresh, PR_BERT);
    pr_error err = {0};
    pr_method_epoch(fresh.model->method, fresh.model->store, &fresh.model->options, 2, &err);
    for (int i = 0; i < pr_store_count(s.model->store); i++) {
        pr_store_write(fresh.model->store, i, pr_store_param(s.model->store, i)->data, &err);
    }
    for (int i = 0; i < pr_store_count(s.model->store); i++) {
        const pr_param *p = pr_store_param(s.model->store, i);
        if (!p->require_grad) continue;
        float *a = pr_alloc(1, p->bytes), *b = pr_alloc(1, p->bytes);
        scene *scenes[] = {&s, &fresh};
        for (int k = 0; k < 2; k++) {
            pr_feed feeds[6];
            pr_batch_gather(&scenes[k]->batch, scenes[k]->data, NULL, 0, BATCH);
            pr_tid t = pr_graph_find(scenes[k]->g, p->name);
            pr_trainer_gradient(scenes[k]->trainer, t, scenes[k]->batch.extent, feeds,
                                feed(scenes[k], feeds), k ? b : a, &err);
        }
        assert_string_equal(err.message, "");
        assert_memory_equal(a, b, p->bytes);
        pr_free(a);
        pr_free(b);
    }
    close_scene(&s);
    close_scene(&fresh);
}

static void a_flip_twice_starts_moments_anew(void **state) {
    (void)state;
    scene s;
    open_scene(&s, PR_BERT);
    steps(&s, STEPS);
    flip(&s);
    pr_error err = {0};
    pr_method_epoch(s.model->method, s.model->store, &s.model->options, 0, &err);
    pr_trainer_prepare(s.trainer, s.batch.extent, &err);
    const pr_param *p =
        pr_store_param(s.model->store, pr_store_find(s.model->store, "blk.0.attn_q.weight"));
    assert_int_equal(p->since, STEPS);
    for (size_t i = 0; i < p->bytes / sizeof(float); i++) {
        assert_true(((float *)p->state[PR_STATE_FIRST])[i] == 0.0f);
    }
    steps(&s, 1);
    close_scene(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plan_and_the_graph_shrink),
        cmocka_unit_test(moments_of_the_rest_are_untouched),
        cmocka_unit_test(the_frozen_do_not_move),
        cmocka_unit_test(gradients_equal_a_fresh_build),
        cmocka_unit_test(a_flip_twice_starts_moments_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
