/* Whether what a kernel made of a case is what the case's double-precision reference makes of it.
 */
#ifndef PR_AGREEMENT_H
#define PR_AGREEMENT_H

#include "tests/cases.h"

/* Fails unless every element that the op writes is the reference's, within the op's tolerances.
 * out[k] holds output k in its shape bound to the case's extent; NULL: it was left out. */
void check_agrees(const op_case *c, void *const *out);

/* Fails unless the floats that the op does not write, which were NaN, are so still. */
void check_unwritten(const op_case *c, void *const *out);

/* Makes the first element of the case's first input NaN and returns true, where output 0 reads it
 * whatever it is: not where a mask, a list of rows or a factor of zero may pass it over. */
bool spoil_first(op_case *c);

/* Fails unless output 0 of such a case holds a NaN. */
void check_spoilt(const op_case *c, const void *out);

#endif
