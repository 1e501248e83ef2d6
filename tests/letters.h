/* A tokenizer of letters: each word of one letter is a token. */
#ifndef PR_TEST_LETTERS_H
#define PR_TEST_LETTERS_H

#include "models/wordpiece.h"

enum { UNK, CLS, SEP, LETTER_A };

/* Group set-up and tear-down. */
int letters_open(void **state);
int letters_close(void **state);

/* The group's. */
pr_wordpiece *letters(void);

#endif
