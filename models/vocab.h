/* A BERT vocabulary: pieces in BERT's own spelling (`play`, `##ing`, `[CLS]`), by id, and the ids
 * of the special ones. GGUF spells otherwise: `▁play`, `ing`, and control tokens as they are. */
#ifndef PR_VOCAB_H
#define PR_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "graph/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PR_TOKEN_NORMAL = 1,
    PR_TOKEN_CONTROL = 3
}; /* GGUF's token types, as far as BERT has them */

typedef struct pr_vocab {
    char **piece; /* (n) */
    int32_t n;
    int32_t unknown, cls, sep;
    int32_t pad, mask; /* -1 where the vocabulary has none: packed text needs neither */
    size_t capacity;
} pr_vocab;

/* An empty vocabulary, to be filled piece by piece in the order of ids and then finished.
 * NULL when there is no memory. */
pr_vocab *pr_vocab_new(void);
void pr_vocab_free(pr_vocab *vocab);

/* Adds the n bytes at text as the next id; PR_BAD_FILE when they are empty, hold a NUL or are not
 * valid UTF-8. The second takes GGUF's spelling and token type; without types in the file, pass
 * PR_TOKEN_NORMAL: whatever stands in square brackets is taken as it is. */
pr_status pr_vocab_add(pr_vocab *vocab, const char *text, size_t n, pr_error *err);
pr_status pr_vocab_add_gguf(pr_vocab *vocab, const char *text, size_t n, int32_t type,
                            pr_error *err);

/* Finds the special tokens; PR_BAD_FILE when [UNK], [CLS] or [SEP] is missing. */
pr_status pr_vocab_finish(pr_vocab *vocab, pr_error *err);

/* Fills an empty vocabulary from an open GGUF file (models/gguf.h) and finishes it. */
struct pr_gguf;
pr_status pr_vocab_from_gguf(pr_vocab *vocab, const struct pr_gguf *file, pr_error *err);

/* A finished vocabulary from vocab.txt (a piece a line) or tokenizer.json of a Hugging Face
 * directory, or from a file whose name ends in .gguf. NULL on failure. */
pr_vocab *pr_vocab_read(const char *path, pr_error *err);

/* The piece in GGUF's spelling, to be freed with pr_free (NULL without memory), and its type. */
char *pr_vocab_gguf_piece(const pr_vocab *vocab, int32_t id);
int32_t pr_vocab_gguf_type(const pr_vocab *vocab, int32_t id);

#ifdef __cplusplus
}
#endif
#endif
