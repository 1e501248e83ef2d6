/* stb_ds writes through what its realloc returns without a look, so the wrapper below must not
 * return NULL. On failure it jumps back to the call in this file that is under way, which leaves
 * the table as it was before that call. The guard is thread-local and set only during such a call.
 */
#include "graph/names.h"

#include <setjmp.h>
#include <stdlib.h>

#include "graph/memory.h"

enum { MAX_FRESH = 8 }; /* stb_ds makes at most four blocks in one call */

typedef struct guard {
    jmp_buf failed;
    void *fresh[MAX_FRESH]; /* blocks made in this call */
    int n_fresh;
} guard;

static _Thread_local guard *current;

static void *guarded_realloc(void *block, size_t bytes) {
    void *grown = realloc(block, bytes);
    if (!grown) longjmp(current->failed, 1);
    if (!block && current->n_fresh < MAX_FRESH) current->fresh[current->n_fresh++] = grown;
    return grown;
}

#define STBDS_REALLOC(context, block, bytes) guarded_realloc(block, bytes)
#define STBDS_FREE(context, block) free(block)
#define STB_DS_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wshadow"
#include <stb_ds.h>
#pragma GCC diagnostic pop

typedef struct entry {
    char *key; /* ours: were stb_ds to copy it, a failure there would lose the grown map */
    int32_t value;
} entry;

struct pr_names {
    entry *map;
};

pr_names *pr_names_new(void) {
    return pr_alloc(1, sizeof(pr_names));
}

void pr_names_free(pr_names *names) {
    if (!names) return;
    for (size_t i = 0; i < shlenu(names->map); i++)
        pr_free(names->map[i].key);
    shfree(names->map);
    pr_free(names);
}

static ptrdiff_t slot_of(const pr_names *names, const char *name) {
    if (!names->map) return -1;
    ptrdiff_t slot = -1;
    stbds_hmget_key_ts(names->map, sizeof *names->map, (void *)name, sizeof names->map->key, &slot,
                       STBDS_HM_STRING);
    return slot;
}

pr_status pr_names_put(pr_names *names, const char *name, int32_t value) {
    ptrdiff_t slot = slot_of(names, name);
    if (slot >= 0) {
        names->map[slot].value = value;
        return PR_OK;
    }
    char *key = pr_copy_text(name);
    if (!key) return PR_NO_MEMORY;
    guard here = {.n_fresh = 0};
    current = &here;
    if (setjmp(here.failed)) {
        /* Only of a map's first entry is a block made that the map does not own yet. */
        if (!names->map) {
            for (int i = 0; i < here.n_fresh; i++)
                free(here.fresh[i]);
        }
        pr_free(key);
        current = NULL;
        return PR_NO_MEMORY;
    }
    shput(names->map, key, value);
    current = NULL;
    return PR_OK;
}

int32_t pr_names_get(const pr_names *names, const char *name) {
    ptrdiff_t slot = slot_of(names, name);
    return slot < 0 ? -1 : names->map[slot].value;
}

size_t pr_names_count(const pr_names *names) {
    return shlenu(names->map);
}
