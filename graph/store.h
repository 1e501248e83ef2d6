/* The parameters: their names, bytes, whether they train, and the optimizer's state of each.
 *
 * A parameter that never trained stays where it was found (a model file's read-only mapping). One
 * that trains gets a copy of its own when a trainer first asks (pr_store_settle); when it freezes
 * again the copy stays, read-only, and its state is freed. Moments belong to parameters: a flip of
 * one leaves every other's untouched. */
#ifndef PR_STORE_H
#define PR_STORE_H

#include "graph/backend.h"
#include "graph/shape.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_store pr_store;

/* What an optimizer keeps beside a parameter, one block each. */
typedef enum pr_state_slot {
    PR_STATE_FIRST,    /* first moments, in the parameter's shape */
    PR_STATE_SECOND,   /* second moments, in the parameter's shape */
    PR_STATE_GRADIENT, /* of a batch that is run in parts, in the parameter's shape */
    PR_STATE_ROWS,     /* i32, one a row: the step a sparsely updated row has reached */
    PR_STATE_SLOTS
} pr_state_slot;

typedef struct pr_param {
    const char *name;
    pr_shape shape; /* no dynamic dimension */
    size_t bytes;   /* as f32 */
    float *data;    /* on the store's backend; const when !owned or frozen; NULL where half is */
    uint16_t *half; /* bf16 instead, of one that does not train; const */
    bool owned;     /* the values are the store's own copy */
    bool require_grad;
    bool decay; /* weight decay applies: matrices, not biases or norms */
    /* The step count at which it last began to train, from which bias correction counts; -1 for one
     * that never trained. It stays when the parameter freezes. */
    int32_t since;
    void *state[PR_STATE_SLOTS];
    size_t state_bytes[PR_STATE_SLOTS];
} pr_param;

/* In what form a parameter is kept while it does not train. */
typedef enum pr_keep {
    PR_KEEP_F32,
    PR_KEEP_AS_ADDED, /* bf16 where it was added so: without a copy */
    PR_KEEP_BF16      /* rounded to it where need be */
} pr_keep;

/* Gives back the resident pages of a parameter's file mapping once the store holds a copy. */
typedef void (*pr_store_release)(void *context, const void *data, size_t bytes);

/* NULL when there is no memory. The backend must outlive the store. */
pr_store *pr_store_new(pr_backend *backend);
void pr_store_free(pr_store *store);
pr_backend *pr_store_backend(const pr_store *store);

/* Adds a parameter, frozen. Decay is set for two dimensions and more. With data, the store reads
 * that memory, which must stay mapped as long as the store lives; with NULL it makes zeros of its
 * own, to be filled through pr_store_write. Returns its index (0, 1, ...), or -1 with err set: a
 * duplicate name, a dynamic or empty shape, no memory. */
int pr_store_add(pr_store *store, const char *name, pr_shape shape, const float *data,
                 pr_error *err);

/* As pr_store_add, of values in bf16; they are widened at the next pr_store_settle unless
 * pr_store_keep says otherwise. PR_UNSUPPORTED on a backend that the CPU does not see. */
int pr_store_add_half(pr_store *store, const char *name, pr_shape shape, const uint16_t *half,
                      pr_error *err);

/* Says in what form a parameter is kept while it does not train, from the next pr_store_settle on;
 * f32 where nothing was said. Reading it gives the values it had when it was added, as long as they
 * are its own; of one that trained, rounded. */
void pr_store_keep(pr_store *store, int index, pr_keep keep);

/* Gives a parameter another shape and zeros of its own; it is as if just added. Only before a graph
 * or a plan has looked at it. */
pr_status pr_store_renew(pr_store *store, int index, pr_shape shape, pr_error *err);

/* Forgets the parameters from number `count` on, as if they had never been added. Only while no
 * graph and no plan looks at them. */
pr_status pr_store_truncate(pr_store *store, int count, pr_error *err);

int pr_store_count(const pr_store *store);
int pr_store_find(const pr_store *store, const char *name); /* its index or -1 */
const pr_param *pr_store_param(const pr_store *store, int index);

/* Copies `bytes` (the whole parameter) from the host into the store's own memory. */
pr_status pr_store_write(pr_store *store, int index, const float *host, pr_error *err);
/* Copies n rows (slices of the first dimension) from the host, from number `row` on. */
pr_status pr_store_write_rows(pr_store *store, int index, int64_t row, int64_t n, const float *host,
                              pr_error *err);
/* Copies the whole parameter to the host. */
pr_status pr_store_read(const pr_store *store, int index, float *host, pr_error *err);

/* Exchanges a row of one parameter with a row of another, their moments with them. Both must train,
 * or neither, and have rows of one size. */
pr_status pr_store_swap_rows(pr_store *store, int a, int64_t row_a, int b, int64_t row_b,
                             pr_error *err);

/* Called with what a settled parameter no longer needs of its mapping. */
void pr_store_on_release(pr_store *store, pr_store_release release, void *context);
/* Tells it so of bytes that somebody else read in a parameter's mapping. */
void pr_store_release_pages(const pr_store *store, const void *data, size_t bytes);

/* Says whether all that read a parameter look up a few of its rows only. */
void pr_store_reads_sparsely(pr_store *store, int index, bool sparse);
/* Gives back the pages of such parameters that still stand in their mapping: a row that is looked
 * up brings its neighbours into memory with it, and soon the whole table would be there. */
void pr_store_release_sparse(const pr_store *store);

/* Sets requires-grad of every parameter whose name matches the pattern (pr_glob), and counts the
 * version up if any changed. This is all there is to a flip. PR_BAD_ARGUMENT when nothing matches.
 */
pr_status pr_store_require_grad(pr_store *store, const char *pattern, bool on, pr_error *err);

/* Counts every change of requires-grad; gradients and plans are derived for one version. */
uint64_t pr_store_version(const pr_store *store);

/* Makes memory follow the flags: a copy of its own for each parameter that trains; read-only, its
 * state freed, for each that no longer does. `step` is recorded in `since` of those that begin. */
pr_status pr_store_settle(pr_store *store, int32_t step, pr_error *err);

/* Records when a parameter last began to train (-1: it never did), as a file tells it. One that
 * trains now has to have begun: its step is 0 or more. */
void pr_store_set_since(pr_store *store, int index, int32_t step);

/* Makes a zeroed state of a parameter that trains, unless it is there already. */
pr_status pr_store_make_state(pr_store *store, int index, pr_state_slot slot, size_t bytes,
                              pr_error *err);

/* Totals, in elements: all parameters, and those that train. */
void pr_store_totals(const pr_store *store, size_t *all, size_t *trained);

/* Whether name matches pattern: * and ? match any characters (dots too), [a-z] a set, {a,b} either.
 * Braces may not nest. */
bool pr_glob(const char *pattern, const char *name);

#ifdef __cplusplus
}
#endif
#endif
