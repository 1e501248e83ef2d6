/* What kernels say to values that they cannot take: a status and a message, before anything is read
 * or written that is not theirs. */
#include "tests/test.h"

#include <math.h>

#include "backends/cpu.h"
#include "graph/plan.h"
#include "ops/table.h"
#include "tests/cases.h"
#include "tests/scratch.h"

/* Runs the case through a graph and a plan, under the scope "here". */
static pr_status run(const op_case *c, pr_error *err) {
    pr_backend *backend = pr_cpu_new(2, NULL);
    pr_store *store = pr_store_new(backend);
    pr_graph *g = pr_graph_new(store);
    pr_tid in[PR_MAX_IN] = {0}, out[PR_MAX_OUT];
    for (int k = 0; k < c->op->n_in; k++) {
        char name[8];
        snprintf(name, sizeof name, "in%d", k);
        if (c->data[k]) in[k] = pr_graph_input(g, name, c->dtype[k], c->shape[k]);
    }
    pr_graph_scope(g, "here");
    pr_graph_node(g, c->op, in, c->attr, out);
    pr_plan_options how = {
        .capacity = c->extent, .wanted = out, .n_wanted = 1, .training = c->training};
    pr_plan *plan = pr_plan_new(g, store, backend, &how, err);
    if (!plan) fail_msg("%s", err->message);
    size_t bytes = pr_plan_get_report(plan)->arena;
    void *arena = backend->alloc(backend, bytes);
    pr_plan_attach(plan, arena);
    pr_status status = PR_OK;
    for (int k = 0; k < c->op->n_in && status == PR_OK; k++) {
        if (c->data[k]) status = pr_plan_feed(plan, in[k], c->extent, c->data[k], err);
    }
    if (status == PR_OK) status = pr_plan_run(plan, c->extent, err);
    backend->free(backend, arena, bytes);
    pr_plan_free(plan);
    pr_graph_free(g);
    pr_store_free(store);
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

enum { PACKED_OPS = 5 };

static const pr_op *const packed_ops[PACKED_OPS] = {&pr_op_dropout, &pr_op_first_token,
                                                    &pr_op_first_token_grad, &pr_op_attention,
                                                    &pr_op_attention_grad};

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
    for (int i = 0; i < 6; i++) {
        double total = totals[i / 2];
        float factor = 0.0f;
        pr_call call = {.in = {{&total, pr_shape_1(1), PR_F64}},
                        .out = {{&factor, pr_shape_1(1), PR_F32}},
                        .attr = {.f = {limits[i % 2]}}};
        assert_int_equal(pr_op_clip_factor.kernel[PR_CPU](&call), PR_OK);
        assert_true(isnan(factor));
    }
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
