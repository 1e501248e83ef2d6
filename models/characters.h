/* What BERT's text cleaning makes of one character. The reference is Hugging Face's `tokenizers`,
 * which takes its categories from Unicode 8.0, its decompositions from 9.0 and its lower case from
 * 17.0; utf8proc is newer than the first two and older than the last, and characters.c bridges
 * that: every code point was compared with the reference and treated alike. */
#ifndef PR_CHARACTERS_H
#define PR_CHARACTERS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PR_MAX_DECOMPOSED = 8 }; /* the longest canonical decomposition has four characters */

/* Left out of the text: control and format characters, private use, U+FFFD. */
bool pr_character_is_dropped(int32_t c);

/* Ends a word and stands in none. */
bool pr_character_is_space(int32_t c);

/* A word of its own: an ideograph of the blocks that BERT lists (Hangul and kana are none). */
bool pr_character_is_ideograph(int32_t c);

/* A word of its own: punctuation, and every ASCII character that is neither letter nor digit. */
bool pr_character_is_punctuation(int32_t c);

/* A mark that is stripped after decomposition (Mn). */
bool pr_character_is_accent(int32_t c);

/* The canonical decomposition (NFD, without reordering); returns how many characters it has. */
int pr_character_decompose(int32_t c, int32_t out[PR_MAX_DECOMPOSED]);

/* The simple lower case, whatever stands beside the character: a final sigma is as any other. */
int32_t pr_character_lower(int32_t c);

#ifdef __cplusplus
}
#endif
#endif
