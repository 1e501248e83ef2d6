/* Runs of more than a node on a backend: chains of calls that are run as one, gradients of parts
 * that are added up, what happens after a fault. Compiled with TEST_CUDA it is the CUDA backend's
 * test. */
#include "tests/test.h"

#include <math.h>

#include "graph/plan.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "tests/backend_under_test.h"
#include "tests/scratch.h"

static pr_backend *backend;
static const pr_extent none = {0};

/* A graph of its own store, to be filled, and its plan. */
typedef struct rig {
    pr_store *store;
    pr_graph *graph;
    pr_plan *plan;
    void *arena;
    size_t arena_bytes;
} rig;

static rig open_rig(void) {
    rig r = {.store = pr_store_new(backend)};
    r.graph = pr_graph_new(r.store);
    return r;
}

static void plan_rig(rig *r, pr_plan_options how) {
    pr_error err = {0};
    r->plan = pr_plan_new(r->graph, r->store, backend, &how, &err);
    if (!r->plan) fail_msg("%s", err.message);
    r->arena_bytes = pr_plan_get_report(r->plan)->arena;
    r->arena = backend->alloc(backend, r->arena_bytes);
    assert_non_null(r->arena);
    pr_plan_attach(r->plan, r->arena);
}

static void feed(const rig *r, pr_tid t, pr_extent e, const void *host) {
    pr_error err = {0};
    if (pr_plan_feed(r->plan, t, e, host, &err) != PR_OK) fail_msg("%s", err.message);
}

static void run(const rig *r) {
    pr_error err = {0};
    if (pr_plan_run(r->plan, none, &err) != PR_OK) fail_msg("%s", err.message);
    if (backend->sync(backend, &err) != PR_OK) fail_msg("%s", err.message);
}

static void fetch(const rig *r, pr_tid t, void *host) {
    pr_error err = {0};
    if (pr_plan_fetch(r->plan, t, none, host, &err) != PR_OK) fail_msg("%s", err.message);
}

static void close_rig(rig *r) {
    pr_plan_free(r->plan);
    backend->free(backend, r->arena, r->arena_bytes);
    pr_graph_free(r->graph);
    pr_store_free(r->store);
}

/* ---- chains of calls ---- */

/* More than a launch takes, of sizes on either side of a block's share. */
enum { CHAIN = 250, MOST_ELEMENTS = 40001 };

static int64_t chain_size(int i) {
    static const int64_t sizes[] = {1, 384, 16384, 16385, 31, MOST_ELEMENTS, 768};
    return sizes[i % (int)(sizeof sizes / sizeof *sizes)];
}

/* One in the middle begins a chain of its own. */
static bool begins_chain(int i) {
    return i % (CHAIN / 2) == 0;
}

/* Fills x, and returns the sum of its squares. */
static long double fill_link(int i, float *x) {
    long double sum = 0.0L;
    for (int64_t k = 0; k < chain_size(i); k++) {
        x[k] = (float)((i + 1) % 17) + (float)(k % 101) / 128.0f;
        sum += (long double)x[k] * x[k];
    }
    return sum;
}

/* Makes totals[i]; fails unless they are right to double's precision. */
static void check_chain(const rig *r, const pr_tid *x, const pr_tid *total, double *totals) {
    static float values[MOST_ELEMENTS];
    static long double expected[CHAIN];
    for (int i = 0; i < CHAIN; i++) {
        expected[i] = fill_link(i, values) + (begins_chain(i) ? 0.0L : expected[i - 1]);
        feed(r, x[i], none, values);
    }
    run(r);
    for (int i = 0; i < CHAIN; i++) {
        fetch(r, total[i], &totals[i]);
        if ((double)fabsl(totals[i] - expected[i]) <= 1e-13 * (double)expected[i]) continue;
        fail_msg("total %d is %.17g and should be %.17g", i, totals[i], (double)expected[i]);
    }
}

/* As one, and, where a run waits after every node, one by one. */
static void a_chain_of_norms_adds_up(void **state) {
    (void)state;
    static double together[CHAIN], alone[CHAIN];
    pr_tid x[CHAIN], total[CHAIN];
    rig r = open_rig();
    for (int i = 0; i < CHAIN; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        x[i] = pr_graph_input(r.graph, name, PR_F32, pr_shape_1(chain_size(i)));
    }
    for (int i = 0; i < CHAIN; i++)
        total[i] = pr_sum_squares(r.graph, x[i], begins_chain(i) ? 0 : total[i - 1]);
    plan_rig(&r, (pr_plan_options){.wanted = total, .n_wanted = CHAIN});
    check_chain(&r, x, total, together);
    bool careful = backend->careful;
    backend->careful = true;
    check_chain(&r, x, total, alone);
    backend->careful = careful;
    assert_memory_equal(together, alone, sizeof together);
    close_rig(&r);
}

/* ---- parts of a batch ---- */

enum { PART = 1003 };

/* A parameter that trains, with a gradient that is added up. */
static pr_tid add_total(rig *r) {
    pr_error err = {0};
    size_t bytes = PART * sizeof(float);
    assert_int_equal(pr_store_add(r->store, "w", pr_shape_1(PART), NULL, &err), 0);
    assert_int_equal(pr_store_require_grad(r->store, "w", true, &err), PR_OK);
    assert_int_equal(pr_store_settle(r->store, 0, &err), PR_OK);
    assert_int_equal(pr_store_make_state(r->store, 0, PR_STATE_GRADIENT, bytes, &err), PR_OK);
    return pr_graph_state(r->graph, 0, PR_STATE_GRADIENT, PR_F32, pr_shape_1(PART));
}

/* What stood there before the first part is not read: it may be anything. */
static void parts_are_added_onto_the_first(void **state) {
    (void)state;
    rig r = open_rig();
    pr_tid sum = add_total(&r);
    pr_tid part = pr_graph_input(r.graph, "x", PR_F32, pr_shape_1(PART));
    pr_tid clock = pr_graph_input(r.graph, "clock", PR_U64, pr_shape_1(3));
    pr_graph_phase(r.graph, PR_GATHER);
    pr_accumulate(r.graph, sum, part, clock);
    plan_rig(&r, (pr_plan_options){.training = true, .gather = true});
    float x[PART], total[PART];
    for (int i = 0; i < PART; i++) {
        x[i] = (float)i;
        total[i] = NAN;
    }
    void *at = pr_store_param(r.store, 0)->state[PR_STATE_GRADIENT];
    assert_int_equal(backend->upload(backend, at, total, sizeof total), PR_OK);
    const uint64_t firsts[] = {0, 4, 1};
    for (int i = 0; i < 3; i++) {
        const uint64_t now[3] = {1, 2, firsts[i]};
        feed(&r, part, none, x);
        feed(&r, clock, none, now);
        run(&r);
        assert_int_equal(backend->download(backend, total, at, sizeof total), PR_OK);
        for (int k = 0; k < PART; k++)
            assert_true(total[k] == (float)(i + 1) * x[k]);
    }
    close_rig(&r);
}

/* ---- faults ---- */

enum { LABELS = 3, CLASSES = 2 };

/* Behind a label that is no class's, a backend that learns of it late has to make a factor NaN; one
 * that stops at it makes none. */
static void nothing_is_updated_after_a_fault(void **state) {
    (void)state;
    const pr_extent three = {.sentences = LABELS};
    const float scores[LABELS * CLASSES] = {0};
    const double four = 4.0;
    const int32_t right[LABELS] = {0, 1, 0}, wrong[LABELS] = {0, 5, 0};
    rig r = open_rig();
    pr_tid logits = pr_graph_input(r.graph, "logits", PR_F32, pr_shape_2(PR_SENTENCES, CLASSES));
    pr_tid labels = pr_graph_input(r.graph, "labels", PR_I32, pr_shape_1(PR_SENTENCES));
    pr_tid total = pr_graph_input(r.graph, "total", PR_F64, pr_shape_1(1));
    pr_tid loss = pr_cross_entropy(r.graph, logits, labels);
    pr_tid made[] = {loss, pr_clip_factor(r.graph, total, 1.0f)};
    plan_rig(&r, (pr_plan_options){.capacity = three, .wanted = made, .n_wanted = 2});
    for (int i = 0; i < 3; i++) { /* a fault is over with its run */
        bool faulty = i == 1;
        pr_error err = {0};
        float found[2];
        feed(&r, logits, three, scores);
        feed(&r, labels, three, faulty ? wrong : right);
        feed(&r, total, three, &four);
        pr_status status = pr_plan_run(r.plan, three, &err);
        bool late = status == PR_OK;
        if (late) status = backend->sync(backend, &err);
        assert_int_equal(status, faulty ? PR_BAD_ARGUMENT : PR_OK);
        if (faulty) assert_says(err.message, "label 5 of sentence 1 is outside the 2 classes");
        for (int k = 0; k < 2 && late; k++)
            fetch(&r, made[k], &found[k]);
        assert_true(!late || isfinite(found[0]));
        assert_true(!late || (faulty ? isnan(found[1]) : fabsf(found[1] - 0.5f) < 1e-6f));
    }
    close_rig(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_of_norms_adds_up),
        cmocka_unit_test(parts_are_added_onto_the_first),
        cmocka_unit_test(nothing_is_updated_after_a_fault),
    };
    backend = test_backend_or_exit(2);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pr_backend_free(backend);
    return failed;
}
