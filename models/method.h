/* A method of fine-tuning: what it adds to a model's blocks, and which parameters train when. Each
 * is one small file that defines its pr_method; pr_methods lists them. Whoever runs a method goes
 * through the functions below and need not know which it is. */
#ifndef PR_METHOD_H
#define PR_METHOD_H

#include "models/bert.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The settings of a run, as the user gave them or the method's defaults. */
typedef struct pr_method_options {
    int32_t size;       /* the rank of a learner, the width of an adapter */
    float scale;        /* of what is added */
    int32_t prime;      /* epochs in which what is primed trains too */
    double prime_steps; /* the same in steps; under 1: that part of all steps */
    double retain; /* percent of the feed-forward's nodes that go on training, 0 < retain < 100 */
    uint64_t seed; /* of what is drawn at random */
} pr_method_options;

/* Which of them mean something for a method. */
enum {
    PR_TAKES_SIZE = 1 << 0,
    PR_TAKES_SCALE = 1 << 1,
    PR_TAKES_ALPHA = 1 << 2, /* the scale, given as alpha = scale x size */
    PR_TAKES_PRIME = 1 << 3,
    PR_TAKES_PRIME_STEPS = 1 << 4,
    PR_TAKES_RETAIN = 1 << 5
};

typedef struct pr_method {
    const char *name, *summary;
    unsigned takes;
    const char *size_name; /* what size is, in a word: "rank" */
    pr_method_options defaults;

    /* Adds the method's own parameters to the store of a model. They are drawn at random, or left
     * zero when draw is false (they are about to be read from a file). NULL: it adds none. */
    pr_status (*add)(pr_store *store, const pr_bert_config *config,
                     const pr_method_options *options, bool draw, pr_error *err);
    const char *added; /* a glob of what add makes; NULL: nothing */
    /* What it builds in the place of the plain parts; their context is the options. */
    pr_bert_parts parts;
    /* Folds what add made for one linear layer into the plain weight: weight (out, in) is the whole
     * matrix, changed in place. NULL: it can't be folded, or there is nothing to fold. */
    pr_status (*collapse)(const pr_store *store, const char *linear,
                          const pr_method_options *options, float *weight, pr_error *err);
    const char *why_not; /* it adds but can't be folded: a clause for the message */
    const char *peft;    /* PEFT's type of adapter that computes the same; NULL: it has none */

    const char *const
        *trained; /* globs of what trains throughout, ended by NULL; the head always does */
    const char *const *primed; /* globs of what trains at first, until the flip; may be NULL */

    /* For a method that trains a model's parameters in another arrangement; all NULL for others.
     * begin rearranges the store before a run and sets *state; flip comes right before what is
     * primed freezes; end puts the store back as it was arranged, after which state may be freed.
     * order gives the *n numbers that a checkpoint must keep of the state, to be read or set: of
     * each layer the ffn numbers 0 to ffn - 1 in some order. A parameter that begin cuts in two has
     * its second leaf under its name and this suffix. */
    const char *second_leaf;
    pr_status (*begin)(pr_store *store, const pr_bert_config *config,
                       const pr_method_options *options, void **state, pr_error *err);
    pr_status (*flip)(pr_store *store, void *state, pr_error *err);
    pr_status (*end)(pr_store *store, void *state, pr_error *err);
    void (*free)(void *state);
    int32_t *(*order)(void *state, size_t *n);
} pr_method;

/* All methods, ended by NULL. The first is full fine-tuning. */
extern const pr_method *const pr_methods[];

/* The method of that name, or NULL. */
const pr_method *pr_method_find(const char *name);

/* The six linear layers of a block, ended by NULL: "attn_q", ... */
extern const char *const pr_method_linears[];

/* Adds the method's parameters. */
pr_status pr_method_add(const pr_method *method, const pr_bert_config *config, pr_store *store,
                        const pr_method_options *options, bool draw, pr_error *err);

/* Sets requires-grad for the start of a run: what the method trains throughout, and the head. */
pr_status pr_method_begin(const pr_method *method, pr_store *store, pr_error *err);

/* Sets requires-grad of what is primed: on in phase 0, and off from the flip on, in phase 1. That
 * is the whole of priming. */
pr_status pr_method_phase(const pr_method *method, pr_store *store, int phase, pr_error *err);

/* How many steps of a run come before the flip; 0: it has none, and phase 1 alone. PR_BAD_ARGUMENT
 * when the run is not that long. */
pr_status pr_method_flip_step(const pr_method *method, const pr_method_options *options,
                              int32_t steps_per_epoch, int32_t steps, int32_t *flip, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
