/* A net in double precision, and central differences of its loss. */
#include <math.h>

#include "graph/bf16.h"
#include "tests/net.h"
#include "tests/reference.h"
#include "tests/test.h"

typedef struct evaluation {
    const net *net;
    reference_operand *value; /* by tensor */
    double *scale;            /* room for any one's */
    double loss, size;        /* and the absolute values that it sums */
    double tolerance;
    const char *label;
} evaluation;

static void *room(int64_t n, size_t size) {
    void *block = calloc((size_t)n + 1, size);
    assert_non_null(block);
    return block;
}

static void take_leaf(evaluation *e, const net_leaf *leaf) {
    reference_operand *v = &e->value[leaf->t];
    int64_t n = reference_count(leaf->shape);
    size_t bytes = (size_t)n * pr_dtype_size(leaf->dtype);
    if (leaf->dtype == PR_F32) {
        v->x = room(n, sizeof *v->x);
        for (int64_t i = 0; i < n; i++)
            v->x[i] = ((const float *)leaf->data)[i];
    } else if (leaf->dtype == PR_BF16) {
        v->x = room(n, sizeof *v->x);
        for (int64_t i = 0; i < n; i++)
            v->x[i] = (double)pr_f32_from_bf16(((const uint16_t *)leaf->data)[i]);
    } else if (leaf->dtype == PR_I32) {
        v->i = room(n, sizeof *v->i);
        memcpy(v->i, leaf->data, bytes);
    } else {
        v->u = room(n, sizeof *v->u);
        memcpy(v->u, leaf->data, bytes);
    }
}

static evaluation begin(const net *n) {
    int32_t tensors = pr_graph_tensors(n->g);
    evaluation e = {.net = n, .value = room(tensors, sizeof *e.value)};
    int64_t most = 1;
    for (pr_tid t = 1; t <= tensors; t++) {
        const pr_tensor *tensor = pr_graph_tensor(n->g, t);
        e.value[t].shape = pr_shape_bind(tensor->shape, n->extent);
        int64_t count = reference_count(e.value[t].shape);
        if (count > most) most = count;
        if (tensor->role == PR_ROLE_VALUE) e.value[t].x = room(count, sizeof *e.value[t].x);
    }
    for (int i = 0; i < n->n_leaves; i++)
        take_leaf(&e, &n->leaf[i]);
    e.scale = room(most, sizeof *e.scale);
    return e;
}

static void end(evaluation *e) {
    for (pr_tid t = 1; t <= pr_graph_tensors(e->net->g); t++) {
        free(e->value[t].x);
        free(e->value[t].i);
        free(e->value[t].u);
    }
    free(e->value);
    free(e->scale);
}

static void run_node(evaluation *e, const pr_node *node) {
    if (!e->net->training && (node->op->flags & PR_OP_TRAINING_ONLY)) {
        const reference_operand *from = &e->value[node->in[0]], *to = &e->value[node->out[0]];
        memcpy(to->x, from->x, (size_t)reference_count(to->shape) * sizeof *to->x);
        return;
    }
    reference_call c = {.attr = node->attr, .training = e->net->training};
    for (int k = 0; k < node->op->n_in; k++)
        c.in[k] = e->value[node->in[k]];
    for (int k = 0; k < node->op->n_out; k++) {
        c.shape[k] = e->value[node->out[k]].shape;
        c.y[k] = e->value[node->out[k]].x;
        c.scale[k] = e->scale;
    }
    reference_of(node->op)->run(&c);
}

/* The loss as the leaves stand. */
static double loss_of(evaluation *e) {
    const pr_graph *g = e->net->g;
    int32_t last = pr_graph_tensor(g, e->net->loss)->node;
    for (int32_t i = 0; i <= last; i++)
        run_node(e, pr_graph_get(g, i));
    e->size = e->scale[0]; /* the loss was the last to be computed */
    return e->value[e->net->loss].x[0];
}

/* A hundred-thousandth of how far the leaf's elements spread. */
static double step_of(const double *x, int64_t n) {
    double mean = 0.0, variance = 0.0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    return 1e-5 * fmin(1.0, fmax(1e-3, sqrt(variance)));
}

static void compare(const evaluation *e, int leaf, int64_t at, double found, double expected,
                    double allowed) {
    if (fabs(found - expected) <= allowed) return;
    const char *what = at < 0 ? "along a direction" : "at an element";
    fail_msg("%s: the gradient of leaf %d %s (%lld) is %.9g and should be %.9g: %.3g off, %.3g are "
             "allowed",
             e->label, leaf, what, (long long)at, found, expected, fabs(found - expected), allowed);
}

/* What rounding leaves of a difference of losses; and of n float gradients that are zero because
 * their terms, of order one, cancel. */
static double noise(const evaluation *e, double step, int64_t n) {
    return 32.0 * 0x1p-53 * e->size / step + 0.1 * e->tolerance * sqrt((double)n);
}

static void check_element(evaluation *e, int leaf, const float *gradient, int64_t at, double step,
                          double largest) {
    double *x = &e->value[e->net->leaf[leaf].t].x[at], kept = *x;
    double up = kept + step, down = kept - step;
    *x = up;
    double above = loss_of(e);
    *x = down;
    double below = loss_of(e);
    *x = kept;
    compare(e, leaf, at, (double)gradient[at], (above - below) / (up - down),
            e->tolerance * largest + noise(e, step, 1));
}

/* All elements at once, each up or down. */
static void check_direction(evaluation *e, int leaf, const float *gradient, int64_t n, double step,
                            uint32_t random) {
    double *x = e->value[e->net->leaf[leaf].t].x, along = 0.0, sum = 0.0, loss[2];
    double *kept = room(n, sizeof *kept), *way = room(n, sizeof *way);
    for (int64_t i = 0; i < n; i++) {
        random = random * 1664525u + 1013904223u;
        kept[i] = x[i];
        way[i] = random >> 31 ? 1.0 : -1.0;
        along += way[i] * (double)gradient[i];
        sum += fabs((double)gradient[i]);
    }
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < n; i++)
            x[i] = kept[i] + (side ? -step : step) * way[i];
        loss[side] = loss_of(e);
    }
    memcpy(x, kept, (size_t)n * sizeof *x);
    free(kept);
    free(way);
    compare(e, leaf, -1, along, (loss[0] - loss[1]) / (2.0 * step),
            e->tolerance * sum + noise(e, step, n));
}

static void check_leaf(evaluation *e, int leaf, const float *gradient, int samples) {
    int64_t n = reference_count(e->net->leaf[leaf].shape);
    double step = step_of(e->value[e->net->leaf[leaf].t].x, n), largest = 0.0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    if (n <= 2 * samples) {
        for (int64_t i = 0; i < n; i++)
            check_element(e, leaf, gradient, i, step, largest);
    } else {
        for (int k = 0; k < samples; k++) /* the first and the last among them */
            check_element(e, leaf, gradient, k * (n - 1) / (samples - 1), step, largest);
    }
    for (uint32_t k = 0; k < 3; k++)
        check_direction(e, leaf, gradient, n, step, k);
}

void net_check(const net *n, const char *label, float *const gradient[NET_LEAVES], int samples,
               double tolerance) {
    evaluation e = begin(n);
    e.label = label;
    e.tolerance = tolerance;
    for (int i = 0; i < n->n_leaves; i++) {
        if (gradient[i]) check_leaf(&e, i, gradient[i], samples);
    }
    end(&e);
}
