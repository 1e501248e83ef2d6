/* Vocabularies as Hugging Face directories hold them; those of GGUF files by vocab_gguf.c. */
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "graph/memory.h"
#include "models/gguf.h"
#include "models/text.h"
#include "models/vocab.h"

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* vocab.txt: line i, counted from 0, is piece i. */
static pr_status add_lines(pr_vocab *vocab, const char *path, const pr_text *text, pr_error *err) {
    const char *end = text->bytes + text->n;
    for (const char *line = text->bytes; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        const char *stop = next ? next : end;
        size_t n = (size_t)(stop - line);
        if (n && line[n - 1] == '\r') n--;
        if (!n)
            return pr_fail(err, PR_BAD_FILE, "%s:%d: an empty line; expected a piece", path,
                           vocab->n + 1);
        pr_status status = pr_vocab_add(vocab, line, n, err);
        if (status) return status;
        line = stop + 1;
    }
    return PR_OK;
}

/* The object { piece: id } in the order of ids, each from 0 to its size - 1 once. */
static pr_status add_members(pr_vocab *vocab, const char *path, json_t *pieces, pr_error *err) {
    size_t n = json_object_size(pieces);
    const char **by_id = pr_alloc(n, sizeof *by_id);
    if (!by_id) return pr_fail_memory(err, path, n * sizeof *by_id);
    pr_status status = PR_OK;
    const char *piece;
    json_t *value;
    json_object_foreach(pieces, piece, value) {
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (id < 0 || (size_t)id >= n || by_id[id]) {
            status = pr_fail(err, PR_BAD_FILE,
                             "%s: the id of '%s' is no number from 0 to %zu, or not its alone",
                             path, piece, n - 1);
            break;
        }
        by_id[id] = piece;
    }
    for (size_t i = 0; i < n && !status; i++) {
        status = pr_vocab_add(vocab, by_id[i], strlen(by_id[i]), err);
    }
    pr_free((void *)by_id);
    return status;
}

/* tokenizer.json, as long as it is an uncased WordPiece's. */
static pr_status add_json(pr_vocab *vocab, const char *path, const pr_text *text, pr_error *err) {
    json_error_t fault;
    json_t *root = json_loadb(text->bytes, text->n, JSON_REJECT_DUPLICATES, &fault);
    if (!root && json_error_code(&fault) == json_error_out_of_memory) {
        return pr_fail_memory(err, path, text->n);
    }
    if (!root) return pr_fail(err, PR_BAD_FILE, "%s:%d: %s", path, fault.line, fault.text);
    json_t *model = json_object_get(root, "model");
    json_t *type = json_object_get(model, "type");
    json_t *pieces = json_object_get(model, "vocab");
    json_t *lowercase = json_object_get(json_object_get(root, "normalizer"), "lowercase");
    pr_status status;
    if (!json_is_object(pieces)) {
        status = pr_fail(err, PR_BAD_FILE, "%s: no object model.vocab", path);
    } else if (type &&
               strcmp(json_string_value(type) ? json_string_value(type) : "", "WordPiece") != 0) {
        status = pr_fail(err, PR_UNSUPPORTED, "%s: model.type is not WordPiece", path);
    } else if (json_is_false(lowercase)) {
        status = pr_fail(err, PR_UNSUPPORTED,
                         "%s: a cased tokenizer (normalizer.lowercase is false); expected an "
                         "uncased one",
                         path);
    } else {
        status = add_members(vocab, path, pieces, err);
    }
    json_decref(root);
    return status;
}

static pr_status from_text(pr_vocab *vocab, const char *path, pr_error *err) {
    pr_text text;
    pr_error fault = {.code = PR_OK};
    pr_status status = pr_text_read(path, &text, err);
    if (status) return status;
    status = ends_with(path, ".json") ? add_json(vocab, path, &text, err)
                                      : add_lines(vocab, path, &text, err);
    pr_text_free(&text);
    if (status) return status;
    status = pr_vocab_finish(vocab, &fault);
    return status ? pr_fail_in_file(err, path, &fault) : PR_OK;
}

static pr_status from_gguf(pr_vocab *vocab, const char *path, pr_error *err) {
    pr_gguf *file = pr_gguf_open(path, err);
    if (!file) return err ? err->code : PR_BAD_FILE;
    pr_status status = pr_vocab_from_gguf(vocab, file, err);
    pr_gguf_close(file);
    return status;
}

pr_vocab *pr_vocab_read(const char *path, pr_error *err) {
    pr_vocab *vocab = pr_vocab_new();
    if (!vocab) {
        pr_fail_memory(err, path, sizeof *vocab);
        return NULL;
    }
    pr_status status =
        ends_with(path, ".gguf") ? from_gguf(vocab, path, err) : from_text(vocab, path, err);
    if (!status) return vocab;
    pr_vocab_free(vocab);
    return NULL;
}
