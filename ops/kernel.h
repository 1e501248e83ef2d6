/* What CPU kernels have in common: how they share their work out and check what they are fed. */
#ifndef PR_KERNEL_H
#define PR_KERNEL_H

#include "backends/parallel.h"
#include "graph/op.h"

/* Columns and rows of the blocks that sums over rows go by, whatever the number of threads. */
enum { PR_TILE_COLUMNS = 64, PR_BLOCK_ROWS = 64 };

/* The number of a bound view's elements. */
int64_t pr_elements(pr_view v);

/* Calls body(c, begin, end) for ranges that make up out[0]'s elements. Ranges begin at multiples of
 * 64, so that an element is computed in a vector or in the loop's remainder on any number of
 * threads alike. */
void pr_each_element(const pr_call *c, pr_range_body body);

/* The fewest items of so many elements each that are worth a second thread. */
int64_t pr_grain(int64_t elements);

/* Calls body(c, begin, end) for ranges that make up 0 .. n - 1, items of so many elements each. */
void pr_each_item(const pr_call *c, int64_t n, int64_t elements, pr_range_body body);

/* How many tiles the columns make. */
int64_t pr_tiles(int64_t columns);

/* Whether in[k] holds the offsets of sentences that make up rows 0 .. n - 1, none of them empty; if
 * not, the fault is recorded and the kernel returns PR_BAD_ARGUMENT. op begins the message. */
bool pr_offsets_fit(const pr_call *c, const char *op, int k, int64_t n);

/* As pr_offsets_fit, and no sentence is longer than the extent's longest, which workspaces are
 * measured for. */
bool pr_sentences_fit(const pr_call *c, const char *op, int k, int64_t n);

#endif
