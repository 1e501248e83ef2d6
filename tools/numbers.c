#include "tools/numbers.h"

#include <math.h>

json_t *number_rounded(double value, int decimals) {
    if (!isfinite(value)) return json_null();
    double unit = pow(10.0, decimals);
    return json_real(round(value * unit) / unit);
}

json_t *number_exact(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *number_count(uint64_t n) {
    return json_integer((json_int_t)n);
}
