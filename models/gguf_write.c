#include "models/gguf.h"

#include <string.h>

#include "graph/memory.h"
#include "graph/names.h"
#include "models/file.h"
#include "models/outgoing.h"

enum { VERSION = 3, ALIGNMENT = 32, TYPE_F32 = 0, TYPE_BF16 = 30 };

struct pr_gguf_writer {
    unsigned char *keys; /* all of them, as they will stand in the file */
    size_t keys_used, keys_capacity;
    pr_outgoing tensors;
    pr_names *key_names;
    uint64_t n_keys;
    pr_error fault;
};

pr_gguf_writer *pr_gguf_writer_new(void) {
    pr_gguf_writer *w = pr_alloc(1, sizeof *w);
    if (!w) return NULL;
    w->key_names = pr_names_new();
    if (w->key_names) return w;
    pr_gguf_writer_free(w);
    return NULL;
}

void pr_gguf_writer_free(pr_gguf_writer *w) {
    if (!w) return;
    pr_outgoing_clear(&w->tensors);
    pr_free(w->keys);
    pr_names_free(w->key_names);
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

static void begin_value(pr_gguf_writer *w, const char *key, pr_gguf_type type) {
    if (pr_names_get(w->key_names, key) >= 0)
        pr_fail(&w->fault, PR_BAD_ARGUMENT, "key '%s' is given twice", key);
    else if (pr_names_put(w->key_names, key, 0) != PR_OK)
        pr_fail_memory(&w->fault, key, strlen(key));
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

void pr_gguf_put_tensor(pr_gguf_writer *w, const char *name, pr_shape shape, pr_format format,
                        const float *data) {
    if (w->fault.code == PR_OK) pr_outgoing_add(&w->tensors, name, shape, format, data, &w->fault);
}

void pr_gguf_put_filled(pr_gguf_writer *w, const char *name, pr_shape shape, pr_format format,
                        pr_outgoing_fill fill, const void *context) {
    if (w->fault.code == PR_OK)
        pr_outgoing_add_filled(&w->tensors, name, shape, format, fill, context, &w->fault);
}

void pr_gguf_on_written(pr_gguf_writer *w, pr_outgoing_written written, const void *context) {
    w->tensors.written = written;
    w->tensors.written_context = context;
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
    write_u64(file, w->tensors.n);
    write_u64(file, w->n_keys);
    pr_file_write(file, w->keys, w->keys_used);
    uint64_t offset = 0;
    for (size_t i = 0; i < w->tensors.n; i++) {
        const pr_outgoing_tensor *t = &w->tensors.tensor[i];
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

pr_status pr_gguf_write(pr_gguf_writer *w, const char *path, pr_error *err) {
    if (w->fault.code != PR_OK)
        return pr_fail(err, w->fault.code, "%s: %s", path, w->fault.message);
    pr_file_writer *file = pr_file_writer_open(path, err);
    if (!file) return err ? err->code : PR_IO;
    write_header(w, file);
    for (size_t i = 0; i < w->tensors.n; i++) {
        pr_status status = pr_outgoing_write(&w->tensors, i, file, err);
        if (status != PR_OK) {
            pr_file_abandon(file);
            return status;
        }
        pad(file);
    }
    return pr_file_commit(file, err);
}
