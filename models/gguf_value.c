/* Values of keys, asked for by the type that the caller wants. */
#include "models/gguf.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef enum kind { UNSIGNED, SIGNED, FLOAT, NO_NUMBER } kind;

typedef struct type_traits {
    const char *name;
    kind kind;
    uint8_t size;
} type_traits;

static const type_traits traits[PR_GGUF_TYPES] = {
    [PR_GGUF_U8] = {"u8", UNSIGNED, 1},      [PR_GGUF_I8] = {"i8", SIGNED, 1},
    [PR_GGUF_U16] = {"u16", UNSIGNED, 2},    [PR_GGUF_I16] = {"i16", SIGNED, 2},
    [PR_GGUF_U32] = {"u32", UNSIGNED, 4},    [PR_GGUF_I32] = {"i32", SIGNED, 4},
    [PR_GGUF_F32] = {"f32", FLOAT, 4},       [PR_GGUF_BOOL] = {"boolean", UNSIGNED, 1},
    [PR_GGUF_TEXT] = {"text", NO_NUMBER, 0}, [PR_GGUF_ARRAY] = {"array", NO_NUMBER, 0},
    [PR_GGUF_U64] = {"u64", UNSIGNED, 8},    [PR_GGUF_I64] = {"i64", SIGNED, 8},
    [PR_GGUF_F64] = {"f64", FLOAT, 8}};

const char *pr_gguf_type_name(pr_gguf_type type) {
    return traits[type].name;
}

size_t pr_gguf_type_size(pr_gguf_type type) {
    return traits[type].size;
}

bool pr_gguf_element_integer(const pr_gguf_value *value, size_t i, int64_t *out) {
    const type_traits *t = &traits[value->type];
    if (t->kind != UNSIGNED && t->kind != SIGNED) return false;
    uint64_t bits = 0;
    memcpy(&bits, value->data + i * t->size, t->size);
    if (t->kind == SIGNED) { /* carry the sign bit up */
        uint64_t sign = UINT64_C(1) << (8 * t->size - 1);
        bits = (bits ^ sign) - sign;
    } else if (bits > INT64_MAX) {
        return false;
    }
    *out = (int64_t)bits;
    return true;
}

bool pr_gguf_element_number(const pr_gguf_value *value, size_t i, double *out) {
    const unsigned char *from = value->data;
    int64_t integer;
    float single;
    switch (value->type) {
    case PR_GGUF_F32:
        memcpy(&single, from + i * sizeof single, sizeof single);
        *out = (double)single;
        return true;
    case PR_GGUF_F64:
        memcpy(out, from + i * sizeof *out, sizeof *out);
        return true;
    default:
        if (!pr_gguf_element_integer(value, i, &integer)) return false;
        *out = (double)integer;
        return true;
    }
}

/* The value of a key as one element or an array; NULL with *status set to what the getter returns:
 * PR_OK where a key is absent that need not be there. */
static const pr_gguf_value *look_up(const pr_gguf *g, const char *key, bool required, bool array,
                                    const char *wanted, pr_status *status, pr_error *err) {
    const pr_gguf_value *value = pr_gguf_value_of(g, key);
    *status = PR_OK;
    if (!value && required)
        *status = pr_fail(err, PR_BAD_FILE, "%s: key '%s' is missing, expected %s", pr_gguf_path(g),
                          key, wanted);
    if (!value || value->is_array == array) return value;
    *status =
        pr_fail(err, PR_BAD_FILE, "%s: key '%s' is %s %s, expected %s", pr_gguf_path(g), key,
                value->is_array ? "an array of" : "one", pr_gguf_type_name(value->type), wanted);
    return NULL;
}

static pr_status fail_type(const pr_gguf *g, const pr_gguf_value *value, const char *wanted,
                           pr_error *err) {
    return pr_fail(err, PR_BAD_FILE, "%s: key '%s' is of type %s, expected %s", pr_gguf_path(g),
                   value->key, pr_gguf_type_name(value->type), wanted);
}

pr_status pr_gguf_get_integer(const pr_gguf *g, const char *key, bool required, int64_t lowest,
                              int64_t highest, int64_t *out, pr_error *err) {
    static const char wanted[] = "an integer";
    pr_status status;
    const pr_gguf_value *value = look_up(g, key, required, false, wanted, &status, err);
    if (!value) return status;
    int64_t found;
    if (value->type == PR_GGUF_BOOL || traits[value->type].kind > SIGNED)
        return fail_type(g, value, wanted, err);
    if (!pr_gguf_element_integer(value, 0, &found))
        return pr_fail(err, PR_BAD_FILE, "%s: key '%s' is above %" PRId64, pr_gguf_path(g), key,
                       highest);
    if (found < lowest || found > highest)
        return pr_fail(err, PR_BAD_FILE,
                       "%s: key '%s' is %" PRId64 ", expected %" PRId64 " to %" PRId64,
                       pr_gguf_path(g), key, found, lowest, highest);
    *out = found;
    return PR_OK;
}

pr_status pr_gguf_get_number(const pr_gguf *g, const char *key, bool required, double *out,
                             pr_error *err) {
    static const char wanted[] = "a number";
    pr_status status;
    const pr_gguf_value *value = look_up(g, key, required, false, wanted, &status, err);
    if (!value) return status;
    double found;
    if (value->type == PR_GGUF_BOOL || !pr_gguf_element_number(value, 0, &found))
        return fail_type(g, value, wanted, err);
    if (!isfinite(found))
        return pr_fail(err, PR_BAD_FILE, "%s: key '%s' is %g, expected a finite number",
                       pr_gguf_path(g), key, found);
    *out = found;
    return PR_OK;
}

pr_status pr_gguf_get_boolean(const pr_gguf *g, const char *key, bool required, bool *out,
                              pr_error *err) {
    static const char wanted[] = "a boolean";
    pr_status status;
    const pr_gguf_value *value = look_up(g, key, required, false, wanted, &status, err);
    if (!value) return status;
    if (value->type != PR_GGUF_BOOL) return fail_type(g, value, wanted, err);
    *out = value->data[0] != 0;
    return PR_OK;
}

pr_status pr_gguf_get_text(const pr_gguf *g, const char *key, bool required, const char **out,
                           pr_error *err) {
    static const char wanted[] = "a text";
    pr_status status;
    const pr_gguf_value *value = look_up(g, key, required, false, wanted, &status, err);
    if (!value) return status;
    if (value->type != PR_GGUF_TEXT) return fail_type(g, value, wanted, err);
    *out = value->texts[0];
    return PR_OK;
}

pr_status pr_gguf_get_texts(const pr_gguf *g, const char *key, bool required,
                            const char *const **out, size_t *count, pr_error *err) {
    static const char wanted[] = "an array of texts";
    pr_status status;
    const pr_gguf_value *value = look_up(g, key, required, true, wanted, &status, err);
    if (!value) return status;
    if (value->type != PR_GGUF_TEXT) return fail_type(g, value, wanted, err);
    *out = value->texts;
    *count = value->count;
    return PR_OK;
}
