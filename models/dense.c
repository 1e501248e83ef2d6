#include "models/dense.h"

#include <math.h>
#include <stdio.h>

#include "models/draw.h"
#include "ops/ops.h"

enum { NAME = 128 };

/* The parameter's tensor; makes the parameter where there is none. */
static pr_tid parameter(pr_graph *g, const char *name, pr_shape shape, float bound, uint64_t seed) {
    pr_store *store = pr_graph_store(g);
    pr_error err = {.code = PR_OK};
    if (pr_store_find(store, name) < 0) {
        int added = pr_store_add(store, name, shape, NULL, &err);
        if (added >= 0) pr_draw_uniform(store, added, bound, seed, &err);
    }
    return err.code == PR_OK ? pr_graph_param(g, name) : pr_graph_fault(g, "%s", err.message);
}

pr_tid pr_dense(pr_graph *g, pr_tid x, const char *name, int32_t width, uint64_t seed) {
    char weight[NAME], bias[NAME];
    if (!x) return 0;
    pr_shape shape = pr_graph_tensor(g, x)->shape;
    if (shape.n_dims != 2 || shape.dim[1] < 1 || width < 1) {
        char text[PR_SHAPE_TEXT];
        return pr_graph_fault(g,
                              "dense '%s': expected a matrix and a width of 1 or more, found %s "
                              "and %d",
                              name, pr_shape_text(shape, text), (int)width);
    }
    int written = snprintf(weight, NAME, "%s.weight", name);
    if (written < 0 || written >= NAME) return pr_graph_fault(g, "dense '%s': too long", name);
    snprintf(bias, NAME, "%s.bias", name);
    float bound = 1.0f / sqrtf((float)shape.dim[1]);
    pr_graph_scope(g, "%s", name);
    pr_tid w = parameter(g, weight, pr_shape_2(width, shape.dim[1]), bound, seed);
    return pr_linear(g, x, w, parameter(g, bias, pr_shape_1(width), bound, seed));
}
