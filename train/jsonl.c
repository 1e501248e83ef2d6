#include "train/jsonl.h"

#include <string.h>

#include <jansson.h>

#include "graph/memory.h"

static pr_status append(pr_text *out, size_t *capacity, const char *value, size_t *where,
                        pr_error *err) {
    size_t bytes = strlen(value) + 1;
    size_t total;
    if (!pr_size_add(out->n, bytes, &total) || !pr_grow((void **)&out->bytes, capacity, total, 1)) {
        return pr_fail_memory(err, "the values of a JSONL file", out->n + bytes);
    }
    memcpy(out->bytes + out->n, value, bytes);
    *where = out->n;
    out->n = total;
    return PR_OK;
}

static pr_status append_value(const pr_records *record, const char *key, const json_t *value,
                              pr_text *out, size_t *capacity, size_t *where, pr_error *err) {
    if (json_is_string(value)) {
        return append(out, capacity, json_string_value(value), where, err);
    }
    if (!json_is_number(value) && !json_is_boolean(value)) {
        return pr_fail(err, PR_BAD_FILE, "%s:%zu: %s '%s'; expected text, a number or a boolean",
                       record->path, record->line, value ? "no fit value under" : "no key", key);
    }
    enum { DIGITS = 9 }; /* enough for a float to come back as it was */
    char spelled[64] = "";
    json_dumpb(value, spelled, sizeof spelled - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(DIGITS));
    return append(out, capacity, spelled, where, err);
}

pr_status pr_jsonl_values(const pr_records *record, const char *const *keys, int n, pr_text *out,
                          size_t *capacity, size_t *where, pr_error *err) {
    json_error_t fault;
    json_t *object = json_loads(record->field[0], JSON_REJECT_DUPLICATES, &fault);
    pr_status status = PR_OK;
    if (!object && json_error_code(&fault) == json_error_out_of_memory) {
        status = pr_fail_memory(err, record->path, strlen(record->field[0]));
    } else if (!object) {
        status = pr_fail(err, PR_BAD_FILE, "%s:%zu: no JSON object in the line: %s", record->path,
                         record->line, fault.text);
    } else if (!json_is_object(object)) {
        status = pr_fail(err, PR_BAD_FILE, "%s:%zu: an array; expected a JSON object a line",
                         record->path, record->line);
    }
    for (int i = 0; i < n && !status; i++) {
        if (!keys[i]) continue;
        status = append_value(record, keys[i], json_object_get(object, keys[i]), out, capacity,
                              &where[i], err);
    }
    json_decref(object);
    return status;
}
