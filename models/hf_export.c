/* A model to a Hugging Face directory. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph/memory.h"
#include "models/file.h"
#include "models/hf.h"
#include "models/safetensors.h"

/* config.json is the last: a directory without it is no model to anyone. */
static const char *const outputs[] = {"vocab.txt", "tokenizer_config.json", "model.safetensors",
                                      "config.json"};
enum { OUTPUTS = sizeof outputs / sizeof *outputs };

static bool is_output(const char *name) {
    for (int i = 0; i < OUTPUTS; i++) {
        if (strcmp(name, outputs[i]) == 0) return true;
    }
    return false;
}

/* Makes the directory, or takes one that holds nothing but an earlier export: another model's
 * tokenizer.json, say, would be read along with these files. */
static pr_status enter_directory(const char *directory, bool *made, pr_error *err) {
    *made = mkdir(directory, 0777) == 0;
    if (*made) return PR_OK;
    DIR *dir = errno == EEXIST ? opendir(directory) : NULL;
    if (!dir && errno == ENOTDIR)
        return pr_fail(err, PR_IO, "%s: is there and no directory", directory);
    if (!dir)
        return pr_fail(err, PR_IO, "%s: can't be made a directory: %s", directory, strerror(errno));
    pr_status status = PR_OK;
    for (const struct dirent *e; status == PR_OK && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && !is_output(e->d_name))
            status = pr_fail(err, PR_IO,
                             "%s: holds '%s', which is no part of an exported model; choose an "
                             "empty or a new directory",
                             directory, e->d_name);
    }
    closedir(dir);
    return status;
}

static pr_status write_text(const char *path, const char *text, pr_error *err) {
    if (!text) return pr_fail_memory(err, path, 1);
    pr_file_writer *file = pr_file_writer_open(path, err);
    if (!file) return err ? err->code : PR_IO;
    pr_file_write_text(file, text);
    pr_file_write_text(file, "\n");
    return pr_file_commit(file, err);
}

static pr_status write_vocab(const char *path, const pr_vocab *vocab, pr_error *err) {
    pr_file_writer *file = pr_file_writer_open(path, err);
    if (!file) return err ? err->code : PR_IO;
    for (int32_t i = 0; i < vocab->n; i++) {
        pr_file_write_text(file, vocab->piece[i]);
        pr_file_write_text(file, "\n");
    }
    return pr_file_commit(file, err);
}

/* What fills one tensor of model.safetensors. */
typedef struct folded {
    const pr_model *model;
    int param;
} folded;

static pr_status fill(const void *context, const char *name, float *to, pr_error *err) {
    const folded *f = context;
    (void)name;
    return pr_model_read_folded(f->model, f->param, to, err);
}

static pr_status write_weights(const char *path, const pr_model *model, pr_error *err) {
    int n = pr_store_count(model->store);
    folded *each = pr_alloc((size_t)n, sizeof *each);
    if (!each) return pr_fail_memory(err, path, (size_t)n * sizeof *each);
    pr_outgoing list = {0};
    pr_status status = PR_OK;
    for (int i = 0; status == PR_OK && i < n; i++) {
        const pr_param *p = pr_store_param(model->store, i);
        char name[PR_HF_NAME];
        if (pr_model_is_added(model, i)) continue;
        each[i] = (folded){model, i};
        if (pr_hf_from_gguf(model->config.kind, p->name, name))
            status =
                pr_outgoing_add_filled(&list, name, p->shape, PR_FORMAT_F32, fill, &each[i], err);
        else
            status = pr_fail(err, PR_INTERNAL, "%s: '%s' has no name in a Hugging Face file", path,
                             p->name);
    }
    if (status == PR_OK) status = pr_safetensors_write(&list, path, err);
    pr_outgoing_clear(&list);
    pr_free(each);
    return status;
}

static pr_status write_output(const pr_model *model, int which, const char *path, pr_error *err) {
    if (which == 0) return write_vocab(path, model->vocab, err);
    if (which == 2) return write_weights(path, model, err);
    char *text = which == 1 ? pr_hf_tokenizer_text(model) : pr_hf_config_text(model);
    pr_status status = write_text(path, text, err);
    pr_free(text);
    return status;
}

pr_status pr_model_export(const pr_model *model, const char *directory, pr_error *err) {
    bool made = false;
    pr_status status = pr_model_check_folds(model, err);
    if (status == PR_OK) status = enter_directory(directory, &made, err);
    for (int i = 0; status == PR_OK && i < OUTPUTS; i++) {
        char *path = pr_hf_path(directory, outputs[i], err);
        status = path ? write_output(model, i, path, err) : PR_NO_MEMORY;
        pr_free(path);
    }
    for (int i = 0; made && status != PR_OK && i < OUTPUTS; i++) {
        char *path = pr_hf_path(directory, outputs[i], NULL);
        if (path) unlink(path);
        pr_free(path);
    }
    if (made && status != PR_OK) rmdir(directory);
    return status;
}
