#include "models/model.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "graph/memory.h"
#include "models/draw.h"
#include "models/load.h"

enum { NAME = 80 };

static const float initial_deviation = 0.02f; /* as transformers' initializer_range */

pr_model *pr_model_open(const char *path, pr_backend *backend, pr_error *err) {
    struct stat info;
    bool directory = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    return directory ? pr_model_open_directory(path, backend, err)
                     : pr_model_open_gguf(path, backend, err);
}

void pr_model_free(pr_model *model) {
    if (!model) return;
    if (model->state) model->method->free(model->state);
    for (int32_t i = 0; model->label && i < model->config.labels; i++)
        pr_free(model->label[i]);
    pr_free(model->label);
    pr_store_free(model->store);
    pr_vocab_free(model->vocab);
    if (model->source_free) model->source_free(model->source);
    pr_free(model);
}

/* What pr_model_random hands to its visitor. */
typedef struct random_fill {
    pr_store *store;
    uint64_t seed;
} random_fill;

static pr_status draw_parameter(pr_store *store, int index, uint64_t seed, pr_error *err) {
    const pr_param *p = pr_store_param(store, index);
    if (p->shape.n_dims >= 2) {
        return pr_draw_normal(store, index, initial_deviation, seed, err);
    }
    bool scale = strstr(p->name, "_norm.weight") != NULL;
    return pr_draw_constant(store, index, scale ? 1.0f : 0.0f, err);
}

static pr_status add_random(void *context, const char *name, pr_shape shape, pr_error *err) {
    const random_fill *fill = context;
    int index = pr_store_add(fill->store, name, shape, NULL, err);
    return index < 0 ? PR_NO_MEMORY : draw_parameter(fill->store, index, fill->seed, err);
}

pr_model *pr_model_random(const pr_bert_config *config, pr_vocab *vocab, pr_backend *backend,
                          uint64_t seed, pr_error *err) {
    pr_model *model = pr_alloc(1, sizeof *model);
    if (!model) {
        pr_fail_memory(err, "a model", sizeof *model);
        pr_vocab_free(vocab);
        return NULL;
    }
    *model = (pr_model){.config = *config, .method = pr_methods[0], .vocab = vocab};
    model->has_head = model->has_pooler = true;
    model->store = pr_store_new(backend);
    if (!model->store) pr_fail_memory(err, "a model's store", 1);
    random_fill fill = {model->store, seed};
    if (!model->store || pr_bert_check(config, err) != PR_OK ||
        pr_bert_parameters(config, add_random, &fill, err) != PR_OK) {
        pr_model_free(model);
        return NULL;
    }
    return model;
}

static bool labels_agree(const pr_model *model, const char *const *names, int32_t n) {
    if (!model->has_head || model->config.labels != n) return false;
    if (!names) return model->config.regression;
    if (model->config.regression || !model->label) return false;
    for (int32_t i = 0; i < n; i++) {
        if (strcmp(model->label[i], names[i]) != 0) return false;
    }
    return true;
}

/* A copy of the n names; NULL for no names, or with err set. */
static char **copy_labels(const char *const *names, int32_t n, pr_error *err) {
    if (!names) return NULL;
    char **copy = pr_alloc((size_t)n, sizeof *copy);
    bool whole = copy != NULL;
    for (int32_t i = 0; i < n && whole; i++) {
        copy[i] = pr_copy_text(names[i]);
        whole = copy[i] != NULL;
    }
    if (whole) return copy;
    for (int32_t i = 0; copy && i < n; i++)
        pr_free(copy[i]);
    pr_free(copy);
    pr_fail_memory(err, "the labels", (size_t)n * sizeof *copy);
    return NULL;
}

/* Makes a parameter of the head anew, in a shape that may differ from what the file held. */
static pr_status renew(pr_model *model, const char *name, pr_shape shape, uint64_t seed,
                       pr_error *err) {
    int index = pr_store_find(model->store, name);
    if (index >= 0) {
        pr_status status = pr_store_renew(model->store, index, shape, err);
        if (status != PR_OK) return status;
    } else {
        index = pr_store_add(model->store, name, shape, NULL, err);
        if (index < 0) return err && err->code != PR_OK ? err->code : PR_NO_MEMORY;
    }
    return draw_parameter(model->store, index, seed, err);
}

static pr_status renew_head(pr_model *model, int32_t n, uint64_t seed, pr_error *err) {
    int64_t width = model->config.width;
    pr_status status = PR_OK;
    if (!model->has_pooler) {
        status = renew(model, "cls.weight", pr_shape_2(width, width), seed, err);
        if (status == PR_OK) status = renew(model, "cls.bias", pr_shape_1(width), seed, err);
    }
    if (status == PR_OK) {
        status = renew(model, "cls.output.weight", pr_shape_2(n, width), seed, err);
    }
    if (status == PR_OK) status = renew(model, "cls.output.bias", pr_shape_1(n), seed, err);
    return status;
}

pr_status pr_model_set_labels(pr_model *model, const char *const *names, int32_t n, uint64_t seed,
                              bool *made, pr_error *err) {
    *made = !labels_agree(model, names, n);
    if (!*made) return PR_OK;
    pr_bert_config config = model->config;
    config.labels = n;
    config.regression = names == NULL;
    pr_status status = pr_bert_check(&config, err);
    if (status != PR_OK) return status;
    char **label = copy_labels(names, n, err);
    if (names && !label) return PR_NO_MEMORY;
    status = renew_head(model, n, seed, err);
    for (int32_t i = 0; model->label && i < model->config.labels; i++)
        pr_free(model->label[i]);
    pr_free(model->label);
    model->label = label;
    model->config = config;
    model->has_head = model->has_pooler = status == PR_OK;
    return status;
}

pr_status pr_model_set_method(pr_model *model, const pr_method *method,
                              const pr_method_options *options, pr_error *err) {
    pr_status status = pr_model_check_folds(model, err);
    if (status == PR_OK && model->method->add) {
        status = pr_fail(err, PR_BAD_ARGUMENT,
                         "the model was tuned with the method '%s': collapse it first",
                         model->method->name);
    }
    if (status != PR_OK) return status;
    status = pr_method_add(method, &model->config, model->store, options, true, err);
    if (status != PR_OK) return status;
    model->method = method;
    model->options = *options;
    if (!method->begin) return PR_OK;
    return method->begin(model->store, &model->config, options, &model->state, err);
}

pr_status pr_model_flip(pr_model *model, pr_error *err) {
    return model->method->flip ? model->method->flip(model->store, model->state, err) : PR_OK;
}

pr_status pr_model_end_method(pr_model *model, pr_error *err) {
    if (!model->state) return PR_OK;
    pr_status status = model->method->end(model->store, model->state, err);
    if (status != PR_OK) return status;
    model->method->free(model->state);
    model->state = NULL;
    model->method = pr_methods[0];
    return PR_OK;
}

/* The name that a parameter has in the model's file. */
static void name_in_file(const pr_model *model, const char *name, char whole[NAME]) {
    const char *suffix = model->method->second_leaf;
    size_t n = strlen(name), k = suffix ? strlen(suffix) : 0;
    bool second = k && n > k && strcmp(name + n - k, suffix) == 0;
    snprintf(whole, NAME, "%.*s", (int)(second ? n - k : n), name);
}

/* Whether it matches parameter i. */
static bool matches(const pr_model *model, int i, const char *pattern) {
    char whole[NAME];
    name_in_file(model, pr_store_param(model->store, i)->name, whole);
    return pr_glob(pattern, whole);
}

bool pr_model_matches(const pr_model *model, const char *pattern) {
    for (int i = 0; i < pr_store_count(model->store); i++) {
        if (matches(model, i, pattern)) return true;
    }
    return false;
}

pr_status pr_model_require_grad(pr_model *model, const char *pattern, bool on, pr_error *err) {
    if (!pr_model_matches(model, pattern)) {
        return pr_fail(err, PR_BAD_ARGUMENT, "no parameter's name matches '%s'", pattern);
    }
    pr_status status = PR_OK;
    for (int i = 0; i < pr_store_count(model->store) && status == PR_OK; i++) {
        if (!matches(model, i, pattern)) continue;
        status =
            pr_store_require_grad(model->store, pr_store_param(model->store, i)->name, on, err);
    }
    return status;
}

pr_bert pr_model_build(const pr_model *model, pr_graph *g) {
    return pr_bert_build(g, &model->config, &model->method->parts, &model->options);
}
