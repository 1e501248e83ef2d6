#include "tests/toy_model.h"

#include "backends/philox.h"
#include "graph/memory.h"
#include "tests/test.h"

enum { PIECES = 40, SPECIAL = 5, LEAST = 3, MOST = 12 };

static pr_vocab *toy_vocab(int32_t pieces) {
    static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    pr_vocab *vocab = pr_vocab_new();
    pr_error err = {0};
    for (int32_t i = 0; i < pieces; i++) {
        char word[16];
        snprintf(word, sizeof word, "w%d", (int)i);
        const char *piece = i < SPECIAL ? special[i] : word;
        pr_vocab_add(vocab, piece, strlen(piece), &err);
    }
    pr_vocab_finish(vocab, &err);
    assert_string_equal(err.message, "");
    return vocab;
}

pr_bert_config toy_config(pr_bert_kind kind) {
    return (pr_bert_config){
        .kind = kind,
        .layers = 2,
        .width = 16,
        .heads = 2,
        .ffn = 32,
        .vocab = PIECES,
        .positions = 32,
        .token_types = kind == PR_BERT ? 2 : 0,
        .labels = 2,
        .epsilon = 1e-12f,
        .dropout = 0.1f,
        .attention_dropout = 0.1f,
        .head_dropout = 0.1f,
    };
}

pr_model *toy_model_of(const pr_bert_config *config, pr_backend *backend, uint64_t seed) {
    pr_error err = {0};
    pr_model *model = pr_model_random(config, toy_vocab(config->vocab), backend, seed, &err);
    assert_string_equal(err.message, "");
    static const char *const labels[] = {"no", "yes"};
    bool made;
    assert_int_equal(pr_model_set_labels(model, labels, 2, seed, &made, &err), PR_OK);
    return model;
}

pr_model *toy_model(pr_bert_kind kind, pr_backend *backend, uint64_t seed) {
    const pr_bert_config config = toy_config(kind);
    return toy_model_of(&config, backend, seed);
}

/* Fills row `row` at its start. The label shows in the second word, so that there is something to
 * learn. */
static void draw_row(pr_dataset *d, size_t row, size_t length, int32_t vocab, uint64_t seed) {
    int32_t *ids = d->ids + d->start[row], half = (vocab - 2 * SPECIAL) / 2;
    d->label[row] = (int32_t)(pr_philox_draw(seed, (uint32_t)row, 0, 0, 0).word[1] % 2);
    for (size_t i = 0; i < length; i++) {
        uint32_t word = pr_philox_draw(seed, (uint32_t)row, (uint32_t)i, 1, 0).word[0];
        int32_t from = d->label[row] && i == 1 ? SPECIAL : SPECIAL + half;
        ids[i] = i == 0 ? 2 : i + 1 == length ? 3 : from + (int32_t)(word % (uint32_t)half);
    }
    d->start[row + 1] = d->start[row] + length;
    if (length > d->longest) d->longest = length;
}

pr_dataset *toy_data_of(size_t n, const size_t *length, int32_t vocab, uint64_t seed) {
    size_t tokens = 0;
    for (size_t row = 0; row < n; row++)
        tokens += length[row];
    pr_dataset *d = pr_alloc(1, sizeof *d);
    d->n = n;
    d->start = pr_alloc(n + 1, sizeof *d->start);
    d->ids = pr_alloc(tokens, sizeof *d->ids);
    d->types = pr_alloc(tokens, sizeof *d->types);
    d->label = pr_alloc(n, sizeof *d->label);
    d->label_name = pr_alloc(2, sizeof *d->label_name);
    d->label_name[0] = pr_copy_text("no");
    d->label_name[1] = pr_copy_text("yes");
    d->n_labels = 2;
    d->labelled = true;
    d->n_metrics = 2;
    d->metric[0] = PR_MATTHEWS;
    d->metric[1] = PR_ACCURACY;
    for (size_t row = 0; row < n; row++)
        draw_row(d, row, length[row], vocab, seed);
    return d;
}

pr_dataset *toy_data(size_t n, uint64_t seed) {
    size_t *length = pr_alloc(n, sizeof *length);
    for (size_t row = 0; row < n; row++) {
        uint32_t word = pr_philox_draw(seed, (uint32_t)row, 0, 0, 0).word[0];
        length[row] = LEAST + word % (MOST - LEAST + 1);
    }
    pr_dataset *d = toy_data_of(n, length, PIECES, seed);
    pr_free(length);
    return d;
}
