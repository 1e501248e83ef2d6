/* Tensors on their way into a file: both writers (gguf.h, safetensors.h) collect them first, as the
 * description of all stands before the bytes of any, and then stream them. */
#ifndef PR_OUTGOING_H
#define PR_OUTGOING_H

#include "models/file.h"
#include "models/stored.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Computes a tensor's elements, in row-major order, when their turn to be written comes. */
typedef pr_status (*pr_outgoing_fill)(const void *context, const char *name, float *to,
                                      pr_error *err);

typedef struct pr_outgoing_tensor {
    char *name;
    pr_shape shape;
    pr_format format; /* PR_FORMAT_F32 or PR_FORMAT_BF16 */
    size_t count, bytes;
    const float *data; /* (count); or NULL, and fill makes it */
    pr_outgoing_fill fill;
    const void *context;
} pr_outgoing_tensor;

/* Told of elements in memory once they are on their way: they may lie in a mapping, whose pages are
 * then resident for nothing. */
typedef void (*pr_outgoing_written)(const void *context, const char *name, const float *data,
                                    size_t bytes);

typedef struct pr_outgoing {
    pr_outgoing_tensor *tensor;
    size_t n, capacity;
    struct pr_names *names;
    float *room; /* for the largest that is filled */
    size_t room_count;
    pr_outgoing_written written; /* or NULL */
    const void *written_context;
} pr_outgoing;

/* Appends a tensor, whose data must stay until it is written. PR_BAD_ARGUMENT: the name is there
 * already, the shape is dynamic or empty, the format can't be written. The list begins as all
 * zeros. */
pr_status pr_outgoing_add(pr_outgoing *list, const char *name, pr_shape shape, pr_format format,
                          const float *data, pr_error *err);

/* The same for one that fill makes when its turn comes: at most one such is in memory. */
pr_status pr_outgoing_add_filled(pr_outgoing *list, const char *name, pr_shape shape,
                                 pr_format format, pr_outgoing_fill fill, const void *context,
                                 pr_error *err);

/* Appends the bytes of a tensor to a file. Faults of the file stick to it as they do in file.h; the
 * status is fill's, or PR_NO_MEMORY. */
pr_status pr_outgoing_write(pr_outgoing *list, size_t index, pr_file_writer *file, pr_error *err);

/* Frees what the list holds. */
void pr_outgoing_clear(pr_outgoing *list);

#ifdef __cplusplus
}
#endif
#endif
