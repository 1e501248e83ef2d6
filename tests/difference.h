/* How far apart numbers are. */
#ifndef PR_DIFFERENCE_H
#define PR_DIFFERENCE_H

#include <stddef.h>

/* The largest |a[i] - b[i]|; NaN where one of them is. */
double largest_difference(const float *a, const float *b, size_t n);

#endif
