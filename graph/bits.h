/* A float and the bits that it is stored as. */
#ifndef PR_BITS_H
#define PR_BITS_H

#include <stdint.h>

static inline float pr_bits_float(uint32_t bits) {
    union {
        uint32_t u;
        float f;
    } both = {.u = bits};
    return both.f;
}

static inline uint32_t pr_float_bits(float f) {
    union {
        float f;
        uint32_t u;
    } both = {.f = f};
    return both.u;
}

#endif
