/* From stored tensors to a model's parameters: what the readers of GGUF files and of Hugging Face
 * directories share. Internal to models/. */
#ifndef PR_LOAD_H
#define PR_LOAD_H

#include "models/hf.h"
#include "models/model.h"
#include "models/stored.h"

/* The tensors of a file by their GGUF names. */
typedef struct pr_weights {
    const void *context;
    const char *path;                                                /* for messages */
    const pr_stored *(*find)(const void *context, const char *name); /* NULL: there is none */
    /* What the file calls a tensor, for messages, in out or not; NULL: as its GGUF name. */
    const char *(*spell)(const void *context, const char *name, char out[PR_HF_NAME]);
} pr_weights;

/* Adds the parameters of model->config to model->store: in place where the file holds aligned f32,
 * widened otherwise. Shapes and values are checked. Without has_head, cls.output is left out (and
 * cls, without has_pooler): pr_model_set_labels makes them. A fused blk.N.attn_qkv serves as q, k,
 * v. */
pr_status pr_load_parameters(pr_model *model, const pr_weights *weights, pr_error *err);

/* Fills what the model's method has added to the store from the file. */
pr_status pr_load_method(pr_model *model, const pr_weights *weights, pr_error *err);

/* model->label from n names; PR_BAD_FILE, naming the path, when they are not as many as the head's
 * rows or one comes twice. */
pr_status pr_load_labels(pr_model *model, const char *path, const char *const *names, size_t n,
                         pr_error *err);

/* The vocabulary must have as many pieces as token_embd has rows: more, and ids would point
 * outside. */
pr_status pr_load_check_vocab(const pr_model *model, const char *path, pr_error *err);

/* The two readers behind pr_model_open. */
pr_model *pr_model_open_gguf(const char *path, pr_backend *backend, pr_error *err);
pr_model *pr_model_open_directory(const char *path, pr_backend *backend, pr_error *err);

#endif
