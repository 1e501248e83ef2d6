/* Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC
 * 2011, table 2): four 32-bit words as a pure function of a 128-bit counter and a 64-bit key. Plain
 * C that also compiles as CUDA, so that both backends draw the same masks. */
#ifndef PR_PHILOX_H
#define PR_PHILOX_H

#include <stdint.h>

#ifdef __CUDACC__
#define PR_BOTH __host__ __device__
#else
#define PR_BOTH
#endif

typedef struct pr_philox {
    uint32_t word[4];
} pr_philox;

static inline PR_BOTH pr_philox pr_philox_draw(uint64_t key, uint32_t c0, uint32_t c1, uint32_t c2,
                                               uint32_t c3) {
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t d0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, d2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = d0;
        c2 = d2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    pr_philox out = {{c0, c1, c2, c3}};
    return out;
}

/* The key of a stream: the seed, and a number for what it is drawn for (splitmix64's finisher). */
static inline PR_BOTH uint64_t pr_philox_key(uint64_t seed, uint64_t site) {
    uint64_t z = seed + 0x9E3779B97F4A7C15u * (site + 1);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* A dropout mask's words. Column c of a row takes word c % 4 of this draw at counter c / 4; it is
 * kept where the word is at or above the threshold. For rows of [N, d], place is the token's
 * position in its sentence; for attention, head << 16 | query position, and c is the key's
 * position. sentence counts in the whole batch, so that a split batch draws the same masks. */
static inline PR_BOTH pr_philox pr_dropout_draw(uint64_t key, uint32_t step, uint32_t sentence,
                                                uint32_t place, uint32_t column_over_4) {
    return pr_philox_draw(key, column_over_4, place, sentence, step);
}

/* The words under this are dropped: p * 2^32. p = 1 is not allowed. */
static inline PR_BOTH uint32_t pr_dropout_threshold(float p) {
    return (uint32_t)((double)p * 4294967296.0);
}

/* Uniform in [0, 1), 24 bits. */
static inline PR_BOTH float pr_philox_uniform(uint32_t word) {
    return (float)(word >> 8) * 0x1p-24f;
}

#endif
