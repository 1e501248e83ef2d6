/* How fast a GPU makes a step's products, beside the best that cuBLASLt can. */
#ifndef PRODUCT_SPEED_H
#define PRODUCT_SPEED_H

#include "tools/product.h"

typedef struct product_speed {
    double
        seconds;   /* of the op as a step runs it: factors are rounded to bf16 where they need be */
    double kernel; /* of its product alone, the factors being there */
    double best;   /* of the fastest algorithm of cuBLASLt's for it */
    int tried;     /* of them */
} product_speed;

/* On random numbers. Sets the backend's precision to the product's. */
pr_status product_measure(pr_backend *backend, const product *p, product_speed *speed,
                          pr_error *err);

/* A block of random numbers between -1 and 1 on the backend, in bf16 where `half`; NULL with err
 * set. GPUs are faster on zeros. */
void *product_random(pr_backend *backend, size_t n, bool half, pr_error *err);

#endif
