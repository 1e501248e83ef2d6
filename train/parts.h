/* A batch that is run in parts, so that only a part's activations are ever there: gradients come
 * together beside the parameters (op accumulate), the rows that embeddings' gradients are sums of
 * in a buffer; then one update reads them. Dropout's masks and all sums but those of the parts are
 * the whole batch's. Internal to train/. */
#ifndef PR_PARTS_H
#define PR_PARTS_H

#include "train/trainer.h"

/* An embedding's gradient: rows as long as the batch has tokens, summed by id at the update. */
typedef struct pr_part_rows {
    pr_tid dy;    /* (N, width) of a part */
    pr_tid input; /* (N, width) of the batch: what the update is fed */
    size_t width;
    float *buffer; /* for input */
} pr_part_rows;

typedef struct pr_parts {
    int64_t sentences; /* of a part at most; 0: batches are run whole */
    pr_tid share;      /* input f32 (1): the part's sentences over the batch's */
    pr_tid *gradient;  /* by tensor: of a parameter, as the update reads it */
    pr_part_rows *rows;
    int32_t n_rows;
    int64_t rows_capacity; /* tokens that the buffers have room for */
    int32_t *offsets;      /* (sentences + 1): of a part */
} pr_parts;

enum { PR_MOST_FEEDS = 16 };

/* One part of a batch. */
typedef struct pr_part {
    pr_extent extent;
    int64_t first_sentence, first_token;
    pr_feed feeds[PR_MOST_FEEDS];
} pr_part;

/* Frees what pr_parts_emit made. */
void pr_parts_clear(pr_parts *parts);

/* Appends the input of the share; to be called before the gradients are derived with it. */
pr_status pr_parts_begin(pr_parts *parts, pr_graph *g, pr_error *err);
/* Appends, after the gradients, what gathers them, and fills in gradient and rows. */
pr_status pr_parts_emit(pr_parts *parts, pr_graph *g, pr_tid clock, pr_error *err);

/* Makes the buffers ready for batches of so many tokens. */
pr_status pr_parts_reserve(pr_parts *parts, int64_t tokens, pr_error *err);

/* The part that begins with sentence `first`: every feed cut by its input's leading dimension.
 * PR_BAD_ARGUMENT when tokens are fed and not one input of offsets, or offsets that are none. It is
 * good until the next call. */
pr_status pr_parts_cut(pr_parts *parts, const pr_graph *g, pr_extent batch, const pr_feed *feeds,
                       int n_feeds, int64_t first, pr_part *part, pr_error *err);

#endif
