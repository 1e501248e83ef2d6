#include "tests/agreement.h"

#include <math.h>

#include "ops/table.h"
#include "tests/test.h"

/* Exponentials stay above 1.2e-38, where others come to zero. */
static const double smallest = 1e-34;

static double element(const void *out, pr_dtype dtype, int64_t i) {
    return dtype == PR_F64 ? ((const double *)out)[i] : (double)((const float *)out)[i];
}

/* Adds the element's squared error, in units, to *squares. */
static void check_element(const op_case *c, const reference *r, const reference_call *expected,
                          int k, int64_t i, double found, double unit, double *squares) {
    double y = expected->y[k][i], allowed = expected->scale[k][i] * unit;
    double error = fabs(found - y);
    if (!(error <= r->most * allowed + smallest)) {
        fail_msg("%s: element %lld of output %d is %.9g and should be %.9g: off by %.3g units, "
                 "%.3g are allowed",
                 c->label, (long long)i, k, found, y, error / allowed, r->most);
    }
    if (error > smallest) *squares += error / allowed * (error / allowed);
}

static void check_floats(const op_case *c, const reference *r, const reference_call *expected,
                         int k, const void *out, pr_dtype dtype) {
    int64_t n = reference_count(expected->shape[k]);
    double squares = 0.0, unit = dtype == PR_F64 ? 0x1p-53 : 0x1p-24;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(expected->y[k][i])) continue;
        check_element(c, r, expected, k, i, element(out, dtype, i), unit, &squares);
    }
    /* One of a few may well be off by the most. */
    if (squares > (double)n * r->typical * r->typical + r->most * r->most) {
        fail_msg("%s: output %d is off by %.3g units in the mean, %.3g are allowed", c->label, k,
                 sqrt(squares / (double)n), r->typical);
    }
}

static void check_integers(const op_case *c, const reference_call *expected, int k,
                           const int32_t *out) {
    for (int64_t i = 0; i < reference_count(expected->shape[k]); i++) {
        if (out[i] == expected->y[k][i]) continue;
        fail_msg("%s: element %lld of output %d is %d and should be %g", c->label, (long long)i, k,
                 (int)out[i], expected->y[k][i]);
    }
}

void check_agrees(const op_case *c, void *const *out) {
    reference_call expected;
    case_expect(c, &expected);
    pr_infer rule;
    case_infer(c, &rule);
    for (int k = 0; k < c->op->n_out; k++) {
        if (!out[k]) continue;
        if (rule.out_dtype[k] == PR_I32)
            check_integers(c, &expected, k, out[k]);
        else
            check_floats(c, reference_of(c->op), &expected, k, out[k], rule.out_dtype[k]);
    }
    case_expect_free(&expected);
}

void check_unwritten(const op_case *c, void *const *out) {
    reference_call expected;
    case_expect(c, &expected);
    pr_infer rule;
    case_infer(c, &rule);
    for (int k = 0; k < c->op->n_out; k++) {
        if (!out[k] || rule.out_dtype[k] == PR_I32) continue;
        for (int64_t i = 0; i < reference_count(expected.shape[k]); i++) {
            if (!isnan(expected.y[k][i]) || isnan(element(out[k], rule.out_dtype[k], i))) continue;
            fail_msg("%s: element %lld of output %d is written", c->label, (long long)i, k);
        }
    }
    case_expect_free(&expected);
}

/* ---- what is not a number ---- */

static bool reads_first(const op_case *c) {
    const pr_op *op = c->op;
    if (!op->n_in || !reference_count(case_shape(c, 0))) return false;
    if (op == &pr_op_matmul) return c->attr.f[0] != 0.0f;
    if (op == &pr_op_sum_squares && c->data[2]) return *(int32_t *)c->data[2] > 0;
    return op != &pr_op_dropout && op != &pr_op_embed && op != &pr_op_relu_grad;
}

bool spoil_first(op_case *c) {
    if (!reads_first(c)) return false;
    memset(c->data[0], 0xff, pr_dtype_size(c->dtype[0]));
    return true;
}

void check_spoilt(const op_case *c, const void *out) {
    pr_infer rule;
    case_infer(c, &rule);
    int64_t n = reference_count(pr_shape_bind(rule.out[0], c->extent));
    for (int64_t i = 0; i < n; i++) {
        if (isnan(element(out, rule.out_dtype[0], i))) return;
    }
    fail_msg("%s: NaN is lost", c->label);
}
