/* Every kernel against its double-precision reference, case by case: the values, nothing written
 * beyond them, the same bits on any number of threads, in place and with outputs left out. And that
 * no op is without a case, a kernel that was run, and a gradient. */
#include "tests/test.h"

#include <math.h>

#include "backends/cpu.h"
#include "ops/ops.h"
#include "ops/table.h"
#include "tests/agreement.h"
#include "tests/cases.h"
#include "tests/scratch.h"

enum { GUARD = 64, MOST_THREADS = 3, MOST_OPS = 64 };

static pr_backend *backend[MOST_THREADS + 1]; /* by their threads */

/* What the cases that agreed have tried, by place in pr_ops: how many, and bit k: in[k] was given,
 * was left out. */
static int runs[MOST_OPS];
static unsigned given[MOST_OPS], absent[MOST_OPS];

static int place_of(const pr_op *op) {
    for (int i = 0; pr_ops[i]; i++) {
        if (pr_ops[i] == op) return i;
    }
    fail_msg("'%s' is not in the table of all ops", op->name);
    return -1;
}

/* ---- one call of a kernel ---- */

/* How a kernel is called: on how many threads, which input out[0] takes the place of (-1: none),
 * which outputs nobody reads. */
typedef struct manner {
    int threads, inplace;
    unsigned left_out;
} manner;

typedef struct outcome {
    void *out[PR_MAX_OUT]; /* NULL: left out */
    size_t bytes[PR_MAX_OUT];
} outcome;

/* Bytes with a guard on either side, all filled with the pattern of NaN. */
static void *guarded(size_t bytes) {
    char *block = malloc(bytes + 2 * GUARD);
    assert_non_null(block);
    memset(block, 0xff, bytes + 2 * GUARD);
    return block + GUARD;
}

static void free_guarded(void *bytes) {
    if (bytes) free((char *)bytes - GUARD);
}

static void check_guards(const op_case *c, const void *at, size_t bytes, const char *what) {
    const unsigned char *before = (const unsigned char *)at - GUARD;
    const unsigned char *after = (const unsigned char *)at + bytes;
    for (int i = 0; i < GUARD; i++) {
        if (before[i] != 0xff || after[i] != 0xff) {
            fail_msg("%s: something is written beside %s", c->label, what);
        }
    }
}

static size_t bytes_of(pr_shape shape, pr_dtype dtype) {
    return (size_t)reference_count(shape) * pr_dtype_size(dtype);
}

/* The inputs are copies of their exact size, so that a sanitizer sees what is read past them. */
static void take_inputs(const op_case *c, pr_call *call) {
    for (int k = 0; k < c->op->n_in; k++) {
        if (!c->data[k]) continue;
        pr_shape shape = case_shape(c, k);
        size_t bytes = bytes_of(shape, c->dtype[k]);
        call->in[k] = (pr_view){malloc(bytes ? bytes : 1), shape, c->dtype[k]};
        assert_non_null(call->in[k].data);
        memcpy(call->in[k].data, c->data[k], bytes);
    }
}

static void give_inputs_back(const op_case *c, const pr_call *call, int inplace) {
    for (int k = 0; k < c->op->n_in; k++) {
        if (!c->data[k] || k == inplace) continue;
        if (memcmp(call->in[k].data, c->data[k], bytes_of(call->in[k].shape, c->dtype[k])) != 0) {
            fail_msg("%s: input %d is written", c->label, k);
        }
        free(call->in[k].data);
    }
}

static void make_outputs(const op_case *c, manner how, pr_call *call, outcome *result) {
    pr_infer rule;
    case_infer(c, &rule);
    for (int k = 0; k < c->op->n_out; k++) {
        if (how.left_out >> k & 1u) continue;
        pr_shape shape = pr_shape_bind(rule.out[k], c->extent);
        result->bytes[k] = bytes_of(shape, rule.out_dtype[k]);
        result->out[k] = guarded(result->bytes[k]);
        call->out[k] = (pr_view){result->out[k], shape, rule.out_dtype[k]};
    }
    if (how.inplace < 0) return;
    pr_view *in = &call->in[how.inplace];
    memcpy(result->out[0], in->data, bytes_of(in->shape, in->dtype));
    free(in->data);
    in->data = result->out[0];
}

static outcome run(const op_case *c, manner how) {
    pr_error err = {0};
    outcome result = {0};
    pr_call call = {
        .attr = c->attr,
        .extent = c->extent,
        .training = c->training,
        .backend = backend[how.threads],
        .name = "tested",
        .err = &err,
    };
    take_inputs(c, &call);
    make_outputs(c, how, &call, &result);
    size_t (*workspace)(const pr_call *) = c->op->workspace[PR_CPU];
    size_t scratch = workspace ? workspace(&call) : 0;
    call.workspace = guarded(scratch);
    pr_status status = c->op->kernel[PR_CPU](&call);
    if (status != PR_OK) fail_msg("%s: %s", c->label, err.message);
    check_guards(c, call.workspace, scratch, "the workspace");
    for (int k = 0; k < c->op->n_out; k++) {
        if (result.out[k]) check_guards(c, result.out[k], result.bytes[k], "an output");
    }
    free_guarded(call.workspace);
    give_inputs_back(c, &call, how.inplace);
    return result;
}

static void free_outcome(outcome *o) {
    for (int k = 0; k < PR_MAX_OUT; k++)
        free_guarded(o->out[k]);
}

/* ---- what came out ---- */

/* Runs the case in another manner, which must not show. */
static void check_same(const op_case *c, const outcome *base, manner how, const char *what) {
    outcome other = run(c, how);
    for (int k = 0; k < c->op->n_out; k++) {
        if (!other.out[k] || memcmp(other.out[k], base->out[k], base->bytes[k]) == 0) continue;
        fail_msg("%s: output %d has other bits %s", c->label, k, what);
    }
    free_outcome(&other);
}

static void note_agreed(const op_case *c) {
    int place = place_of(c->op);
    runs[place]++;
    for (int k = 0; k < c->op->n_in; k++)
        *(c->data[k] ? &given[place] : &absent[place]) |= 1u << k;
}

static void check_case(const op_case *c) {
    outcome base = run(c, (manner){.threads = 1, .inplace = -1});
    check_agrees(c, base.out);
    check_unwritten(c, base.out);
    check_same(c, &base, (manner){.threads = 2, .inplace = -1}, "on two threads");
    check_same(c, &base, (manner){.threads = 3, .inplace = -1}, "on three threads");
    for (int k = 0; k < c->op->n_in; k++) {
        if (!(c->op->inplace >> k & 1u) || !c->data[k]) continue;
        char what[32];
        snprintf(what, sizeof what, "in place of input %d", k);
        check_same(c, &base, (manner){.threads = 1, .inplace = k}, what);
    }
    for (unsigned left_out = 1; left_out < 1u << c->op->n_out; left_out++) {
        if (left_out & ~c->op->optional_out) continue;
        check_same(c, &base, (manner){.threads = 1, .inplace = -1, .left_out = left_out},
                   "when others are left out");
    }
    free_outcome(&base);
    note_agreed(c);
}

static void kernels_agree_with_their_references(void **state) {
    const case_family *family = *state;
    for (int i = 0; i < family->count(); i++) {
        op_case c;
        case_make(family, i, &c);
        check_case(&c);
        case_free(&c);
    }
}

/* ---- what is not a number ---- */

/* Training must stop at a NaN, so no kernel may lose one. */
static void not_a_number_is_not_lost(void **state) {
    (void)state;
    for (int f = 0; f < CASE_FAMILIES; f++) {
        for (int i = 0; i < case_families[f]->count(); i++) {
            op_case c;
            case_make(case_families[f], i, &c);
            if (spoil_first(&c)) {
                outcome found = run(&c, (manner){.threads = 1, .inplace = -1});
                check_spoilt(&c, found.out[0]);
                free_outcome(&found);
            }
            case_free(&c);
        }
    }
}

static void relu_at_its_kink(void **state) {
    (void)state;
    const float x[] = {0.0f, -0.0f, 1e-45f, -1e-45f, NAN}, dy[] = {2, 3, 4, 5, 6};
    float y[5], dx[5];
    pr_shape five = pr_shape_1(5);
    pr_call relu = {.in = {{(void *)x, five, PR_F32}}, .out = {{y, five, PR_F32}}};
    pr_call back = {.in = {{(void *)dy, five, PR_F32}, {y, five, PR_F32}},
                    .out = {{dx, five, PR_F32}}};
    relu.backend = back.backend = backend[1];
    assert_int_equal(pr_op_relu.kernel[PR_CPU](&relu), PR_OK);
    assert_int_equal(pr_op_relu_grad.kernel[PR_CPU](&back), PR_OK);
    assert_true(y[0] == 0.0f && y[1] == 0.0f && y[2] == x[2] && y[3] == 0.0f && isnan(y[4]));
    assert_true(dx[0] == 0.0f && dx[1] == 0.0f && dx[2] == 4.0f && dx[3] == 0.0f);
}

/* ---- coverage ---- */

/* Ops whose numbers another test holds; it must name their descriptors. */
static const struct {
    const pr_op *op;
    const char *descriptor, *file;
} elsewhere[] = {
    {&pr_op_accumulate, "pr_op_accumulate", TEST_DIRECTORY "/test_parts.c"},
    {&pr_op_adamw, "pr_op_adamw", TEST_DIRECTORY "/test_adamw.c"},
    {&pr_op_adamw_catch_up, "pr_op_adamw_catch_up", TEST_DIRECTORY "/test_adamw.c"},
};

static bool is_held_elsewhere(const pr_op *op) {
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        if (elsewhere[i].op != op) continue;
        size_t size;
        char *text = (char *)scratch_read(elsewhere[i].file, &size);
        char call[64];
        snprintf(call, sizeof call, "was_run(&%s)", elsewhere[i].descriptor);
        bool named = strstr(text, call) != NULL;
        free(text);
        if (!named) fail_msg("%s does not say %s", elsewhere[i].file, call);
        return true;
    }
    return false;
}

/* Comes last: it counts what the other tests ran. */
static void every_op_has_cases_and_was_run(void **state) {
    (void)state;
    for (int i = 0; pr_ops[i]; i++) {
        const pr_op *op = pr_ops[i];
        assert_true(i < MOST_OPS);
        if (!op->kernel[PR_CPU]) fail_msg("'%s' has no CPU kernel", op->name);
        if (is_held_elsewhere(op)) continue;
        if (!reference_of(op)) fail_msg("'%s' has no double-precision reference", op->name);
        if (!runs[i]) fail_msg("'%s' has no case: its CPU kernel was never run", op->name);
        if (op->optional_in & ~(given[i] & absent[i])) {
            fail_msg("'%s': an optional input is always or never given", op->name);
        }
    }
}

static void every_op_has_a_gradient_or_says_no(void **state) {
    (void)state;
    for (int i = 0; pr_ops[i]; i++) {
        const pr_op *op = pr_ops[i];
        bool none = op->flags & PR_OP_NO_GRADIENT;
        if (!none && !op->vjp) fail_msg("'%s' has no gradient and does not say so", op->name);
        if (none && op->vjp) fail_msg("'%s' has a gradient and says it has none", op->name);
    }
}

static void descriptors_are_sound(void **state) {
    (void)state;
    for (int i = 0; pr_ops[i]; i++) {
        const pr_op *op = pr_ops[i];
        unsigned in = (1u << op->n_in) - 1, out = (1u << op->n_out) - 1;
        bool adds = op->accumulate >= 0;
        bool sound = op->n_in <= PR_MAX_IN && op->n_out <= PR_MAX_OUT && op->infer &&
                     !(op->optional_in & ~in) && !(op->inplace & ~in) && !(op->writes & ~in) &&
                     !(op->optional_out & ~out) && op->accumulate < op->n_in &&
                     (!adds || (op->optional_in >> op->accumulate & 1u));
        if (!sound) fail_msg("the descriptor of '%s' contradicts itself", op->name);
        for (int k = 0; k < i; k++) {
            if (strcmp(pr_ops[k]->name, op->name) == 0) fail_msg("two ops '%s'", op->name);
        }
    }
}

enum { OTHER_TESTS = 5 };

int main(void) {
    struct CMUnitTest tests[CASE_FAMILIES + OTHER_TESTS] = {
        cmocka_unit_test(relu_at_its_kink),
        cmocka_unit_test(descriptors_are_sound),
        cmocka_unit_test(every_op_has_a_gradient_or_says_no),
        cmocka_unit_test(not_a_number_is_not_lost),
        [CASE_FAMILIES + OTHER_TESTS - 1] = cmocka_unit_test(every_op_has_cases_and_was_run),
    };
    for (int i = 0; i < CASE_FAMILIES; i++) {
        tests[OTHER_TESTS - 1 + i] = (struct CMUnitTest){
            .name = case_families[i]->name,
            .test_func = kernels_agree_with_their_references,
            .initial_state = (void *)case_families[i],
        };
    }
    for (int threads = 1; threads <= MOST_THREADS; threads++)
        backend[threads] = pr_cpu_new(threads, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int threads = 1; threads <= MOST_THREADS; threads++)
        pr_backend_free(backend[threads]);
    return failed;
}
