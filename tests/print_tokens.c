/* Reads records of text on standard input and prints their token ids, for comparison with another
 * tokenizer: print_tokens VOCAB [MAX_LENGTH]. A record is "a NUL b NUL", b empty for a single text.
 * A line of output: ids, a bar, types. */
#include <stdio.h>
#include <stdlib.h>

#include "models/wordpiece.h"

static void print(const pr_tokens *tokens) {
    for (size_t i = 0; i < tokens->n; i++)
        printf("%d ", tokens->ids[i]);
    putchar('|');
    for (size_t i = 0; i < tokens->n; i++)
        printf(" %d", tokens->types[i]);
    putchar('\n');
}

static int run(pr_wordpiece *wordpiece, size_t max_length) {
    pr_tokens tokens = {0};
    pr_error err = {0};
    char *text[2] = {NULL, NULL};
    size_t capacity[2] = {0, 0};
    while (getdelim(&text[0], &capacity[0], '\0', stdin) > 0 &&
           getdelim(&text[1], &capacity[1], '\0', stdin) > 0) {
        const char *pair = *text[1] ? text[1] : NULL;
        if (pr_wordpiece_encode(wordpiece, text[0], pair, max_length, &tokens, &err)) break;
        print(&tokens);
    }
    free(text[0]);
    free(text[1]);
    pr_tokens_free(&tokens);
    if (err.code) fprintf(stderr, "print_tokens: %s\n", err.message);
    return err.code != PR_OK;
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: print_tokens VOCAB.TXT [MAX_LENGTH]\n");
        return 2;
    }
    pr_error err = {0};
    pr_vocab *vocab = pr_vocab_read(argv[1], &err);
    pr_wordpiece *wordpiece = vocab ? pr_wordpiece_new(vocab, &err) : NULL;
    int failed = 1;
    if (wordpiece) {
        failed = run(wordpiece, argc == 3 ? strtoul(argv[2], NULL, 10) : SIZE_MAX);
    } else {
        fprintf(stderr, "print_tokens: %s\n", err.message);
    }
    pr_wordpiece_free(wordpiece);
    pr_vocab_free(vocab);
    return failed;
}
