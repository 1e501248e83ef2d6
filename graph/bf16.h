/* bf16: the upper half of an f32. */
#ifndef PR_BF16_H
#define PR_BF16_H

#include "graph/bits.h"

static inline float pr_f32_from_bf16(uint16_t half) {
    return pr_bits_float((uint32_t)half << 16);
}

/* The nearest bf16, ties to even; NaN stays NaN, and what is too large becomes infinite. */
static inline uint16_t pr_bf16_from_f32(float value) {
    uint32_t bits = pr_float_bits(value);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
    uint32_t nan = bits >> 16 | 0x40u; /* rounding could turn a NaN into infinity */
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

#endif
