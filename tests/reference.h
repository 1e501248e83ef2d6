/* Every op once more: in double precision, from its formula, in the plainest loops. Kernels are
 * held to these, and gradients to their differences. They share nothing with the kernels but the
 * descriptors and attributes.
 *
 * Beside each result y stands its scale: how much an error of one rounding unit (2^-24) in every
 * step of a float computation can come to, counted in such units: the absolute values of the terms
 * that are summed, more where the formula makes earlier roundings grow. A kernel's error is then a
 * few units of the scale, whatever the size of its operands, and a cancellation excuses no more
 * than it must. */
#ifndef PR_REFERENCE_H
#define PR_REFERENCE_H

#include "graph/op.h"

typedef struct reference_operand {
    pr_shape shape; /* no dynamic dimension; of what is not given it has none */
    double *x;      /* the elements, of f32 and f64; NULL when not given */
    int32_t *i;     /* of i32 */
    uint64_t *u;    /* of u64 */
} reference_operand;

typedef struct reference_call {
    reference_operand in[PR_MAX_IN];
    pr_shape shape[PR_MAX_OUT];
    double *y[PR_MAX_OUT]; /* an element that the op does not write is NaN */
    double *scale[PR_MAX_OUT];
    pr_attr attr;
    bool training;
} reference_call;

typedef struct reference {
    const pr_op *op;
    void (*run)(const reference_call *c);
    /* What a kernel may be off by, in units of the scale: at one element, and the root of the mean
     * square over all. A unit is 2^-24, of an f64 output 2^-53; integers are compared exactly. */
    double most, typical;
} reference;

/* NULL when there is none. */
const reference *reference_of(const pr_op *op);

/* The families' tables, each ended by an entry without an op. */
extern const reference reference_attention[], reference_elementwise[], reference_losses[],
    reference_matmul[], reference_net[], reference_rows[];

int64_t reference_count(pr_shape shape);
void reference_set(const reference_call *c, int k, int64_t i, double y, double scale);

/* ---- random numbers, from the papers and backends/philox.h's comments ---- */

typedef struct reference_words {
    uint32_t word[4];
} reference_words;

reference_words reference_philox(const uint32_t counter[4], const uint32_t key[2]);

/* Whether dropout keeps the column of a row (place: its position, or head << 16 | query). rng:
 * seed, step, number of the batch's first sentence. */
bool reference_keeps(const uint64_t rng[3], uint64_t site, double p, int64_t sentence,
                     uint32_t place, int64_t column);

#endif
