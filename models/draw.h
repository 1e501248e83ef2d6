/* Random initial weights, each element a pure function of (seed, parameter's name, its number): the
 * same whatever order parameters are made in. */
#ifndef PR_DRAW_H
#define PR_DRAW_H

#include "graph/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills a parameter of the store's own with U(-bound, bound). */
pr_status pr_draw_uniform(pr_store *store, int param, float bound, uint64_t seed, pr_error *err);

/* Fills it with N(0, deviation^2) (Box and Muller 1958). */
pr_status pr_draw_normal(pr_store *store, int param, float deviation, uint64_t seed, pr_error *err);

/* Fills it with one value. */
pr_status pr_draw_constant(pr_store *store, int param, float value, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
