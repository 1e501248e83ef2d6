#include "models/load.h"

#include <inttypes.h>
#include <string.h>

#include "graph/memory.h"

typedef struct loading {
    pr_model *model;
    const pr_weights *weights;
} loading;

static pr_status check_shape(const pr_weights *w, const pr_stored *t, pr_shape expected,
                             pr_error *err) {
    char found[PR_SHAPE_TEXT], wanted[PR_SHAPE_TEXT];
    if (pr_shape_equal(t->shape, expected)) return PR_OK;
    return pr_fail(err, PR_BAD_FILE, "%s: tensor '%s': expected shape %s, found %s", w->path,
                   t->name, pr_shape_text(expected, wanted), pr_shape_text(t->shape, found));
}

/* The shape, the type and every value. */
static pr_status check_tensor(const pr_weights *w, const pr_stored *t, pr_shape expected,
                              pr_error *err) {
    pr_error fault = {.code = PR_OK};
    pr_status status = check_shape(w, t, expected, err);
    if (status != PR_OK) return status;
    status = pr_stored_check_finite(t, &fault);
    return status == PR_OK ? status : pr_fail_in_file(err, w->path, &fault);
}

static pr_status widen(pr_store *store, int index, const pr_stored *t, pr_error *err) {
    float *value = pr_alloc(t->count, sizeof *value);
    if (!value) return pr_fail_memory(err, t->name, t->count * sizeof *value);
    pr_status status = pr_stored_expand(t, value, err);
    if (status == PR_OK) status = pr_store_write(store, index, value, err);
    pr_free(value);
    return status;
}

static pr_status added(int index, const pr_error *err) {
    return index >= 0 ? PR_OK : err && err->code != PR_OK ? err->code : PR_NO_MEMORY;
}

/* The rows of a fused blk.N.attn_qkv that are the name's, if there is such a tensor. */
static const pr_stored *fused(const pr_weights *w, const char *name, pr_shape shape, int64_t *row) {
    static const char *const parts[] = {".attn_q.", ".attn_k.", ".attn_v."};
    for (int i = 0; i < 3; i++) {
        const char *at = strstr(name, parts[i]);
        if (!at) continue;
        char qkv[96];
        snprintf(qkv, sizeof qkv, "%.*s.attn_qkv.%s", (int)(at - name), name,
                 at + strlen(parts[i]));
        *row = i * shape.dim[0];
        return w->find(w->context, qkv);
    }
    return NULL;
}

static pr_status load_fused(loading *l, const char *name, pr_shape shape, pr_error *err) {
    int64_t row = 0;
    const pr_stored *t = fused(l->weights, name, shape, &row);
    if (!t) {
        const pr_weights *w = l->weights;
        char room[PR_HF_NAME];
        return pr_fail(err, PR_BAD_FILE, "%s: tensor '%s' is missing", w->path,
                       w->spell ? w->spell(w->context, name, room) : name);
    }
    pr_shape whole = shape;
    whole.dim[0] *= 3;
    pr_status status = check_tensor(l->weights, t, whole, err);
    if (status != PR_OK) return status;
    size_t row_length = t->count / (size_t)whole.dim[0];
    const float *direct = pr_stored_direct(t);
    if (direct) {
        const float *rows = direct + (size_t)row * row_length;
        return added(pr_store_add(l->model->store, name, shape, rows, err), err);
    }
    float *value = pr_alloc(t->count, sizeof *value);
    if (!value) return pr_fail_memory(err, t->name, t->count * sizeof *value);
    status = pr_stored_expand(t, value, err);
    int index = status == PR_OK ? pr_store_add(l->model->store, name, shape, NULL, err) : -1;
    if (status == PR_OK) status = added(index, err);
    if (status == PR_OK) {
        status = pr_store_write(l->model->store, index, value + (size_t)row * row_length, err);
    }
    pr_free(value);
    return status;
}

static pr_status load_one(void *context, const char *name, pr_shape shape, pr_error *err) {
    loading *l = context;
    if (!l->model->has_head && strncmp(name, "cls.output.", 11) == 0) return PR_OK;
    if (!l->model->has_pooler && strncmp(name, "cls.", 4) == 0) return PR_OK;
    const pr_stored *t = l->weights->find(l->weights->context, name);
    if (!t) return load_fused(l, name, shape, err);
    pr_status status = check_tensor(l->weights, t, shape, err);
    if (status != PR_OK) return status;
    const uint16_t *half = pr_stored_direct_half(t);
    if (half && pr_store_backend(l->model->store)->host_visible) {
        return added(pr_store_add_half(l->model->store, name, shape, half, err), err);
    }
    const float *direct = pr_stored_direct(t);
    int index = pr_store_add(l->model->store, name, shape, direct, err);
    status = added(index, err);
    return status == PR_OK && !direct ? widen(l->model->store, index, t, err) : status;
}

pr_status pr_load_parameters(pr_model *model, const pr_weights *weights, pr_error *err) {
    pr_bert_config config = model->config;
    if (!model->has_head) {
        config.labels = 1; /* any: the head is left out */
        config.regression = false;
    }
    pr_error fault = {.code = PR_OK};
    if (pr_bert_check(&config, &fault) != PR_OK) return pr_fail_in_file(err, weights->path, &fault);
    loading l = {model, weights};
    return pr_bert_parameters(&config, load_one, &l, err);
}

pr_status pr_load_method(pr_model *model, const pr_weights *weights, pr_error *err) {
    int base = pr_store_count(model->store);
    pr_error fault = {.code = PR_OK};
    pr_status status =
        pr_method_add(model->method, &model->config, model->store, &model->options, false, &fault);
    if (status != PR_OK) return pr_fail_in_file(err, weights->path, &fault);
    for (int i = base; i < pr_store_count(model->store) && status == PR_OK; i++) {
        const pr_param *p = pr_store_param(model->store, i);
        const pr_stored *t = weights->find(weights->context, p->name);
        if (!t) {
            return pr_fail(err, PR_BAD_FILE, "%s: tensor '%s' of the method '%s' is missing",
                           weights->path, p->name, model->method->name);
        }
        status = check_tensor(weights, t, p->shape, err);
        if (status == PR_OK) status = widen(model->store, i, t, err);
    }
    return status;
}

pr_status pr_load_labels(pr_model *model, const char *path, const char *const *names, size_t n,
                         pr_error *err) {
    if (n != (size_t)model->config.labels) {
        return pr_fail(
            err, PR_BAD_FILE,
            "%s: expected names of %d labels, one for each output of the head, found %zu", path,
            (int)model->config.labels, n);
    }
    model->label = pr_alloc(n, sizeof *model->label);
    if (!model->label) return pr_fail_memory(err, "the labels", n * sizeof *model->label);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(names[i], names[k]) != 0) continue;
            return pr_fail(err, PR_BAD_FILE, "%s: the label '%s' is named twice", path, names[i]);
        }
        model->label[i] = pr_copy_text(names[i]);
        if (!model->label[i]) return pr_fail_memory(err, "a label", strlen(names[i]));
    }
    return PR_OK;
}

pr_status pr_load_check_vocab(const pr_model *model, const char *path, pr_error *err) {
    if (model->vocab->n == model->config.vocab) return PR_OK;
    return pr_fail(err, PR_BAD_FILE,
                   "%s: the vocabulary has %" PRId32 " pieces, and token_embd.weight %" PRId32
                   " rows",
                   path, model->vocab->n, model->config.vocab);
}
