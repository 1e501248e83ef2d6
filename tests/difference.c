#include "tests/difference.h"

#include <math.h>

double largest_difference(const float *a, const float *b, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (isnan(d)) return d;
        most = fmax(most, d);
    }
    return most;
}
