/* A model from a GGUF file. Names and keys are those that the ggml world writes; keys that are ours
 * alone start with "primer.". */
#include <string.h>

#include "graph/memory.h"
#include "models/file.h"
#include "models/gguf.h"
#include "models/load.h"

static const pr_stored *find_tensor(const void *context, const char *name) {
    const pr_gguf *file = context;
    int index = pr_gguf_find(file, name);
    return index < 0 ? NULL : pr_gguf_tensor(file, index);
}

static void close_source(void *source) {
    pr_gguf_close(source);
}

static void release_pages(void *context, const void *data, size_t bytes) {
    (void)context;
    pr_file_release(data, bytes);
}

/* An integer key into an int32. */
static pr_status size_key(const pr_gguf *file, const char *key, int32_t *out, pr_error *err) {
    int64_t value;
    pr_status status = pr_gguf_get_integer(file, key, true, 1, INT32_MAX, &value, err);
    if (status == PR_OK) *out = (int32_t)value;
    return status;
}

static pr_status rate_key(const pr_gguf *file, const char *key, float *out, pr_error *err) {
    double value = (double)*out;
    pr_status status = pr_gguf_get_number(file, key, false, &value, err);
    if (status == PR_OK) *out = (float)value;
    return status;
}

static pr_status check_architecture(const pr_gguf *file, pr_error *err) {
    const char *architecture = NULL;
    pr_status status = pr_gguf_get_text(file, "general.architecture", true, &architecture, err);
    if (status == PR_OK && strcmp(architecture, "bert") != 0) {
        status =
            pr_fail(err, PR_BAD_FILE, "%s: expected a model of architecture 'bert', found '%s'",
                    pr_gguf_path(file), architecture);
    }
    return status;
}

/* Rows of an embedding table; 0 where the file has none. */
static int32_t table_rows(const pr_gguf *file, const char *name) {
    const pr_stored *t = find_tensor(file, name);
    return t && t->shape.dim[0] <= INT32_MAX ? (int32_t)t->shape.dim[0] : 0;
}

/* GGUF says "bert" for both kinds: a file without token types is a DistilBERT. Rates that the file
 * does not give are the kind's own. */
static pr_status read_config(const pr_gguf *file, pr_bert_config *c, pr_error *err) {
    *c = (pr_bert_config){.epsilon = 1e-12f, .dropout = 0.1f, .attention_dropout = 0.1f};
    c->token_types = table_rows(file, "token_types.weight");
    c->kind = c->token_types ? PR_BERT : PR_DISTILBERT;
    c->head_dropout = c->kind == PR_BERT ? 0.1f : 0.2f;
    c->vocab = table_rows(file, "token_embd.weight");
    c->positions = table_rows(file, "position_embd.weight");
    c->labels = table_rows(file, "cls.output.weight");
    pr_status status = size_key(file, "bert.block_count", &c->layers, err);
    if (status == PR_OK) status = size_key(file, "bert.embedding_length", &c->width, err);
    if (status == PR_OK) status = size_key(file, "bert.feed_forward_length", &c->ffn, err);
    if (status == PR_OK) status = size_key(file, "bert.attention.head_count", &c->heads, err);
    if (status == PR_OK) {
        status = rate_key(file, "bert.attention.layer_norm_epsilon", &c->epsilon, err);
    }
    if (status == PR_OK) status = rate_key(file, "primer.dropout", &c->dropout, err);
    if (status == PR_OK) {
        status = rate_key(file, "primer.attention_dropout", &c->attention_dropout, err);
    }
    if (status == PR_OK) status = rate_key(file, "primer.head_dropout", &c->head_dropout, err);
    if (status == PR_OK) {
        status = pr_gguf_get_boolean(file, "primer.regression", false, &c->regression, err);
    }
    return status;
}

static pr_status read_method(const pr_gguf *file, pr_model *model, pr_error *err) {
    const char *name = pr_methods[0]->name;
    int64_t size = 0, prime = 0;
    float scale = 1.0f;
    pr_status status = pr_gguf_get_text(file, "primer.method", false, &name, err);
    if (status == PR_OK) {
        status = pr_gguf_get_integer(file, "primer.size", false, 0, INT32_MAX, &size, err);
    }
    if (status == PR_OK) {
        status = pr_gguf_get_integer(file, "primer.prime", false, 0, INT32_MAX, &prime, err);
    }
    if (status == PR_OK) status = rate_key(file, "primer.scale", &scale, err);
    if (status != PR_OK) return status;
    model->method = pr_method_find(name);
    if (!model->method) {
        return pr_fail(err, PR_BAD_FILE, "%s: unknown method '%s'", pr_gguf_path(file), name);
    }
    model->options =
        (pr_method_options){.size = (int32_t)size, .scale = scale, .prime = (int32_t)prime};
    return PR_OK;
}

/* Marks the base's weights that trained before the model was saved. */
static pr_status read_trained(const pr_gguf *file, pr_model *model, pr_error *err) {
    static const char key[] = "primer.base_changed";
    const char *const *names = NULL;
    size_t n = 0;
    model->untold = model->method->add && !pr_gguf_value_of(file, key);
    pr_status status = pr_gguf_get_texts(file, key, false, &names, &n, err);
    for (size_t i = 0; i < n && status == PR_OK; i++) {
        int param = pr_store_find(model->store, names[i]);
        if (param < 0) {
            return pr_fail(err, PR_BAD_FILE, "%s: %s: '%s' is no parameter of the model",
                           pr_gguf_path(file), key, names[i]);
        }
        pr_store_set_since(model->store, param, 0);
    }
    return status;
}

static pr_status read_labels(const pr_gguf *file, pr_model *model, pr_error *err) {
    const char *const *names = NULL;
    size_t n = 0;
    pr_status status =
        pr_gguf_get_texts(file, "bert.classifier.output_labels", false, &names, &n, err);
    if (status != PR_OK || !model->has_head || model->config.regression || !names) return status;
    return pr_load_labels(model, pr_gguf_path(file), names, n, err);
}

/* A tensor that has no place in the model means that the file is of another architecture. */
static pr_status refuse_strangers(const pr_gguf *file, const pr_model *model, pr_error *err) {
    for (int i = 0; i < pr_gguf_tensors(file); i++) {
        const char *name = pr_gguf_tensor(file, i)->name;
        if (pr_store_find(model->store, name) >= 0 || strstr(name, ".attn_qkv.")) continue;
        return pr_fail(err, PR_BAD_FILE, "%s: tensor '%s' has no place in a BERT",
                       pr_gguf_path(file), name);
    }
    return PR_OK;
}

static pr_status read_model(const pr_gguf *file, pr_model *model, pr_error *err) {
    const pr_weights weights = {file, pr_gguf_path(file), find_tensor, NULL};
    pr_status status = check_architecture(file, err);
    if (status == PR_OK) status = read_config(file, &model->config, err);
    model->has_head = find_tensor(file, "cls.output.weight") != NULL;
    model->has_pooler = find_tensor(file, "cls.weight") != NULL;
    if (status == PR_OK) status = read_method(file, model, err);
    if (status == PR_OK) status = pr_vocab_from_gguf(model->vocab, file, err);
    if (status == PR_OK) status = pr_load_check_vocab(model, pr_gguf_path(file), err);
    if (status == PR_OK) status = pr_load_parameters(model, &weights, err);
    if (status == PR_OK) status = pr_load_method(model, &weights, err);
    if (status == PR_OK) status = read_trained(file, model, err);
    if (status == PR_OK) status = read_labels(file, model, err);
    return status == PR_OK ? refuse_strangers(file, model, err) : status;
}

pr_model *pr_model_open_gguf(const char *path, pr_backend *backend, pr_error *err) {
    pr_gguf *file = pr_gguf_open(path, err);
    if (!file) return NULL;
    pr_model *model = pr_alloc(1, sizeof *model);
    if (!model) {
        pr_gguf_close(file);
        pr_fail_memory(err, "a model", sizeof *model);
        return NULL;
    }
    model->source = file;
    model->source_free = close_source;
    model->store = pr_store_new(backend);
    model->vocab = pr_vocab_new();
    if (!model->store || !model->vocab) {
        pr_fail_memory(err, "a model", sizeof *model);
    } else if (read_model(file, model, err) == PR_OK) {
        pr_store_on_release(model->store, release_pages, NULL);
        return model;
    }
    pr_model_free(model);
    return NULL;
}
