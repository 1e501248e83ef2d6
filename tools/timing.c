#include "tools/timing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "backends/cuda.h"
#include "graph/memory.h"
#include "tools/numbers.h"
#include "tools/progress.h"

size_t timing_warm_steps(size_t steps) {
    enum { WARM = 3 };
    return steps > 2 * (size_t)WARM ? WARM : 0;
}

void timing_begin(timing *t, bool kept) {
    *t = (timing){.started = progress_now(), .first_step = NAN, .kept = kept};
}

void timing_free(timing *t) {
    pr_free(t->seconds);
    pr_free(t->tokens);
    t->seconds = t->tokens = NULL;
}

void timing_step(timing *t, const pr_step_report *step) {
    if (isnan(t->first_step)) t->first_step = progress_now() - t->started;
    if (!t->kept) return;
    size_t need = t->steps + 1;
    if (!pr_grow((void **)&t->seconds, &t->seconds_capacity, need, sizeof *t->seconds)) return;
    if (!pr_grow((void **)&t->tokens, &t->tokens_capacity, need, sizeof *t->tokens)) return;
    t->seconds[t->steps] = step->seconds;
    t->tokens[t->steps] = (double)step->tokens;
    t->flops += step->flops;
    t->bytes += step->bytes;
    const pr_plan_report *plan = pr_trainer_report(step->trainer);
    if (pr_plan_bytes(plan) > pr_plan_bytes(&t->plan)) t->plan = *plan;
    t->steps = need;
}

/* ---- JSON ---- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double sum(const double *values, size_t n) {
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += values[i];
    return total;
}

/* NaN without values, or without memory. */
static double median(const double *values, size_t n) {
    double *sorted = pr_alloc(n, sizeof *sorted);
    double middle = NAN;
    if (sorted && n) {
        memcpy(sorted, values, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_value);
        middle = sorted[n / 2];
    }
    pr_free(sorted);
    return middle;
}

void timing_json(const timing *t, json_t *object) {
    size_t warm = timing_warm_steps(t->steps), n = t->steps - warm;
    double steps = t->steps ? (double)t->steps : NAN;
    double rate = n ? sum(t->tokens + warm, n) / sum(t->seconds + warm, n) : NAN;
    double middle = n ? median(t->seconds + warm, n) : NAN;
    double mean = t->steps ? sum(t->tokens, t->steps) / steps : NAN;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    json_object_set_new(object, "steps", number_count(t->steps));
    json_object_set_new(object, "median_step_s", number_rounded(middle, 6));
    json_object_set_new(object, "real_tokens_per_s", number_rounded(rate, 1));
    json_object_set_new(object, "mean_tokens", number_rounded(mean, 1));
    json_object_set_new(object, "mean_flops", number_rounded(t->flops / steps, 0));
    json_object_set_new(object, "mean_bytes", number_rounded(t->bytes / steps, 0));
    json_object_set_new(object, "planned_bytes", number_count(pr_plan_bytes(&t->plan)));
    json_object_set_new(object, "weights_bytes", number_count(t->plan.weights));
    json_object_set_new(object, "lower_bound_bytes", number_count(t->plan.lower_bound));
    json_object_set_new(object, "peak_rss_gb",
                        number_rounded((double)usage.ru_maxrss * 1024 / 1e9, 3));
    json_object_set_new(object, "first_step_s", number_rounded(t->first_step, 3));
    json_object_set_new(object, "wall_s", number_rounded(progress_now() - t->started, 1));
}

void timing_device_json(const pr_backend *backend, json_t *object) {
    if (backend->kind != PR_CUDA) return;
    pr_cuda_memory m = pr_cuda_memory_of(backend);
    json_object_set_new(object, "device_peak_bytes", number_count(m.peak));
    json_object_set_new(object, "device_beside_bytes", number_count(m.beside));
}
