/* What a store is made of. Internal to graph/. */
#ifndef PR_STORE_INTERNAL_H
#define PR_STORE_INTERNAL_H

#include "graph/names.h"
#include "graph/store.h"

typedef struct pr_store_entry {
    pr_param p;
    bool trains;    /* as memory stands; p.require_grad is what it is asked to be */
    bool protected; /* p.data is owned and read-only */
    pr_keep keep;
    bool sparse;     /* few rows are read at a time */
    bool half_owned; /* p.half is the store's own */
    /* Its values as they were added, in memory that stays; NULL once they are no longer its own. */
    const float *mapped;
    const uint16_t *mapped_half;
} pr_store_entry;

struct pr_store {
    pr_backend *backend;
    pr_store_entry *entry;
    size_t capacity;
    int n;
    size_t elements; /* of all parameters */
    pr_names *names;
    uint64_t version;
    pr_store_release release;
    void *context;
};

/* Brings a parameter that does not train into the form that it is to be kept in. */
pr_status pr_store_take_form(pr_store *store, pr_store_entry *e, pr_error *err);
/* Makes p.data of p.half; nothing where it is there. */
pr_status pr_store_widen(pr_store *store, pr_store_entry *e, pr_error *err);
/* A parameter's values in f32, to the host: those it was made of where they are at hand. Pages of a
 * mapping that only this reads are given back. */
pr_status pr_store_expand(const pr_store *store, const pr_store_entry *e, float *to);
/* Frees p.half. */
void pr_store_drop_half(pr_store *store, pr_store_entry *e);

#endif
