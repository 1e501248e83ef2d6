/* bf16: the upper half of an f32. */
#ifndef PR_BF16_H
#define PR_BF16_H

#include <stdint.h>

static inline float pr_f32_from_bf16(uint16_t half) {
    union {
        uint32_t bits;
        float value;
    } both = {.bits = (uint32_t)half << 16};
    return both.value;
}

/* The nearest bf16, ties to even; NaN stays NaN, and what is too large becomes infinite. */
static inline uint16_t pr_bf16_from_f32(float value) {
    union {
        float value;
        uint32_t bits;
    } both = {.value = value};
    uint32_t rounded = (both.bits + 0x7fffu + (both.bits >> 16 & 1)) >> 16;
    uint32_t nan = both.bits >> 16 | 0x40u; /* rounding could turn a NaN into infinity */
    return (uint16_t)((both.bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

#endif
