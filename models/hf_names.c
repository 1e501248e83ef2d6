#include <stdio.h>
#include <string.h>

#include "models/hf.h"

/* Names without their last part (.weight, .bias); # is the number of a block. */
typedef struct row {
    const char *hf, *gguf;
} row;

static const row bert_rows[] = {
    {"bert.embeddings.word_embeddings", "token_embd"},
    {"bert.embeddings.position_embeddings", "position_embd"},
    {"bert.embeddings.token_type_embeddings", "token_types"},
    {"bert.embeddings.LayerNorm", "token_embd_norm"},
    {"bert.encoder.layer.#.attention.self.query", "blk.#.attn_q"},
    {"bert.encoder.layer.#.attention.self.key", "blk.#.attn_k"},
    {"bert.encoder.layer.#.attention.self.value", "blk.#.attn_v"},
    {"bert.encoder.layer.#.attention.output.dense", "blk.#.attn_output"},
    {"bert.encoder.layer.#.attention.output.LayerNorm", "blk.#.attn_output_norm"},
    {"bert.encoder.layer.#.intermediate.dense", "blk.#.ffn_up"},
    {"bert.encoder.layer.#.output.dense", "blk.#.ffn_down"},
    {"bert.encoder.layer.#.output.LayerNorm", "blk.#.layer_output_norm"},
    {"bert.pooler.dense", "cls"},
    {"classifier", "cls.output"},
    {NULL, NULL}};

static const row distilbert_rows[] = {
    {"distilbert.embeddings.word_embeddings", "token_embd"},
    {"distilbert.embeddings.position_embeddings", "position_embd"},
    {"distilbert.embeddings.LayerNorm", "token_embd_norm"},
    {"distilbert.transformer.layer.#.attention.q_lin", "blk.#.attn_q"},
    {"distilbert.transformer.layer.#.attention.k_lin", "blk.#.attn_k"},
    {"distilbert.transformer.layer.#.attention.v_lin", "blk.#.attn_v"},
    {"distilbert.transformer.layer.#.attention.out_lin", "blk.#.attn_output"},
    {"distilbert.transformer.layer.#.sa_layer_norm", "blk.#.attn_output_norm"},
    {"distilbert.transformer.layer.#.ffn.lin1", "blk.#.ffn_up"},
    {"distilbert.transformer.layer.#.ffn.lin2", "blk.#.ffn_down"},
    {"distilbert.transformer.layer.#.output_layer_norm", "blk.#.layer_output_norm"},
    {"pre_classifier", "cls"},
    {"classifier", "cls.output"},
    {NULL, NULL}};

static const char *const skipped[] = {"*embeddings.position_ids", "*embeddings.token_type_ids",
                                      "vocab_transform.*",        "vocab_layer_norm.*",
                                      "vocab_projector.*",        "cls.predictions.*",
                                      "cls.seq_relationship.*",   "qa_outputs.*"};

static const row *rows_of(pr_bert_kind kind) {
    return kind == PR_BERT ? bert_rows : distilbert_rows;
}

/* Whether text is pattern with a number for its #, whose digits go to *number, *digits. */
static bool matches(const char *pattern, const char *text, const char **number, int *digits) {
    const char *mark = strchr(pattern, '#');
    *number = "";
    *digits = 0;
    if (!mark) return strcmp(pattern, text) == 0;
    size_t before = (size_t)(mark - pattern);
    if (strncmp(pattern, text, before) != 0) return false;
    *number = text + before;
    *digits = (int)strspn(*number, "0123456789");
    bool canonical = *digits == 1 || (*digits > 1 && *digits < 6 && **number != '0');
    return canonical && strcmp(mark + 1, *number + *digits) == 0;
}

/* pattern with the digits for its #, and the last part after it. */
static bool compose(const char *pattern, const char *number, int digits, const char *last,
                    char out[PR_HF_NAME]) {
    const char *mark = strchr(pattern, '#');
    int before = mark ? (int)(mark - pattern) : (int)strlen(pattern);
    int n = snprintf(out, PR_HF_NAME, "%.*s%.*s%s.%s", before, pattern, digits, number,
                     mark ? mark + 1 : "", last);
    return n > 0 && n < PR_HF_NAME;
}

static bool to_gguf(pr_bert_kind kind, const char *stem, const char *last, char out[PR_HF_NAME]) {
    const char *number;
    int digits;
    for (const row *r = rows_of(kind); r->hf; r++) {
        if (matches(r->hf, stem, &number, &digits))
            return compose(r->gguf, number, digits, last, out);
    }
    return false;
}

/* The name up to its last dot goes to stem; returns what follows it, or NULL. */
static const char *split(const char *name, char stem[PR_HF_NAME]) {
    const char *dot = strrchr(name, '.');
    if (!dot || dot - name >= PR_HF_NAME) return NULL;
    snprintf(stem, PR_HF_NAME, "%.*s", (int)(dot - name), name);
    return dot + 1;
}

bool pr_hf_to_gguf(pr_bert_kind kind, const char *name, char out[PR_HF_NAME]) {
    char stem[PR_HF_NAME], prefixed[PR_HF_NAME + 16];
    const char *last = split(name, stem);
    if (!last) return false;
    if (strcmp(last, "gamma") == 0)
        last = "weight";
    else if (strcmp(last, "beta") == 0)
        last = "bias";
    if (strcmp(last, "weight") != 0 && strcmp(last, "bias") != 0) return false;
    if (to_gguf(kind, stem, last, out)) return true;
    snprintf(prefixed, sizeof prefixed, "%s.%s", kind == PR_BERT ? "bert" : "distilbert", stem);
    return to_gguf(kind, prefixed, last, out);
}

bool pr_hf_from_gguf(pr_bert_kind kind, const char *name, char out[PR_HF_NAME]) {
    char stem[PR_HF_NAME];
    const char *number, *last = split(name, stem);
    int digits;
    if (!last || (strcmp(last, "weight") != 0 && strcmp(last, "bias") != 0)) return false;
    for (const row *r = rows_of(kind); r->hf; r++) {
        if (matches(r->gguf, stem, &number, &digits))
            return compose(r->hf, number, digits, last, out);
    }
    return false;
}

bool pr_hf_is_skipped(const char *name) {
    for (size_t i = 0; i < sizeof skipped / sizeof *skipped; i++) {
        if (pr_glob(skipped[i], name)) return true;
    }
    return false;
}
