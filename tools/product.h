/* A product of matrices as a step has it, told in a word: "4096x768x3072,tb,bias" is op(a) (4096,
 * 3072) by op(b) (3072, 768) with a bias, b being kept as (768, 3072). --profile lists a step's
 * products so, and inspect --products takes them. */
#ifndef PRODUCT_H
#define PRODUCT_H

#include <stdbool.h>

#include "graph/op.h"

typedef struct product {
    int64_t m, n, k;               /* (m, k) by (k, n) */
    bool transpose_a, transpose_b; /* "ta", "tb" */
    bool bias, onto;               /* what is added: a row, a matrix */
    bool half;                     /* b is kept in bf16 */
    pr_precision precision;        /* of the factors as they are multiplied: "bf16", "tf32" */
} product;

/* Of a matmul's call. */
product product_of(const pr_call *call);
bool product_equal(const product *a, const product *b);
double product_flops(const product *p);

enum { PRODUCT_TEXT = 96 };
const char *product_text(char text[PRODUCT_TEXT], const product *p);
/* PR_BAD_ARGUMENT for a word that names no product. */
pr_status product_parse(const char *text, product *p, pr_error *err);

#endif
