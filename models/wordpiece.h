/* BERT's uncased WordPiece: text in, token ids out, the same as Hugging Face's fast BertTokenizer
 * gives: [CLS] a [SEP] or [CLS] a [SEP] b [SEP]; a word is matched greedily, longest piece first;
 * a word of more than 100 characters or one that does not match to its end is [UNK]; special tokens
 * spelled out in the text, as "[MASK]", are themselves.
 * Wu et al. 2016, section 4.1; Devlin et al. 2019. */
#ifndef PR_WORDPIECE_H
#define PR_WORDPIECE_H

#include "models/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_wordpiece pr_wordpiece;

/* The tokens of one text or pair. Zero it before the first use; the buffers are kept from one text
 * to the next. */
typedef struct pr_tokens {
    int32_t *ids;   /* (n) */
    int32_t *types; /* (n): 0 for [CLS] a [SEP], 1 for b [SEP] */
    size_t n;
    size_t dropped; /* tokens that did not fit into max_length */
    size_t ids_capacity, types_capacity;
} pr_tokens;

/* Only reads the vocabulary, which must be finished, and keeps nothing of it.
 * PR_BAD_FILE when two ids have one piece. NULL on failure. */
pr_wordpiece *pr_wordpiece_new(const pr_vocab *vocab, pr_error *err);
void pr_wordpiece_free(pr_wordpiece *wordpiece);

/* Tokens of text_a, or of the pair when text_b is not NULL. At most max_length of them, special
 * tokens included: the longer text loses its end first (longest_first), and both lose theirs when
 * neither fits into half. PR_BAD_ARGUMENT for text that is no valid UTF-8 and for a max_length
 * without room for the special tokens. One wordpiece serves one thread at a time. */
pr_status pr_wordpiece_encode(pr_wordpiece *wordpiece, const char *text_a, const char *text_b,
                              size_t max_length, pr_tokens *out, pr_error *err);

void pr_tokens_free(pr_tokens *tokens);

#ifdef __cplusplus
}
#endif
#endif
