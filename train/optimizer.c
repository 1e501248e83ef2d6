#include "train/optimizer.h"

pr_optimizer pr_optimizer_default(void) {
    return (pr_optimizer){
        .adamw = {.beta_1 = 0.9f, .beta_2 = 0.999f, .epsilon = 1e-8f, .weight_decay = 0.01f},
        .clip = 1.0f,
    };
}

static pr_status make_states(pr_graph *g, int param, pr_tid gradient, pr_error *err) {
    pr_store *store = pr_graph_store(g);
    const pr_param *p = pr_store_param(store, param);
    pr_status status = pr_store_make_state(store, param, PR_STATE_FIRST, p->bytes, err);
    if (status == PR_OK) {
        status = pr_store_make_state(store, param, PR_STATE_SECOND, p->bytes, err);
    }
    if (status == PR_OK && pr_graph_tensor(g, gradient)->rows) {
        size_t bytes = (size_t)p->shape.dim[0] * sizeof(int32_t); /* fits: the rows' data does */
        status = pr_store_make_state(store, param, PR_STATE_ROWS, bytes, err);
    }
    return status;
}

static pr_tid gradient_of(const pr_graph *g, const pr_tid *gradient, pr_tid t) {
    if (pr_graph_tensor(g, t)->role != PR_ROLE_PARAM || !pr_graph_gradient(g, t)) return 0;
    return gradient ? gradient[t] : pr_graph_gradient(g, t);
}

pr_status pr_optimizer_emit(pr_graph *g, const pr_optimizer *o, const pr_tid *gradients,
                            pr_tid *factor, pr_error *err) {
    pr_phase before = pr_graph_phase(g, PR_UPDATE);
    pr_status status = PR_OK;
    pr_tid last = pr_graph_tensors(g), total = 0;
    pr_graph_scope(g, "clip");
    for (pr_tid t = 1; t <= last; t++) {
        pr_tid gradient = gradient_of(g, gradients, t);
        if (gradient) total = pr_sum_squares(g, gradient, total);
    }
    if (!total) {
        pr_graph_phase(g, before);
        status = pr_graph_check(g, err);
        if (status != PR_OK) return status;
        return pr_fail(err, PR_BAD_GRAPH, "nothing trains: no parameter has a gradient");
    }
    /* A loss that is not finite may have gradients that are; 0 times it is not 0. */
    if (o->loss) total = pr_sum_squares(g, pr_scale(g, o->loss, 0.0f), total);
    *factor = pr_clip_factor(g, total, o->clip);
    for (pr_tid t = 1; t <= last && status == PR_OK; t++) {
        pr_tid gradient = gradient_of(g, gradients, t);
        const pr_tensor *tensor = pr_graph_tensor(g, t);
        if (!gradient) continue;
        status = make_states(g, tensor->param, gradient, err);
        pr_graph_scope(g, "update.%s", tensor->name);
        pr_adamw(g, t, gradient, *factor, o->rates, o->clock, &o->adamw);
    }
    pr_graph_phase(g, before);
    return status == PR_OK ? pr_graph_check(g, err) : status;
}
