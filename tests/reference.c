#include "tests/reference.h"

#include <stddef.h>

const reference *reference_of(const pr_op *op) {
    static const reference *const families[] = {reference_attention,
                                                reference_elementwise,
                                                reference_losses,
                                                reference_matmul,
                                                reference_net,
                                                reference_rows,
                                                NULL};
    for (const reference *const *family = families; *family; family++) {
        for (const reference *r = *family; r->op; r++) {
            if (r->op == op) return r;
        }
    }
    return NULL;
}

int64_t reference_count(pr_shape shape) {
    int64_t n = 1;
    for (int i = 0; i < shape.n_dims; i++)
        n *= shape.dim[i];
    return n;
}

void reference_set(const reference_call *c, int k, int64_t i, double y, double scale) {
    c->y[k][i] = y;
    c->scale[k][i] = scale;
}

/* ---- random numbers ---- */

static uint32_t high_half(uint32_t a, uint32_t b) {
    return (uint32_t)((uint64_t)a * b >> 32);
}

/* Salmon and others 2011, section 3.3 and figure 2: each round puts both multiplied words through a
 * Feistel step and swaps; the keys are Weyl sequences. */
reference_words reference_philox(const uint32_t counter[4], const uint32_t key[2]) {
    const uint32_t multiplier[2] = {0xD2511F53u, 0xCD9E8D57u};
    const uint32_t weyl[2] = {0x9E3779B9u, 0xBB67AE85u}; /* golden ratio, sqrt 3 - 1 */
    reference_words x = {{counter[0], counter[1], counter[2], counter[3]}};
    for (uint32_t round = 0; round < 10; round++) {
        reference_words next;
        for (int half = 0; half < 2; half++) {
            uint32_t m = multiplier[1 - half], from = x.word[2 - 2 * half];
            uint32_t round_key = key[half] + round * weyl[half];
            next.word[2 * half] = high_half(m, from) ^ x.word[2 * half + 1] ^ round_key;
            next.word[2 * half + 1] = m * from;
        }
        x = next;
    }
    return x;
}

/* Steele, Lea and Flood 2014, figure 16 (mix64variant13 at the site-th step of the seed). */
static uint64_t splitmix(uint64_t seed, uint64_t site) {
    uint64_t z = seed + (site + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

bool reference_keeps(const uint64_t rng[3], uint64_t site, double p, int64_t sentence,
                     uint32_t place, int64_t column) {
    uint64_t mixed = splitmix(rng[0], site);
    const uint32_t key[2] = {(uint32_t)mixed, (uint32_t)(mixed >> 32)};
    const uint32_t counter[4] = {(uint32_t)(column / 4), place,
                                 (uint32_t)(rng[2] + (uint64_t)sentence), (uint32_t)rng[1]};
    return reference_philox(counter, key).word[column % 4] >= p * 4294967296.0;
}
