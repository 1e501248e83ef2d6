/* The values of one line of JSONL, as table.c wants them. */
#ifndef PR_JSONL_H
#define PR_JSONL_H

#include "train/records.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Parses the record's only field as an object and appends the values under the n keys, each with a
 * NUL, to out; where[i] is where value i begins. A NULL key is passed over. Texts come as they are,
 * numbers and booleans as JSON spells them. PR_BAD_FILE for what is no object, for a key that is
 * missing or twice, and for a value that is null, an array or an object. */
pr_status pr_jsonl_values(const pr_records *record, const char *const *keys, int n, pr_text *out,
                          size_t *capacity, size_t *where, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
