#include "tests/cases.h"

#include "graph/bf16.h"
#include "tests/test.h"

const case_family *const case_families[CASE_FAMILIES] = {
    &cases_elementwise, &cases_matmul, &cases_rows, &cases_attention, &cases_losses,
};

void case_make(const case_family *family, int index, op_case *c) {
    *c = (op_case){.extent = {1, 1, 1}, .condition = 1.0};
    family->make(index, c);
}

void case_free(op_case *c) {
    for (int k = 0; k < PR_MAX_IN; k++)
        free(c->data[k]);
}

pr_shape case_shape(const op_case *c, int k) {
    return pr_shape_bind(c->shape[k], c->extent);
}

/* ---- drawing ---- */

/* splitmix64; each input of each case has a stream of its own. */
static uint64_t next_word(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Even in (-1, 1). */
static double even(uint64_t *state) {
    return ((double)(next_word(state) >> 11) + 0.5) * 0x1p-52 - 1.0;
}

static double near_normal(uint64_t *state) {
    return even(state) + even(state) + even(state);
}

static float draw(fill how, uint64_t *state) {
    static const float special[] = {0.0f,  -0.0f, 1e-30f, -1e-30f, 5.0f,
                                    -5.0f, 88.0f, -88.0f, 1e4f,    -1e4f};
    switch (how) {
    case BELOW_1:
        return (float)even(state);
    case TAILS:
        if (next_word(state) % 4 == 0) return special[next_word(state) % 10];
        return (float)(30.0 * even(state));
    case LARGE:
        return (float)(1e4 * even(state));
    case NEAR_100:
        return (float)(100.0 + 0.01 * near_normal(state));
    case ALL_7:
        return 0.7f;
    case PLAIN:
        break;
    }
    return (float)near_normal(state);
}

static uint64_t stream(const op_case *c, int k) {
    uint64_t state = (uint64_t)k;
    for (const char *at = c->label; *at; at++)
        state = state * 31 + (unsigned char)*at;
    return state;
}

/* Room for in[k], not yet filled; one element even where there are none. */
static void *place(op_case *c, int k, pr_dtype dtype, pr_shape shape) {
    c->shape[k] = shape;
    c->dtype[k] = dtype;
    size_t n = (size_t)reference_count(case_shape(c, k));
    c->data[k] = calloc(n ? n : 1, pr_dtype_size(dtype));
    assert_non_null(c->data[k]);
    return c->data[k];
}

float *case_floats(op_case *c, int k, pr_shape shape, fill how) {
    float *x = place(c, k, PR_F32, shape);
    uint64_t state = stream(c, k);
    for (int64_t i = 0; i < reference_count(case_shape(c, k)); i++)
        x[i] = draw(how, &state);
    return x;
}

void case_scaled(op_case *c, int k, pr_shape shape, float factor) {
    float *x = case_floats(c, k, shape, PLAIN);
    for (int64_t i = 0; i < reference_count(case_shape(c, k)); i++)
        x[i] *= factor;
}

void case_exact(op_case *c, int k, pr_shape shape) {
    float *x = case_floats(c, k, shape, PLAIN);
    for (int64_t i = 0; i < reference_count(case_shape(c, k)); i++)
        x[i] = pr_f32_from_bf16(pr_bf16_from_f32(x[i]));
}

void case_halves(op_case *c, int k, pr_shape shape) {
    uint16_t *x = place(c, k, PR_BF16, shape);
    uint64_t state = stream(c, k);
    for (int64_t i = 0; i < reference_count(case_shape(c, k)); i++)
        x[i] = pr_bf16_from_f32(draw(PLAIN, &state));
}

void case_double(op_case *c, int k, double value) {
    *(double *)place(c, k, PR_F64, pr_shape_1(1)) = value;
}

void case_integers(op_case *c, int k, pr_shape shape, const int32_t *values) {
    int32_t *x = place(c, k, PR_I32, shape);
    memcpy(x, values, (size_t)reference_count(case_shape(c, k)) * sizeof *x);
}

int32_t *case_indices(op_case *c, int k, pr_shape shape, int32_t below) {
    int32_t *x = place(c, k, PR_I32, shape);
    uint64_t state = stream(c, k);
    for (int64_t i = 0; i < reference_count(case_shape(c, k)); i++)
        x[i] = (int32_t)(next_word(&state) % (uint64_t)below);
    return x;
}

void case_rng(op_case *c, int k, uint64_t seed, uint64_t step, uint64_t first_sentence) {
    uint64_t *rng = place(c, k, PR_U64, pr_shape_1(3));
    rng[0] = seed;
    rng[1] = step;
    rng[2] = first_sentence;
}

void case_offsets(op_case *c, int k, const int32_t *lengths) {
    int32_t offset[CASE_SENTENCES + 1] = {0};
    c->extent = (pr_extent){0};
    for (int64_t n = 0; lengths[n]; n++) {
        assert_true(n < CASE_SENTENCES);
        if (lengths[n] > c->extent.longest) c->extent.longest = lengths[n];
        c->extent.tokens += lengths[n];
        c->extent.sentences = n + 1;
        offset[n + 1] = (int32_t)c->extent.tokens;
    }
    case_integers(c, k, pr_shape_1(PR_OFFSETS), offset);
}

/* ---- rule and reference ---- */

void case_infer(const op_case *c, pr_infer *rule) {
    pr_error err = {0};
    *rule = (pr_infer){.attr = c->attr, .what = c->label};
    for (int k = 0; k < c->op->n_in; k++) {
        rule->in[k] = c->shape[k];
        rule->in_dtype[k] = c->dtype[k];
        rule->has[k] = c->data[k] != NULL;
    }
    rule->err = &err;
    if (c->op->infer(rule) != PR_OK) fail_msg("%s", err.message);
    rule->err = NULL;
}

static reference_operand operand(const op_case *c, int k) {
    reference_operand r = {.shape = case_shape(c, k)};
    if (!c->data[k]) return r;
    int64_t n = reference_count(r.shape);
    if (c->dtype[k] == PR_I32) r.i = c->data[k];
    if (c->dtype[k] == PR_U64) r.u = c->data[k];
    if (r.i || r.u) return r;
    r.x = calloc((size_t)n + 1, sizeof *r.x);
    assert_non_null(r.x);
    for (int64_t i = 0; i < n; i++) {
        const void *data = c->data[k];
        r.x[i] = c->dtype[k] == PR_F32    ? (double)((const float *)data)[i]
                 : c->dtype[k] == PR_BF16 ? (double)pr_f32_from_bf16(((const uint16_t *)data)[i])
                                          : ((const double *)data)[i];
    }
    return r;
}

void case_expect(const op_case *c, reference_call *expected) {
    const reference *r = reference_of(c->op);
    *expected = (reference_call){.attr = c->attr, .training = c->training};
    if (!r) {
        fail_msg("%s has no double-precision reference", c->op->name);
        return;
    }
    pr_infer rule;
    case_infer(c, &rule);
    for (int k = 0; k < c->op->n_in; k++)
        expected->in[k] = operand(c, k);
    for (int k = 0; k < c->op->n_out; k++) {
        expected->shape[k] = pr_shape_bind(rule.out[k], c->extent);
        size_t n = (size_t)reference_count(expected->shape[k]) + 1;
        expected->y[k] = calloc(n, sizeof(double));
        expected->scale[k] = calloc(n, sizeof(double));
        assert_true(expected->y[k] && expected->scale[k]);
    }
    r->run(expected);
}

void case_expect_free(reference_call *expected) {
    for (int k = 0; k < PR_MAX_IN; k++)
        free(expected->in[k].x);
    for (int k = 0; k < PR_MAX_OUT; k++) {
        free(expected->y[k]);
        free(expected->scale[k]);
    }
}

void case_from(op_case *c, int to, const op_case *forward, int from) {
    reference_call result;
    case_expect(forward, &result);
    pr_infer rule;
    case_infer(forward, &rule);
    int64_t n = reference_count(result.shape[from]);
    void *x = place(c, to, rule.out_dtype[from], rule.out[from]);
    for (int64_t i = 0; i < n; i++) {
        if (rule.out_dtype[from] == PR_F32)
            ((float *)x)[i] = (float)result.y[from][i];
        else
            ((int32_t *)x)[i] = (int32_t)result.y[from][i];
    }
    case_expect_free(&result);
}
