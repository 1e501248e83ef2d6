/* adamw on a GPU (adamw.c says what it computes). Tens of parameters share a launch, of blocks that
 * update a piece of one each; a parameter that is updated row by row has a launch of its own. */
#include "ops/adamw_rows.cuh"
#include "ops/cuda.h"

enum { PARAM, FIRST, SECOND, GRADIENT, FACTOR, RATES, CLOCK, LIST, ROWS };
/* Elements of a block; parameters of a launch. */
enum { PIECE = 4096, MOST = 48 };

struct dense {
    float *p, *m, *v;
    const float *gradient; /* all (n) */
    int64_t n;
    pr_adamw_options options;
    int32_t since, first; /* the step it began to train at; its first block of the grid */
};

/* What all updates of a step share, on the device. */
struct common {
    const float *factor, *rates; /* (1), (n_rates) */
    const uint64_t *clock;       /* (3) */
    int64_t n_rates;
};

struct dense_list {
    dense of[MOST];
    common shared;
    int64_t blocks;
    int32_t n;
};
static_assert(sizeof(dense_list) + sizeof(pr_fault_site) <= PR_ARGUMENT_BYTES, "a launch takes it");

/* The number of this update, from 1; 0 where nothing is to be updated. */
static __device__ int64_t update_number(const common &s, int32_t since, const pr_fault_site &site) {
    int64_t step = (int64_t)s.clock[1];
    if (step >= s.n_rates || step < since) {
        if (threadIdx.x == 0) pr_report(site, step, since, s.n_rates - 1);
        return 0;
    }
    return isnan(*s.factor) ? 0 : step - since + 1;
}

static __global__ void update_dense(dense_list list, pr_fault_site site) {
    __shared__ pr_adamw_step step;
    int block = blockIdx.x;
    const dense &d =
        list.of[pr_find_last(list.n, [&](int i) { return list.of[i].first <= block; })];
    int64_t t = update_number(list.shared, d.since, site);
    if (!t) return; /* all of the block alike */
    if (threadIdx.x == 0)
        step = pr_adamw_step_of(&d.options, list.shared.rates[d.since + t - 1], t);
    __syncthreads();
    const pr_adamw_step s = step;
    float factor = *list.shared.factor;
    int64_t from = (int64_t)(block - d.first) * PIECE;
    int64_t to = from + PIECE < d.n ? from + PIECE : d.n;
    for (int64_t i = from + threadIdx.x; i < to; i += PR_BLOCK) {
        float p = d.p[i], m = d.m[i], v = d.v[i];
        pr_adamw_update(&s, &p, &m, &v, d.gradient[i] * factor);
        d.p[i] = p;
        d.m[i] = m;
        d.v[i] = v;
    }
}

/* A block an entry of row (N); those past the list's end are -1. gradient (N, d). */
static __global__ void update_rows(pr_adamw_rows table, common shared, const float *gradient,
                                   const int32_t *list, int32_t since, pr_fault_site site) {
    __shared__ pr_adamw_step step;
    int64_t t = update_number(shared, since, site), row = list[blockIdx.x];
    if (!t || row < 0 || row >= table.n_rows) return;
    bool moved = pr_adamw_catch_up_row(table, row, t - 1);
    __syncthreads();
    if (threadIdx.x == 0) {
        step = pr_adamw_step_of(&table.options, table.rates[t - 1], t);
        table.done[row] = (int32_t)(t << 1) | 1;
    }
    __syncthreads();
    float factor = *shared.factor;
    for (int64_t i = threadIdx.x; i < table.d; i += PR_ROW_THREADS) {
        int64_t at = row * table.d + i;
        float p = table.p[at], m = moved ? table.m[at] : 0.0f, v = moved ? table.v[at] : 0.0f;
        pr_adamw_update(&step, &p, &m, &v, gradient[blockIdx.x * table.d + i] * factor);
        table.p[at] = p;
        table.m[at] = m;
        table.v[at] = v;
    }
}

static common shared_by(const pr_call *c) {
    return {pr_floats(c->in[FACTOR]), pr_floats(c->in[RATES]), pr_words(c->in[CLOCK]),
            c->in[RATES].shape.dim[0]};
}

static pr_status launch_rows(const pr_call *c) {
    pr_adamw_rows table = pr_adamw_rows_of(c, pr_integers(c->in[ROWS]), pr_floats(c->in[RATES]));
    return pr_launch_blocks(c, update_rows, c->in[LIST].shape.dim[0], PR_ROW_THREADS, 0, table,
                            shared_by(c), pr_floats(c->in[GRADIENT]), pr_integers(c->in[LIST]),
                            c->attr.i[0], pr_fault_of(c, PR_ADAMW_OUT_OF_RANGE));
}

static void add_dense(dense_list *list, const pr_call *c) {
    const float *f = c->attr.f;
    dense *d = &list->of[list->n++];
    d->p = pr_floats(c->in[PARAM]);
    d->m = pr_floats(c->in[FIRST]);
    d->v = pr_floats(c->in[SECOND]);
    d->gradient = pr_floats(c->in[GRADIENT]);
    d->n = pr_size(c->in[PARAM]);
    d->options = {f[0], f[1], f[2], f[3]};
    d->since = c->attr.i[0];
    d->first = (int32_t)list->blocks; /* what does not fit makes a grid that is refused */
    list->blocks += (d->n + PIECE - 1) / PIECE;
}

/* Launches what is listed, and begins a new list. */
static pr_status launch_dense(const pr_call *c, dense_list *list) {
    pr_status status = pr_launch_blocks(c, update_dense, list->blocks, PR_BLOCK, 0, *list,
                                        pr_fault_of(c, PR_ADAMW_OUT_OF_RANGE));
    *list = {};
    return status;
}

static bool alike(const common &a, const common &b) {
    return a.factor == b.factor && a.rates == b.rates && a.clock == b.clock &&
           a.n_rates == b.n_rates;
}

extern "C" pr_status pr_adamw_cuda_many(const pr_call *const *calls, int n) {
    dense_list list = {};
    pr_status status = PR_OK;
    for (int i = 0; i < n && status == PR_OK; i++) {
        if (calls[i]->in[LIST].data) {
            status = launch_rows(calls[i]);
            continue;
        }
        common shared = shared_by(calls[i]);
        if (list.n == MOST || (list.n && !alike(list.shared, shared)))
            status = launch_dense(calls[i], &list);
        list.shared = shared;
        add_dense(&list, calls[i]);
    }
    return list.n && status == PR_OK ? launch_dense(calls[n - 1], &list) : status;
}

extern "C" pr_status pr_adamw_cuda(const pr_call *c) {
    return pr_adamw_cuda_many(&c, 1);
}
