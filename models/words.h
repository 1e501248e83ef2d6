/* The first half of BERT's tokenizer: raw text to words. Control characters are dropped,
 * ideographs and punctuation stand alone, the rest is decomposed, stripped of accents and lowered.
 * Canonical reordering of marks is left out: those that could be reordered are nearly all stripped,
 * and of the few that stay (Hangul tone marks, some viramas, musical stems) no two ever meet. */
#ifndef PR_WORDS_H
#define PR_WORDS_H

#include <stddef.h>

#include "graph/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Words, each followed by a NUL, one after the other; the buffer is kept from text to text.
 * Zero it before the first use. */
typedef struct pr_words {
    char *text;
    size_t bytes; /* of the words and their NULs */
    size_t capacity;
} pr_words;

/* Replaces what is in `out` by the words of the n bytes at text.
 * PR_BAD_ARGUMENT when they are not valid UTF-8 or hold a NUL; PR_NO_MEMORY. */
pr_status pr_words_split(const char *text, size_t n, pr_words *out, pr_error *err);

void pr_words_free(pr_words *words);

#ifdef __cplusplus
}
#endif
#endif
