/* A model to a Hugging Face directory. */
#include "graph/memory.h"
#include "models/file.h"
#include "models/hf.h"
#include "models/safetensors.h"

static pr_status write_vocab(const void *context, const char *path, pr_error *err) {
    const pr_vocab *vocab = ((const pr_model *)context)->vocab;
    pr_file_writer *file = pr_file_writer_open(path, err);
    if (!file) return err ? err->code : PR_IO;
    for (int32_t i = 0; i < vocab->n; i++) {
        pr_file_write_text(file, vocab->piece[i]);
        pr_file_write_text(file, "\n");
    }
    return pr_file_commit(file, err);
}

/* What fills one tensor of a safetensors file. */
typedef struct folded {
    const pr_model *model;
    int param;
} folded;

static pr_status fill(const void *context, const char *name, float *to, pr_error *err) {
    const folded *f = context;
    (void)name;
    return pr_model_read_folded(f->model, f->param, to, err);
}

pr_status pr_hf_write_tensors(const pr_model *model, pr_hf_namer name_of, const char *path,
                              pr_error *err) {
    int n = pr_store_count(model->store);
    folded *each = pr_alloc((size_t)n, sizeof *each);
    if (!each) return pr_fail_memory(err, path, (size_t)n * sizeof *each);
    pr_outgoing list = {0};
    pr_status status = PR_OK;
    for (int i = 0; status == PR_OK && i < n; i++) {
        const pr_param *p = pr_store_param(model->store, i);
        char name[PR_HF_NAME];
        status = name_of(model, i, name, err);
        if (status != PR_OK || !name[0]) continue;
        each[i] = (folded){model, i};
        status = pr_outgoing_add_filled(&list, name, p->shape, PR_FORMAT_F32, fill, &each[i], err);
    }
    if (status == PR_OK) status = pr_safetensors_write(&list, path, err);
    pr_outgoing_clear(&list);
    pr_free(each);
    return status;
}

static pr_status name_tensor(const pr_model *model, int param, char out[PR_HF_NAME],
                             pr_error *err) {
    const char *name = pr_store_param(model->store, param)->name;
    out[0] = 0;
    if (pr_model_is_added(model, param) || pr_hf_from_gguf(model->config.kind, name, out))
        return PR_OK;
    return pr_fail(err, PR_INTERNAL, "'%s' has no name in a Hugging Face file", name);
}

static pr_status write_weights(const void *context, const char *path, pr_error *err) {
    return pr_hf_write_tensors(context, name_tensor, path, err);
}

static pr_status write_tokenizer(const void *context, const char *path, pr_error *err) {
    char *text = pr_hf_tokenizer_text(context);
    pr_status status = pr_hf_write_text(path, text, err);
    pr_free(text);
    return status;
}

pr_status pr_hf_write_config(const pr_model *model, const char *path, pr_error *err) {
    char *text = pr_hf_config_text(model);
    pr_status status = pr_hf_write_text(path, text, err);
    pr_free(text);
    return status;
}

static pr_status write_config(const void *context, const char *path, pr_error *err) {
    return pr_hf_write_config(context, path, err);
}

pr_status pr_model_export(const pr_model *model, const char *directory, pr_error *err) {
    /* config.json is the last: a directory without it is no model to anyone. */
    static const pr_hf_output outputs[] = {{"vocab.txt", write_vocab},
                                           {"tokenizer_config.json", write_tokenizer},
                                           {"model.safetensors", write_weights},
                                           {"config.json", write_config},
                                           {NULL, NULL}};
    pr_status status = pr_model_check_folds(model, err);
    return status == PR_OK ? pr_hf_write_directory(directory, outputs, model, err) : status;
}
