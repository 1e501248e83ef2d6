/* Reading JSON by jansson, with faults as Primer tells them. */
#ifndef PR_JSON_H
#define PR_JSON_H

#include <jansson.h>

#include "graph/status.h"

/* The object in the n bytes at text, to be given back with json_decref; what names them in
 * messages. NULL with err set: PR_BAD_FILE where this is no JSON, no object, or a key stands in it
 * twice; PR_NO_MEMORY. */
json_t *pr_json_parse(const void *text, size_t n, const char *what, pr_error *err);

/* The same of a whole file. */
json_t *pr_json_read(const char *path, pr_error *err);

/* The text of a value, to be freed with pr_free; flags are json_dumps's. NULL without memory, or
 * where there is no value. */
char *pr_json_text(const json_t *value, size_t flags);

/* The decimal number of fewest digits whose n-th part is this float: of (0.1f, 1) it is 0.1, not
 * 0.10000000149011612. */
double pr_json_shortest(float value, int n);

#endif
