/* cross_entropy, mse and their gradients; sum_squares, clip_factor. */
#include <stdio.h>

#include "ops/table.h"
#include "tests/cases.h"

static const struct {
    int32_t sentences, classes;
    float magnitude;
} entropies[] = {{1, 1, 1},   {1, 2, 1},   {5, 3, 1},   {16, 2, 1},
                 {65, 17, 1}, {3, 130, 1}, {7, 4, 1e4f}};
enum { ENTROPIES = sizeof entropies / sizeof *entropies };

static const int32_t errors[] = {1, 2, 16, 65};
enum { ERRORS = sizeof errors / sizeof *errors };

/* Blocks of 16384 elements; a count of -1 makes x dense. */
static const struct {
    int32_t rows, columns, count;
    fill how;
    bool total;
} norms[] = {
    {1, 1, -1, PLAIN, false},      {3, 5, -1, PLAIN, true},     {0, 4, -1, PLAIN, true},
    {16384, 1, -1, PLAIN, false},  {16385, 1, -1, PLAIN, true}, {40001, 1, -1, PLAIN, true},
    {5, 40, -1, TAILS, false},     {3, 7, 0, PLAIN, true},      {6, 7, 4, PLAIN, false},
    {300, 129, 300, PLAIN, false}, {300, 129, 200, PLAIN, true}};
enum { NORMS = sizeof norms / sizeof *norms };

static const struct {
    double total;
    float most;
} clips[] = {{4.0, 1.0f}, {4.0, 2.0f}, {4.0, 3.0f}, {0.0, 1.0f}, {1e12, 0.5f}, {9.0, 0.0f}};
enum { CLIPS = sizeof clips / sizeof *clips };

static int count(void) {
    return 2 * (ENTROPIES + ERRORS) + NORMS + CLIPS;
}

/* A loss or, with the gradient of the loss in front, its gradient. */
static int begin_loss(op_case *c, const pr_op *loss, const pr_op *gradient, bool back,
                      int32_t sentences, int32_t classes) {
    c->op = back ? gradient : loss;
    c->extent.sentences = sentences;
    snprintf(c->label, sizeof c->label, "%s of (%d, %d)", c->op->name, (int)sentences,
             (int)classes);
    if (back) case_floats(c, 0, pr_shape_1(1), PLAIN);
    return back;
}

static void make_entropy(int i, bool back, op_case *c) {
    int k = begin_loss(c, &pr_op_cross_entropy, &pr_op_cross_entropy_grad, back,
                       entropies[i].sentences, entropies[i].classes);
    case_scaled(c, k, pr_shape_2(PR_SENTENCES, entropies[i].classes), entropies[i].magnitude);
    case_indices(c, k + 1, pr_shape_1(PR_SENTENCES), entropies[i].classes);
}

static void make_error(int i, bool back, op_case *c) {
    int k = begin_loss(c, &pr_op_mse, &pr_op_mse_grad, back, errors[i], 1);
    case_floats(c, k, pr_shape_2(PR_SENTENCES, 1), PLAIN);
    case_floats(c, k + 1, pr_shape_1(PR_SENTENCES), PLAIN);
    c->constant = 1u << (k + 1);
}

static void make_norm(int i, op_case *c) {
    c->op = &pr_op_sum_squares;
    snprintf(c->label, sizeof c->label, "sum_squares %d of (%d, %d), count %d", i,
             (int)norms[i].rows, (int)norms[i].columns, (int)norms[i].count);
    c->extent.tokens = norms[i].rows;
    case_floats(c, 0, pr_shape_2(PR_TOKENS, norms[i].columns), norms[i].how);
    if (norms[i].total) case_double(c, 1, 12.5);
    if (norms[i].count >= 0) case_integers(c, 2, pr_shape_1(1), &norms[i].count);
}

static void make_clip(int i, op_case *c) {
    c->op = &pr_op_clip_factor;
    snprintf(c->label, sizeof c->label, "clip_factor of %g to %g", clips[i].total,
             (double)clips[i].most);
    c->attr.f[0] = clips[i].most;
    case_double(c, 0, clips[i].total);
}

static void make(int index, op_case *c) {
    if (index < 2 * ENTROPIES) {
        make_entropy(index / 2, index % 2, c);
        return;
    }
    index -= 2 * ENTROPIES;
    if (index < 2 * ERRORS) {
        make_error(index / 2, index % 2, c);
        return;
    }
    index -= 2 * ERRORS;
    if (index < NORMS)
        make_norm(index, c);
    else
        make_clip(index - NORMS, c);
}

const case_family cases_losses = {"losses", count, make};
