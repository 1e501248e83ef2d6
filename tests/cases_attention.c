/* attention and its gradient: sentences around the blocks of 48 queries, the panels and tiles of 16
 * rows and the groups of 32, and long ones; heads of odd sizes, 32 and 64, and up to 256; dropout
 * and none, training and not. */
#include <stdio.h>

#include "ops/ops.h"
#include "ops/table.h"
#include "tests/cases.h"

enum { Q, K, V, OFFSETS, RNG, Y, LSE, DY };

static const struct {
    int32_t lengths[CASE_SENTENCES];
    int32_t heads, size;
    float p, magnitude; /* of q and k */
    bool training, rng;
    bool one; /* query a sentence */
} batches[] = {
    {{1}, 1, 1, 0, 1, true, false, false},
    {{2, 1, 3}, 3, 5, 0, 1, true, true, false},
    {{2, 1, 3}, 3, 5, 0.5f, 1, true, true, false},
    {{2, 1, 3}, 3, 5, 0.5f, 1, false, true, false}, /* nothing drops outside training */
    {{15, 16, 17, 1}, 2, 7, 0, 1, true, false, false},
    {{15, 16, 17, 1}, 2, 32, 0.1f, 1, true, true, false},
    {{31, 33}, 1, 64, 0.1f, 1, true, true, false},
    {{47, 48, 49}, 2, 17, 0.2f, 1, true, true, false},
    {{63, 64, 65}, 1, 16, 0, 1, true, true, false},
    {{96, 97, 5}, 1, 15, 0.1f, 1, true, true, false},
    {{200}, 2, 32, 0.1f, 1, true, true, false},
    {{11, 7, 9, 30, 4, 2, 8, 8, 12, 21, 3, 5, 6, 19, 10, 14}, 4, 8, 0.1f, 1, true, true, false},
    {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 1, 8, 0.1f, 1, true, true, false},
    {{20, 50}, 2, 16, 0, 8, true, false, false},  /* scores up to some hundreds */
    {{20, 50}, 2, 16, 0, 60, true, false, false}, /* up to 3e4: one weight is 1 */
    {{1}, 1, 1, 0, 1, true, false, true},
    {{2, 1, 3}, 3, 5, 0.5f, 1, true, true, true},
    {{15, 16, 17, 1, 49}, 2, 32, 0.1f, 1, true, true, true},
    {{200, 3}, 3, 7, 0.1f, 1, true, true, true},
    {{20, 50}, 2, 16, 0, 8, false, true, true},
    {{525, 3}, 1, 32, 0.1f, 1, true, true, false},
    {{513, 64, 1}, 2, 64, 0.1f, 1, true, true, true},
    {{33, 18, 1}, 2, 36, 0.1f, 1, true, true, false},
    {{70, 33}, 1, 128, 0.1f, 1, true, true, false},
    {{40, 2}, 2, 256, 0.1f, 1, true, true, false},
};

enum { BATCHES = sizeof batches / sizeof *batches };

static int count(void) {
    return 2 * BATCHES;
}

static void make_forward(int i, op_case *c) {
    pr_shape shape = pr_shape_2(PR_TOKENS, batches[i].heads * batches[i].size);
    pr_shape queries = pr_shape_2(batches[i].one ? PR_SENTENCES : PR_TOKENS, shape.dim[1]);
    c->op = &pr_op_attention;
    snprintf(c->label, sizeof c->label, "attention %d with %d heads of %d, dropout %g%s", i,
             (int)batches[i].heads, (int)batches[i].size, (double)batches[i].p,
             batches[i].training ? "" : ", not training");
    c->attr = (pr_attr){
        .site = pr_site(c->label), .f = {batches[i].p}, .i = {batches[i].heads, batches[i].one}};
    c->training = batches[i].training;
    c->condition = batches[i].magnitude * batches[i].magnitude;
    case_offsets(c, OFFSETS, batches[i].lengths);
    case_scaled(c, Q, queries, batches[i].magnitude);
    case_scaled(c, K, shape, batches[i].magnitude);
    case_floats(c, V, shape, PLAIN);
    if (batches[i].rng) case_rng(c, RNG, 1234567 + (uint64_t)i, 3, 5);
}

static void make(int index, op_case *c) {
    int i = index / 2;
    make_forward(i, c);
    if (index % 2 == 0) return;
    op_case forward = {.condition = 1.0};
    make_forward(i, &forward);
    c->op = &pr_op_attention_grad;
    snprintf(c->label, sizeof c->label, "attention_grad %d with %d heads of %d, dropout %g%s", i,
             (int)batches[i].heads, (int)batches[i].size, (double)batches[i].p,
             batches[i].training ? "" : ", not training");
    case_from(c, Y, &forward, 0);
    case_from(c, LSE, &forward, 1);
    case_floats(c, DY, c->shape[Q], PLAIN);
    case_free(&forward);
}

const case_family cases_attention = {"attention", count, make};
