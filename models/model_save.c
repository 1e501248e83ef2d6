/* A model to a GGUF file: the keys and names that model_gguf.c reads. */
#include <stdio.h>
#include <string.h>

#include "graph/memory.h"
#include "models/gguf.h"
#include "models/model.h"

static void put_config(pr_gguf_writer *w, const pr_bert_config *c) {
    pr_gguf_put_text(w, "general.architecture", "bert");
    pr_gguf_put_text(w, "general.type", "model");
    pr_gguf_put_u32(w, "general.file_type", 0);
    pr_gguf_put_u32(w, "bert.block_count", (uint32_t)c->layers);
    pr_gguf_put_u32(w, "bert.context_length", (uint32_t)c->positions);
    pr_gguf_put_u32(w, "bert.embedding_length", (uint32_t)c->width);
    pr_gguf_put_u32(w, "bert.feed_forward_length", (uint32_t)c->ffn);
    pr_gguf_put_u32(w, "bert.attention.head_count", (uint32_t)c->heads);
    pr_gguf_put_f32(w, "bert.attention.layer_norm_epsilon", c->epsilon);
    pr_gguf_put_boolean(w, "bert.attention.causal", false);
    pr_gguf_put_u32(w, "bert.pooling_type", 2); /* the first token's row */
    pr_gguf_put_text(w, "primer.kind", c->kind == PR_BERT ? "bert" : "distilbert");
    pr_gguf_put_f32(w, "primer.dropout", c->dropout);
    pr_gguf_put_f32(w, "primer.attention_dropout", c->attention_dropout);
    pr_gguf_put_f32(w, "primer.head_dropout", c->head_dropout);
    if (c->regression) pr_gguf_put_boolean(w, "primer.regression", true);
}

static void put_method(pr_gguf_writer *w, const pr_model *model) {
    pr_gguf_put_text(w, "primer.method", model->method->name);
    pr_gguf_put_u32(w, "primer.size", (uint32_t)model->options.size);
    pr_gguf_put_u32(w, "primer.prime", (uint32_t)model->options.prime);
    pr_gguf_put_f32(w, "primer.scale", model->options.scale);
}

/* The names of the base's weights that trained: where there are none the method's tensors, the
 * biases, the norms and the head are all that tells the model from its base. */
static pr_status put_trained(pr_gguf_writer *w, const pr_model *model, pr_error *err) {
    size_t most = (size_t)pr_store_count(model->store), n = 0;
    if (model->untold) return PR_OK;
    const char **names = pr_alloc(most, sizeof *names);
    if (!names) return pr_fail_memory(err, "names of weights", most * sizeof *names);
    for (int i = -1; (i = pr_model_next_trained(model, i)) >= 0;)
        names[n++] = pr_store_param(model->store, i)->name;
    pr_gguf_put_texts(w, "primer.base_changed", names, n);
    pr_free((void *)names);
    return PR_OK;
}

static pr_status put_vocab(pr_gguf_writer *w, const pr_vocab *vocab, pr_error *err) {
    size_t n = (size_t)vocab->n;
    char **pieces = pr_alloc(n, sizeof *pieces);
    int32_t *types = pr_alloc(n, sizeof *types);
    bool whole = pieces && types;
    for (int32_t i = 0; i < vocab->n && whole; i++) {
        pieces[i] = pr_vocab_gguf_piece(vocab, i);
        types[i] = pr_vocab_gguf_type(vocab, i);
        whole = pieces[i] != NULL;
    }
    if (whole) {
        pr_gguf_put_text(w, "tokenizer.ggml.model", "bert");
        pr_gguf_put_text(w, "tokenizer.ggml.pre", "bert-bge");
        pr_gguf_put_texts(w, "tokenizer.ggml.tokens", (const char *const *)pieces, n);
        pr_gguf_put_i32s(w, "tokenizer.ggml.token_type", types, n);
        pr_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", (uint32_t)vocab->unknown);
        pr_gguf_put_u32(w, "tokenizer.ggml.cls_token_id", (uint32_t)vocab->cls);
        pr_gguf_put_u32(w, "tokenizer.ggml.seperator_token_id", (uint32_t)vocab->sep);
        if (vocab->pad >= 0) {
            pr_gguf_put_u32(w, "tokenizer.ggml.padding_token_id", (uint32_t)vocab->pad);
        }
        if (vocab->mask >= 0) {
            pr_gguf_put_u32(w, "tokenizer.ggml.mask_token_id", (uint32_t)vocab->mask);
        }
    }
    for (size_t i = 0; pieces && i < n; i++)
        pr_free(pieces[i]);
    pr_free(pieces);
    pr_free(types);
    return whole ? PR_OK : pr_fail_memory(err, "the vocabulary", n * sizeof *pieces);
}

static bool is_wrapped(const char *name) {
    for (const char *const *part = pr_method_linears; *part; part++) {
        char pattern[80];
        snprintf(pattern, sizeof pattern, "blk.*.%s.weight", *part);
        if (pr_glob(pattern, name)) return true;
    }
    return false;
}

bool pr_model_is_added(const pr_model *model, int param) {
    const char *added = model->method->added;
    return added && pr_glob(added, pr_store_param(model->store, param)->name);
}

bool pr_model_is_base_weight(const pr_model *model, int param) {
    const pr_param *p = pr_store_param(model->store, param);
    return p->shape.n_dims >= 2 && !pr_model_is_added(model, param) && !pr_glob("cls*", p->name);
}

int pr_model_next_trained(const pr_model *model, int after) {
    for (int i = after + 1; i < pr_store_count(model->store); i++) {
        bool trained = pr_store_param(model->store, i)->since >= 0;
        if (trained && pr_model_is_base_weight(model, i)) return i;
    }
    return -1;
}

pr_status pr_model_check_folds(const pr_model *model, pr_error *err) {
    const pr_method *method = model->method;
    if (!method->add || method->collapse) return PR_OK;
    return pr_fail(err, PR_BAD_ARGUMENT, "what the method '%s' adds can't be folded in: %s",
                   method->name, method->why_not);
}

pr_status pr_model_read_folded(const pr_model *model, int param, float *to, pr_error *err) {
    const char *name = pr_store_param(model->store, param)->name;
    pr_status status = pr_store_read(model->store, param, to, err);
    if (status != PR_OK || !model->method->collapse || !is_wrapped(name)) return status;
    char linear[80];
    snprintf(linear, sizeof linear, "%.*s", (int)(strlen(name) - strlen(".weight")), name);
    return model->method->collapse(model->store, linear, &model->options, to, err);
}

/* Both for pr_gguf_put_filled, when the tensor's turn to be written comes. */
static pr_status read_tensor(const void *context, const char *name, float *to, pr_error *err) {
    const pr_model *model = context;
    return pr_store_read(model->store, pr_store_find(model->store, name), to, err);
}

static pr_status fold_tensor(const void *context, const char *name, float *to, pr_error *err) {
    const pr_model *model = context;
    return pr_model_read_folded(model, pr_store_find(model->store, name), to, err);
}

/* What still lies in the model's file is read to be written, and not needed resident for that. */
static void let_go(const void *context, const char *name, const float *data, size_t bytes) {
    const pr_store *store = context;
    const pr_param *p = pr_store_param(store, pr_store_find(store, name));
    if (p && !p->owned) pr_store_release_pages(store, data, bytes);
}

typedef struct saving {
    const pr_model *model;
    pr_gguf_writer *writer;
    bool collapse;
} saving;

/* Every parameter in the store's order: the base's, the head's, the method's. Collapsed, the
 * method's are left out and the layers beside which they stood are folded as they are written. */
static void put_parameters(const saving *s) {
    const pr_store *store = s->model->store;
    for (int i = 0; i < pr_store_count(store); i++) {
        const pr_param *p = pr_store_param(store, i);
        if (s->collapse && pr_model_is_added(s->model, i)) continue;
        if (s->collapse && is_wrapped(p->name)) {
            pr_gguf_put_filled(s->writer, p->name, p->shape, PR_FORMAT_F32, fold_tensor, s->model);
        } else if (pr_store_backend(store)->host_visible && p->data) {
            pr_gguf_put_tensor(s->writer, p->name, p->shape, PR_FORMAT_F32, p->data);
        } else {
            pr_gguf_put_filled(s->writer, p->name, p->shape, PR_FORMAT_F32, read_tensor, s->model);
        }
    }
}

static pr_status put_model(const saving *s, pr_error *err) {
    const pr_model *model = s->model;
    put_config(s->writer, &model->config);
    pr_status status = PR_OK;
    if (!s->collapse && model->method->add) {
        put_method(s->writer, model);
        status = put_trained(s->writer, model, err);
    }
    if (model->label) {
        pr_gguf_put_texts(s->writer, "bert.classifier.output_labels",
                          (const char *const *)model->label, (size_t)model->config.labels);
    }
    if (status == PR_OK) status = put_vocab(s->writer, model->vocab, err);
    if (status == PR_OK) put_parameters(s);
    return status;
}

pr_status pr_model_save(const pr_model *model, const char *path, bool collapse, pr_error *err) {
    pr_status status = collapse ? pr_model_check_folds(model, err) : PR_OK;
    if (status != PR_OK) return status;
    saving s = {model, pr_gguf_writer_new(), collapse && model->method->collapse};
    if (!s.writer) return pr_fail_memory(err, "writing a model", 1);
    pr_gguf_on_written(s.writer, let_go, model->store);
    status = put_model(&s, err);
    if (status == PR_OK) status = pr_gguf_write(s.writer, path, err);
    pr_gguf_writer_free(s.writer);
    return status;
}
