/* Largest first at the lowest free offset ("greedy by size": Pisarchyk and Lee 2020, "Efficient
 * Memory Management for Deep Neural Net Inference", section 5.2): within a few percent of the
 * lower bound, and mostly on it, for networks. */
#include <stdlib.h>
#include <string.h>

#include "graph/memory.h"
#include "graph/plan_internal.h"

static int by_size(const void *a, const void *b) {
    const pr_block *x = *(pr_block *const *)a, *y = *(pr_block *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y; /* the order they were made in: the same plan every time */
}

static bool meet(const pr_block *a, const pr_block *b) {
    return a->first <= b->last && b->first <= a->last;
}

static bool round_up(size_t *bytes, size_t alignment) {
    if (!pr_size_add(*bytes ? *bytes : 1, alignment - 1, bytes)) return false;
    *bytes -= *bytes % alignment;
    return true;
}

/* Puts b at the lowest free offset; placed[] is sorted by offset, and is so with b in it. */
static bool place_one(pr_block **placed, int32_t n, pr_block *b, bool pinned) {
    size_t at = 0, end;
    for (int32_t i = 0; i < n; i++) {
        const pr_block *p = placed[i];
        if (!pinned && !meet(p, b)) continue;
        if (p->offset >= at && p->offset - at >= b->bytes) break;
        if (p->offset + p->bytes > at) at = p->offset + p->bytes; /* fits: it was placed */
    }
    if (!pr_size_add(at, b->bytes, &end)) return false;
    b->offset = at;
    int32_t i = n;
    for (; i > 0 && placed[i - 1]->offset > at; i--)
        placed[i] = placed[i - 1];
    placed[i] = b;
    return true;
}

pr_status pr_plan_place(pr_block *block, int32_t n, size_t alignment, bool pinned, size_t *arena,
                        pr_error *err) {
    pr_block **order = pr_alloc((size_t)n, sizeof(pr_block *));
    pr_block **placed = pr_alloc((size_t)n, sizeof(pr_block *));
    bool ok = order && placed;
    for (int32_t i = 0; i < n && ok; i++) {
        order[i] = &block[i];
        ok = round_up(&block[i].bytes, alignment);
    }
    if (ok && n) qsort(order, (size_t)n, sizeof(pr_block *), by_size);
    size_t end = 0;
    for (int32_t i = 0; i < n && ok; i++) {
        ok = place_one(placed, i, order[i], pinned);
        if (ok && order[i]->offset + order[i]->bytes > end)
            end = order[i]->offset + order[i]->bytes;
    }
    pr_free(order);
    pr_free(placed);
    *arena = end;
    return ok ? PR_OK : pr_fail_memory(err, "placing a plan's values", (size_t)n);
}

pr_status pr_plan_peak(const pr_block *block, int32_t n, int32_t n_steps, size_t *peak,
                       pr_error *err) {
    size_t *live = pr_alloc((size_t)n_steps + 2, sizeof *live); /* live[s + 1] is at step s */
    if (!live) return pr_fail_memory(err, "a plan's report", (size_t)n_steps * sizeof *live);
    bool ok = true;
    *peak = 0;
    for (int32_t i = 0; i < n; i++) {
        for (int32_t s = block[i].first; s <= block[i].last && ok; s++) {
            ok = pr_size_add(live[s + 1], block[i].bytes, &live[s + 1]);
            if (live[s + 1] > *peak) *peak = live[s + 1];
        }
    }
    pr_free(live);
    return ok ? PR_OK : pr_fail_memory(err, "the values alive at one step", (size_t)-1);
}
