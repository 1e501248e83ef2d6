/* Which algorithms cuBLASLt chose, by product: a list in the order of keys. Asking costs more than
 * a small product, and from CUDA 13.3 on fails while a stream is being captured. */
#include <string.h>

#include "backends/cublas.h"
#include "graph/memory.h"

typedef struct choice {
    pr_cublas_key key;
    cublasLtMatmulAlgo_t algorithm;
} choice;

struct pr_cublas_choices {
    choice *choice;
    size_t n, capacity;
};

/* Where the key stands, or where it would. */
static size_t place_of(const pr_cublas_choices *c, const pr_cublas_key *key) {
    size_t low = 0, high = c ? c->n : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(&c->choice[middle].key, key, sizeof *key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const cublasLtMatmulAlgo_t *pr_cublas_chosen(const pr_cublas_choices *choices,
                                             const pr_cublas_key *key) {
    size_t i = place_of(choices, key);
    bool there =
        choices && i < choices->n && memcmp(&choices->choice[i].key, key, sizeof *key) == 0;
    return there ? &choices->choice[i].algorithm : NULL;
}

bool pr_cublas_choose(pr_cublas_choices **choices, const pr_cublas_key *key,
                      const cublasLtMatmulAlgo_t *algorithm) {
    if (!*choices) *choices = pr_alloc(1, sizeof **choices);
    pr_cublas_choices *c = *choices;
    if (!c || !pr_grow((void **)&c->choice, &c->capacity, c->n + 1, sizeof *c->choice)) {
        return false;
    }
    size_t i = place_of(c, key);
    memmove(c->choice + i + 1, c->choice + i, (c->n - i) * sizeof *c->choice);
    c->choice[i] = (choice){*key, *algorithm};
    c->n++;
    return true;
}

void pr_cublas_choices_free(pr_cublas_choices *choices) {
    if (choices) pr_free(choices->choice);
    pr_free(choices);
}
