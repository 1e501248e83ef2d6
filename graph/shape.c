#include "graph/shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "graph/memory.h"

pr_shape pr_shape_1(int64_t a) {
    return (pr_shape){.n_dims = 1, .dim = {a}};
}

pr_shape pr_shape_2(int64_t a, int64_t b) {
    return (pr_shape){.n_dims = 2, .dim = {a, b}};
}

bool pr_shape_equal(pr_shape a, pr_shape b) {
    if (a.n_dims != b.n_dims) return false;
    for (int i = 0; i < a.n_dims; i++) {
        if (a.dim[i] != b.dim[i]) return false;
    }
    return true;
}

pr_shape pr_shape_bind(pr_shape shape, pr_extent extent) {
    if (shape.n_dims > 0) {
        if (shape.dim[0] == PR_TOKENS)
            shape.dim[0] = extent.tokens;
        else if (shape.dim[0] == PR_SENTENCES)
            shape.dim[0] = extent.sentences;
        else if (shape.dim[0] == PR_OFFSETS)
            shape.dim[0] = extent.sentences + 1;
    }
    return shape;
}

bool pr_shape_count(pr_shape shape, size_t *count) {
    size_t product = 1;
    for (int i = 0; i < shape.n_dims; i++) {
        if (shape.dim[i] < 0) return false;
        if (!pr_size_multiply(product, (size_t)shape.dim[i], &product)) return false;
    }
    *count = product;
    return true;
}

bool pr_shape_bytes(pr_shape shape, pr_dtype dtype, size_t *bytes) {
    size_t count;
    return pr_shape_count(shape, &count) && pr_size_multiply(count, pr_dtype_size(dtype), bytes);
}

size_t pr_dtype_size(pr_dtype dtype) {
    static const size_t sizes[] = {
        [PR_F32] = 4, [PR_F64] = 8, [PR_I32] = 4, [PR_U64] = 8, [PR_BF16] = 2};
    return sizes[dtype];
}

const char *pr_dtype_name(pr_dtype dtype) {
    static const char *const names[] = {"f32", "f64", "i32", "u64", "bf16"};
    return names[dtype];
}

const char *pr_shape_text(pr_shape shape, char text[PR_SHAPE_TEXT]) {
    size_t used = 0;
    text[used++] = '(';
    for (int i = 0; i < shape.n_dims; i++) {
        const char *comma = i ? ", " : "";
        size_t room = PR_SHAPE_TEXT - used;
        int64_t d = shape.dim[i];
        int n;
        if (d == PR_TOKENS)
            n = snprintf(text + used, room, "%sN", comma);
        else if (d == PR_SENTENCES)
            n = snprintf(text + used, room, "%sB", comma);
        else if (d == PR_OFFSETS)
            n = snprintf(text + used, room, "%sB+1", comma);
        else
            n = snprintf(text + used, room, "%s%" PRId64, comma, d);
        used += (size_t)n; /* four dims of at most 22 characters fit */
    }
    memcpy(text + used, ")", 2);
    return text;
}
