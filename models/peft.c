/* A tuned model to a PEFT adapter directory (https://github.com/huggingface/peft), where its method
 * is what PEFT calls LoRA, y = W x + b + (alpha / r) B A x. Beside A and B of each linear layer it
 * holds all else that may have trained: the layers' biases (bias "lora_only", as .base_layer.bias)
 * and, as modules_to_save, the norms and the head. W and the embeddings are the base's own, which
 * PEFT loads from elsewhere: they must be as they were. model_config.json is the whole model's
 * config.json, which tells how many labels the head has, and their names; under its own name
 * transformers would take the directory for a model's. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/memory.h"
#include "models/hf.h"
#include "models/json.h"

static const char prefix[] = "base_model.model.";

pr_status pr_model_check_peft(const pr_model *model, pr_error *err) {
    const pr_method *method = model->method;
    if (!method->add) {
        return pr_fail(err, PR_BAD_ARGUMENT,
                       "it is a plain model, and nothing stands beside its weights");
    }
    if (!method->peft) {
        return pr_fail(err, PR_BAD_ARGUMENT, "PEFT has no method that is like '%s'", method->name);
    }
    if (!model->has_head) return pr_fail(err, PR_BAD_ARGUMENT, "it has no classification head");
    if (model->untold) {
        return pr_fail(err, PR_BAD_ARGUMENT,
                       "the file does not say whether the base's weights trained, as an older "
                       "Primer wrote it");
    }
    int first = pr_model_next_trained(model, -1), n = 0;
    for (int i = first; i >= 0; i = pr_model_next_trained(model, i))
        n++;
    if (n == 0) return PR_OK;
    return pr_fail(err, PR_BAD_ARGUMENT,
                   "%d of the base's weights trained too, '%s' the first, and an adapter leaves "
                   "these as they were",
                   n, pr_store_param(model->store, first)->name);
}

/* ---- adapter_model.safetensors ---- */

/* Takes an ending off a name. */
static bool cut(char *name, const char *ending) {
    size_t n = strlen(name), m = strlen(ending);
    if (n < m || strcmp(name + n - m, ending) != 0) return false;
    name[n - m] = 0;
    return true;
}

/* Whether name, without its last part, is one of a block's linear layers. */
static bool is_linear(const char *name) {
    for (const char *const *part = pr_method_linears; *part; part++) {
        char pattern[80];
        snprintf(pattern, sizeof pattern, "blk.*.%s.{weight,bias}", *part);
        if (pr_glob(pattern, name)) return true;
    }
    return false;
}

/* "blk.0.attn_q.weight.lora_a" is "base_model.model.(query of layer 0).lora_A.weight". */
static pr_status name_tensor(const pr_model *model, int param, char out[PR_HF_NAME],
                             pr_error *err) {
    char name[PR_HF_NAME], hf[PR_HF_NAME];
    out[0] = 0;
    if (pr_model_is_base_weight(model, param)) return PR_OK;
    snprintf(name, sizeof name, "%s", pr_store_param(model->store, param)->name);
    const char *last = cut(name, ".lora_a")   ? ".lora_A.weight"
                       : cut(name, ".lora_b") ? ".lora_B.weight"
                       : is_linear(name)      ? ".base_layer.bias"
                                              : "";
    int n = -1;
    if (pr_hf_from_gguf(model->config.kind, name, hf)) {
        if (*last) *strrchr(hf, '.') = 0; /* .weight or .bias */
        n = snprintf(out, PR_HF_NAME, "%s%s%s", prefix, hf, last);
    }
    if (n > 0 && n < PR_HF_NAME) return PR_OK;
    return pr_fail(err, PR_INTERNAL, "'%s' has no name in a PEFT adapter", name);
}

/* ---- adapter_config.json ---- */

/* Of the six linear layers, as the ends of their names: ".output.dense" is attention's too, and not
 * the pooler's. */
static json_t *target_modules(pr_bert_kind kind) {
    return kind == PR_BERT
               ? json_pack("[s, s, s, s, s, s]", "query", "key", "value", "attention.output.dense",
                           "intermediate.dense", "output.dense")
               : json_pack("[s, s, s, s, s, s]", "q_lin", "k_lin", "v_lin", "out_lin", "lin1",
                           "lin2");
}

/* What trains beside them: the norms, the embeddings' among them, and the head. */
static json_t *modules_to_save(pr_bert_kind kind) {
    return kind == PR_BERT ? json_pack("[s, s, s]", "LayerNorm", "pooler", "classifier")
                           : json_pack("[s, s, s, s, s]", "LayerNorm", "sa_layer_norm",
                                       "output_layer_norm", "pre_classifier", "classifier");
}

/* alpha = scale x rank, a whole number where it is one. */
static json_t *alpha(const pr_method_options *options) {
    double value = pr_json_shortest(options->scale, options->size);
    bool whole = value == floor(value) && fabs(value) < 1e15;
    return whole ? json_integer((json_int_t)value) : json_real(value);
}

static char *config_text(const pr_model *model, const char *base) {
    pr_bert_kind kind = model->config.kind;
    json_t *root = json_pack(
        "{s:s, s:s, s:s?, s:b, s:i, s:o, s:f, s:s, s:b, s:o, s:o}", "peft_type",
        model->method->peft, "task_type", "SEQ_CLS", "base_model_name_or_path", base,
        "inference_mode", 1, "r", (int)model->options.size, "lora_alpha", alpha(&model->options),
        "lora_dropout", 0.0, "bias", "lora_only", "fan_in_fan_out", 0, "target_modules",
        target_modules(kind), "modules_to_save", modules_to_save(kind));
    char *text = pr_json_text(root, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_decref(root);
    return text;
}

/* ---- the directory ---- */

typedef struct adapter {
    const pr_model *model;
    const char *base; /* for adapter_config.json; may be NULL */
} adapter;

static pr_status write_tensors(const void *context, const char *path, pr_error *err) {
    return pr_hf_write_tensors(((const adapter *)context)->model, name_tensor, path, err);
}

static pr_status write_model_config(const void *context, const char *path, pr_error *err) {
    return pr_hf_write_config(((const adapter *)context)->model, path, err);
}

static pr_status write_config(const void *context, const char *path, pr_error *err) {
    const adapter *a = context;
    char *text = config_text(a->model, a->base);
    pr_status status = pr_hf_write_text(path, text, err);
    pr_free(text);
    return status;
}

pr_status pr_model_export_peft(const pr_model *model, const char *base, const char *directory,
                               pr_error *err) {
    /* What names the others, and makes a directory an adapter, is the last. */
    static const pr_hf_output outputs[] = {{"adapter_model.safetensors", write_tensors},
                                           {"model_config.json", write_model_config},
                                           {"adapter_config.json", write_config},
                                           {NULL, NULL}};
    const adapter a = {model, base};
    pr_status status = pr_model_check_peft(model, err);
    return status == PR_OK ? pr_hf_write_directory(directory, outputs, &a, err) : status;
}
