/* Shapes are row-major, dim[0] outermost. Only the leading dimension may be dynamic: it is then one
 * of the names below, which shape rules carry unread. A plan binds names to its capacity to place
 * memory; a step binds them to the batch at hand, and kernels see numbers only. */
#ifndef PR_SHAPE_H
#define PR_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PR_MAX_DIMS = 4 };

enum {
    PR_TOKENS = -1,    /* N: the real tokens of the batch's sentences, end to end */
    PR_SENTENCES = -2, /* B */
    PR_OFFSETS = -3    /* B + 1: where each sentence starts, and N */
};

typedef enum pr_dtype { PR_F32, PR_F64, PR_I32, PR_U64, PR_BF16 } pr_dtype;

typedef struct pr_shape {
    int32_t n_dims;
    int64_t dim[PR_MAX_DIMS];
} pr_shape;

/* The values of the names: of one batch, or the most that a plan has room for. */
typedef struct pr_extent {
    int64_t tokens, sentences, longest; /* longest: the most tokens of one sentence */
} pr_extent;

pr_shape pr_shape_1(int64_t a);
pr_shape pr_shape_2(int64_t a, int64_t b);

bool pr_shape_equal(pr_shape a, pr_shape b);

/* The shape with its dynamic dimension replaced by the extent's number. */
pr_shape pr_shape_bind(pr_shape shape, pr_extent extent);

/* The number of elements; false if a dimension is dynamic or negative, or the product overflows. */
bool pr_shape_count(pr_shape shape, size_t *count);

/* pr_shape_count times the dtype's size. */
bool pr_shape_bytes(pr_shape shape, pr_dtype dtype, size_t *bytes);

size_t pr_dtype_size(pr_dtype dtype);
const char *pr_dtype_name(pr_dtype dtype);

/* "(N, 768)"; returns text. */
enum { PR_SHAPE_TEXT = 96 };
const char *pr_shape_text(pr_shape shape, char text[PR_SHAPE_TEXT]);

#ifdef __cplusplus
}
#endif
#endif
