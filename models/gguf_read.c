/* The layout, all little-endian:
 *     "GGUF", u32 version, u64 tensors, u64 keys
 *     a key: text name, u32 type, value       a text: u64 length, bytes
 *     a tensor: text name, u32 n_dims, u64 dims[n_dims] (innermost first), u32 type, u64 offset
 *     zeros up to the alignment, then the data that offsets count from
 * Nothing in the file is believed: a cursor checks each read against the bytes left, and counts are
 * checked against the fewest bytes that so many things can take before room is made for them. */
#include "models/gguf.h"

#include <inttypes.h>
#include <string.h>

#include "graph/memory.h"
#include "graph/names.h"
#include "models/file.h"

enum {
    DEFAULT_ALIGNMENT = 32,
    MOST_ALIGNMENT = 1 << 20,
    LONGEST_NAME = 65535, /* the format's limit on keys */
    SMALLEST_KEY = 8 + 1 + 4 + 1,
    SMALLEST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8,
    SMALLEST_TEXT = 8
};

struct pr_gguf {
    pr_file file;
    char *path;
    int version;
    uint64_t alignment;
    size_t keys, tensors; /* as many as are filled in below */
    pr_gguf_value *key;
    pr_stored *tensor;
    pr_names *key_index, *tensor_index;
};

typedef struct cursor {
    pr_gguf *g;
    const unsigned char *at, *end;
    pr_error *err;
} cursor;

/* The tensor types by the format's number: elements and bytes of a block. From ggml's type_traits
 * (ggml.c); those without a name were withdrawn. */
typedef struct tensor_type {
    const char *name;
    uint16_t elements, bytes;
} tensor_type;

static const tensor_type tensor_types[] = {
    [0] = {"f32", 1, 4},         [1] = {"f16", 1, 2},         [2] = {"q4_0", 32, 18},
    [3] = {"q4_1", 32, 20},      [6] = {"q5_0", 32, 22},      [7] = {"q5_1", 32, 24},
    [8] = {"q8_0", 32, 34},      [9] = {"q8_1", 32, 36},      [10] = {"q2_k", 256, 84},
    [11] = {"q3_k", 256, 110},   [12] = {"q4_k", 256, 144},   [13] = {"q5_k", 256, 176},
    [14] = {"q6_k", 256, 210},   [15] = {"q8_k", 256, 292},   [16] = {"iq2_xxs", 256, 66},
    [17] = {"iq2_xs", 256, 74},  [18] = {"iq3_xxs", 256, 98}, [19] = {"iq1_s", 256, 50},
    [20] = {"iq4_nl", 32, 18},   [21] = {"iq3_s", 256, 110},  [22] = {"iq2_s", 256, 82},
    [23] = {"iq4_xs", 256, 136}, [24] = {"i8", 1, 1},         [25] = {"i16", 1, 2},
    [26] = {"i32", 1, 4},        [27] = {"i64", 1, 8},        [28] = {"f64", 1, 8},
    [29] = {"iq1_m", 256, 56},   [30] = {"bf16", 1, 2},       [34] = {"tq1_0", 256, 54},
    [35] = {"tq2_0", 256, 66},   [39] = {"mxfp4", 32, 17},    [40] = {"nvfp4", 64, 36},
    [41] = {"q1_0", 128, 18}};

/* n bytes at the cursor, which moves past them; NULL with err set when there are fewer. */
static const unsigned char *take(cursor *c, uint64_t n, const char *what) {
    size_t left = (size_t)(c->end - c->at);
    if (n > left) {
        pr_fail(
            c->err, PR_BAD_FILE,
            "%s: the file is cut short or a length in it is wrong: %s at byte %zu takes %" PRIu64
            " bytes, %zu are left",
            c->g->path, what, (size_t)(c->at - c->g->file.bytes), n, left);
        return NULL;
    }
    const unsigned char *at = c->at;
    c->at += n;
    return at;
}

static bool read_u32(cursor *c, const char *what, uint32_t *out) {
    const unsigned char *at = take(c, sizeof *out, what);
    if (at) memcpy(out, at, sizeof *out);
    return at;
}

static bool read_u64(cursor *c, const char *what, uint64_t *out) {
    const unsigned char *at = take(c, sizeof *out, what);
    if (at) memcpy(out, at, sizeof *out);
    return at;
}

/* Refuses a count of things that the bytes left can't hold: room is made only for what passes. */
static bool count_fits(cursor *c, uint64_t count, size_t smallest, const char *what) {
    size_t left = (size_t)(c->end - c->at);
    if (count <= left / smallest && count <= INT32_MAX) return true;
    pr_fail(c->err, PR_BAD_FILE,
            "%s: %s: there are said to be %" PRIu64 ", which the %zu bytes left can't hold",
            c->g->path, what, count, left);
    return false;
}

/* A text as a copy with a NUL; a NUL inside is refused, as C would see half of it. */
static char *read_text(cursor *c, const char *what) {
    uint64_t length;
    if (!read_u64(c, what, &length)) return NULL;
    const char *at = (const char *)take(c, length, what);
    if (!at) return NULL;
    if (memchr(at, 0, (size_t)length)) {
        pr_fail(c->err, PR_BAD_FILE, "%s: %s has a NUL inside", c->g->path, what);
        return NULL;
    }
    char *copy = pr_copy_bytes(at, (size_t)length);
    if (!copy) pr_fail_memory(c->err, what, length);
    return copy;
}

/* The name of a key or tensor: not empty, of a sane length, printable. */
static char *read_name(cursor *c, const char *what) {
    char *name = read_text(c, what);
    if (!name) return NULL;
    bool good = name[0] != 0 && strlen(name) <= LONGEST_NAME;
    for (const char *p = name; good && *p; p++)
        good = (unsigned char)*p >= 0x20 && *p != 0x7f;
    if (good) return name;
    pr_fail(c->err, PR_BAD_FILE, "%s: %s is empty, too long or has a control character in it",
            c->g->path, what);
    pr_free(name);
    return NULL;
}

static void free_texts(const char *const *texts, size_t count) {
    if (!texts) return;
    for (size_t i = 0; i < count; i++)
        pr_free((char *)texts[i]);
    pr_free((void *)texts);
}

static bool read_texts(cursor *c, pr_gguf_value *value) {
    const char **texts = pr_alloc(value->count, sizeof *texts);
    if (!texts) {
        pr_fail_memory(c->err, value->key, value->count * sizeof *texts);
        return false;
    }
    value->texts = texts;
    for (size_t i = 0; i < value->count; i++) {
        texts[i] = read_text(c, value->key);
        if (!texts[i]) return false;
    }
    return true;
}

static bool read_type(cursor *c, const char *key, pr_gguf_type *type) {
    uint32_t number;
    if (!read_u32(c, key, &number)) return false;
    if (number >= PR_GGUF_TYPES) {
        pr_fail(c->err, PR_BAD_FILE, "%s: key '%s' is of unknown type %" PRIu32, c->g->path, key,
                number);
        return false;
    }
    *type = (pr_gguf_type)number;
    return true;
}

static bool read_array_head(cursor *c, pr_gguf_value *value) {
    uint64_t count;
    if (!read_type(c, value->key, &value->type) || !read_u64(c, value->key, &count)) return false;
    value->is_array = true;
    if (value->type == PR_GGUF_ARRAY) {
        pr_fail(c->err, PR_BAD_FILE, "%s: key '%s' is an array of arrays, which nothing here reads",
                c->g->path, value->key);
        return false;
    }
    size_t smallest = value->type == PR_GGUF_TEXT ? SMALLEST_TEXT : pr_gguf_type_size(value->type);
    if (!count_fits(c, count, smallest, value->key)) return false;
    value->count = (size_t)count;
    return true;
}

/* Fills *value, which the file frees whether or not this succeeds. */
static bool read_value(cursor *c, pr_gguf_value *value) {
    value->key = read_name(c, "the name of a key");
    if (!value->key || !read_type(c, value->key, &value->type)) return false;
    value->count = 1;
    if (value->type == PR_GGUF_ARRAY && !read_array_head(c, value)) return false;
    if (value->type == PR_GGUF_TEXT) return read_texts(c, value);
    value->data = take(c, (uint64_t)value->count * pr_gguf_type_size(value->type), value->key);
    if (!value->data) return false;
    for (size_t i = 0; value->type == PR_GGUF_BOOL && i < value->count; i++) {
        if (value->data[i] > 1) {
            pr_fail(c->err, PR_BAD_FILE, "%s: key '%s': a boolean is %d, expected 0 or 1",
                    c->g->path, value->key, value->data[i]);
            return false;
        }
    }
    return true;
}

/* Enters a name into an index; a second of the same name is a fault. */
static bool enter(cursor *c, pr_names *index, const char *what, const char *name, size_t number) {
    if (pr_names_get(index, name) >= 0) {
        pr_fail(c->err, PR_BAD_FILE, "%s: %s '%s' is there twice", c->g->path, what, name);
        return false;
    }
    if (pr_names_put(index, name, (int32_t)number) == PR_OK) return true;
    pr_fail_memory(c->err, name, strlen(name));
    return false;
}

static bool read_keys(cursor *c, uint64_t count) {
    pr_gguf *g = c->g;
    g->key = pr_alloc((size_t)count, sizeof *g->key);
    if (!g->key) {
        pr_fail_memory(c->err, "the table of keys", count * sizeof *g->key);
        return false;
    }
    while (g->keys < count) {
        pr_gguf_value *value = &g->key[g->keys++];
        if (!read_value(c, value) || !enter(c, g->key_index, "key", value->key, g->keys - 1))
            return false;
    }
    return true;
}

static bool read_alignment(cursor *c) {
    pr_gguf *g = c->g;
    int64_t alignment = DEFAULT_ALIGNMENT;
    if (pr_gguf_get_integer(g, "general.alignment", false, 1, MOST_ALIGNMENT, &alignment, c->err))
        return false;
    g->alignment = (uint64_t)alignment;
    if ((g->alignment & (g->alignment - 1)) == 0) return true;
    pr_fail(c->err, PR_BAD_FILE, "%s: general.alignment is %" PRId64 ", not a power of two",
            g->path, alignment);
    return false;
}

static bool read_shape(cursor *c, pr_stored *tensor) {
    uint32_t n_dims;
    if (!read_u32(c, tensor->name, &n_dims)) return false;
    if (n_dims < 1 || n_dims > PR_MAX_DIMS) {
        pr_fail(c->err, PR_BAD_FILE, "%s: tensor '%s' has %" PRIu32 " dimensions, expected 1 to %d",
                c->g->path, tensor->name, n_dims, PR_MAX_DIMS);
        return false;
    }
    tensor->shape.n_dims = (int32_t)n_dims;
    for (uint32_t i = 0; i < n_dims; i++) {
        uint64_t dim;
        if (!read_u64(c, tensor->name, &dim)) return false;
        if (dim == 0 || dim > INT64_MAX) {
            pr_fail(c->err, PR_BAD_FILE, "%s: tensor '%s' has a dimension of %" PRIu64, c->g->path,
                    tensor->name, dim);
            return false;
        }
        tensor->shape.dim[n_dims - 1 - i] = (int64_t)dim;
    }
    if (pr_shape_count(tensor->shape, &tensor->count)) return true;
    pr_fail(c->err, PR_BAD_FILE, "%s: tensor '%s': the product of its dimensions overflows",
            c->g->path, tensor->name);
    return false;
}

static bool read_tensor_type(cursor *c, pr_stored *tensor) {
    uint32_t number;
    if (!read_u32(c, tensor->name, &number)) return false;
    if (number >= sizeof tensor_types / sizeof *tensor_types || !tensor_types[number].name) {
        pr_fail(c->err, PR_BAD_FILE, "%s: tensor '%s' is of unknown type %" PRIu32, c->g->path,
                tensor->name, number);
        return false;
    }
    const tensor_type *type = &tensor_types[number];
    tensor->type_name = type->name;
    tensor->format = number == 0    ? PR_FORMAT_F32
                     : number == 1  ? PR_FORMAT_F16
                     : number == 30 ? PR_FORMAT_BF16
                                    : PR_FORMAT_OTHER;
    /* Blocks run along the innermost dimension, so whole rows of them. */
    if (tensor->shape.dim[tensor->shape.n_dims - 1] % type->elements == 0 &&
        pr_size_multiply(tensor->count / type->elements, type->bytes, &tensor->bytes))
        return true;
    char shape[PR_SHAPE_TEXT];
    pr_fail(c->err, PR_BAD_FILE, "%s: tensor '%s': %s elements can't be stored as %s", c->g->path,
            tensor->name, pr_shape_text(tensor->shape, shape), type->name);
    return false;
}

static bool read_tensor(cursor *c, pr_stored *tensor, uint64_t *offset) {
    tensor->name = read_name(c, "the name of a tensor");
    return tensor->name && read_shape(c, tensor) && read_tensor_type(c, tensor) &&
           read_u64(c, tensor->name, offset);
}

static bool place_tensor(cursor *c, pr_stored *tensor, uint64_t offset, uint64_t data) {
    pr_gguf *g = c->g;
    if (offset % g->alignment != 0) {
        pr_fail(c->err, PR_BAD_FILE,
                "%s: tensor '%s': its offset %" PRIu64 " is no multiple of the alignment %" PRIu64,
                g->path, tensor->name, offset, g->alignment);
        return false;
    }
    uint64_t room = data < g->file.size ? g->file.size - data : 0;
    if (offset > room || tensor->bytes > room - offset) {
        pr_fail(c->err, PR_BAD_FILE,
                "%s: tensor '%s' takes %zu bytes at offset %" PRIu64
                " of the data, which has %" PRIu64 ": the file is cut short",
                g->path, tensor->name, tensor->bytes, offset, room);
        return false;
    }
    tensor->data = g->file.bytes + data + offset;
    return true;
}

static bool read_tensors(cursor *c, uint64_t count) {
    pr_gguf *g = c->g;
    g->tensor = pr_alloc((size_t)count, sizeof *g->tensor);
    uint64_t *offset = pr_alloc((size_t)count, sizeof *offset);
    bool good = g->tensor && offset;
    if (!good) pr_fail_memory(c->err, "the table of tensors", count * sizeof *g->tensor);
    while (good && g->tensors < count) {
        pr_stored *tensor = &g->tensor[g->tensors++];
        good = read_tensor(c, tensor, &offset[g->tensors - 1]) &&
               enter(c, g->tensor_index, "tensor", tensor->name, g->tensors - 1);
    }
    uint64_t at = (uint64_t)(c->at - g->file.bytes);
    uint64_t data = (at + g->alignment - 1) / g->alignment * g->alignment;
    for (size_t i = 0; good && i < count; i++)
        good = place_tensor(c, &g->tensor[i], offset[i], data);
    pr_free(offset);
    return good;
}

static bool read_header(cursor *c) {
    uint32_t version;
    uint64_t tensors, keys;
    const unsigned char *magic = take(c, 4, "the magic number");
    if (!magic) return false;
    if (memcmp(magic, "GGUF", 4) != 0) {
        pr_fail(c->err, PR_BAD_FILE, "%s: not a GGUF file: it does not begin with 'GGUF'",
                c->g->path);
        return false;
    }
    if (!read_u32(c, "the version", &version)) return false;
    if (version != 2 && version != 3) {
        pr_fail(c->err, PR_BAD_FILE, "%s: GGUF version %" PRIu32 "%s; versions 2 and 3 are read",
                c->g->path, version, version & 0xffff ? "" : " (a big-endian file?)");
        return false;
    }
    c->g->version = (int)version;
    return read_u64(c, "the number of tensors", &tensors) &&
           read_u64(c, "the number of keys", &keys) &&
           count_fits(c, tensors, SMALLEST_TENSOR, "tensors") &&
           count_fits(c, keys, SMALLEST_KEY, "keys") && read_keys(c, keys) && read_alignment(c) &&
           count_fits(c, tensors, SMALLEST_TENSOR, "tensors") && read_tensors(c, tensors);
}

pr_gguf *pr_gguf_open(const char *path, pr_error *err) {
    pr_gguf *g = pr_alloc(1, sizeof *g);
    if (g) {
        g->path = pr_copy_text(path);
        g->key_index = pr_names_new();
        g->tensor_index = pr_names_new();
    }
    if (!g || !g->path || !g->key_index || !g->tensor_index) {
        pr_fail_memory(err, path, sizeof *g);
        pr_gguf_close(g);
        return NULL;
    }
    if (pr_file_map(path, &g->file, err) == PR_OK) {
        cursor c = {g, g->file.bytes, g->file.bytes + g->file.size, err};
        if (read_header(&c)) return g;
    }
    pr_gguf_close(g);
    return NULL;
}

void pr_gguf_close(pr_gguf *g) {
    if (!g) return;
    for (size_t i = 0; i < g->keys; i++) {
        free_texts(g->key[i].texts, g->key[i].count);
        pr_free((char *)g->key[i].key);
    }
    for (size_t i = 0; i < g->tensors; i++)
        pr_free((char *)g->tensor[i].name);
    pr_free(g->key);
    pr_free(g->tensor);
    pr_names_free(g->key_index);
    pr_names_free(g->tensor_index);
    pr_file_unmap(&g->file);
    pr_free(g->path);
    pr_free(g);
}

const char *pr_gguf_path(const pr_gguf *g) {
    return g->path;
}

int pr_gguf_version(const pr_gguf *g) {
    return g->version;
}

int pr_gguf_tensors(const pr_gguf *g) {
    return (int)g->tensors;
}

const pr_stored *pr_gguf_tensor(const pr_gguf *g, int index) {
    return &g->tensor[index];
}

int pr_gguf_find(const pr_gguf *g, const char *name) {
    return pr_names_get(g->tensor_index, name);
}

void pr_gguf_release(const pr_gguf *g, int index) {
    pr_file_release(g->tensor[index].data, g->tensor[index].bytes);
}

int pr_gguf_keys(const pr_gguf *g) {
    return (int)g->keys;
}

const pr_gguf_value *pr_gguf_key(const pr_gguf *g, int index) {
    return &g->key[index];
}

const pr_gguf_value *pr_gguf_value_of(const pr_gguf *g, const char *key) {
    int32_t index = pr_names_get(g->key_index, key);
    return index < 0 ? NULL : &g->key[index];
}
