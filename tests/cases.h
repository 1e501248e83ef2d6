/* The cases that every op is tested with: operands of odd shapes and sizes around the kernels'
 * tiles, drawn from a fixed seed. One table a family; a case knows nothing of what it is for. */
#ifndef PR_CASES_H
#define PR_CASES_H

#include "tests/reference.h"

typedef struct op_case {
    const pr_op *op;
    char label[160];
    pr_shape shape[PR_MAX_IN]; /* with dynamic dimensions; without any, the input is not given */
    pr_dtype dtype[PR_MAX_IN];
    void *data[PR_MAX_IN]; /* in the shape bound to the extent */
    pr_attr attr;
    pr_extent extent;
    bool training;
    unsigned constant; /* bit k: the op has no gradient for in[k], though it is f32 */
    double condition;  /* how much larger than the roundings of values those of gradients are */
} op_case;

typedef struct case_family {
    const char *name;
    int (*count)(void);
    void (*make)(int index, op_case *c);
} case_family;

enum { CASE_FAMILIES = 5 };
extern const case_family *const case_families[CASE_FAMILIES];

/* Makes case `index` of the family; to be freed. */
void case_make(const case_family *family, int index, op_case *c);
void case_free(op_case *c);

/* The input's shape in the case's extent. */
pr_shape case_shape(const op_case *c, int k);

/* Runs the op's shape rule on the case; its outputs' shapes (with dynamic dimensions) and dtypes
 * come back in rule. */
void case_infer(const op_case *c, pr_infer *rule);

/* Runs the op's reference on the case; to be freed. */
void case_expect(const op_case *c, reference_call *expected);
void case_expect_free(reference_call *expected);

/* ---- for the families ---- */

extern const case_family cases_attention, cases_elementwise, cases_losses, cases_matmul, cases_rows;

/* What floats are drawn from. */
typedef enum fill {
    PLAIN,    /* near normal, variance 1 */
    BELOW_1,  /* even in (-1, 1) */
    TAILS,    /* even in (-30, 30), with zeros of both signs, tiny and large numbers */
    LARGE,    /* even in (-1e4, 1e4) */
    NEAR_100, /* 100 and a hundredth of PLAIN: rows that are almost constant */
    ALL_7     /* 0.7 throughout: rows that are constant */
} fill;

/* Each sets in[k]; a family calls them in any order. */
float *case_floats(op_case *c, int k, pr_shape shape, fill how);
void case_scaled(op_case *c, int k, pr_shape shape, float factor); /* PLAIN times factor */
/* PLAIN, rounded to bf16: stored as that, and as f32. */
void case_halves(op_case *c, int k, pr_shape shape);
void case_exact(op_case *c, int k, pr_shape shape);
void case_double(op_case *c, int k, double value); /* f64 (1) */
void case_integers(op_case *c, int k, pr_shape shape, const int32_t *values);
/* Even in 0 .. below - 1. */
int32_t *case_indices(op_case *c, int k, pr_shape shape, int32_t below);
void case_rng(op_case *c, int k, uint64_t seed, uint64_t step, uint64_t first_sentence);

/* Sets the extent from sentences' lengths, ended by a 0, and in[k] to their offsets. */
enum { CASE_SENTENCES = 48 };
void case_offsets(op_case *c, int k, const int32_t *lengths);

/* Replaces in[to] by output `from` of the op's reference on `forward`, rounded to its dtype: what a
 * gradient reads of its forward op. */
void case_from(op_case *c, int to, const op_case *forward, int from);

#endif
