/* adamw_catch_up on a GPU (adamw_catch_up.c says what it is for): a block a row. Behind a step that
 * updated nothing it does nothing: the clock then counts updates that were not made. */
#include "ops/adamw_rows.cuh"
#include "ops/cuda.h"

enum { PARAM, FIRST, SECOND, ROWS, IDS, RATES, CLOCK };

/* Whether no token before this one has its id: one block a row. */
static __device__ bool is_first(const int32_t *id, int64_t token) {
    int before = 0;
    for (int64_t j = threadIdx.x; j < token; j += PR_ROW_THREADS)
        before += id[j] == id[token];
    return pr_block_sum<PR_ROW_THREADS>(before) == 0;
}

/* id (N), of which the live tokens' count; NULL: every row of the table. clock (3). */
static __global__ void catch_up(pr_adamw_rows table, const int32_t *id, const uint64_t *clock,
                                int64_t since, int64_t n_rates, const int32_t *live,
                                pr_fault_site site) {
    int64_t step = (int64_t)clock[1], block = blockIdx.x, row = block;
    if (site.fault->held) return;
    if (step > n_rates || step < since) {
        if (threadIdx.x == 0) pr_report(site, step, since, n_rates);
        return;
    }
    if (id) {
        if (block >= live[PR_LIVE_TOKENS] || !is_first(id, block)) return;
        row = id[block];
    }
    int64_t updates = step - since;
    if (row < 0 || row >= table.n_rows || table.done[row] >> 1 >= updates) return;
    bool moved = pr_adamw_catch_up_row(table, row, updates);
    __syncthreads(); /* all have read what was done before */
    if (threadIdx.x == 0) table.done[row] = (int32_t)(updates << 1) | moved;
}

extern "C" pr_status pr_adamw_catch_up_cuda(const pr_call *c) {
    const int32_t *id = pr_integers(c->in[IDS]);
    pr_adamw_rows table = pr_adamw_rows_of(c, pr_integers(c->in[ROWS]), pr_floats(c->in[RATES]));
    int64_t blocks = id ? c->in[IDS].shape.dim[0] : table.n_rows;
    return pr_launch_blocks(c, catch_up, blocks, PR_ROW_THREADS, 0, table, id,
                            pr_words(c->in[CLOCK]), (int64_t)c->attr.i[0],
                            c->in[RATES].shape.dim[0], pr_live(c),
                            pr_fault_of(c, PR_ADAMW_OUT_OF_RANGE));
}
