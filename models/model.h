/* A model as it lies in a file: its config, its parameters, its vocabulary, its labels, and the
 * method it was tuned with, so that whoever opens the file need not be told. */
#ifndef PR_MODEL_H
#define PR_MODEL_H

#include "models/method.h"
#include "models/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_model {
    pr_bert_config config;
    const pr_method *method; /* full for a plain model */
    pr_method_options options;
    void *state; /* what the method keeps of a run; NULL for most */
    pr_store *store;
    pr_vocab *vocab;
    char **label;    /* (config.labels), or NULL: a model without a head's labels, or regression */
    bool has_head;   /* the file held cls.output: the model was tuned before */
    bool has_pooler; /* the file held cls */
    bool untold;     /* tuned with a method, and the file does not say which base weights trained */
    void *source;    /* what keeps mapped parameters' bytes alive; the model's own */
    void (*source_free)(void *source);
} pr_model;

/* Opens a GGUF file or a Hugging Face directory. Plain f32 weights stay in the file's mapping;
 * others are widened to f32. Every weight is looked at once: NaN or infinity is PR_BAD_FILE, naming
 * the tensor. The backend must outlive the model. NULL with err set. */
pr_model *pr_model_open(const char *path, pr_backend *backend, pr_error *err);

/* A model of the config with weights N(0, 0.02), norms 1, biases 0, and the vocabulary, which is
 * then the model's (also on failure). */
pr_model *pr_model_random(const pr_bert_config *config, pr_vocab *vocab, pr_backend *backend,
                          uint64_t seed, pr_error *err);

void pr_model_free(pr_model *model);

/* Gives the model a head for these labels (n >= 2 names, or n = 1 and names NULL for regression).
 * A head that fits, label by label, stays; otherwise cls.output is made new, N(0, 0.02) and zero
 * biases, and so is cls where the file had none. *made says whether it was. The model must not have
 * been built into a graph yet. */
pr_status pr_model_set_labels(pr_model *model, const char *const *names, int32_t n, uint64_t seed,
                              bool *made, pr_error *err);

/* Gives a plain model a method: adds what the method adds, drawn at random, and arranges the
 * parameters as the method trains them. A model that was tuned with a method before must be
 * collapsed first: PR_BAD_ARGUMENT. */
pr_status pr_model_set_method(pr_model *model, const pr_method *method,
                              const pr_method_options *options, pr_error *err);

/* What the method does right before what is primed freezes. */
pr_status pr_model_flip(pr_model *model, pr_error *err);

/* Brings the parameters back to a model's own arrangement, where the method had another: before the
 * model is saved, and once no graph looks at it. The model is a plain one then. */
pr_status pr_model_end_method(pr_model *model, pr_error *err);

/* The forward graph; faults stick to g. */
pr_bert pr_model_build(const pr_model *model, pr_graph *g);

/* Whether a pattern (pr_glob) matches the name that a parameter has in the model's file. */
bool pr_model_matches(const pr_model *model, const char *pattern);

/* Sets requires-grad of every parameter whose name in the model's file matches the pattern
 * (pr_glob): where the method has cut it in two, of both leaves. PR_BAD_ARGUMENT when nothing
 * matches. */
pr_status pr_model_require_grad(pr_model *model, const char *pattern, bool on, pr_error *err);

/* Whether a parameter is the method's rather than the base's or the head's. */
bool pr_model_is_added(const pr_model *model, int param);

/* Whether it is one of the base's weights: the embeddings and the matrices of the blocks' linear
 * layers, not biases and norms. */
bool pr_model_is_base_weight(const pr_model *model, int param);

/* The first of the base's weights with a number above `after` that has trained, here or before the
 * model was saved; -1 when there is none. */
int pr_model_next_trained(const pr_model *model, int after);

/* PR_BAD_ARGUMENT, saying why, where what the method added can't be folded into the weights. */
pr_status pr_model_check_folds(const pr_model *model, pr_error *err);

/* Copies a parameter of the base or the head to the host, what the method adds beside it folded in
 * where it can be (W + s P2 P1). */
pr_status pr_model_read_folded(const pr_model *model, int param, float *to, pr_error *err);

/* Writes the model as GGUF (f32). With collapse what the method added is folded into the weights,
 * and the file is a plain model: the base's tensors and cls*. PR_BAD_ARGUMENT where the method
 * cannot be collapsed. */
pr_status pr_model_save(const pr_model *model, const char *path, bool collapse, pr_error *err);

/* Writes a Hugging Face directory (config.json, model.safetensors, vocab.txt,
 * tokenizer_config.json) with the weights collapsed. PR_BAD_ARGUMENT where the method cannot be. */
pr_status pr_model_export(const pr_model *model, const char *directory, pr_error *err);

/* PR_BAD_ARGUMENT, saying why in a clause, where a tuned model is no PEFT adapter of its base: its
 * method has no counterpart there, or weights of the base trained. */
pr_status pr_model_check_peft(const pr_model *model, pr_error *err);

/* Writes a PEFT adapter directory (adapter_config.json, adapter_model.safetensors, and a
 * model_config.json that tells the labels) of a model that pr_model_check_peft lets through. base
 * is what adapter_config.json calls the model that was tuned, UTF-8, or NULL. */
pr_status pr_model_export_peft(const pr_model *model, const char *base, const char *directory,
                               pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
