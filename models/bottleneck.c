#include "models/bottleneck.h"

#include <math.h>
#include <stdio.h>

#include "models/draw.h"

enum { NAME = 80 };

static pr_status add_linear(pr_store *store, const char *name, const char *part, int64_t out,
                            int64_t in, int *weight, pr_error *err) {
    char full[NAME];
    snprintf(full, sizeof full, "%s_%s.weight", name, part);
    *weight = pr_store_add(store, full, pr_shape_2(out, in), NULL, err);
    if (*weight < 0) return err ? err->code : PR_NO_MEMORY;
    snprintf(full, sizeof full, "%s_%s.bias", name, part);
    if (pr_store_add(store, full, pr_shape_1(out), NULL, err) >= 0) return PR_OK;
    return err ? err->code : PR_NO_MEMORY;
}

pr_status pr_bottleneck_add(pr_store *store, const char *name, int64_t width,
                            const pr_method_options *options, bool draw, pr_error *err) {
    enum { WIDEST = 1 << 20 };
    if (options->size < 1 || options->size > WIDEST) {
        return pr_fail(err, PR_BAD_ARGUMENT, "adapter: expected a width of 1 to %d, found %d",
                       WIDEST, (int)options->size);
    }
    int down = -1, up;
    pr_status status = add_linear(store, name, "down", options->size, width, &down, err);
    if (status == PR_OK) status = add_linear(store, name, "up", width, options->size, &up, err);
    if (status != PR_OK || !draw) return status;
    return pr_draw_uniform(store, down, 1.0f / sqrtf((float)width), options->seed, err);
}

const char pr_bottleneck_why_not[] = "adapters have a nonlinearity between their weights";

const char *const pr_bottleneck_trained[] = {"blk.*.adapter_*", "blk.*_norm.{weight,bias}", NULL};
