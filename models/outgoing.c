#include "models/outgoing.h"

#include <string.h>

#include "graph/bf16.h"
#include "graph/memory.h"
#include "graph/names.h"

static pr_status claim(pr_outgoing *list, const char *name, pr_error *err) {
    if (!list->names) list->names = pr_names_new();
    if (!list->names) return pr_fail_memory(err, name, strlen(name));
    if (pr_names_get(list->names, name) >= 0)
        return pr_fail(err, PR_BAD_ARGUMENT, "tensor '%s' is given twice", name);
    if (pr_names_put(list->names, name, 0) != PR_OK) return pr_fail_memory(err, name, strlen(name));
    return PR_OK;
}

static pr_status add(pr_outgoing *list, const char *name, pr_outgoing_tensor t, pr_error *err) {
    bool known = t.format == PR_FORMAT_F32 || t.format == PR_FORMAT_BF16;
    bool counted = t.shape.n_dims >= 1 && t.shape.n_dims <= PR_MAX_DIMS &&
                   pr_shape_count(t.shape, &t.count) && t.count > 0;
    if (!known || !counted ||
        !pr_size_multiply(t.count, t.format == PR_FORMAT_F32 ? 4 : 2, &t.bytes)) {
        char text[PR_SHAPE_TEXT];
        return pr_fail(err, PR_BAD_ARGUMENT, "tensor '%s': %s can't be written in this format",
                       name, pr_shape_text(t.shape, text));
    }
    pr_status status = claim(list, name, err);
    if (status != PR_OK) return status;
    t.name = pr_copy_text(name);
    if (!t.name || !pr_grow((void **)&list->tensor, &list->capacity, list->n + 1, sizeof t)) {
        pr_free(t.name);
        return pr_fail_memory(err, name, sizeof t);
    }
    list->tensor[list->n++] = t;
    return PR_OK;
}

pr_status pr_outgoing_add(pr_outgoing *list, const char *name, pr_shape shape, pr_format format,
                          const float *data, pr_error *err) {
    return add(list, name, (pr_outgoing_tensor){.shape = shape, .format = format, .data = data},
               err);
}

pr_status pr_outgoing_add_filled(pr_outgoing *list, const char *name, pr_shape shape,
                                 pr_format format, pr_outgoing_fill fill, const void *context,
                                 pr_error *err) {
    pr_outgoing_tensor t = {.shape = shape, .format = format, .fill = fill, .context = context};
    return add(list, name, t, err);
}

static void write_bf16(pr_file_writer *file, const float *data, size_t count) {
    enum { PIECE = 4096 };
    uint16_t piece[PIECE];
    while (count > 0) {
        size_t n = count < PIECE ? count : PIECE;
        for (size_t i = 0; i < n; i++)
            piece[i] = pr_bf16_from_f32(data[i]);
        pr_file_write(file, piece, n * sizeof *piece);
        data += n;
        count -= n;
    }
}

static void write_elements(pr_file_writer *file, pr_format format, const float *data,
                           size_t count) {
    if (format == PR_FORMAT_F32)
        pr_file_write(file, data, count * sizeof *data);
    else
        write_bf16(file, data, count);
}

/* Has a tensor made, in the list's room. */
static pr_status make(pr_outgoing *list, const pr_outgoing_tensor *t, pr_error *err) {
    if (list->room_count < t->count) {
        float *room = pr_realloc(list->room, t->count, sizeof *room);
        if (!room) return pr_fail_memory(err, t->name, t->count * sizeof *room);
        list->room = room;
        list->room_count = t->count;
    }
    return t->fill(t->context, t->name, list->room, err);
}

pr_status pr_outgoing_write(pr_outgoing *list, size_t index, pr_file_writer *file, pr_error *err) {
    const pr_outgoing_tensor *t = &list->tensor[index];
    if (!t->data) {
        pr_status status = make(list, t, err);
        if (status != PR_OK) return status;
        write_elements(file, t->format, list->room, t->count);
        return PR_OK;
    }
    enum { PIECE = 1 << 18 }; /* elements: a megabyte is resident at a time */
    for (size_t at = 0; at < t->count; at += PIECE) {
        size_t n = t->count - at < PIECE ? t->count - at : PIECE;
        write_elements(file, t->format, t->data + at, n);
        if (list->written)
            list->written(list->written_context, t->name, t->data + at, n * sizeof *t->data);
    }
    return PR_OK;
}

void pr_outgoing_clear(pr_outgoing *list) {
    for (size_t i = 0; i < list->n; i++)
        pr_free(list->tensor[i].name);
    pr_free(list->tensor);
    pr_free(list->room);
    pr_names_free(list->names);
    *list = (pr_outgoing){0};
}
