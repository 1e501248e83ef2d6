/* What kernels say to values that they cannot take: a status and a message, before anything is read
 * or written that is not theirs. */
#include "tests/test.h"

#include <math.h>

#include "ops/table.h"
#include "tests/backend_under_test.h"
#include "tests/planned_case.h"
#include "tests/scratch.h"

static pr_status run(const op_case *c, pr_error *err) {
    pr_backend *backend = test_backend_new(2, err);
    planned_case p;
    assert_non_null(backend);
    planned_open(&p, backend, c, (planned_how){.capacity = c->extent});
    pr_status status = planned_run(&p, c, err);
    planned_close(&p);
    pr_backend_free(backend);
    return status;
}

/* The case is refused, with the node's name and `says` in the message; frees it. */
static void check_refused(op_case *c, const char *says) {
    pr_error err = {0};
    if (run(c, &err) != PR_BAD_ARGUMENT) fail_msg("%s: '%s' was taken", c->op->name, says);
    char node[64];
    snprintf(node, sizeof node, "'here/%s'", c->op->name);
    assert_says(err.message, node);
    assert_says(err.message, says);
    case_free(c);
}

static void ids_outside_the_table_are_refused(void **state) {
    (void)state;
    enum { ROWS = 5, D = 3, TOKENS = 4 };
    const struct {
        int32_t id;
        const char *says;
    } bad[] = {{-1, "id -1 at token 2"},
               {ROWS, "id 5 at token 2"},
               {INT32_MIN, "id -2147483648 at token 2"},
               {INT32_MAX, "id 2147483647 at token 2"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int32_t ids[TOKENS] = {0, ROWS - 1, bad[i].id, 1};
        op_case embed = {.op = &pr_op_embed, .extent = {.tokens = TOKENS}};
        case_floats(&embed, 0, pr_shape_2(ROWS, D), PLAIN);
        case_integers(&embed, 1, pr_shape_1(PR_TOKENS), ids);
        check_refused(&embed, bad[i].says);
        op_case grad = {
            .op = &pr_op_embed_grad, .attr = {.i = {ROWS}}, .extent = {.tokens = TOKENS}};
        case_floats(&grad, 0, pr_shape_2(PR_TOKENS, D), PLAIN);
        case_integers(&grad, 1, pr_shape_1(PR_TOKENS), ids);
        check_refused(&grad, bad[i].says);
    }
}

static void labels_outside_the_classes_are_refused(void **state) {
    (void)state;
    enum { CLASSES = 2 };
    const struct {
        int32_t label;
        const char *says;
    } bad[] = {{-1, "label -1 of sentence 1"}, {CLASSES, "label 2 of sentence 1"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int32_t labels[] = {0, bad[i].label, 1};
        op_case loss = {.op = &pr_op_cross_entropy, .extent = {.sentences = 3}};
        case_floats(&loss, 0, pr_shape_2(PR_SENTENCES, CLASSES), PLAIN);
        case_integers(&loss, 1, pr_shape_1(PR_SENTENCES), labels);
        check_refused(&loss, bad[i].says);
        op_case grad = {.op = &pr_op_cross_entropy_grad, .extent = {.sentences = 3}};
        case_floats(&grad, 0, pr_shape_1(1), PLAIN);
        case_floats(&grad, 1, pr_shape_2(PR_SENTENCES, CLASSES), PLAIN);
        case_integers(&grad, 2, pr_shape_1(PR_SENTENCES), labels);
        check_refused(&grad, bad[i].says);
    }
}

enum { N = 5, WIDTH = 4 };

/* Makes in[k], ... that many f32 (N, WIDTH). */
static void add_rows(op_case *c, int from, int to) {
    for (int k = from; k < to; k++)
        case_floats(c, k, pr_shape_2(PR_TOKENS, WIDTH), PLAIN);
}

/* As many f32 (n). */
static void add_vectors(op_case *c, int from, int to, int64_t n) {
    for (int k = from; k < to; k++)
        case_floats(c, k, pr_shape_1(n), PLAIN);
}

/* An op that reads offsets, on two sentences of five tokens in all. */
static op_case packed_case(const pr_op *op, const int32_t *offsets, int64_t longest) {
    op_case c = {.op = op,
                 .extent = {.tokens = N, .sentences = 2, .longest = longest},
                 .training = true,
                 .attr = {.f = {0.5f}}};
    if (op == &pr_op_dropout) {
        add_rows(&c, 0, 1);
        case_rng(&c, 1, 1, 2, 3);
        case_integers(&c, 2, pr_shape_1(PR_OFFSETS), offsets);
    } else if (op == &pr_op_first_token) {
        add_rows(&c, 0, 1);
        case_integers(&c, 1, pr_shape_1(PR_OFFSETS), offsets);
    } else if (op == &pr_op_first_token_grad) {
        c.attr.i[0] = PR_TOKENS;
        case_floats(&c, 0, pr_shape_2(PR_SENTENCES, WIDTH), PLAIN);
        case_integers(&c, 1, pr_shape_1(PR_OFFSETS), offsets);
    } else if (op == &pr_op_residual_norm) {
        add_rows(&c, 0, 2);
        add_vectors(&c, 2, 4, WIDTH);
        case_rng(&c, 4, 1, 2, 3);
        case_integers(&c, 5, pr_shape_1(PR_OFFSETS), offsets);
    } else if (op == &pr_op_residual_norm_grad) {
        add_rows(&c, 0, 2);
        add_vectors(&c, 2, 4, PR_TOKENS);
        add_vectors(&c, 4, 5, WIDTH);
        case_rng(&c, 5, 1, 2, 3);
        case_integers(&c, 6, pr_shape_1(PR_OFFSETS), offsets);
    } else {
        c.attr.i[0] = 2;
        add_rows(&c, 0, 3);
        case_integers(&c, 3, pr_shape_1(PR_OFFSETS), offsets);
        case_rng(&c, 4, 1, 2, 3);
    }
    if (op == &pr_op_attention_grad) {
        add_rows(&c, 5, 6);
        case_floats(&c, 6, pr_shape_2(PR_TOKENS, 2), PLAIN);
        add_rows(&c, 7, 8);
    }
    return c;
}

enum { PACKED_OPS = 7 };

static const pr_op *const packed_ops[PACKED_OPS] = {
    &pr_op_dropout,        &pr_op_first_token,   &pr_op_first_token_grad,  &pr_op_attention,
    &pr_op_attention_grad, &pr_op_residual_norm, &pr_op_residual_norm_grad};

static void offsets_that_do_not_fit_are_refused(void **state) {
    (void)state;
    const struct {
        int32_t offsets[3];
        const char *says;
    } bad[] = {
        {{1, 2, N}, "offsets must run from 0 to the 5 rows"},
        {{-1, 2, N}, "offsets must run from 0 to the 5 rows"},
        {{0, 2, N - 1}, "offsets must run from 0 to the 5 rows"},
        {{0, 2, N + 1}, "offsets must run from 0 to the 5 rows"},
        {{0, 0, N}, "sentence 0 has no rows"},
        {{0, N, N}, "sentence 1 has no rows"},
        {{0, N + 4, N}, "sentence 1 has no rows"},
        {{0, -3, N}, "sentence 0 has no rows"},
        {{0, INT32_MAX, N}, "sentence 1 has no rows"},
        {{0, INT32_MIN, N}, "sentence 0 has no rows"},
    };
    for (size_t k = 0; k < PACKED_OPS; k++) {
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            op_case c = packed_case(packed_ops[k], bad[i].offsets, N);
            check_refused(&c, bad[i].says);
        }
        op_case good = packed_case(packed_ops[k], (const int32_t[]){0, 2, N}, 3);
        pr_error err = {0};
        assert_int_equal(run(&good, &err), PR_OK);
        case_free(&good);
    }
}

/* Its scratch memory is measured for the longest sentence. */
static void attention_refuses_a_sentence_that_is_too_long(void **state) {
    (void)state;
    for (int back = 0; back < 2; back++) {
        const pr_op *op = back ? &pr_op_attention_grad : &pr_op_attention;
        op_case c = packed_case(op, (const int32_t[]){0, 1, N}, 3);
        check_refused(&c, "sentence 1 has 4 rows");
    }
}

static void a_norm_that_is_not_finite_makes_the_factor_nan(void **state) {
    (void)state;
    const double totals[] = {NAN, INFINITY, -1.0};
    const float limits[] = {0.0f, 1.0f};
    pr_backend *backend = test_backend_new(1, NULL);
    for (int i = 0; i < 6; i++) {
        op_case c = {.op = &pr_op_clip_factor, .attr = {.f = {limits[i % 2]}}};
        case_double(&c, 0, totals[i / 2]);
        planned_case p;
        planned_open(&p, backend, &c, (planned_how){.capacity = c.extent});
        pr_error err = {0};
        assert_int_equal(planned_run(&p, &c, &err), PR_OK);
        size_t bytes;
        float *factor = planned_fetch(&p, 0, c.extent, &bytes);
        assert_true(isnan(*factor));
        free(factor);
        planned_close(&p);
        case_free(&c);
    }
    pr_backend_free(backend);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_outside_the_table_are_refused),
        cmocka_unit_test(labels_outside_the_classes_are_refused),
        cmocka_unit_test(offsets_that_do_not_fit_are_refused),
        cmocka_unit_test(attention_refuses_a_sentence_that_is_too_long),
        cmocka_unit_test(a_norm_that_is_not_finite_makes_the_factor_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
