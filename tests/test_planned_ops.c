/* Every kernel of a backend as plans call it, case by case against its double-precision reference:
 * at the plan's capacity and below it, where a backend may round runs up (backend.h) and what lies
 * past a run's own extent must do no harm; again, on other data, and in place. Compiled with
 * TEST_CUDA it is the CUDA backend's test. */
#include "tests/test.h"

#include <math.h>

#include "ops/ops.h"
#include "ops/table.h"
#include "tests/agreement.h"
#include "tests/backend_under_test.h"
#include "tests/planned_case.h"

enum { MOST_OPS = 64 };

static pr_backend *backend;
static const char *only;   /* the op whose cases are tried; NULL: all */
static int runs[MOST_OPS]; /* cases that agreed, by place in pr_ops */

/* ---- variants of a case ---- */

static size_t bytes_of(const op_case *c, int k) {
    return (size_t)reference_count(case_shape(c, k)) * pr_dtype_size(c->dtype[k]);
}

static op_case copy_of(const op_case *c, const char *what) {
    op_case copy = *c;
    snprintf(copy.label, sizeof copy.label, "%.100s, %.50s", c->label, what);
    for (int k = 0; k < c->op->n_in; k++) {
        if (!c->data[k]) continue;
        size_t bytes = bytes_of(c, k);
        copy.data[k] = malloc(bytes ? bytes : 1);
        assert_non_null(copy.data[k]);
        memcpy(copy.data[k], c->data[k], bytes);
    }
    return copy;
}

/* A sparse gradient's rows belong to their count: they are neither fewer nor in another order. */
static bool is_sparse(const op_case *c) {
    for (int k = 0; k < c->op->n_in; k++) {
        if (c->data[k] && c->dtype[k] == PR_I32 && c->shape[k].dim[0] == 1) return true;
    }
    return false;
}

static void reverse(int32_t *x, int64_t n) {
    for (int64_t i = 0; i < n / 2; i++) {
        int32_t kept = x[i];
        x[i] = x[n - 1 - i];
        x[n - 1 - i] = kept;
    }
}

/* The same sentences' offsets, the last sentence first. */
static void reverse_sentences(int32_t *offset, int64_t n) {
    int32_t tokens = offset[n - 1];
    reverse(offset, n);
    for (int64_t b = 0; b < n; b++)
        offset[b] = tokens - offset[b];
}

/* attention_grad reads what attention made of its offsets and random numbers. */
static bool can_be_other(const op_case *c, int k) {
    return c->data[k] && (c->dtype[k] == PR_F32 || c->op != &pr_op_attention_grad);
}

/* Other numbers in the same extent: the last of the floats' inputs, integers in another order, the
 * next step's random numbers. */
static op_case other_data(const op_case *c) {
    op_case other = copy_of(c, "other data");
    int changed = -1;
    for (int k = 0; k < c->op->n_in; k++) {
        int64_t n = reference_count(case_shape(c, k));
        if (!can_be_other(c, k)) continue;
        if (c->dtype[k] == PR_F32) changed = k;
        if (c->dtype[k] == PR_U64) ((uint64_t *)other.data[k])[1]++;
        if (c->dtype[k] != PR_I32 || is_sparse(c)) continue;
        if (c->shape[k].dim[0] == PR_OFFSETS)
            reverse_sentences(other.data[k], n);
        else
            reverse(other.data[k], n);
    }
    for (int64_t i = 0; changed >= 0 && i < reference_count(case_shape(c, changed)); i++)
        ((float *)other.data[changed])[i] *= -0.5f;
    return other;
}

/* The case without its last sentence, or its last token where it has no sentences. */
static op_case fewer_rows(const op_case *c) {
    op_case fewer = copy_of(c, "fewer rows");
    const int32_t *offset = NULL;
    for (int k = 0; k < c->op->n_in; k++) {
        if (c->data[k] && c->shape[k].dim[0] == PR_OFFSETS) offset = fewer.data[k];
    }
    pr_extent *e = &fewer.extent;
    bool more_than_one = e->sentences > 1;
    if (is_sparse(c) || (offset && !more_than_one)) return fewer;
    e->sentences -= more_than_one;
    e->tokens = offset ? offset[e->sentences] : e->tokens - (e->tokens > 0);
    e->longest = offset ? 0 : e->longest;
    for (int64_t b = 0; offset && b < e->sentences; b++) {
        int64_t length = offset[b + 1] - offset[b];
        if (length > e->longest) e->longest = length;
    }
    return fewer;
}

/* ---- one run ---- */

/* Outputs as the plan has room for them; those of the run's own extent come first. */
typedef struct outcome {
    void *out[PR_MAX_OUT];
    size_t bytes[PR_MAX_OUT]; /* that kernels see */
} outcome;

static void free_outcome(outcome *o) {
    for (int k = 0; k < PR_MAX_OUT; k++)
        free(o->out[k]);
}

static bool is_gradient(const pr_op *op) {
    return strstr(op->name, "_grad") != NULL;
}

/* What kernels see beyond the run's own elements must be finite, and zero in a gradient and where
 * rows are a sentence's. */
static void check_surplus(const op_case *c, int k, const float *out, int64_t own, int64_t seen) {
    const pr_op *op = c->op;
    bool zero = is_gradient(op) || op == &pr_op_attention || op == &pr_op_first_token;
    if (k == 0 && c->op->flags & PR_OP_SPARSE) return; /* rows that are listed alone */
    for (int64_t i = own; i < seen; i++) {
        if (zero ? out[i] == 0.0f : isfinite(out[i])) continue;
        fail_msg("%s: element %lld of output %d, past the run's %lld, is %g", c->label,
                 (long long)i, k, (long long)own, (double)out[i]);
    }
}

/* Nothing touches what kernels do not see: it is as the arena was. */
static void check_beyond(const op_case *c, int k, const unsigned char *out, size_t seen,
                         size_t room) {
    for (size_t i = seen; i < room; i++) {
        if (out[i] != 0xff) fail_msg("%s: something is written beyond output %d", c->label, k);
    }
}

static outcome run(planned_case *p, const op_case *c) {
    pr_error err = {0};
    outcome o = {0};
    size_t written = 0;
    if (planned_run(p, c, &err) != PR_OK) fail_msg("%s: %s", c->label, err.message);
    pr_infer rule;
    case_infer(c, &rule);
    for (int k = 0; k < c->op->n_out; k++) {
        size_t room = 0;
        o.out[k] = planned_fetch(p, k, p->how.capacity, &room);
        if (!o.out[k]) continue;
        int64_t own = reference_count(pr_shape_bind(rule.out[k], c->extent));
        int64_t seen = reference_count(pr_shape_bind(rule.out[k], planned_seen(p, c->extent)));
        o.bytes[k] = (size_t)seen * pr_dtype_size(rule.out_dtype[k]);
        if (rule.out_dtype[k] == PR_F32) check_surplus(c, k, o.out[k], own, seen);
        check_beyond(c, k, o.out[k], o.bytes[k], room);
        written += o.bytes[k];
    }
    bool alone = !p->how.copied && !c->op->workspace[backend->kind];
    if (alone && p->changed > written) fail_msg("%s: more than its outputs is written", c->label);
    check_agrees(c, o.out);
    return o;
}

static void check_same(const op_case *c, const outcome *a, const outcome *b, const char *what) {
    for (int k = 0; k < c->op->n_out; k++) {
        if (!a->out[k] || !b->out[k] || memcmp(a->out[k], b->out[k], a->bytes[k]) == 0) continue;
        fail_msg("%s: output %d has other bits %s", c->label, k, what);
    }
}

/* Runs the case twice on one plan, with others between; returns what came out. */
static outcome run_again(const op_case *c, planned_how how) {
    planned_case p;
    planned_open(&p, backend, c, how);
    outcome first = run(&p, c);
    op_case others[] = {other_data(c), fewer_rows(c)};
    for (int i = 0; i < 2; i++) {
        outcome other = run(&p, &others[i]);
        free_outcome(&other);
        case_free(&others[i]);
    }
    outcome again = run(&p, c);
    check_same(c, &first, &again, "the second time");
    free_outcome(&again);
    planned_close(&p);
    return first;
}

static outcome run_once(const op_case *c, planned_how how) {
    planned_case p;
    planned_open(&p, backend, c, how);
    outcome o = run(&p, c);
    planned_close(&p);
    return o;
}

/* ---- all cases ---- */

/* In place of an input at a time; only floats can be copied on the way. */
static void check_in_place(const op_case *c, const outcome *base) {
    for (int k = 0; k < c->op->n_in; k++) {
        if (!(c->op->inplace >> k & 1u) || !c->data[k] || c->dtype[k] != PR_F32) continue;
        outcome o = run_once(c, (planned_how){.capacity = c->extent, .copied = 1u << k});
        check_same(c, base, &o, "in place");
        free_outcome(&o);
    }
}

/* Each of the outputs that may be left out is, and is the only one of them. */
static void check_left_out(const op_case *c, const outcome *base) {
    unsigned optional = c->op->optional_out;
    for (int k = 0; k < c->op->n_out; k++) {
        if (!(optional >> k & 1u)) continue;
        const unsigned left_out[] = {1u << k, optional & ~(1u << k)};
        for (int i = 0; i < 2; i++) {
            outcome o = run_once(c, (planned_how){.capacity = c->extent, .left_out = left_out[i]});
            check_same(c, base, &o, "when others are left out");
            free_outcome(&o);
        }
    }
}

/* Bit k: rows of in[k] past the run's own extent need not be zeros: those of values that other
 * nodes make, unlike what is fed and gradients, which are added up. */
static unsigned may_stray(const op_case *c) {
    static const struct {
        const pr_op *op;
        unsigned zeros;
    } particular[] = {
        {&pr_op_attention_grad, 1u << 7},
        {&pr_op_matmul, 1u << 1},
        {&pr_op_mse, 1u << 1},
        {&pr_op_mse_grad, 1u << 2},
        {&pr_op_sum_rows, 1u},
        {&pr_op_sum_squares, 1u},
        {&pr_op_densify, 1u},
    };
    unsigned values = 0, zeros = is_gradient(c->op);
    for (int k = 0; k < c->op->n_in; k++) {
        bool moves = c->data[k] && c->dtype[k] == PR_F32 && c->shape[k].dim[0] < 0;
        values |= (unsigned)moves << k;
    }
    for (size_t i = 0; i < sizeof particular / sizeof *particular; i++) {
        if (particular[i].op == c->op) zeros = particular[i].zeros;
    }
    return values & ~zeros;
}

static void check_case(const op_case *c) {
    outcome base = run_again(c, (planned_how){.capacity = c->extent});
    op_case roomy = copy_of(c, "a larger plan");
    /* Kernels may see as many sentences as tokens. */
    pr_extent e = c->extent, seen = {(e.tokens + 63) / 64 * 64, e.sentences + 3, e.longest + 5};
    pr_extent larger = {e.tokens + 100, seen.tokens > e.sentences ? seen.tokens : seen.sentences,
                        seen.longest};
    outcome o = run_again(&roomy, (planned_how){.capacity = larger, .strayed = may_stray(c)});
    free_outcome(&o);
    case_free(&roomy);
    check_in_place(c, &base);
    check_left_out(c, &base);
    free_outcome(&base);
}

/* Training must stop at a NaN, so no kernel may lose one. */
static void not_a_number_is_not_lost(void **state) {
    (void)state;
    for (int f = 0; f < CASE_FAMILIES; f++) {
        for (int i = 0; i < case_families[f]->count(); i++) {
            op_case c;
            case_make(case_families[f], i, &c);
            if (spoil_first(&c)) {
                planned_case p;
                pr_error err = {0};
                planned_open(&p, backend, &c, (planned_how){.capacity = c.extent});
                if (planned_run(&p, &c, &err) != PR_OK) fail_msg("%s: %s", c.label, err.message);
                size_t bytes;
                void *out = planned_fetch(&p, 0, c.extent, &bytes);
                check_spoilt(&c, out);
                free(out);
                planned_close(&p);
            }
            case_free(&c);
        }
    }
}

static void note_agreed(const pr_op *op) {
    int place = 0;
    while (pr_ops[place] && pr_ops[place] != op)
        place++;
    assert_true(place < MOST_OPS);
    runs[place]++;
}

static void kernels_agree_with_their_references(void **state) {
    const case_family *family = *state;
    for (int i = 0; i < family->count(); i++) {
        op_case c;
        case_make(family, i, &c);
        if (!only || strcmp(c.op->name, only) == 0) {
            check_case(&c);
            note_agreed(c.op);
        }
        case_free(&c);
    }
}

/* ---- coverage ---- */

/* Updates: test_planned_runs.c has accumulate's, and trainers run the others. */
static bool is_held_elsewhere(const pr_op *op) {
    return op == &pr_op_accumulate || op == &pr_op_adamw || op == &pr_op_adamw_catch_up;
}

/* Comes last: it counts what the other tests ran. */
static void every_kernel_was_run(void **state) {
    (void)state;
    for (int i = 0; pr_ops[i]; i++) {
        const pr_op *op = pr_ops[i];
        assert_true(i < MOST_OPS);
        if (!op->kernel[backend->kind]) {
            fail_msg("'%s' has no kernel on %s", op->name, backend->name);
        }
        if (!runs[i] && !is_held_elsewhere(op)) fail_msg("'%s' was never run", op->name);
    }
}

/* test_planned_ops [OP] */
int main(int argc, char **argv) {
    struct CMUnitTest tests[CASE_FAMILIES + 2] = {
        [CASE_FAMILIES] = cmocka_unit_test(not_a_number_is_not_lost),
        [CASE_FAMILIES + 1] = cmocka_unit_test(every_kernel_was_run),
    };
    for (int i = 0; i < CASE_FAMILIES; i++) {
        tests[i] = (struct CMUnitTest){
            .name = case_families[i]->name,
            .test_func = kernels_agree_with_their_references,
            .initial_state = (void *)case_families[i],
        };
    }
    only = argc > 1 ? argv[1] : NULL;
    backend = test_backend_or_exit(2);
    int failed = only ? _cmocka_run_group_tests(only, tests, CASE_FAMILIES, NULL, NULL)
                      : cmocka_run_group_tests(tests, NULL, NULL);
    pr_backend_free(backend);
    return failed;
}
