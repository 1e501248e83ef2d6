#include "tests/letters.h"

static pr_wordpiece *wordpiece;

int letters_open(void **state) {
    (void)state;
    pr_error err = {0};
    pr_vocab *vocab = pr_vocab_new();
    pr_vocab_add(vocab, "[UNK]", 5, &err);
    pr_vocab_add(vocab, "[CLS]", 5, &err);
    pr_vocab_add(vocab, "[SEP]", 5, &err);
    for (const char *c = "abcdefghijklmnopqrstuvwxyz"; *c; c++)
        pr_vocab_add(vocab, c, 1, &err);
    wordpiece = pr_vocab_finish(vocab, &err) == PR_OK ? pr_wordpiece_new(vocab, &err) : NULL;
    pr_vocab_free(vocab);
    return wordpiece ? 0 : -1;
}

int letters_close(void **state) {
    (void)state;
    pr_wordpiece_free(wordpiece);
    return 0;
}

pr_wordpiece *letters(void) {
    return wordpiece;
}
