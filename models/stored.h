/* A tensor as a model file holds it: its name, its shape, and its bytes in the file's mapping.
 * Both readers (gguf.h, safetensors.h) give these; shapes are row-major, (out, in) for a matrix. */
#ifndef PR_STORED_H
#define PR_STORED_H

#include <stddef.h>

#include "graph/shape.h"
#include "graph/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pr_format {
    PR_FORMAT_F32,
    PR_FORMAT_F16,  /* IEEE 754 binary16 */
    PR_FORMAT_BF16, /* the upper half of an f32 */
    PR_FORMAT_OTHER /* integers, quantised blocks: listed, but no weights that Primer reads */
} pr_format;

typedef struct pr_stored {
    const char *name;      /* the file's, as are the rest; valid while the file is open */
    const char *type_name; /* as the file's format spells it: "f32", "BF16", "q8_0" */
    pr_format format;
    pr_shape shape;   /* one dimension at least, none empty */
    size_t count;     /* elements */
    size_t bytes;     /* of data */
    const void *data; /* in the mapping; may lie at any byte: see pr_stored_direct */
} pr_stored;

/* The elements in place, when they are f32 at an address that fits; else NULL. */
const float *pr_stored_direct(const pr_stored *tensor);

/* Likewise of bf16. */
const uint16_t *pr_stored_direct_half(const pr_stored *tensor);

/* Writes all elements to `to`, count floats, exactly. PR_BAD_FILE for PR_FORMAT_OTHER. */
pr_status pr_stored_expand(const pr_stored *tensor, float *to, pr_error *err);

/* PR_BAD_FILE, naming the tensor and the first place, when an element is NaN or infinite. Reads the
 * tensor in pieces and leaves none of them resident: a scan costs no memory. */
pr_status pr_stored_check_finite(const pr_stored *tensor, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
