#include "models/wordpiece.h"

#include <stdbool.h>
#include <string.h>

#include "graph/memory.h"
#include "graph/names.h"
#include "models/words.h"

enum { MAX_CHARACTERS = 100, SPECIALS = 5 };

typedef struct id_list {
    int32_t *id;
    size_t n, capacity;
} id_list;

struct pr_wordpiece {
    pr_names *initial;    /* pieces that begin a word */
    pr_names *continuing; /* the others, without their ## */
    size_t longest;       /* bytes of the longest piece */
    int32_t unknown, cls, sep;
    struct special {
        char *piece;
        int32_t id;
    } special[SPECIALS];
    pr_words words;
    id_list ids[2]; /* of text a and of text b */
};

static bool add_id(id_list *list, int32_t id) {
    if (!pr_grow((void **)&list->id, &list->capacity, list->n + 1, sizeof *list->id)) return false;
    list->id[list->n++] = id;
    return true;
}

static pr_status add_pieces(pr_wordpiece *w, const pr_vocab *vocab, pr_error *err) {
    for (int32_t id = 0; id < vocab->n; id++) {
        const char *piece = vocab->piece[id];
        bool continues = !strncmp(piece, "##", 2);
        pr_names *pieces = continues ? w->continuing : w->initial;
        if (continues) piece += 2;
        int32_t other = pr_names_get(pieces, piece);
        if (other >= 0) {
            return pr_fail(err, PR_BAD_FILE, "vocabulary: ids %d and %d have the same piece '%s'",
                           other, id, vocab->piece[id]);
        }
        if (pr_names_put(pieces, piece, id)) {
            return pr_fail_memory(err, "a vocabulary's table", strlen(piece));
        }
        size_t bytes = strlen(piece);
        if (bytes > w->longest) w->longest = bytes;
    }
    return PR_OK;
}

static pr_status add_specials(pr_wordpiece *w, const pr_vocab *vocab, pr_error *err) {
    const int32_t ids[SPECIALS] = {vocab->unknown, vocab->cls, vocab->sep, vocab->pad, vocab->mask};
    w->unknown = vocab->unknown;
    w->cls = vocab->cls;
    w->sep = vocab->sep;
    for (int s = 0; s < SPECIALS; s++) {
        if (ids[s] < 0) continue;
        w->special[s].id = ids[s];
        w->special[s].piece = pr_copy_text(vocab->piece[ids[s]]);
        if (!w->special[s].piece) return pr_fail_memory(err, "a special token", 8);
    }
    return PR_OK;
}

pr_wordpiece *pr_wordpiece_new(const pr_vocab *vocab, pr_error *err) {
    pr_wordpiece *w = pr_alloc(1, sizeof *w);
    if (w) {
        w->initial = pr_names_new();
        w->continuing = pr_names_new();
    }
    if (!w || !w->initial || !w->continuing) {
        pr_fail_memory(err, "a tokenizer", sizeof *w);
    } else if (!add_pieces(w, vocab, err) && !add_specials(w, vocab, err)) {
        return w;
    }
    pr_wordpiece_free(w);
    return NULL;
}

void pr_wordpiece_free(pr_wordpiece *w) {
    if (!w) return;
    pr_names_free(w->initial);
    pr_names_free(w->continuing);
    for (int s = 0; s < SPECIALS; s++)
        pr_free(w->special[s].piece);
    pr_words_free(&w->words);
    pr_free(w->ids[0].id);
    pr_free(w->ids[1].id);
    pr_free(w);
}

static bool begins_character(char byte) {
    return ((unsigned char)byte & 0xC0) != 0x80;
}

/* The longest piece that begins at `start`, its id; *end is where it ends. -1 when there is none.
 * The bytes of the word stand in our own buffer, so a NUL can mark the end of what is looked up. */
static int32_t longest_piece(const pr_wordpiece *w, const pr_names *pieces, char *start,
                             size_t length, char **end) {
    size_t n = length < w->longest ? length : w->longest;
    for (; n > 0; n--) {
        char cut = start[n];
        if (!begins_character(cut)) continue;
        start[n] = '\0';
        int32_t id = pr_names_get(pieces, start);
        start[n] = cut;
        *end = start + n;
        if (id >= 0) return id;
    }
    return -1;
}

/* The pieces of one word of `length` bytes. */
static bool add_word(pr_wordpiece *w, char *word, size_t length, id_list *out) {
    size_t characters = 0;
    for (size_t i = 0; i < length; i++)
        characters += begins_character(word[i]);
    if (characters > MAX_CHARACTERS) return add_id(out, w->unknown);

    size_t before = out->n;
    char *end = word;
    for (char *at = word; at < word + length; at = end) {
        const pr_names *pieces = at == word ? w->initial : w->continuing;
        int32_t id = longest_piece(w, pieces, at, (size_t)(word + length - at), &end);
        if (id < 0) {
            out->n = before;
            return add_id(out, w->unknown);
        }
        if (!add_id(out, id)) return false;
    }
    return true;
}

/* The tokens of n bytes of text in which no special token is spelled out. */
static pr_status add_text(pr_wordpiece *w, const char *text, size_t n, id_list *out,
                          pr_error *err) {
    pr_status status = pr_words_split(text, n, &w->words, err);
    if (status) return status;
    char *end = w->words.text + w->words.bytes;
    for (char *word = w->words.text; word < end;) {
        size_t length = strlen(word);
        if (!add_word(w, word, length, out)) return pr_fail_memory(err, "the ids of a text", n);
        word += length + 1;
    }
    return PR_OK;
}

/* The first special token spelled out in the text, or NULL. */
static const struct special *find_special(const pr_wordpiece *w, const char *text,
                                          const char **where) {
    for (const char *at = strchr(text, '['); at; at = strchr(at + 1, '[')) {
        for (int s = 0; s < SPECIALS; s++) {
            const char *piece = w->special[s].piece;
            if (!piece || strncmp(at, piece, strlen(piece)) != 0) continue;
            *where = at;
            return &w->special[s];
        }
    }
    return NULL;
}

static pr_status tokenize(pr_wordpiece *w, const char *text, id_list *out, pr_error *err) {
    const struct special *special;
    const char *where;
    out->n = 0;
    while ((special = find_special(w, text, &where))) {
        pr_status status = add_text(w, text, (size_t)(where - text), out, err);
        if (status) return status;
        if (!add_id(out, special->id)) return pr_fail_memory(err, "the ids of a text", out->n);
        text = where + strlen(special->piece);
    }
    return add_text(w, text, strlen(text), out, err);
}

/* How much of two texts of *a and *b tokens stays when both together may have `most`. */
static void truncate_longest_first(size_t *a, size_t *b, size_t most) {
    size_t *shorter = *a > *b ? b : a;
    size_t *longer = *a > *b ? a : b;
    if (*a + *b <= most) return;
    if (*shorter > most / 2) *shorter = most / 2;
    *longer = most - *shorter;
}

/* Appends n ids and a separator (or, for n = 0 and cls, that alone) as segment `type`. */
static void put(pr_tokens *out, const int32_t *ids, size_t n, int32_t last, int32_t type) {
    if (n) memcpy(out->ids + out->n, ids, n * sizeof *ids);
    out->ids[out->n + n] = last;
    for (size_t i = 0; i <= n; i++)
        out->types[out->n + i] = type;
    out->n += n + 1;
}

pr_status pr_wordpiece_encode(pr_wordpiece *w, const char *text_a, const char *text_b,
                              size_t max_length, pr_tokens *out, pr_error *err) {
    const size_t specials = text_b ? 3 : 2;
    if (max_length < specials) {
        return pr_fail(err, PR_BAD_ARGUMENT,
                       "a maximal length of %zu has no room for the %zu "
                       "special tokens",
                       max_length, specials);
    }
    w->ids[1].n = 0;
    pr_status status = tokenize(w, text_a, &w->ids[0], err);
    if (!status && text_b) status = tokenize(w, text_b, &w->ids[1], err);
    if (status) return status;

    size_t a = w->ids[0].n;
    size_t b = w->ids[1].n;
    out->dropped = a + b;
    truncate_longest_first(&a, &b, max_length - specials);
    out->dropped -= a + b;
    size_t n = a + b + specials;
    out->n = 0;
    if (!pr_grow((void **)&out->ids, &out->ids_capacity, n, sizeof *out->ids) ||
        !pr_grow((void **)&out->types, &out->types_capacity, n, sizeof *out->types)) {
        return pr_fail_memory(err, "the tokens of a text", n * sizeof *out->ids);
    }
    put(out, NULL, 0, w->cls, 0);
    put(out, w->ids[0].id, a, w->sep, 0);
    if (text_b) put(out, w->ids[1].id, b, w->sep, 1);
    return PR_OK;
}

void pr_tokens_free(pr_tokens *tokens) {
    if (!tokens) return;
    pr_free(tokens->ids);
    pr_free(tokens->types);
    *tokens = (pr_tokens){0};
}
