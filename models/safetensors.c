#include "models/safetensors.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "graph/memory.h"
#include "graph/names.h"
#include "models/json.h"

enum { LONGEST_HEADER = 100 * 1000 * 1000 }; /* the reference implementation's limit */

struct pr_safetensors {
    pr_file file;
    char *path;
    const unsigned char *data; /* what offsets count from */
    size_t data_size;
    pr_stored *tensor;
    size_t n;
    pr_names *index;
};

typedef struct element_type {
    const char *name;
    uint8_t size;
    pr_format format;
} element_type;

static const element_type element_types[] = {
    {"F32", 4, PR_FORMAT_F32},    {"F16", 2, PR_FORMAT_F16},       {"BF16", 2, PR_FORMAT_BF16},
    {"F64", 8, PR_FORMAT_OTHER},  {"I64", 8, PR_FORMAT_OTHER},     {"I32", 4, PR_FORMAT_OTHER},
    {"I16", 2, PR_FORMAT_OTHER},  {"I8", 1, PR_FORMAT_OTHER},      {"U64", 8, PR_FORMAT_OTHER},
    {"U32", 4, PR_FORMAT_OTHER},  {"U16", 2, PR_FORMAT_OTHER},     {"U8", 1, PR_FORMAT_OTHER},
    {"BOOL", 1, PR_FORMAT_OTHER}, {"F8_E4M3", 1, PR_FORMAT_OTHER}, {"F8_E5M2", 1, PR_FORMAT_OTHER},
    {"C64", 8, PR_FORMAT_OTHER}};

static pr_status read_type(const pr_safetensors *f, pr_stored *t, const json_t *type, size_t *size,
                           pr_error *err) {
    const char *name = json_string_value(type);
    if (!name) return pr_fail(err, PR_BAD_FILE, "%s: tensor '%s' has no dtype", f->path, t->name);
    for (size_t i = 0; i < sizeof element_types / sizeof *element_types; i++) {
        if (strcmp(name, element_types[i].name) == 0) {
            t->type_name = element_types[i].name;
            t->format = element_types[i].format;
            *size = element_types[i].size;
            return PR_OK;
        }
    }
    return pr_fail(err, PR_BAD_FILE, "%s: tensor '%s' is of unknown type '%s'", f->path, t->name,
                   name);
}

static pr_status read_shape(const pr_safetensors *f, pr_stored *t, const json_t *shape,
                            pr_error *err) {
    if (!json_is_array(shape))
        return pr_fail(err, PR_BAD_FILE, "%s: tensor '%s' has no shape", f->path, t->name);
    size_t n = json_array_size(shape);
    if (n > PR_MAX_DIMS)
        return pr_fail(err, PR_BAD_FILE, "%s: tensor '%s' has %zu dimensions, expected at most %d",
                       f->path, t->name, n, PR_MAX_DIMS);
    t->shape = pr_shape_1(1);
    if (n > 0) t->shape.n_dims = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *dim = json_array_get(shape, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 1)
            return pr_fail(err, PR_BAD_FILE,
                           "%s: tensor '%s': dimension %zu of its shape is no number above 0",
                           f->path, t->name, i);
        t->shape.dim[i] = json_integer_value(dim);
    }
    if (!pr_shape_count(t->shape, &t->count))
        return pr_fail(err, PR_BAD_FILE, "%s: tensor '%s': the product of its dimensions overflows",
                       f->path, t->name);
    return PR_OK;
}

static pr_status read_offsets(const pr_safetensors *f, pr_stored *t, const json_t *offsets,
                              pr_error *err) {
    const json_t *first = json_array_get(offsets, 0), *second = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(second))
        return pr_fail(err, PR_BAD_FILE, "%s: tensor '%s' has no pair of data_offsets", f->path,
                       t->name);
    json_int_t begin = json_integer_value(first), end = json_integer_value(second);
    if (begin < 0 || end < begin || (uint64_t)end > f->data_size)
        return pr_fail(err, PR_BAD_FILE,
                       "%s: tensor '%s' is said to lie at bytes %" JSON_INTEGER_FORMAT
                       " to %" JSON_INTEGER_FORMAT " of the data, which has %zu",
                       f->path, t->name, begin, end, f->data_size);
    if ((uint64_t)(end - begin) != t->bytes) {
        char shape[PR_SHAPE_TEXT];
        return pr_fail(err, PR_BAD_FILE,
                       "%s: tensor '%s': %s elements of type %s take %zu bytes, its data_offsets "
                       "give it %" JSON_INTEGER_FORMAT,
                       f->path, t->name, pr_shape_text(t->shape, shape), t->type_name, t->bytes,
                       end - begin);
    }
    t->data = f->data + begin;
    return PR_OK;
}

/* Fills *t, whose name the file frees whether or not this succeeds. */
static pr_status read_tensor(const pr_safetensors *f, const char *name, const json_t *entry,
                             pr_stored *t, pr_error *err) {
    size_t size = 0;
    t->name = pr_copy_text(name);
    if (!t->name) return pr_fail_memory(err, name, strlen(name));
    pr_status status = read_type(f, t, json_object_get(entry, "dtype"), &size, err);
    if (status == PR_OK) status = read_shape(f, t, json_object_get(entry, "shape"), err);
    if (status == PR_OK && !pr_size_multiply(t->count, size, &t->bytes))
        status = pr_fail(err, PR_BAD_FILE, "%s: tensor '%s': its size overflows", f->path, name);
    if (status == PR_OK) status = read_offsets(f, t, json_object_get(entry, "data_offsets"), err);
    return status;
}

static int by_place(const void *a, const void *b) {
    uintptr_t x = (uintptr_t)((const pr_stored *)a)->data;
    uintptr_t y = (uintptr_t)((const pr_stored *)b)->data;
    return (x > y) - (x < y);
}

/* Puts the tensors in the order of their bytes, and looks that none reaches into the next. */
static pr_status sort_tensors(pr_safetensors *f, pr_error *err) {
    qsort(f->tensor, f->n, sizeof *f->tensor, by_place);
    for (size_t i = 0; i < f->n; i++) {
        const pr_stored *t = &f->tensor[i];
        if (i > 0 && (uintptr_t)t[-1].data + t[-1].bytes > (uintptr_t)t->data)
            return pr_fail(err, PR_BAD_FILE, "%s: tensors '%s' and '%s' overlap", f->path,
                           t[-1].name, t->name);
        if (pr_names_put(f->index, t->name, (int32_t)i) != PR_OK)
            return pr_fail_memory(err, t->name, sizeof *t);
    }
    return PR_OK;
}

static pr_status read_tensors(pr_safetensors *f, json_t *header, pr_error *err) {
    f->tensor = pr_alloc(json_object_size(header), sizeof *f->tensor);
    if (!f->tensor)
        return pr_fail_memory(err, f->path, json_object_size(header) * sizeof *f->tensor);
    const char *name;
    json_t *entry;
    json_object_foreach(header, name, entry) {
        if (strcmp(name, "__metadata__") == 0) continue;
        pr_status status = read_tensor(f, name, entry, &f->tensor[f->n++], err);
        if (status != PR_OK) return status;
    }
    return sort_tensors(f, err);
}

static pr_status read_header(pr_safetensors *f, pr_error *err) {
    uint64_t length;
    if (f->file.size < sizeof length)
        return pr_fail(err, PR_BAD_FILE,
                       "%s: too short for a safetensors file: expected 8 bytes or more, found %zu",
                       f->path, f->file.size);
    memcpy(&length, f->file.bytes, sizeof length);
    size_t left = f->file.size - sizeof length;
    if (length > left || length > LONGEST_HEADER)
        return pr_fail(err, PR_BAD_FILE,
                       "%s: no safetensors file, or cut short: its header is said to take %" PRIu64
                       " bytes, %zu are left",
                       f->path, length, left);
    f->data = f->file.bytes + sizeof length + length;
    f->data_size = left - (size_t)length;
    json_t *header = pr_json_parse(f->file.bytes + sizeof length, (size_t)length, f->path, err);
    if (!header) return err ? err->code : PR_BAD_FILE;
    pr_status status = read_tensors(f, header, err);
    json_decref(header);
    return status;
}

pr_safetensors *pr_safetensors_open(const char *path, pr_error *err) {
    pr_safetensors *f = pr_alloc(1, sizeof *f);
    if (f) {
        f->path = pr_copy_text(path);
        f->index = pr_names_new();
    }
    if (!f || !f->path || !f->index)
        pr_fail_memory(err, path, sizeof *f);
    else if (pr_file_map(path, &f->file, err) == PR_OK && read_header(f, err) == PR_OK)
        return f;
    pr_safetensors_close(f);
    return NULL;
}

void pr_safetensors_close(pr_safetensors *f) {
    if (!f) return;
    for (size_t i = 0; i < f->n; i++)
        pr_free((char *)f->tensor[i].name);
    pr_free(f->tensor);
    pr_names_free(f->index);
    pr_file_unmap(&f->file);
    pr_free(f->path);
    pr_free(f);
}

int pr_safetensors_count(const pr_safetensors *f) {
    return (int)f->n;
}

const pr_stored *pr_safetensors_tensor(const pr_safetensors *f, int index) {
    return &f->tensor[index];
}

int pr_safetensors_find(const pr_safetensors *f, const char *name) {
    return pr_names_get(f->index, name);
}

/* ---- writing ---- */

static json_t *describe(const pr_outgoing_tensor *t, size_t begin) {
    json_t *shape = json_array();
    for (int i = 0; shape && i < t->shape.n_dims; i++) {
        if (json_array_append_new(shape, json_integer(t->shape.dim[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    if (!shape) return NULL;
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", t->format == PR_FORMAT_F32 ? "F32" : "BF16",
                     "shape", shape, "data_offsets", (json_int_t)begin,
                     (json_int_t)begin + (json_int_t)t->bytes);
}

/* The header's text, to be freed with pr_free; NULL without memory. */
static char *make_header(const pr_outgoing *tensors) {
    json_t *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    bool good = header;
    size_t begin = 0;
    for (size_t i = 0; good && i < tensors->n; i++) {
        const pr_outgoing_tensor *t = &tensors->tensor[i];
        good = json_object_set_new(header, t->name, describe(t, begin)) == 0;
        begin += t->bytes;
    }
    char *text = good ? pr_json_text(header, JSON_COMPACT) : NULL;
    json_decref(header);
    return text;
}

pr_status pr_safetensors_write(pr_outgoing *tensors, const char *path, pr_error *err) {
    char *header = make_header(tensors);
    if (!header) return pr_fail_memory(err, path, tensors->n * sizeof *tensors->tensor);
    pr_file_writer *file = pr_file_writer_open(path, err);
    if (!file) {
        pr_free(header);
        return err ? err->code : PR_IO;
    }
    /* Spaces bring the data to a multiple of 8, so that f32 can be read in place. */
    size_t length = strlen(header), padding = (8 - length % 8) % 8;
    uint64_t total = length + padding;
    pr_file_write(file, &total, sizeof total);
    pr_file_write_text(file, header);
    pr_file_write(file, "        ", padding);
    pr_free(header);
    for (size_t i = 0; i < tensors->n; i++) {
        pr_status status = pr_outgoing_write(tensors, i, file, err);
        if (status != PR_OK) {
            pr_file_abandon(file);
            return status;
        }
    }
    return pr_file_commit(file, err);
}
