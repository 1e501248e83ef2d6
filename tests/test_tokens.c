/* Token ids held to Hugging Face's and to llama.cpp's, with a real BERT vocabulary. */
#include "tests/test.h"

#include <jansson.h>
#include <utf8proc.h>

#include "graph/memory.h"
#include "models/gguf.h"
#include "models/text.h"
#include "models/wordpiece.h"
#include "models/words.h"

#define GOLDEN TEST_DIRECTORY "/golden/"
#define VOCABULARY GOLDEN "tokenizer/ggml-vocab-bert-bge.gguf"

static pr_vocab *vocab;
static pr_wordpiece *wordpiece;

static int open_vocabulary(void **state) {
    (void)state;
    pr_error err = {0};
    pr_gguf *gguf = pr_gguf_open(VOCABULARY, &err);
    const pr_gguf_value *pieces = pr_gguf_value_of(gguf, "tokenizer.ggml.tokens");
    const pr_gguf_value *types = pr_gguf_value_of(gguf, "tokenizer.ggml.token_type");
    vocab = pr_vocab_new();
    for (size_t i = 0; i < pieces->count; i++) {
        const char *piece = pieces->texts[i];
        int64_t type = 0;
        assert_true(pr_gguf_element_integer(types, i, &type));
        assert_int_equal(pr_vocab_add_gguf(vocab, piece, strlen(piece), (int32_t)type, &err),
                         PR_OK);
    }
    assert_int_equal(pr_vocab_finish(vocab, &err), PR_OK);
    wordpiece = pr_wordpiece_new(vocab, &err);
    pr_gguf_close(gguf);
    return wordpiece ? 0 : -1;
}

static int close_vocabulary(void **state) {
    (void)state;
    pr_wordpiece_free(wordpiece);
    pr_vocab_free(vocab);
    return 0;
}

static void pieces_come_back_in_gguf_spelling(void **state) {
    (void)state;
    pr_error err = {0};
    pr_gguf *gguf = pr_gguf_open(VOCABULARY, &err);
    const pr_gguf_value *pieces = pr_gguf_value_of(gguf, "tokenizer.ggml.tokens");
    assert_int_equal(vocab->n, 30522);
    assert_int_equal(pieces->count, 30522);
    for (int32_t i = 0; i < vocab->n; i++) {
        char *spelled = pr_vocab_gguf_piece(vocab, i);
        assert_string_equal(spelled, pieces->texts[i]);
        pr_free(spelled);
    }
    pr_gguf_close(gguf);
}

/* FNV-1a over the words of "a", the character, "B", each word with its NUL. */
static uint64_t hash_words(uint64_t hash, int32_t c, pr_words *words) {
    char text[8] = "a";
    pr_error err = {0};
    size_t n = 1 + (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)text + 1);
    text[n++] = 'B';
    assert_int_equal(pr_words_split(text, n, words, &err), PR_OK);
    for (size_t i = 0; i < words->bytes; i++) {
        hash = (hash ^ (unsigned char)words->text[i]) * UINT64_C(0x100000001B3);
    }
    return hash;
}

/* characters.txt is made by golden/make_characters.py: a hash for every 256 code points. */
static void every_code_point_is_treated_as_the_reference_does(void **state) {
    (void)state;
    FILE *file = fopen(GOLDEN "characters.txt", "rb");
    assert_non_null(file);
    pr_words words = {0};
    char line[32];
    int wrong = 0;
    int blocks = 0;
    for (int32_t first = 0; first < 0x110000; first += 256) {
        if (first >= 0xD800 && first < 0xE000) continue; /* surrogates are no characters */
        uint64_t hash = UINT64_C(0xCBF29CE484222325);
        for (int32_t c = first ? first : 1; c < first + 256; c++) {
            hash = hash_words(hash, c, &words);
        }
        assert_non_null(fgets(line, sizeof line, file));
        if (strtoull(line, NULL, 16) != hash) {
            print_error("code points %X to %X: not as the reference\n", first, first + 255);
            wrong++;
        }
        blocks++;
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
    pr_words_free(&words);
    assert_int_equal(blocks, 4344);
    assert_int_equal(wrong, 0);
}

static void expect_numbers(const char *text, const int32_t *got, size_t n, const json_t *want) {
    if (json_array_size(want) != n)
        fail_msg("%zu tokens, not %zu: %s", n, json_array_size(want), text);
    for (size_t i = 0; i < n; i++) {
        json_int_t number = json_integer_value(json_array_get(want, i));
        if (got[i] != number) fail_msg("token %zu is %d, not %d: %s", i, got[i], (int)number, text);
    }
}

/* tokens.jsonl is made by golden/make_tokens.py from PyPI's tokenizers. */
static void the_hardest_texts_have_the_references_tokens(void **state) {
    (void)state;
    FILE *file = fopen(GOLDEN "tokens.jsonl", "rb");
    assert_non_null(file);
    pr_tokens tokens = {0};
    json_t *record;
    int records = 0;
    while ((record = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL))) {
        pr_error err = {0};
        const char *a = json_string_value(json_object_get(record, "a"));
        const char *b = json_string_value(json_object_get(record, "b"));
        size_t most = (size_t)json_integer_value(json_object_get(record, "max"));
        assert_int_equal(pr_wordpiece_encode(wordpiece, a, b, most, &tokens, &err), PR_OK);
        expect_numbers(a, tokens.ids, tokens.n, json_object_get(record, "ids"));
        expect_numbers(a, tokens.types, tokens.n, json_object_get(record, "types"));
        json_decref(record);
        records++;
    }
    fclose(file);
    pr_tokens_free(&tokens);
    assert_int_equal(records, 379);
}

/* llama.cpp's own cases: inputs before separators, and a line of expected ids for each. */
static void llama_cpps_cases_agree(void **state) {
    (void)state;
    const char *separator = "\n__ggml_vocab_test__\n";
    pr_error err = {0};
    pr_text inputs;
    pr_text outputs;
    pr_tokens tokens = {0};
    assert_int_equal(pr_text_read(VOCABULARY ".inp", &inputs, &err), PR_OK);
    assert_int_equal(pr_text_read(VOCABULARY ".out", &outputs, &err), PR_OK);
    int cases = 0;
    char *want = outputs.bytes;
    char *end;
    for (char *input = inputs.bytes; (end = strstr(input, separator)); cases++) {
        *end = '\0';
        assert_int_equal(pr_wordpiece_encode(wordpiece, input, NULL, 512, &tokens, &err), PR_OK);
        for (size_t i = 1; i + 1 < tokens.n; i++) { /* without [CLS] and [SEP] */
            assert_int_equal(tokens.ids[i], strtol(want, &want, 10));
        }
        want += strspn(want, " ");
        assert_int_equal(*want, '\n');
        want++;
        input = end + strlen(separator);
    }
    assert_int_equal(cases, 46);
    pr_tokens_free(&tokens);
    pr_text_free(&inputs);
    pr_text_free(&outputs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_come_back_in_gguf_spelling),
        cmocka_unit_test(every_code_point_is_treated_as_the_reference_does),
        cmocka_unit_test(the_hardest_texts_have_the_references_tokens),
        cmocka_unit_test(llama_cpps_cases_agree),
    };
    return cmocka_run_group_tests(tests, open_vocabulary, close_vocabulary);
}
