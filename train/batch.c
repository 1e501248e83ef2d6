/* Batches gathered from a data set. */
#include <string.h>

#include "graph/memory.h"
#include "train/dataset.h"

static size_t length_of(const pr_dataset *data, size_t row) {
    return data->start[row + 1] - data->start[row];
}

/* The rows that have exactly `length` tokens, and the next smaller length there is. */
static size_t count_length(const pr_dataset *data, size_t length, size_t *next) {
    size_t count = 0;
    *next = 0;
    for (size_t i = 0; i < data->n; i++) {
        size_t here = length_of(data, i);
        count += here == length;
        if (here < length && here > *next) *next = here;
    }
    return count;
}

pr_extent pr_batch_capacity(const pr_dataset *data, size_t sentences) {
    size_t tokens = 0;
    size_t left = sentences < data->n ? sentences : data->n;
    pr_extent capacity = {.sentences = (int64_t)left, .longest = (int64_t)data->longest};
    for (size_t length = data->longest, next = 0; left > 0 && length > 0; length = next) {
        size_t rows = count_length(data, length, &next);
        if (rows > left) rows = left;
        tokens += rows * length; /* a part of start[n]: no overflow */
        left -= rows;
    }
    capacity.tokens = (int64_t)tokens;
    return capacity;
}

static bool reserve(pr_batch *batch, size_t tokens, size_t sentences) {
    batch->ids = pr_alloc(tokens, sizeof *batch->ids);
    batch->positions = pr_alloc(tokens, sizeof *batch->positions);
    batch->types = pr_alloc(tokens, sizeof *batch->types);
    batch->offsets = pr_alloc(sentences + 1, sizeof *batch->offsets);
    batch->label = pr_alloc(sentences, sizeof *batch->label);
    batch->target = pr_alloc(sentences, sizeof *batch->target);
    batch->token_room = tokens;
    batch->sentence_room = sentences;
    return batch->ids && batch->positions && batch->types && batch->offsets && batch->label &&
           batch->target;
}

pr_status pr_batch_reserve(pr_batch *batch, const pr_dataset *data, size_t sentences,
                           pr_error *err) {
    pr_extent capacity = pr_batch_capacity(data, sentences);
    size_t tokens = (size_t)capacity.tokens;
    if (tokens > INT32_MAX) {
        return pr_fail(err, PR_BAD_ARGUMENT,
                       "a batch of %zu rows may have %zu tokens; expected at "
                       "most %d",
                       sentences, tokens, INT32_MAX);
    }
    pr_batch_free(batch);
    if (reserve(batch, tokens, (size_t)capacity.sentences)) return PR_OK;
    pr_batch_free(batch);
    return pr_fail_memory(err, "a batch", tokens * 3 * sizeof *batch->ids);
}

void pr_batch_free(pr_batch *batch) {
    if (!batch) return;
    pr_free(batch->ids);
    pr_free(batch->positions);
    pr_free(batch->types);
    pr_free(batch->offsets);
    pr_free(batch->label);
    pr_free(batch->target);
    *batch = (pr_batch){0};
}

void pr_batch_gather(pr_batch *batch, const pr_dataset *data, const uint32_t *rows, size_t first,
                     size_t n) {
    size_t tokens = 0;
    size_t longest = 0;
    batch->offsets[0] = 0;
    for (size_t s = 0; s < n; s++) {
        size_t row = rows ? rows[s] : first + s;
        size_t length = length_of(data, row);
        memcpy(batch->ids + tokens, data->ids + data->start[row], length * sizeof *batch->ids);
        memcpy(batch->types + tokens, data->types + data->start[row],
               length * sizeof *batch->types);
        for (size_t i = 0; i < length; i++)
            batch->positions[tokens + i] = (int32_t)i;
        tokens += length;
        if (length > longest) longest = length;
        batch->offsets[s + 1] = (int32_t)tokens;
        batch->label[s] = data->label ? data->label[row] : 0;
        batch->target[s] = data->target ? data->target[row] : 0;
    }
    batch->extent = (pr_extent){(int64_t)tokens, (int64_t)n, (int64_t)longest};
}
