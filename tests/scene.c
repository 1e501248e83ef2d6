#include "tests/scene.h"

#include "tests/backend_under_test.h"
#include "tests/test.h"

enum { SEED = 5, RANK = 4, PRIME = 2, RETAIN = 25 };

scene_options scene_default(pr_bert_kind kind, const char *method) {
    return (scene_options){
        .config = toy_config(kind),
        .method = method,
        .threads = 2,
        .clip = 1.0f,
        .batch = 8,
    };
}

void scene_open_model(scene *s, const scene_options *o, pr_dataset *data) {
    pr_error err = {0};
    *s =
        (scene){.backend = test_backend_new(o->threads, &err), .data = data, .sentences = o->batch};
    s->model = toy_model_of(&o->config, s->backend, 1);
    const pr_method *method = pr_method_find(o->method);
    pr_method_options m = method->defaults;
    m.seed = 1;
    if (method->takes & PR_TAKES_SIZE) m.size = RANK;
    if (method->takes & PR_TAKES_PRIME) m.prime = PRIME;
    if (method->takes & PR_TAKES_RETAIN) m.retain = RETAIN;
    pr_model_set_method(s->model, method, &m, &err);
    pr_batch_reserve(&s->batch, data, o->batch, &err);
    pr_method_begin(method, s->model->store, &err);
    pr_method_phase(method, s->model->store, 0, &err);
    assert_string_equal(err.message, "");
}

pr_status scene_open_trainer(scene *s, const scene_options *o, pr_error *err) {
    float rates[SCENE_STEPS];
    for (int i = 0; i < SCENE_STEPS; i++)
        rates[i] = 1e-2f * (float)(SCENE_STEPS - i) / SCENE_STEPS;
    pr_trainer_options t = pr_trainer_default();
    t.clip = o->clip;
    t.rates = rates;
    t.steps = SCENE_STEPS;
    t.seed = SEED;
    t.micro_batch = o->micro_batch;
    t.recompute = o->recompute;
    s->g = pr_graph_new(s->model->store);
    if (!s->g) return pr_fail_memory(err, "a graph", 1);
    s->bert = pr_model_build(s->model, s->g);
    s->trainer = pr_trainer_new(s->g, s->backend, s->bert.loss, &t, err);
    return s->trainer ? PR_OK : err->code;
}

void scene_open(scene *s, const scene_options *o, pr_dataset *data) {
    pr_error err = {0};
    scene_open_model(s, o, data);
    scene_open_trainer(s, o, &err);
    assert_string_equal(err.message, "");
}

void scene_close(scene *s) {
    pr_trainer_free(s->trainer);
    pr_graph_free(s->g);
    pr_batch_free(&s->batch);
    pr_dataset_free(s->data);
    pr_model_free(s->model);
    pr_backend_free(s->backend);
}

int scene_feed(scene *s, size_t i, pr_feed feeds[PR_BERT_FEEDS]) {
    size_t batches = s->data->n / s->sentences;
    pr_batch_gather(&s->batch, s->data, NULL, i % batches * s->sentences, s->sentences);
    return pr_bert_feeds(&s->bert, &s->batch, false, feeds);
}

const pr_param *scene_param(const scene *s, const char *name) {
    const pr_param *p = pr_store_param(s->model->store, pr_store_find(s->model->store, name));
    if (!p) fail_msg("no parameter '%s'", name);
    return p;
}

const void *scene_host(const scene *s, const void *block, size_t bytes) {
    return test_host(s->backend, block, bytes);
}

static void assert_same_block(const pr_param *p, const char *what, const void *a, const void *b,
                              size_t bytes) {
    bool same = a && b ? memcmp(a, b, bytes) == 0 : a == b;
    if (!same) fail_msg("%s%s differs", what, p->name);
}

void assert_same_scene(const scene *a, const scene *b) {
    static const char *const what[] = {"first moment of ", "second moment of ", "gradient of ",
                                       "rows of "};
    for (int i = 0; i < pr_store_count(a->model->store); i++) {
        const pr_param *p = pr_store_param(a->model->store, i);
        const pr_param *q = pr_store_param(b->model->store, i);
        assert_same_block(p, "", scene_host(a, p->data, p->bytes), scene_host(b, q->data, q->bytes),
                          p->bytes);
        for (int k = 0; k < PR_STATE_SLOTS; k++) {
            assert_same_block(p, what[k], scene_host(a, p->state[k], p->state_bytes[k]),
                              scene_host(b, q->state[k], q->state_bytes[k]), p->state_bytes[k]);
        }
        assert_int_equal(p->since, q->since);
    }
}

float scene_step(scene *s, size_t i) {
    pr_feed feeds[PR_BERT_FEEDS];
    pr_error err = {0};
    float loss = 0.0f;
    int n = scene_feed(s, i, feeds);
    pr_trainer_step(s->trainer, s->batch.extent, feeds, n, &loss, &err);
    assert_string_equal(err.message, "");
    return loss;
}

void scene_steps(scene *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        scene_step(s, i);
}

void scene_epoch(scene *s, int32_t epoch) {
    pr_error err = {0};
    pr_method_phase(s->model->method, s->model->store, epoch >= s->model->options.prime, &err);
    pr_trainer_prepare(s->trainer, s->batch.extent, &err);
    assert_string_equal(err.message, "");
}

void scene_flip(scene *s) {
    pr_error err = {0};
    pr_model_flip(s->model, &err);
    pr_method_phase(s->model->method, s->model->store, 1, &err);
    pr_trainer_prepare(s->trainer, s->batch.extent, &err);
    assert_string_equal(err.message, "");
}
