/* Hugging Face directories: config.json, model.safetensors and a vocabulary, as transformers writes
 * and reads them. What pr_model_open and pr_model_export are made of; internal to models/. */
#ifndef PR_HF_H
#define PR_HF_H

#include <jansson.h>

#include "models/model.h"

enum { PR_HF_NAME = 256 }; /* room for a tensor's name, either's */

/* ---- directories ---- */

/* DIRECTORY/NAME, to be freed with pr_free; NULL with err set. */
char *pr_hf_path(const char *directory, const char *name, pr_error *err);

/* A file of a directory, and what writes it, whole or not at all. */
typedef struct pr_hf_output {
    const char *name;
    pr_status (*write)(const void *context, const char *path, pr_error *err);
} pr_hf_output;

/* Writes the files in their order, up to one without a name, into a directory that is made, or that
 * holds nothing but files of these names. One that was made is gone again on a fault. */
pr_status pr_hf_write_directory(const char *directory, const pr_hf_output *outputs,
                                const void *context, pr_error *err);

/* Writes a text and a newline as a file. PR_NO_MEMORY where text is NULL: it could not be made. */
pr_status pr_hf_write_text(const char *path, const char *text, pr_error *err);

/* ---- names: both ways through one table a kind ---- */

/* The GGUF name of a tensor of a Hugging Face file: with or without the encoder's prefix, with
 * gamma and beta for weight and bias as old files have it. False where it has none. */
bool pr_hf_to_gguf(pr_bert_kind kind, const char *name, char out[PR_HF_NAME]);
/* What *ForSequenceClassification calls it. False where it has no such tensor. */
bool pr_hf_from_gguf(pr_bert_kind kind, const char *name, char out[PR_HF_NAME]);
/* Whether a tensor is passed over: no weight (position_ids), or of a head that classifies no
 * sentences (masked words, questions). */
bool pr_hf_is_skipped(const char *name);

/* Gives a parameter its name in a file, or an empty one where the file leaves it out. */
typedef pr_status (*pr_hf_namer)(const pr_model *model, int param, char out[PR_HF_NAME],
                                 pr_error *err);

/* Writes a safetensors file of a model's parameters, what the method added folded in, under the
 * names that name_of gives. */
pr_status pr_hf_write_tensors(const pr_model *model, pr_hf_namer name_of, const char *path,
                              pr_error *err);

/* ---- config.json ---- */

/* Reads all but config->labels and config->regression, which the weights tell. PR_BAD_FILE for a
 * field of a wrong type or size; PR_UNSUPPORTED for what would make another model (activation,
 * relative positions, a decoder). */
pr_status pr_hf_read_config(const json_t *root, const char *path, pr_bert_config *config,
                            pr_error *err);
/* The labels of a head with n outputs: id2label, or LABEL_0, LABEL_1, ... where it is absent. Sets
 * model->label and config.regression. */
pr_status pr_hf_read_labels(const json_t *root, const char *path, pr_model *model, pr_error *err);
/* Writes a model's config.json. */
pr_status pr_hf_write_config(const pr_model *model, const char *path, pr_error *err);
/* The text of config.json and of tokenizer_config.json, to be freed with pr_free; NULL without
 * memory. */
char *pr_hf_config_text(const pr_model *model);
char *pr_hf_tokenizer_text(const pr_model *model);

#endif
