#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/memory.h"
#include "models/hf.h"
#include "models/json.h"
#include "models/load.h"

/* ---- reading ---- */

typedef struct reading {
    const json_t *root;
    const char *path;
    pr_error *err;
} reading;

/* null counts as absent, as in Python. */
static const json_t *field(const reading *r, const char *name) {
    const json_t *value = json_object_get(r->root, name);
    return json_is_null(value) ? NULL : value;
}

static pr_status read_size(const reading *r, const char *name, int32_t *out) {
    const json_t *value = field(r, name);
    if (!value) return pr_fail(r->err, PR_BAD_FILE, "%s: '%s' is missing", r->path, name);
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 1 || n > INT32_MAX)
        return pr_fail(r->err, PR_BAD_FILE, "%s: '%s' must be an integer above 0", r->path, name);
    *out = (int32_t)n;
    return PR_OK;
}

static pr_status read_real(const reading *r, const char *name, float *out) {
    const json_t *value = field(r, name);
    if (!value) return PR_OK;
    double n = json_number_value(value);
    if (!json_is_number(value) || !(n >= 0 && n < 1))
        return pr_fail(r->err, PR_BAD_FILE, "%s: '%s' must be a number from 0 to below 1", r->path,
                       name);
    *out = (float)n;
    return PR_OK;
}

/* A text that, where it is given, must be the one that Primer's model has. */
static pr_status demand_text(const reading *r, const char *name, const char *wanted) {
    const json_t *value = field(r, name);
    const char *text = json_string_value(value);
    if (!value || (text && strcmp(text, wanted) == 0)) return PR_OK;
    return pr_fail(r->err, PR_UNSUPPORTED, "%s: '%s' is '%s'; only '%s' can be read", r->path, name,
                   text ? text : "no text", wanted);
}

static pr_status demand_false(const reading *r, const char *name) {
    const json_t *value = field(r, name);
    if (!value || json_is_false(value)) return PR_OK;
    return pr_fail(r->err, PR_UNSUPPORTED, "%s: '%s' must be false", r->path, name);
}

static pr_status read_kind(const reading *r, pr_bert_kind *kind) {
    const char *type = json_string_value(field(r, "model_type"));
    if (!type)
        return pr_fail(r->err, PR_BAD_FILE,
                       "%s: 'model_type' is missing, expected 'bert' or 'distilbert'", r->path);
    *kind = strcmp(type, "bert") == 0 ? PR_BERT : PR_DISTILBERT;
    if (*kind == PR_BERT || strcmp(type, "distilbert") == 0) return PR_OK;
    return pr_fail(r->err, PR_UNSUPPORTED,
                   "%s: 'model_type' is '%s'; 'bert' and 'distilbert' can be read", r->path, type);
}

/* The first fault ends the list: read_* and demand_* report it themselves. */
static pr_status read_bert(const reading *r, pr_bert_config *c) {
    pr_status status = read_size(r, "hidden_size", &c->width);
    status = status ? status : read_size(r, "num_hidden_layers", &c->layers);
    status = status ? status : read_size(r, "num_attention_heads", &c->heads);
    status = status ? status : read_size(r, "intermediate_size", &c->ffn);
    status = status ? status : read_size(r, "type_vocab_size", &c->token_types);
    status = status ? status : read_real(r, "layer_norm_eps", &c->epsilon);
    status = status ? status : read_real(r, "hidden_dropout_prob", &c->dropout);
    status = status ? status : read_real(r, "attention_probs_dropout_prob", &c->attention_dropout);
    c->head_dropout = c->dropout;
    status = status ? status : read_real(r, "classifier_dropout", &c->head_dropout);
    status = status ? status : demand_text(r, "hidden_act", "gelu");
    status = status ? status : demand_text(r, "position_embedding_type", "absolute");
    return status ? status : demand_false(r, "is_decoder");
}

static pr_status read_distilbert(const reading *r, pr_bert_config *c) {
    pr_status status = read_size(r, "dim", &c->width);
    status = status ? status : read_size(r, "n_layers", &c->layers);
    status = status ? status : read_size(r, "n_heads", &c->heads);
    status = status ? status : read_size(r, "hidden_dim", &c->ffn);
    status = status ? status : read_real(r, "dropout", &c->dropout);
    status = status ? status : read_real(r, "attention_dropout", &c->attention_dropout);
    status = status ? status : read_real(r, "seq_classif_dropout", &c->head_dropout);
    return status ? status : demand_text(r, "activation", "gelu");
}

/* pr_bert_check, with the file that is to blame. */
static pr_status check(const pr_bert_config *config, const char *path, pr_error *err) {
    pr_error fault = {0};
    if (pr_bert_check(config, &fault) == PR_OK) return PR_OK;
    return pr_fail(err, PR_BAD_FILE, "%s: %s", path, fault.message);
}

pr_status pr_hf_read_config(const json_t *root, const char *path, pr_bert_config *config,
                            pr_error *err) {
    reading r = {root, path, err};
    pr_bert_config c = {.epsilon = 1e-12f, .dropout = 0.1f, .attention_dropout = 0.1f};
    c.head_dropout = 0.2f; /* DistilBERT's own default */
    c.labels = 1;          /* until the weights tell */
    pr_status status = read_kind(&r, &c.kind);
    if (status == PR_OK) status = c.kind == PR_BERT ? read_bert(&r, &c) : read_distilbert(&r, &c);
    status = status ? status : read_size(&r, "vocab_size", &c.vocab);
    status = status ? status : read_size(&r, "max_position_embeddings", &c.positions);
    if (status == PR_OK) status = check(&c, path, err);
    if (status == PR_OK) *config = c;
    return status;
}

/* Fills names, n of them, from {"0": "no", "1": "yes"}. */
static pr_status read_names(const json_t *id2label, const char *path, const char **names, size_t n,
                            pr_error *err) {
    if (!json_is_object(id2label) || json_object_size(id2label) != n)
        return pr_fail(err, PR_BAD_FILE, "%s: 'id2label' must name %zu labels, one for each output",
                       path, n);
    for (size_t i = 0; i < n; i++) {
        char id[24];
        snprintf(id, sizeof id, "%zu", i);
        names[i] = json_string_value(json_object_get(id2label, id));
        if (!names[i] || !names[i][0])
            return pr_fail(err, PR_BAD_FILE, "%s: 'id2label' has no name for \"%s\"", path, id);
    }
    return PR_OK;
}

/* What transformers calls labels that nobody named: {"0": "LABEL_0", ...}. */
static json_t *numbered(int32_t n) {
    json_t *id2label = json_object();
    bool good = id2label;
    for (int32_t i = 0; good && i < n; i++) {
        char id[16];
        snprintf(id, sizeof id, "%" PRId32, i);
        good = json_object_set_new(id2label, id, json_sprintf("LABEL_%s", id)) == 0;
    }
    if (good) return id2label;
    json_decref(id2label);
    return NULL;
}

static pr_status take_labels(const json_t *id2label, const char *path, pr_model *model,
                             pr_error *err) {
    size_t n = (size_t)model->config.labels;
    const char **names = pr_alloc(n, sizeof *names);
    if (!names) return pr_fail_memory(err, "the labels", n * sizeof *names);
    pr_status status = read_names(id2label, path, names, n, err);
    if (status == PR_OK) status = pr_load_labels(model, path, names, n, err);
    pr_free(names);
    return status;
}

pr_status pr_hf_read_labels(const json_t *root, const char *path, pr_model *model, pr_error *err) {
    reading r = {root, path, err};
    const char *problem = json_string_value(field(&r, "problem_type"));
    if (problem && strcmp(problem, "multi_label_classification") == 0)
        return pr_fail(err, PR_UNSUPPORTED, "%s: 'problem_type' is '%s': several labels at once",
                       path, problem);
    model->config.regression = model->config.labels == 1; /* as transformers takes one output */
    pr_status status = check(&model->config, path, err);
    if (status != PR_OK || model->config.regression) return status;
    const json_t *id2label = field(&r, "id2label");
    if (id2label) return take_labels(id2label, path, model, err);
    json_t *made = numbered(model->config.labels);
    if (!made) return pr_fail_memory(err, "the labels", (size_t)model->config.labels);
    status = take_labels(made, path, model, err);
    json_decref(made);
    return status;
}

/* ---- writing ---- */

static double shortest(float value) {
    return pr_json_shortest(value, 1);
}

static json_t *bert_object(const pr_bert_config *c) {
    return json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:s}", "model_type", "bert",
        "hidden_act", "gelu", "hidden_size", (int)c->width, "num_hidden_layers", (int)c->layers,
        "num_attention_heads", (int)c->heads, "intermediate_size", (int)c->ffn, "type_vocab_size",
        (int)c->token_types, "layer_norm_eps", shortest(c->epsilon), "hidden_dropout_prob",
        shortest(c->dropout), "attention_probs_dropout_prob", shortest(c->attention_dropout),
        "classifier_dropout", shortest(c->head_dropout), "position_embedding_type", "absolute");
}

static json_t *distilbert_object(const pr_bert_config *c) {
    return json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:b}", "model_type",
                     "distilbert", "activation", "gelu", "dim", (int)c->width, "n_layers",
                     (int)c->layers, "n_heads", (int)c->heads, "hidden_dim", (int)c->ffn, "dropout",
                     shortest(c->dropout), "attention_dropout", shortest(c->attention_dropout),
                     "seq_classif_dropout", shortest(c->head_dropout), "sinusoidal_pos_embds", 0);
}

/* Adds id2label and label2id. */
static bool add_labels(json_t *root, const pr_model *model) {
    int32_t n = model->config.labels;
    json_t *id2label = model->label ? json_object() : numbered(n), *label2id = json_object();
    bool good = id2label && label2id;
    for (int32_t i = 0; good && i < n; i++) {
        char id[16];
        snprintf(id, sizeof id, "%" PRId32, i);
        if (model->label)
            good = json_object_set_new(id2label, id, json_string(model->label[i])) == 0;
        const char *name = json_string_value(json_object_get(id2label, id));
        good = good && json_object_set_new(label2id, name, json_integer(i)) == 0;
    }
    good = json_object_set_new(root, "id2label", id2label) == 0 && good;
    good = json_object_set_new(root, "label2id", label2id) == 0 && good;
    const char *problem = model->config.regression ? "regression" : "single_label_classification";
    return json_object_set_new(root, "problem_type", json_string(problem)) == 0 && good;
}

static char *dump(json_t *root, bool good) {
    char *text = good ? pr_json_text(root, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(root);
    return text;
}

char *pr_hf_config_text(const pr_model *model) {
    const pr_bert_config *c = &model->config;
    bool bert = c->kind == PR_BERT;
    json_t *root = bert ? bert_object(c) : distilbert_object(c);
    char architecture[64];
    snprintf(architecture, sizeof architecture, "%s%s", bert ? "Bert" : "DistilBert",
             model->has_head ? "ForSequenceClassification" : "Model");
    json_t *rest =
        json_pack("{s:[s], s:i, s:i, s:i, s:s}", "architectures", architecture, "vocab_size",
                  (int)c->vocab, "max_position_embeddings", (int)c->positions, "pad_token_id",
                  model->vocab->pad < 0 ? 0 : (int)model->vocab->pad, "dtype", "float32");
    bool good = root && rest && json_object_update(root, rest) == 0;
    json_decref(rest);
    if (good && model->has_head) good = add_labels(root, model);
    return dump(root, good);
}

char *pr_hf_tokenizer_text(const pr_model *model) {
    const pr_vocab *v = model->vocab;
    json_t *root = json_pack(
        "{s:s, s:b, s:b, s:n, s:i, s:s, s:s, s:s}", "tokenizer_class",
        model->config.kind == PR_BERT ? "BertTokenizer" : "DistilBertTokenizer", "do_lower_case", 1,
        "tokenize_chinese_chars", 1, "strip_accents", "model_max_length",
        (int)model->config.positions, "unk_token", v->piece[v->unknown], "cls_token",
        v->piece[v->cls], "sep_token", v->piece[v->sep]);
    bool good = root;
    if (good && v->pad >= 0)
        good = json_object_set_new(root, "pad_token", json_string(v->piece[v->pad])) == 0;
    if (good && v->mask >= 0)
        good = json_object_set_new(root, "mask_token", json_string(v->piece[v->mask])) == 0;
    return dump(root, good);
}
