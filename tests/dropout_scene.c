#include "tests/dropout_scene.h"

#include "graph/memory.h"
#include "graph/plan.h"
#include "tests/backend_under_test.h"
#include "tests/test.h"
#include "train/feed.h"

const float scene_body = 0.125f, scene_scores = 0.25f, scene_head = 0.375f;

bool scene_reads(const pr_node *node, pr_tid t) {
    for (int k = 0; k < node->op->n_in; k++) {
        if (node->in[k] == t) return true;
    }
    return false;
}

static void find_sites(dropout_scene *s) {
    s->n = 0;
    for (int32_t i = 0; i < pr_graph_nodes(s->g); i++) {
        const pr_node *node = pr_graph_get(s->g, i);
        if (node->phase != PR_FORWARD || !scene_reads(node, s->bert.clock)) continue;
        assert_true(s->n < SCENE_SITES);
        s->node[s->n++] = i;
    }
}

void dropout_scene_open(dropout_scene *s, pr_bert_kind kind, const char *method,
                        const float rates[3]) {
    pr_error err = {0};
    *s = (dropout_scene){.backend = test_backend_new(2, &err)};
    s->model = toy_model(kind, s->backend, 1);
    s->model->config.dropout = rates[0];
    s->model->config.attention_dropout = rates[1];
    s->model->config.head_dropout = rates[2];
    const pr_method *m = pr_method_find(method);
    pr_method_options options = m->defaults;
    if (m->takes & PR_TAKES_SIZE) options.size = 4;
    pr_model_set_method(s->model, m, &options, &err);
    s->g = pr_graph_new(s->model->store);
    s->bert = pr_model_build(s->model, s->g);
    pr_graph_check(s->g, &err);
    s->data = toy_data(SCENE_ROWS, 3);
    pr_batch_reserve(&s->batch, s->data, SCENE_ROWS, &err);
    pr_batch_gather(&s->batch, s->data, NULL, 0, SCENE_ROWS);
    assert_string_equal(err.message, "");
    find_sites(s);
}

void dropout_scene_open_dropping(dropout_scene *s, pr_bert_kind kind, const char *method) {
    dropout_scene_open(s, kind, method, (float[]){scene_body, scene_scores, scene_head});
}

void dropout_scene_close(dropout_scene *s) {
    pr_graph_free(s->g);
    pr_batch_free(&s->batch);
    pr_dataset_free(s->data);
    pr_model_free(s->model);
    pr_backend_free(s->backend);
}

size_t scene_elements(const dropout_scene *s, int site) {
    bool last = site == s->n - 1;
    return (size_t)(last ? s->batch.extent.sentences : s->batch.extent.tokens) * SCENE_WIDTH;
}

void scene_run(const dropout_scene *s, bool training, const uint64_t clock[3], const pr_tid *wanted,
               int n, float **out) {
    pr_error err = {0};
    pr_feed feeds[PR_BERT_FEEDS];
    pr_extent extent = s->batch.extent;
    const pr_plan_options options = {
        .capacity = extent, .wanted = wanted, .n_wanted = n, .training = training};
    pr_plan *plan = pr_plan_new(s->g, s->model->store, s->backend, &options, &err);
    assert_string_equal(err.message, "");
    size_t bytes = pr_plan_get_report(plan)->arena;
    void *arena = s->backend->alloc(s->backend, bytes);
    pr_plan_attach(plan, arena);
    int n_feeds = pr_bert_feeds(&s->bert, &s->batch, false, feeds);
    for (int i = 0; i < n_feeds; i++)
        pr_plan_feed(plan, feeds[i].input, extent, feeds[i].data, &err);
    pr_plan_feed(plan, s->bert.clock, extent, clock, &err);
    pr_plan_run(plan, extent, &err);
    for (int i = 0; i < n; i++) {
        out[i] = pr_alloc((size_t)extent.tokens * SCENE_WIDTH, sizeof *out[i]);
        pr_plan_fetch(plan, wanted[i], extent, out[i], &err);
    }
    assert_string_equal(err.message, "");
    pr_plan_free(plan);
    s->backend->free(s->backend, arena, bytes);
}

drawn scene_draw(const dropout_scene *s, uint64_t seed, uint64_t step, uint64_t first) {
    drawn d = {.n = s->n};
    pr_tid wanted[SCENE_SITES];
    for (int i = 0; i < s->n; i++)
        wanted[i] = pr_graph_get(s->g, s->node[i])->out[0];
    scene_run(s, true, (uint64_t[]){seed, step, first}, wanted, s->n, d.out);
    return d;
}

void scene_drop_drawn(drawn *d) {
    for (int i = 0; i < d->n; i++)
        pr_free(d->out[i]);
}
