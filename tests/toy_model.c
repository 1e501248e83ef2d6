#include "tests/toy_model.h"

#include "backends/philox.h"
#include "graph/memory.h"
#include "tests/test.h"

enum { PIECES = 40, LEAST = 3, MOST = 12 };

static pr_vocab *toy_vocab(void) {
    static const char *const special[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    pr_vocab *vocab = pr_vocab_new();
    pr_error err = {0};
    for (int i = 0; i < PIECES; i++) {
        char word[16];
        snprintf(word, sizeof word, "w%d", i);
        const char *piece = i < 5 ? special[i] : word;
        pr_vocab_add(vocab, piece, strlen(piece), &err);
    }
    pr_vocab_finish(vocab, &err);
    assert_string_equal(err.message, "");
    return vocab;
}

pr_model *toy_model(pr_bert_kind kind, pr_backend *backend, uint64_t seed) {
    const pr_bert_config config = {
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
    pr_error err = {0};
    pr_model *model = pr_model_random(&config, toy_vocab(), backend, seed, &err);
    assert_string_equal(err.message, "");
    static const char *const labels[] = {"no", "yes"};
    bool made;
    assert_int_equal(pr_model_set_labels(model, labels, 2, seed, &made, &err), PR_OK);
    return model;
}

pr_dataset *toy_data(size_t n, uint64_t seed) {
    pr_dataset *d = pr_alloc(1, sizeof *d);
    d->n = n;
    d->start = pr_alloc(n + 1, sizeof *d->start);
    d->ids = pr_alloc(n * MOST, sizeof *d->ids);
    d->types = pr_alloc(n * MOST, sizeof *d->types);
    d->label = pr_alloc(n, sizeof *d->label);
    d->label_name = pr_alloc(2, sizeof *d->label_name);
    d->label_name[0] = pr_copy_text("no");
    d->label_name[1] = pr_copy_text("yes");
    d->n_labels = 2;
    d->labelled = true;
    d->n_metrics = 2;
    d->metric[0] = PR_MATTHEWS;
    d->metric[1] = PR_ACCURACY;
    for (size_t row = 0; row < n; row++) {
        pr_philox words = pr_philox_draw(seed, (uint32_t)row, 0, 0, 0);
        size_t length = LEAST + words.word[0] % (MOST - LEAST + 1), at = d->start[row];
        d->label[row] = (int32_t)(words.word[1] % 2);
        for (size_t i = 0; i < length; i++) {
            uint32_t word = pr_philox_draw(seed, (uint32_t)row, (uint32_t)i, 1, 0).word[0];
            /* The label shows in the words, so that there is something to learn. */
            int32_t from = d->label[row] && i == 1 ? 5 : 20;
            d->ids[at + i] = i == 0 ? 2 : i + 1 == length ? 3 : from + (int32_t)(word % 15);
        }
        d->start[row + 1] = at + length;
        if (length > d->longest) d->longest = length;
    }
    return d;
}
