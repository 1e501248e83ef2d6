/* A data set ready to train on: every text as token ids, packed end to end, and its label; and
 * batches gathered from it. */
#ifndef PR_DATASET_H
#define PR_DATASET_H

#include "graph/shape.h"
#include "models/wordpiece.h"
#include "train/metrics.h"
#include "train/table.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_dataset {
    size_t n;       /* rows */
    int32_t *ids;   /* tokens of all rows, end to end */
    int32_t *types; /* segment of each */
    size_t *start;  /* (n + 1): row i is ids[start[i]] .. ids[start[i + 1] - 1] */
    bool labelled;  /* false: test files and texts to predict */
    bool regression;
    int32_t *label;    /* (n) classes; NULL for regression */
    float *target;     /* (n) for regression; else NULL */
    char **label_name; /* (n_labels), NULL for regression */
    int32_t n_labels;  /* 1 for regression */
    size_t truncated;  /* rows that lost tokens to max_length */
    size_t longest;    /* the most tokens of a row */
    size_t second;     /* the row that a second part begins with, scored apart; 0: there is none */
    int n_metrics;     /* what it is scored by */
    pr_metric metric[PR_METRICS];
} pr_dataset;

/* The labels of a data set, in the order of their classes. */
typedef struct pr_label_set {
    const char *const *name;  /* (n): as models save them and people read them */
    const char *const *value; /* (n): as the file spells them; NULL: as their names */
    int32_t n;                /* 0: those that the file has, sorted by their bytes */
    bool regression;          /* labels are finite numbers; what stands above is not looked at */
    float least, most;        /* regression: what they lie between; both 0: anywhere */
    const char *owner; /* whose labels they are, for messages; NULL: nobody's in particular */
} pr_label_set;

/* The tokens of a table's rows, its text_b the second of a pair, and their labels where the table
 * has that column. It is scored by Matthews and accuracy, or by Pearson and Spearman; a caller may
 * change that. Nothing of the arguments is kept. For a dev set pass the train set's names.
 * PR_BAD_FILE, with file and line, for a label that is none of the set, and for a file that has
 * only one label where the file's own were asked for. NULL on failure. */
pr_dataset *pr_dataset_new(const pr_table *table, pr_wordpiece *wordpiece, size_t max_length,
                           const pr_label_set *labels, pr_error *err);

/* The tokens of n texts, or pairs where b is not NULL; without labels. NULL on failure. */
pr_dataset *pr_dataset_of_texts(const char *const *a, const char *const *b, size_t n,
                                pr_wordpiece *wordpiece, size_t max_length, pr_error *err);

/* Puts the rows of `more`, which has the same labels, after those of `data` as its second part.
 * PR_NO_MEMORY. */
pr_status pr_dataset_append(pr_dataset *data, const pr_dataset *more, pr_error *err);

/* NULL is legal. */
void pr_dataset_free(pr_dataset *data);

/* The scores of a model's outputs, (n, n_labels), on a labelled data set: the class of the largest
 * output, or the output itself for regression. Where there is a second part the metrics are of the
 * first, but for PR_ACCURACY_MISMATCHED. PR_NO_MEMORY. */
pr_status pr_dataset_score(const pr_dataset *data, const float *outputs, pr_scores *scores,
                           pr_error *err);

/* The order of rows in an epoch: a permutation of 0 .. n - 1, the same for the same seed and epoch
 * (Fisher and Yates, drawn by Philox). */
void pr_dataset_shuffle(uint32_t *order, size_t n, uint64_t seed, int32_t epoch);

/* A batch as the graph is fed it. Room for the largest batch is made once. */
typedef struct pr_batch {
    pr_extent extent;
    int32_t *ids, *positions, *types; /* (N) */
    int32_t *offsets;                 /* (B + 1) */
    int32_t *label;                   /* (B) */
    float *target;                    /* (B) */
    size_t token_room, sentence_room;
} pr_batch;

/* Room for any `sentences` rows of the data set: the sum of its longest rows' tokens. */
pr_status pr_batch_reserve(pr_batch *batch, const pr_dataset *data, size_t sentences,
                           pr_error *err);
/* What that room is. */
pr_extent pr_batch_capacity(const pr_dataset *data, size_t sentences);
void pr_batch_free(pr_batch *batch); /* not the struct itself */

/* Fills the batch with the n rows that `rows` names; NULL: rows first .. first + n - 1. Allocates
 * nothing. Labels are zero where there are none. */
void pr_batch_gather(pr_batch *batch, const pr_dataset *data, const uint32_t *rows, size_t first,
                     size_t n);

#ifdef __cplusplus
}
#endif
#endif
