#include "models/vocab.h"

#include <stdbool.h>
#include <string.h>

#include <utf8proc.h>

#include "graph/memory.h"

static const char WORD_MARK[] = "\xE2\x96\x81"; /* U+2581, before a piece that begins a word */
enum { WORD_MARK_BYTES = sizeof WORD_MARK - 1 };

static bool is_bracketed(const char *text, size_t n) {
    return n >= 2 && text[0] == '[' && text[n - 1] == ']';
}

static bool is_valid_text(const char *text, size_t n) {
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    utf8proc_int32_t c;
    for (size_t at = 0; at < n;) {
        utf8proc_ssize_t length = utf8proc_iterate(bytes + at, (utf8proc_ssize_t)(n - at), &c);
        if (length < 1 || c == 0) return false;
        at += (size_t)length;
    }
    return n > 0;
}

/* Adds prefix and text as one piece. */
static pr_status add(pr_vocab *vocab, const char *prefix, const char *text, size_t n,
                     pr_error *err) {
    size_t before = strlen(prefix);
    if (!is_valid_text(text, n) && (n || !before)) {
        return pr_fail(err, PR_BAD_FILE, "vocabulary: piece %d is empty, or no valid UTF-8",
                       vocab->n);
    }
    size_t next = (size_t)vocab->n + 1;
    if (next > INT32_MAX) return pr_fail(err, PR_BAD_FILE, "vocabulary: too many pieces");
    size_t bytes;
    char *piece = NULL;
    if (pr_size_add(n, before + 1, &bytes)) piece = pr_alloc(bytes, 1);
    if (!piece || !pr_grow((void **)&vocab->piece, &vocab->capacity, next, sizeof *vocab->piece)) {
        pr_free(piece);
        return pr_fail_memory(err, "a vocabulary", next * sizeof *vocab->piece);
    }
    memcpy(piece, prefix, before + 1);
    memcpy(piece + before, text, n);
    vocab->piece[vocab->n++] = piece;
    return PR_OK;
}

pr_vocab *pr_vocab_new(void) {
    return pr_alloc(1, sizeof(pr_vocab));
}

void pr_vocab_free(pr_vocab *vocab) {
    if (!vocab) return;
    for (int32_t i = 0; i < vocab->n; i++)
        pr_free(vocab->piece[i]);
    pr_free((void *)vocab->piece);
    pr_free(vocab);
}

pr_status pr_vocab_add(pr_vocab *vocab, const char *text, size_t n, pr_error *err) {
    return add(vocab, "", text, n, err);
}

pr_status pr_vocab_add_gguf(pr_vocab *vocab, const char *text, size_t n, int32_t type,
                            pr_error *err) {
    /* Older converters left every bracketed piece as it is, [unused7] too, and gave no types. */
    if (type == PR_TOKEN_CONTROL || is_bracketed(text, n)) return add(vocab, "", text, n, err);
    if (n >= WORD_MARK_BYTES && !memcmp(text, WORD_MARK, WORD_MARK_BYTES)) {
        return add(vocab, "", text + WORD_MARK_BYTES, n - WORD_MARK_BYTES, err);
    }
    return add(vocab, "##", text, n, err);
}

pr_status pr_vocab_finish(pr_vocab *vocab, pr_error *err) {
    const struct special {
        const char *piece;
        int32_t *id;
        bool needed;
    } specials[] = {
        {"[UNK]", &vocab->unknown, true}, {"[CLS]", &vocab->cls, true},
        {"[SEP]", &vocab->sep, true},     {"[PAD]", &vocab->pad, false},
        {"[MASK]", &vocab->mask, false},
    };
    for (size_t s = 0; s < sizeof specials / sizeof *specials; s++) {
        int32_t id = 0;
        while (id < vocab->n && strcmp(vocab->piece[id], specials[s].piece) != 0)
            id++;
        *specials[s].id = id < vocab->n ? id : -1;
        if (id == vocab->n && specials[s].needed) {
            return pr_fail(err, PR_BAD_FILE,
                           "vocabulary: none of the %d pieces is %s; this is no BERT vocabulary",
                           vocab->n, specials[s].piece);
        }
    }
    return PR_OK;
}

int32_t pr_vocab_gguf_type(const pr_vocab *vocab, int32_t id) {
    const int32_t control[] = {vocab->unknown, vocab->cls, vocab->sep, vocab->pad, vocab->mask};
    for (size_t i = 0; i < sizeof control / sizeof *control; i++) {
        if (id == control[i]) return PR_TOKEN_CONTROL;
    }
    return PR_TOKEN_NORMAL;
}

char *pr_vocab_gguf_piece(const pr_vocab *vocab, int32_t id) {
    const char *piece = vocab->piece[id];
    size_t n = strlen(piece);
    if (pr_vocab_gguf_type(vocab, id) == PR_TOKEN_CONTROL || is_bracketed(piece, n)) {
        return pr_copy_bytes(piece, n);
    }
    if (!strncmp(piece, "##", 2)) return pr_copy_bytes(piece + 2, n - 2);
    char *spelled = pr_alloc(n + WORD_MARK_BYTES + 1, 1);
    if (!spelled) return NULL;
    memcpy(spelled, WORD_MARK, WORD_MARK_BYTES);
    memcpy(spelled + WORD_MARK_BYTES, piece, n + 1);
    return spelled;
}
