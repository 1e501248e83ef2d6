/* Whole models against PyTorch: logits, every gradient, ten losses in a row and the weights after
 * them, for each kind, method and head, across the flip. The cases are golden/make_model.py's,
 * computed in f64. */
#include "tests/test.h"

#include <math.h>

#include "graph/memory.h"
#include "tests/backend_under_test.h"
#include "tests/difference.h"
#include "tests/model_case.h"

static const char *const cases[] = {
    "bert-full-classes",
    "bert-full-regression",
    "bert-learner-classes",
    "bert-learner-regression",
    "bert-lora-classes",
    "bert-bitfit-classes",
    "bert-adapter-classes",
    "bert-parallel-classes",
    "bert-freeze-ffn-classes",
    "bert-far-classes",
    "distilbert-full-classes",
    "distilbert-full-regression",
    "distilbert-learner-classes",
    "distilbert-learner-regression",
    "distilbert-lora-classes",
    "distilbert-bitfit-classes",
    "distilbert-adapter-classes",
    "distilbert-parallel-classes",
    "distilbert-freeze-ffn-classes",
    "distilbert-far-classes",
};

/* The gradient of a key's bias is zero in truth, softmax being deaf to a shift of all scores, and
 * AdamW turns its rounding noise into steps. */
static const char key_biases[] = "blk.*.attn_k.bias";

static void open_case(model_case *c, const char *name) {
    char model[256], file[256];
    pr_error err = {0};
    snprintf(model, sizeof model, TEST_DIRECTORY "/golden/model/%.*s", (int)strcspn(name, "-"),
             name);
    snprintf(file, sizeof file, TEST_DIRECTORY "/golden/model/%s.safetensors", name);
    model_case_open(c, model, file, 2, &err);
    assert_string_equal(err.message, "");
}

static const float *values(const pr_stored *t) {
    const float *v = t ? pr_stored_direct(t) : NULL;
    assert_non_null(v);
    return v;
}

static double norm(const float *a, const float *minus, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - (minus ? (double)minus[i] : 0.0);
        sum += d * d;
    }
    return sqrt(sum);
}

static void check_logits(model_case *c, const char *name) {
    double most = 0;
    for (int32_t k = 0; k < c->n_batches; k++) {
        pr_error err = {0};
        const pr_stored *expected = model_case_find(c, "logits.%d", (int)k);
        float *found = pr_alloc(64, sizeof *found);
        assert_true(expected && expected->count <= 64);
        assert_int_equal(expected->shape.dim[0], c->batch[k].extent.sentences);
        assert_int_equal(expected->shape.dim[1], c->model->config.labels);
        assert_int_equal(model_case_logits(c, k, found, &err), PR_OK);
        double d = largest_difference(found, values(expected), expected->count);
        assert_true(d <= 1e-5); /* not so for NaN, which fmax passes over */
        most = fmax(most, d);
        pr_free(found);
    }
    print_message("%s: logits %.1e", name, most);
}

/* The rule of comparison is relative, with room for what is zero in truth beside the largest. */
static void check_gradients(model_case *c) {
    double largest = 0, worst = 0;
    pr_store *store = c->model->store;
    for (int i = 0; i < pr_store_count(store); i++) {
        const pr_param *p = pr_store_param(store, i);
        const pr_stored *g = model_case_find(c, "gradient.%s", p->name);
        pr_shape shape;
        if (!model_case_shape(c, i, &shape)) continue;
        assert_int_equal(g != NULL, p->require_grad); /* the same parameters train */
        if (!g) continue;
        assert_true(pr_shape_equal(g->shape, shape));
        largest = fmax(largest, norm(values(g), NULL, g->count));
    }
    assert_true(largest > 0.1);
    for (int i = 0; i < pr_store_count(store); i++) {
        pr_error err = {0};
        const pr_param *p = pr_store_param(store, i);
        const pr_stored *g = model_case_find(c, "gradient.%s", p->name);
        if (!g) continue;
        float *found = pr_alloc(g->count, sizeof *found);
        model_case_gradient(c, p->name, found, &err);
        assert_string_equal(err.message, "");
        double error = norm(found, values(g), g->count), size = norm(values(g), NULL, g->count);
        if (size > 1e-6 * largest) worst = fmax(worst, error / size);
        if (!(error <= 1e-4 * size + 1e-6 * largest)) {
            fail_msg("gradient of %s: off by %g of %g", p->name, error, size);
        }
        pr_free(found);
    }
    print_message(", gradients %.1e", worst);
}

static void check_run(model_case *c) {
    pr_error err = {0};
    float losses[16] = {0};
    assert_true(c->steps == 10 && c->flip == 5);
    model_case_train(c, losses, &err);
    assert_string_equal(err.message, "");
    double most = largest_difference(losses, values(model_case_find(c, "losses")), 10);
    print_message(", losses %.1e", most);
    assert_true(most <= 1e-5);
}

static void check_weights(const model_case *c) {
    double most = 0;
    int compared = 0;
    for (int i = 0; i < pr_store_count(c->model->store); i++) {
        const pr_param *p = pr_store_param(c->model->store, i);
        const pr_stored *expected = model_case_find(c, "final.%s", p->name);
        if (!expected || pr_glob(key_biases, p->name)) continue;
        compared++;
        assert_true(pr_shape_equal(expected->shape, p->shape));
        double d = largest_difference(test_host(c->backend, p->data, p->bytes), values(expected),
                                      expected->count);
        most = fmax(most, d);
        if (!(d <= 1e-5)) fail_msg("%s after the last step: off by %g", p->name, d);
    }
    if (compared) print_message(", weights %.1e", most);
    print_message("\n");
}

static void agrees_with_torch(void **state) {
    model_case c = {0};
    open_case(&c, *state);
    check_logits(&c, *state);
    check_gradients(&c);
    check_run(&c);
    check_weights(&c);
    model_case_close(&c);
}

enum { N = sizeof cases / sizeof *cases };

static void every_method_has_its_cases(void **state) {
    (void)state;
    static const char *const kinds[] = {"bert", "distilbert"};
    for (const pr_method *const *m = pr_methods; *m; m++) {
        for (int k = 0; k < 2; k++) {
            char wanted[64];
            bool found = false;
            snprintf(wanted, sizeof wanted, "%s-%s-classes", kinds[k], (*m)->name);
            for (int i = 0; i < N; i++)
                found |= strcmp(cases[i], wanted) == 0;
            if (!found) fail_msg("there is no case %s", wanted);
        }
    }
}

int main(void) {
    struct CMUnitTest tests[N + 1] = {[N] = cmocka_unit_test(every_method_has_its_cases)};
    for (int i = 0; i < N; i++) {
        tests[i] = (struct CMUnitTest){
            .name = cases[i], .test_func = agrees_with_torch, .initial_state = (void *)cases[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
