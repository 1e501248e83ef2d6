/* Vocabularies, WordPiece and truncation, on a vocabulary small enough to read. */
#include "tests/test.h"

#include "graph/memory.h"
#include "models/wordpiece.h"
#include "tests/alloc_fault.h"

enum { PAD, UNK, CLS, SEP, MASK, PLAY, ING, PLAYED, S, COMMA, CAFE, IDEOGRAPH, THE };

static const char *const PIECES[] = {"[PAD]", "[UNK]",        "[CLS]",  "[SEP]", "[MASK]",
                                     "play",  "##ing",        "played", "##s",   ",",
                                     "cafe",  "\xE4\xB8\xAD", "the"};
static const char *const SPELLED[] = {"[PAD]",
                                      "[UNK]",
                                      "[CLS]",
                                      "[SEP]",
                                      "[MASK]",
                                      "\xE2\x96\x81play",
                                      "ing",
                                      "\xE2\x96\x81played",
                                      "s",
                                      "\xE2\x96\x81,",
                                      ("\xE2\x96\x81"
                                       "cafe"),
                                      "\xE2\x96\x81\xE4\xB8\xAD",
                                      "\xE2\x96\x81the"};
enum { N_PIECES = sizeof PIECES / sizeof *PIECES };

static pr_vocab *vocab_of(const char *const *pieces, int n) {
    pr_error err = {0};
    pr_vocab *vocab = pr_vocab_new();
    for (int i = 0; i < n; i++) {
        assert_int_equal(pr_vocab_add(vocab, pieces[i], strlen(pieces[i]), &err), PR_OK);
    }
    assert_int_equal(pr_vocab_finish(vocab, &err), PR_OK);
    return vocab;
}

static pr_wordpiece *wordpiece_of_pieces(void) {
    pr_error err = {0};
    pr_vocab *vocab = vocab_of(PIECES, N_PIECES);
    pr_wordpiece *w = pr_wordpiece_new(vocab, &err);
    assert_non_null(w);
    pr_vocab_free(vocab);
    return w;
}

/* Checks the ids of a text or pair; the list ends with -1. */
static void expect(pr_wordpiece *w, const char *a, const char *b, size_t most, const int *ids) {
    pr_tokens tokens = {0};
    pr_error err = {0};
    assert_int_equal(pr_wordpiece_encode(w, a, b, most, &tokens, &err), PR_OK);
    size_t n = 0;
    for (; ids[n] >= 0; n++) {
        assert_true(n < tokens.n);
        assert_int_equal(tokens.ids[n], ids[n]);
    }
    assert_int_equal(tokens.n, n);
    pr_tokens_free(&tokens);
}

static void words_fall_into_longest_pieces(void **state) {
    (void)state;
    pr_wordpiece *w = wordpiece_of_pieces();
    expect(w, "", NULL, 8, (int[]){CLS, SEP, -1});
    expect(w, " Playing,played\tPLAYS ", NULL, 99,
           (int[]){CLS, PLAY, ING, COMMA, PLAYED, PLAY, S, SEP, -1});
    expect(w, "plays playx ing", NULL, 99, (int[]){CLS, PLAY, S, UNK, UNK, SEP, -1});
    expect(w,
           "Caf\xC3\xA9 \xE4\xB8\xAD\xE4\xB8\xAD"
           "the",
           NULL, 99, (int[]){CLS, CAFE, IDEOGRAPH, IDEOGRAPH, THE, SEP, -1});
    pr_wordpiece_free(w);
}

static void specials_in_the_text_are_themselves(void **state) {
    (void)state;
    pr_wordpiece *w = wordpiece_of_pieces();
    expect(w, "the[MASK]s [mask] [SEP", NULL, 99,
           (int[]){CLS, THE, MASK, UNK, UNK, UNK, UNK, UNK, UNK, SEP, -1});
    expect(w, "[[CLS]", NULL, 99, (int[]){CLS, UNK, CLS, SEP, -1});
    pr_wordpiece_free(w);
}

static void the_longer_text_is_cut_first(void **state) {
    (void)state;
    pr_wordpiece *w = wordpiece_of_pieces();
    pr_tokens tokens = {0};
    pr_error err = {0};
    const char *five = "the the the the the";
    expect(w, five, "play", 7, (int[]){CLS, THE, THE, THE, SEP, PLAY, SEP, -1});
    expect(w, "play", five, 7, (int[]){CLS, PLAY, SEP, THE, THE, THE, SEP, -1});
    expect(w, five, "play play play play", 8,
           (int[]){CLS, THE, THE, THE, SEP, PLAY, PLAY, SEP, -1});
    expect(w, five, NULL, 4, (int[]){CLS, THE, THE, SEP, -1});
    expect(w, five, five, 3, (int[]){CLS, SEP, SEP, -1});
    assert_int_equal(pr_wordpiece_encode(w, five, "play", 7, &tokens, &err), PR_OK);
    assert_int_equal(tokens.dropped, 2);
    assert_memory_equal(tokens.types, ((int32_t[]){0, 0, 0, 0, 0, 1, 1}), 7 * sizeof(int32_t));
    assert_int_equal(pr_wordpiece_encode(w, five, "play", 2, &tokens, &err), PR_BAD_ARGUMENT);
    pr_tokens_free(&tokens);
    pr_wordpiece_free(w);
}

static void text_that_is_no_utf8_is_refused(void **state) {
    (void)state;
    const char *const bad[] = {"\xFF",     "the \xC3",         "\xED\xA0\x80",
                               "\xC0\x80", "\xF4\x90\x80\x80", "a\xE4\xB8"};
    pr_wordpiece *w = wordpiece_of_pieces();
    pr_tokens tokens = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pr_error err = {0};
        assert_int_equal(pr_wordpiece_encode(w, "the", bad[i], 99, &tokens, &err), PR_BAD_ARGUMENT);
        assert_non_null(strstr(err.message, "UTF-8"));
    }
    pr_tokens_free(&tokens);
    pr_wordpiece_free(w);
}

static void a_word_has_at_most_100_characters(void **state) {
    (void)state;
    const char *const pieces[] = {"[UNK]", "[CLS]", "[SEP]", "\xC3\xB8", "##\xC3\xB8"};
    char word[2 * 101 + 1];
    pr_error err = {0};
    pr_tokens tokens = {0};
    pr_vocab *vocab = vocab_of(pieces, 5);
    pr_wordpiece *w = pr_wordpiece_new(vocab, &err);
    for (int i = 0; i < 101; i++)
        memcpy(word + 2 * i, "\xC3\xB8", 3);
    assert_int_equal(pr_wordpiece_encode(w, word, NULL, 999, &tokens, &err), PR_OK);
    assert_int_equal(tokens.n, 3);
    assert_int_equal(tokens.ids[1], 0);
    assert_int_equal(pr_wordpiece_encode(w, word + 2, NULL, 999, &tokens, &err), PR_OK);
    assert_int_equal(tokens.n, 102);
    pr_tokens_free(&tokens);
    pr_wordpiece_free(w);
    pr_vocab_free(vocab);
}

static void gguf_spelling_goes_both_ways(void **state) {
    (void)state;
    pr_error err = {0};
    pr_vocab *vocab = pr_vocab_new();
    for (int i = 0; i < N_PIECES; i++) {
        int32_t type = i <= MASK ? PR_TOKEN_CONTROL : PR_TOKEN_NORMAL;
        assert_int_equal(pr_vocab_add_gguf(vocab, SPELLED[i], strlen(SPELLED[i]), type, &err),
                         PR_OK);
        assert_string_equal(vocab->piece[i], PIECES[i]);
    }
    assert_int_equal(pr_vocab_add_gguf(vocab, "[unused1]", 9, PR_TOKEN_NORMAL, &err), PR_OK);
    assert_string_equal(vocab->piece[N_PIECES], "[unused1]");
    assert_int_equal(pr_vocab_finish(vocab, &err), PR_OK);
    assert_int_equal(vocab->mask, MASK);
    for (int i = 0; i < N_PIECES; i++) {
        char *spelled = pr_vocab_gguf_piece(vocab, i);
        assert_string_equal(spelled, SPELLED[i]);
        assert_int_equal(pr_vocab_gguf_type(vocab, i),
                         i <= MASK ? PR_TOKEN_CONTROL : PR_TOKEN_NORMAL);
        pr_free(spelled);
    }
    pr_vocab_free(vocab);
}

static void vocabularies_that_are_none_are_refused(void **state) {
    (void)state;
    pr_error err = {0};
    pr_vocab *vocab = pr_vocab_new();
    assert_int_equal(pr_vocab_add(vocab, "", 0, &err), PR_BAD_FILE);
    assert_int_equal(pr_vocab_add(vocab, "a\0b", 3, &err), PR_BAD_FILE);
    assert_int_equal(pr_vocab_add(vocab, "\xFF", 1, &err), PR_BAD_FILE);
    assert_int_equal(pr_vocab_add_gguf(vocab, "\xFF", 1, 1, &err), PR_BAD_FILE);
    err = (pr_error){0};
    assert_int_equal(pr_vocab_finish(vocab, &err), PR_BAD_FILE);
    assert_non_null(strstr(err.message, "[UNK]"));
    pr_vocab_free(vocab);

    const char *const twice[] = {"[UNK]", "[CLS]", "[SEP]", "a", "a"};
    vocab = vocab_of(twice, 5);
    err = (pr_error){0};
    assert_null(pr_wordpiece_new(vocab, &err));
    assert_non_null(strstr(err.message, "ids 3 and 4"));
    pr_vocab_free(vocab);
}

/* Writes content to a file of the given ending and reads it as a vocabulary. */
static pr_vocab *read_as(const char *ending, const char *content, pr_error *err) {
    char path[64];
    snprintf(path, sizeof path, "test_wordpiece_vocab%s", ending);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    pr_vocab *vocab = pr_vocab_read(path, err);
    remove(path);
    return vocab;
}

static void vocabularies_are_read_from_files(void **state) {
    (void)state;
    pr_error err = {0};
    pr_vocab *vocab = read_as(".txt", "[UNK]\r\n[CLS]\r\n[SEP]\r\n##a", &err);
    assert_non_null(vocab);
    assert_int_equal(vocab->n, 4);
    assert_string_equal(vocab->piece[3], "##a");
    pr_vocab_free(vocab);
    vocab = read_as(".json", "{\"model\":{\"vocab\":{\"[SEP]\":2,\"[UNK]\":0,\"[CLS]\":1}}}", &err);
    assert_non_null(vocab);
    assert_string_equal(vocab->piece[2], "[SEP]");
    assert_int_equal(vocab->pad, -1);
    pr_vocab_free(vocab);

    const struct {
        const char *ending, *content, *says;
    } bad[] = {
        {".txt", "", "is empty"},
        {".txt", "[UNK]\n\n[CLS]\n", ":2: an empty line; expected a piece"},
        {".txt", "[UNK]\n\xFF\n", ":2: byte 1 of the line (0xFF)"},
        {".txt", "[UNK]\n[CLS]\n", "[SEP]"},
        {".json", "{", ":1:"},
        {".json", "[]", "no object model.vocab"},
        {".json", "{\"model\":{\"type\":\"BPE\",\"vocab\":{}}}", "not WordPiece"},
        {".json", "{\"model\":{\"vocab\":{\"a\":1}}}", "'a'"},
        {".json", "{\"model\":{\"vocab\":{\"a\":0,\"b\":0}}}", "'b'"},
        {".json", "{\"model\":{\"vocab\":{\"a\":\"0\"}}}", "'a'"},
        {".json", "{\"normalizer\":{\"lowercase\":false},\"model\":{\"vocab\":{}}}", "cased"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (pr_error){0};
        assert_null(read_as(bad[i].ending, bad[i].content, &err));
        if (!strstr(err.message, bad[i].says)) fail_msg("%s: %s", bad[i].content, err.message);
    }
}

static bool make_and_encode(void *context) {
    pr_error err = {0};
    pr_tokens tokens = {0};
    pr_wordpiece *w = NULL;
    pr_vocab *made = pr_vocab_read(context, &err);
    if (made) w = pr_wordpiece_new(made, &err);
    if (w) pr_wordpiece_encode(w, "a [MASK] aa", "a", 99, &tokens, &err);
    pr_tokens_free(&tokens);
    pr_wordpiece_free(w);
    pr_vocab_free(made);
    assert_true(err.code == PR_OK || err.code == PR_NO_MEMORY);
    return err.code == PR_OK;
}

static void failing_allocations_come_back(void **state) {
    (void)state;
    char path[] = "test_wordpiece_fault.txt";
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs("[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\n", file);
    fclose(file);
    alloc_fault_every(make_and_encode, path);
    remove(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_fall_into_longest_pieces),
        cmocka_unit_test(specials_in_the_text_are_themselves),
        cmocka_unit_test(the_longer_text_is_cut_first),
        cmocka_unit_test(text_that_is_no_utf8_is_refused),
        cmocka_unit_test(a_word_has_at_most_100_characters),
        cmocka_unit_test(gguf_spelling_goes_both_ways),
        cmocka_unit_test(vocabularies_that_are_none_are_refused),
        cmocka_unit_test(vocabularies_are_read_from_files),
        cmocka_unit_test(failing_allocations_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
