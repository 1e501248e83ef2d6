#include "models/gguf.h"

#include <string.h>

#include "graph/memory.h"
#include "graph/names.h"
#include "models/file.h"

enum { VERSION = 3, ALIGNMENT = 32, TYPE_F32 = 0, TYPE_BF16 = 30 };

typedef struct pending {
    char *name;
    pr_shape shape;
    pr_format format;
    size_t count;
    uint64_t bytes;    /* in the file, padding not counted */
    const float *data; /* or NULL, and fill makes it */
    pr_gguf_fill fill;
    const void *context;
} pending;

struct pr_gguf_writer {
    unsigned char *keys; /* all of them, as they will stand in the file */
    size_t keys_used, keys_capacity;
    pending *tensor;
    size_t tensors, tensor_capacity;
    pr_names *key_names, *tensor_names;
    uint64_t n_keys;
    pr_error fault;
};

pr_gguf_writer *pr_gguf_writer_new(void) {
    pr_gguf_writer *w = pr_alloc(1, sizeof *w);
    if (!w) return NULL;
    w->key_names = pr_names_new();
    w->tensor_names = pr_names_new();
    if (w->key_names && w->tensor_names) return w;
    pr_gguf_writer_free(w);
    return NULL;
}

void pr_gguf_writer_free(pr_gguf_writer *w) {
    if (!w) return;
    for (size_t i = 0; i < w->tensors; i++)
        pr_free(w->tensor[i].name);
    pr_free(w->tensor);
    pr_free(w->keys);
    pr_names_free(w->key_names);
    pr_names_free(w->tensor_names);
    pr_free(w);
}

static void append(pr_gguf_writer *w, const void *bytes, size_t size) {
    size_t need;
    if (w->fault.code != PR_OK) return;
    if (!pr_size_add(w->keys_used, size, &need) ||
        !pr_grow((void **)&w->keys, &w->keys_capacity, need, 1)) {
        pr_fail_memory(&w->fault, "the keys of a model file", size);
        return;
    }
    if (size > 0) memcpy(w->keys + w->keys_used, bytes, size);
    w->keys_used = need;
}

static void append_u32(pr_gguf_writer *w, uint32_t value) {
    append(w, &value, sizeof value);
}

static void append_u64(pr_gguf_writer *w, uint64_t value) {
    append(w, &value, sizeof value);
}

static void append_text(pr_gguf_writer *w, const char *text) {
    append_u64(w, strlen(text));
    append(w, text, strlen(text));
}

/* Takes a name that must be new. */
static void claim(pr_gguf_writer *w, pr_names *names, const char *what, const char *name) {
    if (pr_names_get(names, name) >= 0)
        pr_fail(&w->fault, PR_BAD_ARGUMENT, "%s '%s' is given twice", what, name);
    else if (pr_names_put(names, name, 0) != PR_OK)
        pr_fail_memory(&w->fault, name, strlen(name));
}

static void begin_value(pr_gguf_writer *w, const char *key, pr_gguf_type type) {
    claim(w, w->key_names, "key", key);
    append_text(w, key);
    append_u32(w, type);
    w->n_keys++;
}

static void begin_array(pr_gguf_writer *w, const char *key, pr_gguf_type type, size_t count) {
    begin_value(w, key, PR_GGUF_ARRAY);
    append_u32(w, type);
    append_u64(w, count);
}

static void put(pr_gguf_writer *w, const char *key, pr_gguf_type type, const void *value) {
    begin_value(w, key, type);
    append(w, value, pr_gguf_type_size(type));
}

void pr_gguf_put_u32(pr_gguf_writer *w, const char *key, uint32_t value) {
    put(w, key, PR_GGUF_U32, &value);
}

void pr_gguf_put_u64(pr_gguf_writer *w, const char *key, uint64_t value) {
    put(w, key, PR_GGUF_U64, &value);
}

void pr_gguf_put_i32(pr_gguf_writer *w, const char *key, int32_t value) {
    put(w, key, PR_GGUF_I32, &value);
}

void pr_gguf_put_f32(pr_gguf_writer *w, const char *key, float value) {
    put(w, key, PR_GGUF_F32, &value);
}

void pr_gguf_put_boolean(pr_gguf_writer *w, const char *key, bool value) {
    unsigned char byte = value;
    put(w, key, PR_GGUF_BOOL, &byte);
}

void pr_gguf_put_text(pr_gguf_writer *w, const char *key, const char *value) {
    begin_value(w, key, PR_GGUF_TEXT);
    append_text(w, value);
}

void pr_gguf_put_texts(pr_gguf_writer *w, const char *key, const char *const *values,
                       size_t count) {
    begin_array(w, key, PR_GGUF_TEXT, count);
    for (size_t i = 0; i < count; i++)
        append_text(w, values[i]);
}

void pr_gguf_put_i32s(pr_gguf_writer *w, const char *key, const int32_t *values, size_t count) {
    begin_array(w, key, PR_GGUF_I32, count);
    append(w, values, count * sizeof *values);
}

void pr_gguf_put_f32s(pr_gguf_writer *w, const char *key, const float *values, size_t count) {
    begin_array(w, key, PR_GGUF_F32, count);
    append(w, values, count * sizeof *values);
}

void pr_gguf_put_value(pr_gguf_writer *w, const pr_gguf_value *value) {
    if (strcmp(value->key, "general.alignment") == 0) return;
    if (value->is_array)
        begin_array(w, value->key, value->type, value->count);
    else
        begin_value(w, value->key, value->type);
    for (size_t i = 0; value->type == PR_GGUF_TEXT && i < value->count; i++)
        append_text(w, value->texts[i]);
    append(w, value->data, value->count * pr_gguf_type_size(value->type));
}

bool pr_gguf_has_key(const pr_gguf_writer *w, const char *key) {
    return pr_names_get(w->key_names, key) >= 0;
}

static void claim_tensor(pr_gguf_writer *w, const char *name, pr_shape shape, pr_format format,
                         pending t) {
    size_t bytes = 0;
    t.shape = shape;
    t.format = format;
    claim(w, w->tensor_names, "tensor", name);
    bool known = format == PR_FORMAT_F32 || format == PR_FORMAT_BF16;
    bool counted = shape.n_dims >= 1 && shape.n_dims <= PR_MAX_DIMS &&
                   pr_shape_count(shape, &t.count) && t.count > 0;
    if (!known || !counted || !pr_size_multiply(t.count, format == PR_FORMAT_F32 ? 4 : 2, &bytes))
        pr_fail(&w->fault, PR_BAD_ARGUMENT, "tensor '%s': this shape or format can't be written",
                name);
    if (w->fault.code != PR_OK) return;
    t.bytes = bytes;
    t.name = pr_copy_text(name);
    if (!t.name || !pr_grow((void **)&w->tensor, &w->tensor_capacity, w->tensors + 1, sizeof t)) {
        pr_free(t.name);
        pr_fail_memory(&w->fault, name, sizeof t);
        return;
    }
    w->tensor[w->tensors++] = t;
}

void pr_gguf_put_tensor(pr_gguf_writer *w, const char *name, pr_shape shape, pr_format format,
                        const float *data) {
    claim_tensor(w, name, shape, format, (pending){.data = data});
}

void pr_gguf_put_filled(pr_gguf_writer *w, const char *name, pr_shape shape, pr_format format,
                        pr_gguf_fill fill, const void *context) {
    claim_tensor(w, name, shape, format, (pending){.fill = fill, .context = context});
}

/* Zeros up to the next multiple of the alignment. */
static void pad(pr_file_writer *file) {
    pr_file_write_zeros(file, (ALIGNMENT - pr_file_position(file) % ALIGNMENT) % ALIGNMENT);
}

static void write_u32(pr_file_writer *file, uint32_t value) {
    pr_file_write(file, &value, sizeof value);
}

static void write_u64(pr_file_writer *file, uint64_t value) {
    pr_file_write(file, &value, sizeof value);
}

static void write_header(const pr_gguf_writer *w, pr_file_writer *file) {
    pr_file_write_text(file, "GGUF");
    write_u32(file, VERSION);
    write_u64(file, w->tensors);
    write_u64(file, w->n_keys);
    pr_file_write(file, w->keys, w->keys_used);
    uint64_t offset = 0;
    for (size_t i = 0; i < w->tensors; i++) {
        const pending *t = &w->tensor[i];
        write_u64(file, strlen(t->name));
        pr_file_write_text(file, t->name);
        write_u32(file, (uint32_t)t->shape.n_dims);
        for (int d = t->shape.n_dims - 1; d >= 0; d--)
            write_u64(file, (uint64_t)t->shape.dim[d]);
        write_u32(file, t->format == PR_FORMAT_F32 ? TYPE_F32 : TYPE_BF16);
        write_u64(file, offset);
        offset += (t->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    pad(file);
}

static void write_bf16(pr_file_writer *file, const float *data, size_t count) {
    uint16_t piece[4096];
    const size_t most = sizeof piece / sizeof *piece;
    while (count > 0) {
        size_t n = count < most ? count : most;
        for (size_t i = 0; i < n; i++)
            piece[i] = pr_bf16_from_f32(data[i]);
        pr_file_write(file, piece, n * sizeof *piece);
        data += n;
        count -= n;
    }
}

static void write_floats(pr_file_writer *file, const pending *t, const float *data) {
    if (t->format == PR_FORMAT_F32)
        pr_file_write(file, data, (size_t)t->bytes);
    else
        write_bf16(file, data, t->count);
    pad(file);
}

static pr_status write_filled(pr_file_writer *file, const pending *t, pr_error *err) {
    float *data = pr_alloc(t->count, sizeof *data);
    if (!data) return pr_fail_memory(err, t->name, t->count * sizeof *data);
    pr_status status = t->fill(t->context, t->name, data, err);
    if (status == PR_OK) write_floats(file, t, data);
    pr_free(data);
    return status;
}

pr_status pr_gguf_write(const pr_gguf_writer *w, const char *path, pr_error *err) {
    if (w->fault.code != PR_OK)
        return pr_fail(err, w->fault.code, "%s: %s", path, w->fault.message);
    pr_file_writer *file = pr_file_writer_open(path, err);
    if (!file) return err ? err->code : PR_IO;
    write_header(w, file);
    for (size_t i = 0; i < w->tensors; i++) {
        const pending *t = &w->tensor[i];
        pr_status status = PR_OK;
        if (t->fill)
            status = write_filled(file, t, err);
        else
            write_floats(file, t, t->data);
        if (status != PR_OK) {
            pr_file_abandon(file);
            return status;
        }
    }
    return pr_file_commit(file, err);
}
