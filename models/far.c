/* FAR (Freeze And Reconfigure, Vucetic et al. 2022): everything trains for the first steps; then
 * each feed-forward keeps the nodes that moved most and freezes the others. A node i of the hidden
 * layer is row i of ffn_up, its bias and column i of ffn_down, and it moved by the L1 distance of
 * these from where they started.
 *
 * The nodes of a feed-forward may stand in any order without changing what it computes:
 *     y = gelu(x U' + u) D + b = sum over i of gelu(x U_i + u_i) D_i + b,
 * so the kept ones get leaves of their own, and requires-grad does the rest. For a run ffn_up's
 * weight (ffn, width) and bias and ffn_down's weight, transposed to (ffn, width), become two leaves
 * each: <name>.kept of the first `kept` nodes, and <name> itself of the others. At the flip rows
 * change places between the two, their moments with them; at the end all nodes return to their
 * original places. No step looks at an order. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/memory.h"
#include "models/method.h"
#include "ops/ops.h"

enum { UP, BIAS, DOWN, PARTS, NAME = 80 };
static const char *const part_name[PARTS] = {"ffn_up.weight", "ffn_up.bias", "ffn_down.weight"};
static const char kept_leaf[] = ".kept";

/* One of the three parameters that are cut in two. */
typedef struct part {
    int rest, kept;     /* numbers of the leaves in the store */
    const float *start; /* as it was, in its original shape */
    float *copy;        /* start's memory where it is no mapping */
    size_t bytes;
} part;

typedef struct far {
    int layers, base; /* base: parameters of the store before the cut */
    int32_t nodes, kept, width;
    part (*part)[PARTS]; /* (layers) */
    int32_t *order;      /* (layers, nodes): the original node of each place, kept first */
} far;

static const char *name_of(char name[NAME], int layer, int k, const char *suffix) {
    snprintf(name, NAME, "blk.%d.%s%s", layer, part_name[k], suffix);
    return name;
}

static void free_state(void *state) {
    far *f = state;
    if (!f) return;
    for (int layer = 0; f->part && layer < f->layers; layer++) {
        for (int k = 0; k < PARTS; k++)
            pr_free(f->part[layer][k].copy);
    }
    pr_free(f->part);
    pr_free(f->order);
    pr_free(f);
}

/* A leaf of n of a part's nodes. */
static pr_shape leaf_shape(const far *f, int k, int32_t n) {
    return k == BIAS ? pr_shape_1(n) : pr_shape_2(n, f->width);
}

static size_t row_length(const far *f, int k) {
    return k == BIAS ? 1 : (size_t)f->width;
}

/* ---- to leaves and back ---- */

/* A part's values as rows of nodes: ffn_down (width, nodes) lies the other way. */
static void to_rows(const far *f, int k, const float *from, float *rows) {
    if (k != DOWN) {
        memcpy(rows, from, (size_t)f->nodes * row_length(f, k) * sizeof *rows);
        return;
    }
    for (int32_t j = 0; j < f->width; j++) {
        for (int32_t i = 0; i < f->nodes; i++)
            rows[(size_t)i * f->width + j] = from[(size_t)j * f->nodes + i];
    }
}

/* Rows in their places to a part's values in the original order. */
static void from_rows(const far *f, int k, const int32_t *order, const float *rows, float *to) {
    size_t n = row_length(f, k);
    for (int32_t place = 0; place < f->nodes; place++) {
        const float *row = rows + (size_t)place * n;
        int32_t node = order[place];
        if (k != DOWN) {
            memcpy(to + (size_t)node * n, row, n * sizeof *to);
            continue;
        }
        for (int32_t j = 0; j < f->width; j++)
            to[(size_t)j * f->nodes + node] = row[j];
    }
}

/* Keeps what a part was before the run: where it lies in a mapping, or a copy. */
static pr_status keep_start(pr_store *store, part *p, pr_error *err) {
    const pr_param *param = pr_store_param(store, p->rest);
    p->bytes = param->bytes;
    p->start = param->data;
    if (!param->owned && p->start) return PR_OK;
    p->start = p->copy = pr_alloc(p->bytes, 1);
    if (!p->copy) return pr_fail_memory(err, param->name, p->bytes);
    return pr_store_read(store, p->rest, p->copy, err);
}

static pr_status cut(far *f, pr_store *store, int layer, int k, pr_error *err) {
    char name[NAME];
    part *p = &f->part[layer][k];
    p->rest = pr_store_find(store, name_of(name, layer, k, ""));
    if (p->rest < 0) return pr_fail(err, PR_BAD_ARGUMENT, "the model has no tensor '%s'", name);
    pr_status status = keep_start(store, p, err);
    if (status != PR_OK) return status;
    float *rows = pr_alloc(p->bytes, 1);
    if (!rows) return pr_fail_memory(err, name, p->bytes);
    to_rows(f, k, p->start, rows);
    status = pr_store_renew(store, p->rest, leaf_shape(f, k, f->nodes - f->kept), err);
    p->kept = pr_store_add(store, name_of(name, layer, k, kept_leaf), leaf_shape(f, k, f->kept),
                           NULL, err);
    if (status == PR_OK && p->kept < 0) status = err ? err->code : PR_NO_MEMORY;
    if (status == PR_OK) status = pr_store_write(store, p->kept, rows, err);
    if (status == PR_OK) {
        status = pr_store_write(store, p->rest, rows + (size_t)f->kept * row_length(f, k), err);
    }
    pr_free(rows);
    if (!p->copy) pr_store_release_pages(store, p->start, p->bytes);
    return status;
}

static pr_status read_rows(const far *f, const pr_store *store, int layer, int k, float *rows,
                           pr_error *err) {
    const part *p = &f->part[layer][k];
    pr_status status = pr_store_read(store, p->kept, rows, err);
    if (status != PR_OK) return status;
    return pr_store_read(store, p->rest, rows + (size_t)f->kept * row_length(f, k), err);
}

static pr_status join(far *f, pr_store *store, int layer, int k, pr_error *err) {
    const part *p = &f->part[layer][k];
    float *rows = pr_alloc(p->bytes, 1), *whole = pr_alloc(p->bytes, 1);
    pr_status status = PR_NO_MEMORY;
    if (rows && whole)
        status = read_rows(f, store, layer, k, rows, err);
    else
        pr_fail_memory(err, part_name[k], 2 * p->bytes);
    if (status == PR_OK) {
        from_rows(f, k, f->order + (size_t)layer * f->nodes, rows, whole);
        pr_shape shape = k == DOWN ? pr_shape_2(f->width, f->nodes) : leaf_shape(f, k, f->nodes);
        status = pr_store_renew(store, p->rest, shape, err);
    }
    if (status == PR_OK) status = pr_store_write(store, p->rest, whole, err);
    pr_free(rows);
    pr_free(whole);
    return status;
}

static far *new_state(const pr_store *store, const pr_bert_config *config,
                      const pr_method_options *options, pr_error *err) {
    far *f = pr_alloc(1, sizeof *f);
    size_t places;
    if (!f || !pr_size_multiply((size_t)config->layers, (size_t)config->ffn, &places)) {
        pr_free(f);
        pr_fail_memory(err, "FAR", sizeof *f);
        return NULL;
    }
    long kept = lround(options->retain / 100 * config->ffn);
    *f = (far){.layers = config->layers,
               .base = pr_store_count(store),
               .nodes = config->ffn,
               .kept = kept < 1              ? 1
                       : kept >= config->ffn ? config->ffn - 1
                                             : (int32_t)kept,
               .width = config->width,
               .part = pr_alloc((size_t)config->layers, sizeof *f->part),
               .order = pr_alloc(places, sizeof *f->order)};
    if (!f->part || !f->order) {
        free_state(f);
        pr_fail_memory(err, "FAR", places * sizeof *f->order);
        return NULL;
    }
    for (size_t i = 0; i < places; i++)
        f->order[i] = (int32_t)(i % (size_t)f->nodes);
    return f;
}

static pr_status begin(pr_store *store, const pr_bert_config *config,
                       const pr_method_options *options, void **state, pr_error *err) {
    *state = NULL;
    if (!(options->retain > 0 && options->retain < 100) || config->ffn < 2) {
        return pr_fail(
            err, PR_BAD_ARGUMENT,
            "FAR: expected to retain over 0 and under 100 %% of two nodes or more, found "
            "%g %% of %d",
            options->retain, (int)config->ffn);
    }
    far *f = new_state(store, config, options, err);
    if (!f) return err ? err->code : PR_NO_MEMORY;
    *state = f;
    pr_status status = PR_OK;
    for (int i = 0; i < f->layers * PARTS && status == PR_OK; i++)
        status = cut(f, store, i / PARTS, i % PARTS, err);
    return status;
}

static pr_status end(pr_store *store, void *state, pr_error *err) {
    far *f = state;
    pr_status status = PR_OK;
    for (int i = 0; i < f->layers * PARTS && status == PR_OK; i++)
        status = join(f, store, i / PARTS, i % PARTS, err);
    return status == PR_OK ? pr_store_truncate(store, f->base, err) : status;
}

/* ---- the flip ---- */

typedef struct moved {
    double distance;
    int32_t place;
} moved;

/* The farthest first; of equal ones the first. */
static int by_distance(const void *a, const void *b) {
    const moved *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? 1 : -1;
    return (x->place > y->place) - (x->place < y->place);
}

/* Adds to each place's distance that of one part. At the flip every node is still where it was. */
static pr_status add_distance(const far *f, const pr_store *store, int layer, int k, moved *m,
                              pr_error *err) {
    const part *p = &f->part[layer][k];
    float *now = pr_alloc(p->bytes, 1), *start = pr_alloc(p->bytes, 1);
    pr_status status = PR_NO_MEMORY;
    if (now && start)
        status = read_rows(f, store, layer, k, now, err);
    else
        pr_fail_memory(err, part_name[k], 2 * p->bytes);
    if (status == PR_OK) {
        to_rows(f, k, p->start, start);
        size_t n = row_length(f, k);
        for (size_t i = 0; i < (size_t)f->nodes * n; i++)
            m[i / n].distance += fabs((double)now[i] - (double)start[i]);
        if (!p->copy) pr_store_release_pages(store, p->start, p->bytes);
    }
    pr_free(now);
    pr_free(start);
    return status;
}

static pr_status swap_nodes(far *f, pr_store *store, int layer, int32_t kept, int32_t rest,
                            pr_error *err) {
    int32_t *order = f->order + (size_t)layer * f->nodes;
    pr_status status = PR_OK;
    for (int k = 0; k < PARTS && status == PR_OK; k++) {
        const part *p = &f->part[layer][k];
        status = pr_store_swap_rows(store, p->kept, kept, p->rest, rest - f->kept, err);
    }
    int32_t node = order[kept];
    order[kept] = order[rest];
    order[rest] = node;
    return status;
}

/* Brings the nodes that moved most to the front. m (nodes) is room. */
static pr_status rearrange(far *f, pr_store *store, int layer, moved *m, pr_error *err) {
    pr_status status = PR_OK;
    for (int32_t i = 0; i < f->nodes; i++)
        m[i] = (moved){.place = i};
    for (int k = 0; k < PARTS && status == PR_OK; k++)
        status = add_distance(f, store, layer, k, m, err);
    if (status != PR_OK) return status;
    qsort(m, (size_t)f->nodes, sizeof *m, by_distance);
    /* Among the first `kept` of m are places at the front, which stay; the others change places
     * with those at the front that are not among them. */
    int32_t out = f->kept;
    for (int32_t in = 0; in < f->kept && status == PR_OK; in++) {
        if (m[in].place < f->kept) continue;
        while (m[out].place >= f->kept)
            out++;
        status = swap_nodes(f, store, layer, m[out++].place, m[in].place, err);
    }
    return status;
}

static pr_status flip(pr_store *store, void *state, pr_error *err) {
    far *f = state;
    moved *m = pr_alloc((size_t)f->nodes, sizeof *m);
    if (!m) return pr_fail_memory(err, "FAR", (size_t)f->nodes * sizeof *m);
    pr_status status = PR_OK;
    for (int layer = 0; layer < f->layers && status == PR_OK; layer++)
        status = rearrange(f, store, layer, m, err);
    pr_free(m);
    return status;
}

static int32_t *order(void *state, size_t *n) {
    far *f = state;
    *n = (size_t)f->layers * (size_t)f->nodes;
    return f->order;
}

/* ---- the graph ---- */

/* gelu(x U' + u), (N, nodes of the leaf) */
static pr_tid hidden(pr_graph *g, pr_tid x, const char *block, const char *suffix) {
    char name[NAME];
    snprintf(name, sizeof name, "%s.ffn_up.weight%s", block, suffix);
    pr_tid weight = pr_graph_param(g, name);
    snprintf(name, sizeof name, "%s.ffn_up.bias%s", block, suffix);
    pr_graph_scope(g, "%s.ffn_up%s", block, suffix);
    return pr_gelu(g, pr_linear(g, x, weight, pr_graph_param(g, name)));
}

static pr_tid feed_forward(pr_graph *g, pr_tid x, const char *block, const void *context) {
    (void)context;
    char name[NAME];
    pr_tid rest = hidden(g, x, block, ""), kept = hidden(g, x, block, kept_leaf);
    snprintf(name, sizeof name, "%s.ffn_down.bias", block);
    pr_tid bias = pr_graph_param(g, name);
    snprintf(name, sizeof name, "%s.ffn_down.weight", block);
    pr_graph_scope(g, "%s.ffn_down", block);
    pr_tid y = pr_matmul(g, rest, pr_graph_param(g, name), 0, 1.0f, bias, 0);
    snprintf(name, sizeof name, "%s.ffn_down.weight%s", block, kept_leaf);
    pr_graph_scope(g, "%s.ffn_down%s", block, kept_leaf);
    return pr_matmul(g, kept, pr_graph_param(g, name), 0, 1.0f, 0, y);
}

static const char *const trained[] = {"*", NULL};
static const char *const primed[] = {"blk.*.ffn_up.{weight,bias}", "blk.*.ffn_down.weight", NULL};

const pr_method pr_method_far = {
    .name = "far",
    .summary = "everything trains, then the feed-forwards' nodes that moved least freeze",
    .takes = PR_TAKES_RETAIN | PR_TAKES_PRIME_STEPS,
    .defaults = {.retain = 10, .prime_steps = 0.01},
    .parts = {.feed_forward = feed_forward},
    .trained = trained,
    .primed = primed,
    .begin = begin,
    .flip = flip,
    .end = end,
    .free = free_state,
    .order = order,
    .second_leaf = kept_leaf,
};
