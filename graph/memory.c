#include "graph/memory.h"

#include <stdlib.h>
#include <string.h>

bool pr_size_multiply(size_t a, size_t b, size_t *out) {
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out = product;
    return true;
}

bool pr_size_add(size_t a, size_t b, size_t *out) {
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *out = sum;
    return true;
}

void *pr_alloc(size_t count, size_t size) {
    return calloc(count ? count : 1, size ? size : 1);
}

void *pr_realloc(void *block, size_t count, size_t size) {
    size_t bytes;
    if (!pr_size_multiply(count, size, &bytes)) return NULL;
    return realloc(block, bytes ? bytes : 1);
}

char *pr_copy_bytes(const char *text, size_t n) {
    size_t bytes;
    if (!pr_size_add(n, 1, &bytes)) return NULL;
    char *copy = pr_alloc(bytes, 1);
    if (copy && n) memcpy(copy, text, n);
    return copy;
}

char *pr_copy_text(const char *text) {
    return pr_copy_bytes(text, strlen(text));
}

void pr_free(void *block) {
    free(block);
}

bool pr_grow(void **items, size_t *capacity, size_t need, size_t item_size) {
    if (need <= *capacity) return true;
    size_t wanted = *capacity ? *capacity : 16;
    while (wanted < need) {
        if (!pr_size_multiply(wanted, 2, &wanted)) return false;
    }
    void *grown = pr_realloc(*items, wanted, item_size);
    if (!grown) return false;
    *items = grown;
    *capacity = wanted;
    return true;
}
