/* A table from names to numbers: parameters, tensors of a file, words of a vocabulary.
 * The one place that uses stb_ds's hash maps; see names.c for how a failed allocation comes back.
 */
#ifndef PR_NAMES_H
#define PR_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "graph/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_names pr_names;

/* NULL when there is no memory. */
pr_names *pr_names_new(void);
void pr_names_free(pr_names *names);

/* Adds or replaces; the name is copied. PR_OK or PR_NO_MEMORY. */
pr_status pr_names_put(pr_names *names, const char *name, int32_t value);

/* The number put under the name, or -1. */
int32_t pr_names_get(const pr_names *names, const char *name);

/* How many names there are. */
size_t pr_names_count(const pr_names *names);

#ifdef __cplusplus
}
#endif
#endif
