#include "models/stored.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "graph/bf16.h"
#include "models/file.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "model files are little-endian");

/* IEEE 754 binary16: sign 1, exponent 5 (bias 15), fraction 10. */
static float f32_from_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
    if (exponent == 0x1f) /* infinite, NaN */
        return pr_bits_float(sign | 0x7f800000u | fraction << 13);
    if (exponent != 0) return pr_bits_float(sign | (exponent + 112) << 23 | fraction << 13);
    float magnitude = (float)fraction * 0x1p-24f; /* subnormal: exact in f32 */
    return sign ? -magnitude : magnitude;
}

const float *pr_stored_direct(const pr_stored *tensor) {
    bool fits = (uintptr_t)tensor->data % _Alignof(float) == 0;
    return tensor->format == PR_FORMAT_F32 && fits ? tensor->data : NULL;
}

const uint16_t *pr_stored_direct_half(const pr_stored *tensor) {
    bool fits = (uintptr_t)tensor->data % _Alignof(uint16_t) == 0;
    return tensor->format == PR_FORMAT_BF16 && fits ? tensor->data : NULL;
}

static void expand_f16(const unsigned char *from, size_t count, float *to) {
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, sizeof half);
        to[i] = f32_from_f16(half);
    }
}

static void expand_bf16(const unsigned char *from, size_t count, float *to) {
    for (size_t i = 0; i < count; i++) {
        uint16_t upper;
        memcpy(&upper, from + 2 * i, sizeof upper);
        to[i] = pr_f32_from_bf16(upper);
    }
}

static pr_status fail_type(const pr_stored *tensor, pr_error *err) {
    return pr_fail(err, PR_BAD_FILE, "tensor '%s' is of type %s; weights must be f32, f16 or bf16",
                   tensor->name, tensor->type_name);
}

pr_status pr_stored_expand(const pr_stored *tensor, float *to, pr_error *err) {
    switch (tensor->format) {
    case PR_FORMAT_F32:
        memcpy(to, tensor->data, tensor->bytes);
        return PR_OK;
    case PR_FORMAT_F16:
        expand_f16(tensor->data, tensor->count, to);
        return PR_OK;
    case PR_FORMAT_BF16:
        expand_bf16(tensor->data, tensor->count, to);
        return PR_OK;
    case PR_FORMAT_OTHER:
        break;
    }
    return fail_type(tensor, err);
}

/* Whether an exponent is all ones: an infinity or a NaN. No branch, so that it vectorises. */
static bool any_not_finite_32(const unsigned char *from, size_t count) {
    uint32_t any = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, from + 4 * i, sizeof bits);
        any |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return any != 0;
}

static bool any_not_finite_16(const unsigned char *from, size_t count, uint16_t exponent) {
    uint16_t any = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, from + 2 * i, sizeof bits);
        any |= (bits & exponent) == exponent;
    }
    return any != 0;
}

static bool any_not_finite(pr_format format, const unsigned char *from, size_t count) {
    if (format == PR_FORMAT_F32) return any_not_finite_32(from, count);
    return any_not_finite_16(from, count, format == PR_FORMAT_F16 ? 0x7c00 : 0x7f80);
}

/* "[3, 17]", the place of element `flat` in the shape. */
static void place_text(pr_shape shape, size_t flat, char *text, size_t room) {
    int64_t at[PR_MAX_DIMS] = {0};
    for (int d = shape.n_dims - 1; d >= 0; d--) {
        at[d] = (int64_t)(flat % (size_t)shape.dim[d]);
        flat /= (size_t)shape.dim[d];
    }
    size_t used = 0;
    for (int d = 0; d < shape.n_dims; d++)
        used += (size_t)snprintf(text + used, room - used, "%s%" PRId64, d ? ", " : "[", at[d]);
    snprintf(text + used, room - used, "]");
}

static pr_status fail_not_finite(const pr_stored *tensor, size_t flat, pr_error *err) {
    pr_stored one = *tensor;
    one.count = 1;
    one.bytes = tensor->bytes / tensor->count;
    one.data = (const unsigned char *)tensor->data + flat * one.bytes;
    float value = 0;
    pr_stored_expand(&one, &value, err);
    char place[PR_SHAPE_TEXT];
    place_text(tensor->shape, flat, place, sizeof place);
    return pr_fail(err, PR_BAD_FILE, "tensor '%s': %s is %g; weights must be finite", tensor->name,
                   place, (double)value);
}

pr_status pr_stored_check_finite(const pr_stored *tensor, pr_error *err) {
    enum { PIECE = 1 << 20 };
    if (tensor->format == PR_FORMAT_OTHER) return fail_type(tensor, err);
    const unsigned char *from = tensor->data;
    size_t size = tensor->bytes / tensor->count;
    pr_status status = PR_OK;
    for (size_t first = 0; first < tensor->count && status == PR_OK; first += PIECE) {
        size_t count = tensor->count - first < PIECE ? tensor->count - first : PIECE;
        if (any_not_finite(tensor->format, from + first * size, count)) {
            size_t i = first;
            while (!any_not_finite(tensor->format, from + i * size, 1))
                i++;
            status = fail_not_finite(tensor, i, err);
        }
        pr_file_release(from + first * size, count * size);
    }
    return status;
}
