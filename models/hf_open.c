/* A model from a Hugging Face directory. */
#include <string.h>
#include <unistd.h>

#include "graph/memory.h"
#include "graph/names.h"
#include "models/file.h"
#include "models/hf.h"
#include "models/json.h"
#include "models/load.h"
#include "models/safetensors.h"

/* What a directory's model stands on: the mapped weights, by their GGUF names. */
typedef struct source {
    pr_bert_kind kind;
    pr_safetensors *file;
    pr_names *by_gguf;
} source;

static void free_source(void *opaque) {
    source *s = opaque;
    if (!s) return;
    pr_safetensors_close(s->file);
    pr_names_free(s->by_gguf);
    pr_free(s);
}

static void release_pages(void *context, const void *data, size_t bytes) {
    (void)context;
    pr_file_release(data, bytes);
}

static const pr_stored *find_tensor(const void *context, const char *name) {
    const source *s = context;
    int32_t index = pr_names_get(s->by_gguf, name);
    return index < 0 ? NULL : pr_safetensors_tensor(s->file, index);
}

static const char *spell(const void *context, const char *name, char out[PR_HF_NAME]) {
    const source *s = context;
    return pr_hf_from_gguf(s->kind, name, out) ? out : name;
}

/* Gives every tensor its GGUF name; one that has none must be known as no part of the model. */
static pr_status index_tensors(source *s, const char *path, pr_bert_kind kind, pr_error *err) {
    for (int i = 0; i < pr_safetensors_count(s->file); i++) {
        const char *name = pr_safetensors_tensor(s->file, i)->name;
        char gguf[PR_HF_NAME];
        if (pr_hf_is_skipped(name)) continue;
        if (!pr_hf_to_gguf(kind, name, gguf))
            return pr_fail(err, PR_BAD_FILE, "%s: tensor '%s' has no place in a %s", path, name,
                           kind == PR_BERT ? "BERT" : "DistilBERT");
        int32_t other = pr_names_get(s->by_gguf, gguf);
        if (other >= 0)
            return pr_fail(err, PR_BAD_FILE, "%s: tensors '%s' and '%s' are the same one, '%s'",
                           path, pr_safetensors_tensor(s->file, other)->name, name, gguf);
        if (pr_names_put(s->by_gguf, gguf, i) != PR_OK)
            return pr_fail_memory(err, gguf, sizeof gguf);
    }
    return PR_OK;
}

static pr_status read_weights(pr_model *model, const char *directory, const json_t *config,
                              const char *config_path, pr_error *err) {
    source *s = model->source;
    char *path = pr_hf_path(directory, "model.safetensors", err);
    if (!path) return PR_NO_MEMORY;
    s->kind = model->config.kind;
    s->file = pr_safetensors_open(path, err);
    pr_status status =
        s->file ? index_tensors(s, path, model->config.kind, err) : (err ? err->code : PR_BAD_FILE);
    if (status == PR_OK) {
        const pr_weights weights = {s, path, find_tensor, spell};
        const pr_stored *head = find_tensor(s, "cls.output.weight");
        model->has_head = head != NULL;
        model->has_pooler = find_tensor(s, "cls.weight") != NULL;
        model->config.labels =
            head && head->shape.dim[0] <= INT32_MAX ? (int32_t)head->shape.dim[0] : 0;
        if (head) status = pr_hf_read_labels(config, config_path, model, err);
        if (status == PR_OK) status = pr_load_parameters(model, &weights, err);
    }
    pr_free(path);
    return status;
}

/* Primer's tokenizer is the uncased BERT's; a directory that asks for another would be read wrongly
 * without a word. */
static pr_status check_tokenizer(const char *directory, pr_error *err) {
    static const char *const settings[] = {"do_lower_case", "strip_accents",
                                           "tokenize_chinese_chars"};
    char *path = pr_hf_path(directory, "tokenizer_config.json", err);
    if (!path) return PR_NO_MEMORY;
    pr_status status = PR_OK;
    if (access(path, F_OK) == 0) {
        json_t *root = pr_json_read(path, err);
        if (!root) status = err ? err->code : PR_BAD_FILE;
        for (size_t i = 0; status == PR_OK && i < sizeof settings / sizeof *settings; i++) {
            if (json_is_false(json_object_get(root, settings[i])))
                status = pr_fail(err, PR_UNSUPPORTED,
                                 "%s: '%s' is false; only the uncased BERT's tokenizer is known",
                                 path, settings[i]);
        }
        json_decref(root);
    }
    pr_free(path);
    return status;
}

static pr_status read_vocab(pr_model *model, const char *directory, pr_error *err) {
    pr_status status = check_tokenizer(directory, err);
    char *path = status == PR_OK ? pr_hf_path(directory, "vocab.txt", err) : NULL;
    if (path && access(path, F_OK) != 0) {
        pr_free(path);
        path = pr_hf_path(directory, "tokenizer.json", err);
        if (path && access(path, F_OK) != 0) {
            pr_free(path);
            return pr_fail(err, PR_IO, "%s: neither vocab.txt nor tokenizer.json is there",
                           directory);
        }
    }
    if (!path) return status != PR_OK ? status : PR_NO_MEMORY;
    model->vocab = pr_vocab_read(path, err);
    status = model->vocab ? pr_load_check_vocab(model, path, err) : (err ? err->code : PR_BAD_FILE);
    pr_free(path);
    return status;
}

static pr_status read_directory(pr_model *model, const char *directory, pr_error *err) {
    char *path = pr_hf_path(directory, "config.json", err);
    if (!path) return PR_NO_MEMORY;
    json_t *config = pr_json_read(path, err);
    pr_status status = config ? pr_hf_read_config(config, path, &model->config, err)
                              : (err ? err->code : PR_BAD_FILE);
    if (status == PR_OK) status = read_vocab(model, directory, err);
    if (status == PR_OK) status = read_weights(model, directory, config, path, err);
    json_decref(config);
    pr_free(path);
    return status;
}

pr_model *pr_model_open_directory(const char *directory, pr_backend *backend, pr_error *err) {
    pr_model *model = pr_alloc(1, sizeof *model);
    source *s = pr_alloc(1, sizeof *s);
    if (!model || !s) {
        pr_fail_memory(err, "a model", sizeof *model);
        pr_free(model);
        pr_free(s);
        return NULL;
    }
    model->source = s;
    model->source_free = free_source;
    model->method = pr_methods[0];
    model->store = pr_store_new(backend);
    s->by_gguf = pr_names_new();
    if (!model->store || !s->by_gguf) {
        pr_fail_memory(err, "a model", sizeof *model);
    } else if (read_directory(model, directory, err) == PR_OK) {
        pr_store_on_release(model->store, release_pages, NULL);
        return model;
    }
    pr_model_free(model);
    return NULL;
}
