/* Numbers as JSON has them. */
#ifndef NUMBERS_H
#define NUMBERS_H

#include <jansson.h>
#include <stdint.h>

/* Rounded to so many decimals; null for NaN and infinity, which JSON has not. */
json_t *number_rounded(double value, int decimals);
/* With all its digits; null as above. */
json_t *number_exact(double value);
json_t *number_count(uint64_t n);

#endif
