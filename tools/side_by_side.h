/* What two backends make of the same steps, node by node, for people: the worst of it. */
#ifndef SIDE_BY_SIDE_H
#define SIDE_BY_SIDE_H

#include <stdio.h>

#include "train/compare.h"

typedef struct side_by_side_row {
    pr_difference d; /* its names are copies */
    int32_t step;
} side_by_side_row;

typedef struct side_by_side {
    side_by_side_row *row;
    size_t n, capacity;
    int32_t step;     /* that is being compared, from 1 */
    double tolerance; /* relative to a value's norm */
} side_by_side;

/* What roundings may come to: of f32 1e-4 of a value's norm, as the paper's gradients are checked;
 * of less precise products 1e-2. */
double side_by_side_tolerance(pr_precision a, pr_precision b);

/* A pr_compare_report; context is the side_by_side. */
pr_status side_by_side_note(void *context, const pr_difference *d);

/* Prints the worst of the values that differ, and a line that counts them. PR_DEVICE where any is
 * apart by more than tolerance times its norm and a hundredth of that times the largest norm of its
 * phase: one of the two computes wrong numbers. */
pr_status side_by_side_judge(const side_by_side *s, FILE *out, pr_error *err);

/* Frees what was noted, and leaves zeros; one of zeros is legal. */
void side_by_side_free(side_by_side *s);

#endif
