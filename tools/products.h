/* The products of a step, each shape once, for --profile. */
#ifndef PRODUCTS_H
#define PRODUCTS_H

#include <jansson.h>

#include "tools/product.h"

/* Of one product: [0] in a run's first steps, [1] in the others. */
typedef struct products_row {
    product of;
    double calls[2], seconds[2];
} products_row;

/* All zero at first. */
typedef struct products {
    products_row *row;
    size_t n, capacity;
} products;

/* A matmul's call that took so long, in the first steps (place 0) or the others (1). False without
 * memory. */
bool products_note(products *list, const pr_call *call, int place, double seconds);

/* [{"product", "calls", "seconds"}, ...]: of a mean step, what takes longest first; each: what a
 * sum is multiplied by; first: the first steps count too. NULL without memory. */
json_t *products_json(const products *list, double each, bool first);

void products_free(products *list);

#endif
