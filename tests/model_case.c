#include "tests/model_case.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/memory.h"
#include "tests/backend_under_test.h"
#include "train/feed.h"
#include "train/schedule.h"

const pr_stored *model_case_find(const model_case *c, const char *format, ...) {
    char name[128];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    int index = pr_safetensors_find(c->file, name);
    return index < 0 ? NULL : pr_safetensors_tensor(c->file, index);
}

/* Copies a tensor of the file that must be of `count` elements and of the type. */
static pr_status copy(const pr_stored *t, const char *what, const char *type, size_t count,
                      void *to, pr_error *err) {
    if (!t || strcmp(t->type_name, type) != 0 || t->count != count) {
        return pr_fail(err, PR_BAD_FILE, "the case's '%s' is no %s of %zu elements", what, type,
                       count);
    }
    memcpy(to, t->data, t->bytes);
    return PR_OK;
}

/* ---- batches ---- */

static pr_status read_batch(const model_case *c, int32_t k, pr_batch *b, pr_error *err) {
    const pr_stored *ids = model_case_find(c, "batch.%d.ids", (int)k);
    const pr_stored *offsets = model_case_find(c, "batch.%d.offsets", (int)k);
    const pr_stored *labels = model_case_find(c, "batch.%d.labels", (int)k);
    if (!ids || !offsets || !labels || offsets->count < 2) {
        return pr_fail(err, PR_BAD_FILE, "batch %d of the case is not whole", (int)k);
    }
    size_t tokens = ids->count, sentences = offsets->count - 1;
    b->ids = pr_alloc(tokens, sizeof *b->ids);
    b->positions = pr_alloc(tokens, sizeof *b->positions);
    b->types = pr_alloc(tokens, sizeof *b->types);
    b->offsets = pr_alloc(sentences + 1, sizeof *b->offsets);
    b->label = pr_alloc(sentences, sizeof *b->label);
    b->target = pr_alloc(sentences, sizeof *b->target);
    if (!b->ids || !b->positions || !b->types || !b->offsets || !b->label || !b->target) {
        return pr_fail_memory(err, "a batch", tokens * sizeof *b->ids);
    }
    b->extent = (pr_extent){.tokens = (int64_t)tokens, .sentences = (int64_t)sentences};
    pr_status status = copy(ids, "ids", "I32", tokens, b->ids, err);
    if (status == PR_OK) {
        status = copy(model_case_find(c, "batch.%d.types", (int)k), "types", "I32", tokens,
                      b->types, err);
    }
    if (status == PR_OK) status = copy(offsets, "offsets", "I32", sentences + 1, b->offsets, err);
    if (status == PR_OK && strcmp(labels->type_name, "F32") == 0) {
        return copy(labels, "labels", "F32", sentences, b->target, err);
    }
    return status == PR_OK ? copy(labels, "labels", "I32", sentences, b->label, err) : status;
}

static pr_status set_positions(pr_batch *b, pr_error *err) {
    if (b->offsets[0] != 0 || b->offsets[b->extent.sentences] != b->extent.tokens) {
        return pr_fail(err, PR_BAD_FILE, "the case's offsets are not those of its ids");
    }
    for (int64_t s = 0; s < b->extent.sentences; s++) {
        int32_t length = b->offsets[s + 1] - b->offsets[s];
        if (length < 1 || b->offsets[s + 1] > b->extent.tokens) {
            return pr_fail(err, PR_BAD_FILE, "the case's offsets do not rise");
        }
        for (int32_t i = 0; i < length; i++)
            b->positions[b->offsets[s] + i] = i;
        if (length > b->extent.longest) b->extent.longest = length;
    }
    return PR_OK;
}

static pr_status read_batches(model_case *c, pr_error *err) {
    int32_t n = 0;
    while (model_case_find(c, "batch.%d.ids", (int)n))
        n++;
    c->batch = pr_alloc((size_t)n, sizeof *c->batch);
    if (!c->batch) return pr_fail_memory(err, "the batches", (size_t)n * sizeof *c->batch);
    c->n_batches = n;
    pr_status status = PR_OK;
    for (int32_t k = 0; k < n && status == PR_OK; k++) {
        status = read_batch(c, k, &c->batch[k], err);
        if (status == PR_OK) status = set_positions(&c->batch[k], err);
    }
    return status;
}

/* ---- the model ---- */

static pr_status set_head(model_case *c, pr_error *err) {
    enum { MOST = 16 };
    char text[MOST][24];
    const char *names[MOST];
    int32_t n = 0;
    bool made;
    if (!model_case_find(c, "labels")) return PR_OK;
    pr_status status = copy(model_case_find(c, "labels"), "labels", "I32", 1, &n, err);
    if (status != PR_OK) return status;
    if (n < 1 || n > MOST) return pr_fail(err, PR_BAD_FILE, "the case's 'labels' is %d", (int)n);
    for (int32_t i = 0; i < n; i++) {
        snprintf(text[i], sizeof text[i], "LABEL_%d", (int)i);
        names[i] = text[i];
    }
    return pr_model_set_labels(c->model, n > 1 ? names : NULL, n, 0, &made, err);
}

static pr_status read_options(const model_case *c, pr_method_options *o, pr_error *err) {
    float retain = 0.0f;
    const struct {
        const char *name, *type;
        void *to;
    } numbers[] = {
        {"size", "I32", &o->size}, {"scale", "F32", &o->scale}, {"retain", "F32", &retain}};
    pr_status status = PR_OK;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && status == PR_OK; i++) {
        const char *name = numbers[i].name;
        status = copy(model_case_find(c, "%s", name), name, numbers[i].type, 1, numbers[i].to, err);
    }
    o->retain = (double)retain;
    return status;
}

/* A case without one leaves the model's own. */
static pr_status set_method(model_case *c, pr_error *err) {
    char name[32] = "";
    const pr_stored *text = model_case_find(c, "method");
    if (!text) return PR_OK;
    pr_status status =
        copy(text, "method", "U8", text->count < sizeof name ? text->count : 0, name, err);
    if (status != PR_OK) return status;
    const pr_method *method = pr_method_find(name);
    if (!method) return pr_fail(err, PR_BAD_FILE, "the case's method '%s' is none", name);
    pr_method_options options = method->defaults;
    status = read_options(c, &options, err);
    return status == PR_OK ? pr_model_set_method(c->model, method, &options, err) : status;
}

static pr_status set_start(model_case *c, pr_error *err) {
    static const char prefix[] = "start.";
    pr_store *store = c->model->store;
    for (int i = 0; i < pr_safetensors_count(c->file); i++) {
        const pr_stored *t = pr_safetensors_tensor(c->file, i);
        if (strncmp(t->name, prefix, strlen(prefix)) != 0) continue;
        int index = pr_store_find(store, t->name + strlen(prefix));
        const float *value = pr_stored_direct(t);
        if (index < 0 || !value || !pr_shape_equal(pr_store_param(store, index)->shape, t->shape)) {
            return pr_fail(err, PR_BAD_FILE, "the case's '%s' does not fit the model", t->name);
        }
        pr_status status = pr_store_write(store, index, value, err);
        if (status != PR_OK) return status;
    }
    return PR_OK;
}

static pr_status open_model(model_case *c, const char *model, pr_error *err) {
    c->model = pr_model_open(model, c->backend, err);
    if (!c->model) return err->code;
    pr_bert_config *config = &c->model->config;
    config->dropout = config->attention_dropout = config->head_dropout = 0.0f;
    pr_status status = set_head(c, err);
    if (status == PR_OK) status = set_method(c, err);
    return status == PR_OK ? set_start(c, err) : status;
}

/* ---- what it computes ---- */

static pr_status set_phase(model_case *c, int32_t step, pr_error *err) {
    pr_status status = step > 0 && step == c->flip ? pr_model_flip(c->model, err) : PR_OK;
    if (status != PR_OK) return status;
    return pr_method_phase(c->model->method, c->model->store, step >= c->flip, err);
}

static pr_status make_trainer(model_case *c, pr_error *err) {
    float peak = 0.0f;
    pr_status status = copy(model_case_find(c, "steps"), "steps", "I32", 1, &c->steps, err);
    if (status == PR_OK) status = copy(model_case_find(c, "flip"), "flip", "I32", 1, &c->flip, err);
    if (status == PR_OK) status = copy(model_case_find(c, "rate"), "rate", "F32", 1, &peak, err);
    if (status != PR_OK) return status;
    int32_t n = c->steps > 0 ? c->steps : 1;
    float *rates = pr_alloc((size_t)n, sizeof *rates);
    if (!rates) return pr_fail_memory(err, "the rates", (size_t)n * sizeof *rates);
    pr_schedule_linear(rates, n, 0, (double)peak);
    pr_trainer_options options = pr_trainer_default();
    options.rates = rates;
    options.steps = n;
    c->g = pr_graph_new(c->model->store);
    if (c->g) {
        c->bert = pr_model_build(c->model, c->g);
        c->trainer = pr_trainer_new(c->g, c->backend, c->bert.loss, &options, err);
    }
    pr_free(rates);
    if (!c->trainer) return err->code != PR_OK ? err->code : PR_NO_MEMORY;
    status = pr_method_begin(c->model->method, c->model->store, err);
    return status == PR_OK ? set_phase(c, 0, err) : status;
}

pr_status model_case_open(model_case *c, const char *model, const char *file, int threads,
                          pr_error *err) {
    c->backend = test_backend_new(threads, err);
    if (c->backend) c->file = pr_safetensors_open(file, err);
    if (!c->file) return err->code;
    pr_status status = read_batches(c, err);
    if (status == PR_OK) status = open_model(c, model, err);
    return status == PR_OK ? make_trainer(c, err) : status;
}

void model_case_close(model_case *c) {
    pr_trainer_free(c->trainer);
    pr_graph_free(c->g);
    for (int32_t k = 0; k < c->n_batches; k++)
        pr_batch_free(&c->batch[k]);
    pr_free(c->batch);
    pr_model_free(c->model);
    pr_safetensors_close(c->file);
    pr_backend_free(c->backend);
    *c = (model_case){0};
}

static int feed(const model_case *c, const pr_batch *b, pr_feed feeds[PR_BERT_FEEDS]) {
    return pr_bert_feeds(&c->bert, b, c->model->config.regression, feeds);
}

pr_status model_case_logits(model_case *c, int32_t batch, float *out, pr_error *err) {
    pr_feed feeds[PR_BERT_FEEDS];
    const pr_batch *b = &c->batch[batch];
    return pr_trainer_evaluate(c->trainer, c->bert.logits, b->extent, feeds, feed(c, b, feeds), out,
                               err);
}

/* ---- leaves ---- */

/* The number of the leaf that holds a parameter's first nodes; -1 for one that is whole. */
static int kept_leaf(const model_case *c, const char *name) {
    char kept[96];
    snprintf(kept, sizeof kept, "%s.kept", name);
    return pr_store_find(c->model->store, kept);
}

/* Whether a row of its leaves is a column of the parameter. */
static bool is_transposed(const char *name) {
    return pr_glob("blk.*.ffn_down.weight", name);
}

bool model_case_shape(const model_case *c, int param, pr_shape *shape) {
    const pr_param *p = pr_store_param(c->model->store, param);
    int kept = kept_leaf(c, p->name);
    *shape = p->shape;
    if (kept >= 0) shape->dim[0] += pr_store_param(c->model->store, kept)->shape.dim[0];
    if (kept >= 0 && is_transposed(p->name)) {
        *shape = pr_shape_2(shape->dim[1], shape->dim[0]);
    }
    return !pr_glob("*.kept", p->name);
}

static pr_status leaf_gradient(model_case *c, const char *name, float *out, pr_error *err) {
    pr_feed feeds[PR_BERT_FEEDS];
    const pr_batch *b = &c->batch[0];
    return pr_trainer_gradient(c->trainer, pr_graph_find(c->g, name), b->extent, feeds,
                               feed(c, b, feeds), out, err);
}

/* (nodes, width) to (width, nodes) */
static void transpose(const float *rows, int64_t nodes, int64_t width, float *out) {
    for (int64_t i = 0; i < nodes; i++) {
        for (int64_t j = 0; j < width; j++)
            out[j * nodes + i] = rows[i * width + j];
    }
}

pr_status model_case_gradient(model_case *c, const char *name, float *out, pr_error *err) {
    const pr_store *store = c->model->store;
    int kept = kept_leaf(c, name), rest = pr_store_find(store, name);
    if (kept < 0) return leaf_gradient(c, name, out, err);
    const pr_param *first = pr_store_param(store, kept), *second = pr_store_param(store, rest);
    float *rows = pr_alloc(first->bytes + second->bytes, 1);
    if (!rows) return pr_fail_memory(err, name, first->bytes + second->bytes);
    size_t n = first->bytes / sizeof *rows;
    pr_status status = leaf_gradient(c, first->name, rows, err);
    if (status == PR_OK) status = leaf_gradient(c, name, rows + n, err);
    if (is_transposed(name)) {
        int64_t nodes = first->shape.dim[0] + second->shape.dim[0];
        transpose(rows, nodes, first->shape.dim[1], out);
    } else {
        memcpy(out, rows, first->bytes + second->bytes);
    }
    pr_free(rows);
    return status;
}

/* ---- the run ---- */

static void drop_graph(model_case *c) {
    pr_trainer_free(c->trainer);
    pr_graph_free(c->g);
    c->trainer = NULL;
    c->g = NULL;
}

pr_status model_case_train(model_case *c, float *losses, pr_error *err) {
    pr_status status = PR_OK;
    for (int32_t step = 0; step < c->steps && status == PR_OK; step++) {
        pr_feed feeds[PR_BERT_FEEDS];
        const pr_batch *b = &c->batch[step % c->n_batches];
        status = set_phase(c, step, err);
        if (status != PR_OK) break;
        status =
            pr_trainer_step(c->trainer, b->extent, feeds, feed(c, b, feeds), &losses[step], err);
    }
    if (status == PR_OK) status = pr_trainer_catch_up(c->trainer, err);
    drop_graph(c);
    return status == PR_OK ? pr_model_end_method(c->model, err) : status;
}
