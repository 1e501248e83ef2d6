#include "train/parts.h"

#include <string.h>

#include "graph/memory.h"
#include "ops/ops_grad.h"

enum { DY, IDS }; /* inputs of an embedding's gradient */

void pr_parts_clear(pr_parts *p) {
    for (int32_t i = 0; i < p->n_rows; i++)
        pr_free(p->rows[i].buffer);
    pr_free(p->rows);
    pr_free(p->gradient);
    p->rows = NULL;
    p->gradient = NULL;
    p->n_rows = 0;
    p->rows_capacity = 0;
}

pr_status pr_parts_begin(pr_parts *p, pr_graph *g, pr_error *err) {
    p->share = pr_graph_input(g, "share", PR_F32, pr_shape_1(1));
    return pr_graph_check(g, err);
}

/* The gradient made anew of an input that holds the rows of the whole batch. */
static pr_tid gather_rows(pr_parts *p, pr_graph *g, const pr_param *param, pr_tid gradient) {
    const pr_node maker = *pr_graph_get(g, pr_graph_tensor(g, gradient)->node);
    pr_shape shape = pr_graph_tensor(g, maker.in[DY])->shape;
    pr_part_rows *rows = &p->rows[p->n_rows++];
    *rows = (pr_part_rows){.dy = maker.in[DY], .width = (size_t)shape.dim[1]};
    char name[160];
    snprintf(name, sizeof name, "%s/gathered", param->name);
    rows->input = pr_graph_input(g, name, PR_F32, shape);
    return pr_embed_grad(g, rows->input, maker.in[IDS], param->shape.dim[0]);
}

/* The state that the gradient is accumulated in. */
static pr_tid gather_dense(pr_graph *g, int index, pr_tid gradient, pr_tid clock, pr_error *err) {
    pr_store *store = pr_graph_store(g);
    const pr_param *param = pr_store_param(store, index);
    if (pr_store_make_state(store, index, PR_STATE_GRADIENT, param->bytes, err) != PR_OK) return 0;
    pr_tid total = pr_graph_state(g, index, PR_STATE_GRADIENT, PR_F32, param->shape);
    pr_phase before = pr_graph_phase(g, PR_GATHER);
    pr_accumulate(g, total, gradient, clock);
    pr_graph_phase(g, before);
    return total;
}

pr_status pr_parts_emit(pr_parts *p, pr_graph *g, pr_tid clock, pr_error *err) {
    pr_tid last = pr_graph_tensors(g);
    pr_parts_clear(p);
    p->gradient = pr_alloc((size_t)last + 1, sizeof *p->gradient);
    p->rows = pr_alloc((size_t)pr_store_count(pr_graph_store(g)) + 1, sizeof *p->rows);
    if (!p->gradient || !p->rows) return pr_fail_memory(err, "a batch's parts", (size_t)last);
    pr_phase before = pr_graph_phase(g, PR_UPDATE);
    pr_status status = PR_OK;
    for (pr_tid t = 1; t <= last && status == PR_OK; t++) {
        const pr_tensor tensor = *pr_graph_tensor(g, t);
        pr_tid gradient = pr_graph_gradient(g, t);
        if (tensor.role != PR_ROLE_PARAM || !gradient) continue;
        const pr_param *param = pr_store_param(pr_graph_store(g), tensor.param);
        pr_graph_scope(g, "gather.%s", param->name);
        bool sparse = pr_graph_tensor(g, gradient)->rows;
        p->gradient[t] = sparse ? gather_rows(p, g, param, gradient)
                                : gather_dense(g, tensor.param, gradient, clock, err);
        status = p->gradient[t] ? PR_OK : pr_graph_check(g, err);
        if (status == PR_OK && !p->gradient[t]) status = err ? err->code : PR_NO_MEMORY;
    }
    pr_graph_phase(g, before);
    return status == PR_OK ? pr_graph_check(g, err) : status;
}

pr_status pr_parts_reserve(pr_parts *p, int64_t tokens, pr_error *err) {
    if (tokens <= p->rows_capacity) return PR_OK;
    for (int32_t i = 0; i < p->n_rows; i++) {
        pr_part_rows *rows = &p->rows[i];
        size_t count;
        float *buffer = NULL;
        if (pr_size_multiply((size_t)tokens, rows->width, &count))
            buffer = pr_alloc(count, sizeof *buffer);
        if (!buffer) return pr_fail_memory(err, "a batch's rows", (size_t)tokens * rows->width);
        pr_free(rows->buffer);
        rows->buffer = buffer;
    }
    p->rows_capacity = tokens;
    return PR_OK;
}

/* ---- cutting ---- */

static int64_t lead_of(const pr_graph *g, pr_tid input) {
    pr_shape shape = pr_graph_tensor(g, input)->shape;
    return shape.n_dims ? shape.dim[0] : 0;
}

/* The offsets among the feeds; NULL when there are none, or several. */
static const int32_t *find_offsets(const pr_graph *g, const pr_feed *feeds, int n) {
    const int32_t *offsets = NULL;
    for (int i = 0; i < n; i++) {
        if (lead_of(g, feeds[i].input) != PR_OFFSETS) continue;
        if (offsets) return NULL;
        offsets = feeds[i].data;
    }
    return offsets;
}

/* The tokens of n sentences from `first` on; false when the offsets don't lie in the batch. */
static bool cut_tokens(pr_parts *p, const int32_t *offsets, pr_extent batch, int64_t first,
                       int64_t n, pr_part *part) {
    int32_t from = offsets[first], to = offsets[first + n];
    if (from < 0 || to < from || to > batch.tokens) return false;
    part->first_token = from;
    part->extent.tokens = to - from;
    for (int64_t i = 0; i <= n; i++)
        p->offsets[i] = offsets[first + i] - from;
    return true;
}

/* Where the row of an input lies in its value for the whole batch. */
static const void *from_row(const pr_tensor *t, const void *data, int64_t row) {
    size_t bytes = pr_dtype_size(t->dtype) * (size_t)row;
    for (int d = 1; d < t->shape.n_dims; d++)
        bytes *= (size_t)t->shape.dim[d];
    return (const char *)data + bytes;
}

pr_status pr_parts_cut(pr_parts *p, const pr_graph *g, pr_extent batch, const pr_feed *feeds,
                       int n_feeds, int64_t first, pr_part *part, pr_error *err) {
    int64_t n = batch.sentences - first < p->sentences ? batch.sentences - first : p->sentences;
    const int32_t *offsets = find_offsets(g, feeds, n_feeds);
    *part =
        (pr_part){.first_sentence = first, .extent = {.sentences = n, .longest = batch.longest}};
    if (n_feeds > PR_MOST_FEEDS || (batch.tokens && !offsets)) {
        return pr_fail(err, PR_BAD_ARGUMENT,
                       "a batch in parts: expected one input of offsets, and at most %d in all",
                       PR_MOST_FEEDS);
    }
    if (offsets && !cut_tokens(p, offsets, batch, first, n, part)) {
        return pr_fail(err, PR_BAD_ARGUMENT,
                       "a batch in parts: sentence %lld lies outside its %lld tokens",
                       (long long)first, (long long)batch.tokens);
    }
    for (int i = 0; i < n_feeds; i++) {
        const pr_tensor *t = pr_graph_tensor(g, feeds[i].input);
        int64_t lead = lead_of(g, feeds[i].input);
        const void *data = lead == PR_TOKENS      ? from_row(t, feeds[i].data, part->first_token)
                           : lead == PR_SENTENCES ? from_row(t, feeds[i].data, first)
                           : lead == PR_OFFSETS   ? p->offsets
                                                  : feeds[i].data;
        part->feeds[i] = (pr_feed){feeds[i].input, data};
    }
    return PR_OK;
}
