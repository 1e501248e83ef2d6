/* A method of fine-tuning: what it adds beside a model's linear layers, and which parameters train
 * when. Each is one small file that defines its pr_method; pr_methods lists them. */
#ifndef PR_METHOD_H
#define PR_METHOD_H

#include "models/bert.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The settings of a run, as the user gave them or the method's defaults. */
typedef struct pr_method_options {
    int32_t size;  /* the rank of a learner */
    float scale;   /* s */
    int32_t prime; /* epochs in which the primed parameters train too */
    uint64_t seed; /* of what is drawn at random */
} pr_method_options;

typedef struct pr_method {
    const char *name, *summary;
    pr_method_options defaults;
    bool sized; /* size, scale and prime mean something */

    /* Adds the method's own parameters of one linear layer to a store; NULL: none. They are drawn
     * at random where that is called for, or left zero with seed and draw unused when draw is false
     * (they are about to be read from a file). */
    pr_status (*add)(pr_store *store, const char *linear, const pr_method_options *options,
                     bool draw, pr_error *err);
    const char *added; /* a glob of what add makes; NULL: nothing */
    /* Wraps the linear constructor; context is the options. */
    pr_linear_maker linear;
    /* Folds what add made for one linear layer into the plain weight: weight (out, in) is the whole
     * matrix, changed in place. NULL: there is nothing to fold. */
    pr_status (*collapse)(const pr_store *store, const char *linear,
                          const pr_method_options *options, float *weight, pr_error *err);

    const char *const
        *trained; /* globs of what trains throughout, ended by NULL; the head always does */
    const char *const *primed; /* globs of what trains in epochs under options.prime; may be NULL */
} pr_method;

/* All methods, ended by NULL. The first is full fine-tuning. */
extern const pr_method *const pr_methods[];

/* The method of that name, or NULL. */
const pr_method *pr_method_find(const char *name);

/* The six linear layers of a block that methods wrap, ended by NULL: "attn_q", ... */
extern const char *const pr_method_linears[];

/* Adds the method's parameters for every linear layer of every block. */
pr_status pr_method_add(const pr_method *method, const pr_bert_config *config, pr_store *store,
                        const pr_method_options *options, bool draw, pr_error *err);

/* Sets requires-grad for the start of a run: what the method trains, and the head. */
pr_status pr_method_begin(const pr_method *method, pr_store *store, pr_error *err);

/* Sets requires-grad for an epoch (0, 1, ...): the whole of priming. */
pr_status pr_method_epoch(const pr_method *method, pr_store *store,
                          const pr_method_options *options, int32_t epoch, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
