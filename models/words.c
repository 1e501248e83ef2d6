#include "models/words.h"

#include <stdint.h>

#include <utf8proc.h>

#include "graph/memory.h"
#include "models/characters.h"

/* Room for one character more, with the NULs before and after it. */
static bool make_room(pr_words *out) {
    const size_t most = 4 + 2;
    return out->capacity - out->bytes >= most ||
           pr_grow((void **)&out->text, &out->capacity, out->bytes + most, 1);
}

static void end_word(pr_words *out) {
    if (out->bytes && out->text[out->bytes - 1]) out->text[out->bytes++] = '\0';
}

static void append(pr_words *out, int32_t c) {
    if (c < 0x80) {
        out->text[out->bytes++] = (char)c;
    } else {
        out->bytes += (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)out->text + out->bytes);
    }
}

/* One character of the cleaned text. */
static bool add_character(pr_words *out, int32_t c) {
    int32_t part[PR_MAX_DECOMPOSED];
    int parts = pr_character_decompose(c, part);
    for (int i = 0; i < parts; i++) {
        if (pr_character_is_accent(part[i])) continue;
        int32_t lowered = pr_character_lower(part[i]);
        bool alone = pr_character_is_punctuation(lowered);
        if (!make_room(out)) return false;
        if (alone) end_word(out);
        append(out, lowered);
        if (alone) end_word(out);
    }
    return true;
}

pr_status pr_words_split(const char *text, size_t n, pr_words *out, pr_error *err) {
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    out->bytes = 0;
    for (size_t at = 0; at < n;) {
        int32_t c = bytes[at];
        utf8proc_ssize_t length = 1;
        if (c >= 0x80) length = utf8proc_iterate(bytes + at, (utf8proc_ssize_t)(n - at), &c);
        if (length < 1 || c == 0) {
            return pr_fail(err, PR_BAD_ARGUMENT, "byte %zu of the text: %s", at,
                           c ? "invalid UTF-8" : "a NUL");
        }
        at += (size_t)length;
        if (pr_character_is_dropped(c)) continue;
        bool ends = pr_character_is_space(c);
        bool alone = pr_character_is_ideograph(c);
        if (!make_room(out)) return pr_fail_memory(err, "the words of a text", n);
        if (ends || alone) end_word(out);
        if (!ends && !add_character(out, c)) return pr_fail_memory(err, "the words of a text", n);
        if (alone) end_word(out);
    }
    if (!make_room(out)) return pr_fail_memory(err, "the words of a text", n);
    end_word(out);
    return PR_OK;
}

void pr_words_free(pr_words *words) {
    if (!words) return;
    pr_free(words->text);
    *words = (pr_words){0};
}
