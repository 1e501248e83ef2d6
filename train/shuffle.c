/* The order that an epoch takes a data set's rows in. */
#include "backends/philox.h"
#include "ops/ops.h"
#include "train/dataset.h"

/* A number from 0 to bound - 1, each as likely as the others: a word from the last, incomplete
 * stretch of 2^32 is passed over. */
static uint32_t draw_below(uint64_t key, uint32_t epoch, uint32_t index, uint32_t bound) {
    const uint64_t words = UINT64_C(1) << 32;
    const uint64_t fair = words - words % bound;
    for (uint32_t attempt = 0;; attempt++) {
        pr_philox drawn = pr_philox_draw(key, index, attempt, epoch, 0);
        for (int i = 0; i < 4; i++) {
            if (drawn.word[i] < fair) return drawn.word[i] % bound;
        }
    }
}

void pr_dataset_shuffle(uint32_t *order, size_t n, uint64_t seed, int32_t epoch) {
    const uint64_t key = pr_philox_key(seed, pr_site("shuffle"));
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        uint32_t j = draw_below(key, (uint32_t)epoch, (uint32_t)i, (uint32_t)i);
        uint32_t kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}
