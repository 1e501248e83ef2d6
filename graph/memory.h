/* Allocation with checked sizes. Every size that comes from a file, a shape or a count goes through
 * these; nothing in Primer multiplies sizes by hand. */
#ifndef PR_MEMORY_H
#define PR_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* *out = a * b or a + b; false, with *out untouched, when that does not fit. */
bool pr_size_multiply(size_t a, size_t b, size_t *out);
bool pr_size_add(size_t a, size_t b, size_t *out);

/* count * size zeroed bytes, at least one; NULL when they can't be had or the product overflows. */
void *pr_alloc(size_t count, size_t size);

/* Resizes to count * size bytes; on NULL the old block is untouched and still owned. */
void *pr_realloc(void *block, size_t count, size_t size);

/* A copy of the n bytes at text (or of the whole string), with a NUL after them; NULL on failure.
 */
char *pr_copy_text(const char *text);
char *pr_copy_bytes(const char *text, size_t n);

/* free(); NULL is legal. */
void pr_free(void *block);

/* Makes room for `need` items in *items, doubling *capacity; false, nothing changed, when it can't.
 * stb_ds's arrays cannot report a failed realloc, so growing lists use this instead:
 *     if (!pr_grow((void **)&g->node, &g->node_capacity, g->nodes + 1, sizeof *g->node)) ... */
bool pr_grow(void **items, size_t *capacity, size_t need, size_t item_size);

#ifdef __cplusplus
}
#endif
#endif
