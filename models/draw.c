#include "models/draw.h"

#include <math.h>

#include "backends/philox.h"
#include "graph/memory.h"
#include "ops/ops.h"

/* Makes four elements of their four random words. */
typedef void (*quad)(const pr_philox *words, float scale, float out[4]);

static void uniform(const pr_philox *words, float bound, float out[4]) {
    for (int i = 0; i < 4; i++)
        out[i] = bound * (2.0f * pr_philox_uniform(words->word[i]) - 1.0f);
}

static void normal(const pr_philox *words, float deviation, float out[4]) {
    for (int i = 0; i < 4; i += 2) {
        /* 1 - u is in (0, 1]: its logarithm is finite. */
        double radius = sqrt(-2.0 * log(1.0 - (double)pr_philox_uniform(words->word[i])));
        double angle = 6.283185307179586 * (double)pr_philox_uniform(words->word[i + 1]);
        out[i] = (float)(deviation * radius * cos(angle));
        out[i + 1] = (float)(deviation * radius * sin(angle));
    }
}

static void constant(const pr_philox *words, float value, float out[4]) {
    (void)words;
    for (int i = 0; i < 4; i++)
        out[i] = value;
}

static pr_status fill(pr_store *store, int param, quad make, float scale, uint64_t seed,
                      pr_error *err) {
    const pr_param *p = pr_store_param(store, param);
    size_t n = p->bytes / sizeof(float);
    float *value = pr_alloc(n, sizeof *value);
    if (!value) return pr_fail_memory(err, p->name, p->bytes);
    uint64_t key = pr_philox_key(seed, pr_site(p->name));
    for (size_t i = 0; i < n; i += 4) {
        pr_philox words = pr_philox_draw(key, (uint32_t)(i / 4), (uint32_t)(i / 4 >> 32), 0, 0);
        float four[4];
        make(&words, scale, four);
        for (size_t k = 0; k < 4 && i + k < n; k++)
            value[i + k] = four[k];
    }
    pr_status status = pr_store_write(store, param, value, err);
    pr_free(value);
    return status;
}

pr_status pr_draw_uniform(pr_store *store, int param, float bound, uint64_t seed, pr_error *err) {
    return fill(store, param, uniform, bound, seed, err);
}

pr_status pr_draw_normal(pr_store *store, int param, float deviation, uint64_t seed,
                         pr_error *err) {
    return fill(store, param, normal, deviation, seed, err);
}

pr_status pr_draw_constant(pr_store *store, int param, float value, pr_error *err) {
    return fill(store, param, constant, value, 0, err);
}
