/* Loops that the compiler turns into vectors, compiled once for each level of x86-64 and chosen
 * when the program is loaded: one binary runs anywhere and uses AVX2 or AVX-512 where there is.
 * Write PR_VECTOR before the static function that holds the loop; keep what it calls inline. Its
 * name must be the only one in the library: clang makes the function that chooses external. */
#ifndef PR_SIMD_H
#define PR_SIMD_H

#include "graph/bits.h"

#if defined(__x86_64__) && !defined(__CUDACC__)
#define PR_VECTOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PR_VECTOR
#endif

/* For what PR_VECTOR functions call: only what is inlined is compiled for their level. */
#define PR_INLINE static inline __attribute__((always_inline))

/* e^x to 2 units in the last place without a branch: x is held to [-87.3, 88.0], so that results
 * stay normal numbers; e^x = 2^n e^r with |r| <= ln 2 / 2, e^r by Cephes' polynomial (expf). */
static inline float pr_expf(float x) {
    x = x < -87.3f ? -87.3f : x > 88.0f ? 88.0f : x;
    /* Adding 1.5 * 2^23 rounds to an integer, which then stands in the lowest bits: NaN, which no
     * conversion to an integer may meet, passes through to the result. */
    float rounded = x * 1.44269504088896341f + 12582912.0f;
    float n = rounded - 12582912.0f;
    float r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return p * pr_bits_float((pr_float_bits(rounded) + 127u) << 23);
}

/* erf x without a branch, after Norbert Juffa's erff (StackOverflow 35148198): x + x P(x^2) up to
 * 0.93, beyond it 1 - e^-Q(|x|), which is 1 from 4 on. At most 1.2 units in the last place and
 * 7e-8 from the true value (measured on every seventh float). */
static inline float pr_erff(float x) {
    float s = x * x, a = x < 0.0f ? -x : x;
    float near = -5.96761703e-4f;
    near = near * s + 4.99119423e-3f;
    near = near * s - 2.67681349e-2f;
    near = near * s + 1.12819925e-1f;
    near = near * s - 3.76125336e-1f;
    near = near * s + 1.28379166e-1f;
    near = near * x + x;
    float t = a > 4.0f ? 4.0f : a;
    float q = -1.72853470e-5f;
    q = q * t + 3.83197126e-4f;
    q = q * t - 3.88396438e-3f;
    q = q * t + 2.42546219e-2f;
    q = q * t - 1.06777877e-1f;
    q = q * t - 6.34846687e-1f;
    q = q * t - 1.28717512e-1f;
    float far = 1.0f - pr_expf(q * t - t);
    far = x < 0.0f ? -far : far;
    return a > 0.927734375f ? far : near;
}

#endif
