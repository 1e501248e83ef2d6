/* One step's updates of a hundred parameters, of all sizes and kinds, against the processor's.
 * Compiled with TEST_CUDA it is the CUDA backend's test, where tens of them share a launch. */
#include "tests/test.h"

#include <math.h>

#include "backends/cpu.h"
#include "graph/plan.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "tests/backend_under_test.h"

enum { PARAMS = 110, LATE = 3 /* every third begins to train later */, BEGINS = 2, STEPS = 5 };
enum { TOKENS = 9, SPARSE = 60 /* the parameter whose gradient is by rows */ };

static const pr_adamw_options options = {0.9f, 0.999f, 1e-8f, 0.1f};
static const float rates[STEPS] = {1e-3f, 2e-3f, 0.0f, 1e-3f, 5e-4f};
static const int32_t ids[TOKENS] = {3, 0, 3, 7, 1, 3, 0, 9, 2};
static const pr_extent batch = {.tokens = TOKENS, .sentences = 1, .longest = TOKENS};

/* Vectors and matrices, of one element to some blocks' worth. */
static pr_shape shape_of(int i) {
    static const int64_t rows[] = {1, 3, 64, 4096, 4097, 100, 20}, columns[] = {7, 33, 128};
    if (i == SPARSE) return pr_shape_2(12, 40);
    return i % 2 ? pr_shape_1(rows[i % 7]) : pr_shape_2(rows[i % 7] % 300, columns[i % 3]);
}

static int64_t elements(pr_shape s) {
    return s.dim[0] * (s.n_dims > 1 ? s.dim[1] : 1);
}

typedef struct world {
    pr_backend *backend;
    pr_store *store;
    pr_graph *g;
    pr_plan *plan;
    void *arena;
    pr_tid gradient[PARAMS], ids, factor, rates, clock, read;
} world;

static void must(pr_status status, const pr_error *err) {
    if (status != PR_OK) fail_msg("%s", err->message);
}

static float value_of(int i, int64_t k, int what) {
    uint32_t x = (uint32_t)(i * 7919 + k * 104729 + what * 1299709);
    x = (x ^ x >> 15) * 2246822519u;
    x = (x ^ x >> 13) * 3266489917u;
    return (float)(x >> 8) / (float)(1 << 23) - 1.0f;
}

static float *values_of(int i, int64_t n, int what) {
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t k = 0; k < n; k++)
        x[k] = value_of(i, k, what);
    return x;
}

static void name_of(int i, char name[16]) {
    snprintf(name, 16, "%s.%d", i % LATE ? "early" : "late", i);
}

static void make_store(world *w) {
    pr_error err = {0};
    w->store = pr_store_new(w->backend);
    for (int i = 0; i < PARAMS; i++) {
        char name[16];
        name_of(i, name);
        assert_int_equal(pr_store_add(w->store, name, shape_of(i), NULL, &err), i);
        float *start = values_of(i, elements(shape_of(i)), 0);
        must(pr_store_write(w->store, i, start, &err), &err);
        free(start);
    }
    must(pr_store_require_grad(w->store, "early.*", true, &err), &err);
    must(pr_store_settle(w->store, 0, &err), &err);
    must(pr_store_require_grad(w->store, "late.*", true, &err), &err);
    must(pr_store_settle(w->store, BEGINS, &err), &err);
    for (int i = 0; i < PARAMS; i++) {
        size_t bytes = pr_store_param(w->store, i)->bytes;
        must(pr_store_make_state(w->store, i, PR_STATE_FIRST, bytes, &err), &err);
        must(pr_store_make_state(w->store, i, PR_STATE_SECOND, bytes, &err), &err);
    }
    size_t bytes = (size_t)shape_of(SPARSE).dim[0] * sizeof(int32_t);
    must(pr_store_make_state(w->store, SPARSE, PR_STATE_ROWS, bytes, &err), &err);
}

static void make_graph(world *w) {
    w->g = pr_graph_new(w->store);
    w->factor = pr_graph_input(w->g, "factor", PR_F32, pr_shape_1(1));
    w->rates = pr_graph_input(w->g, "rates", PR_F32, pr_shape_1(STEPS));
    w->clock = pr_graph_input(w->g, "clock", PR_U64, pr_shape_1(3));
    w->ids = pr_graph_input(w->g, "ids", PR_I32, pr_shape_1(PR_TOKENS));
    pr_tid gradient[PARAMS], p[PARAMS];
    for (int i = 0; i < PARAMS; i++) {
        char name[16];
        name_of(i, name);
        p[i] = pr_graph_param(w->g, name);
        pr_shape shape = i == SPARSE ? pr_shape_2(PR_TOKENS, shape_of(i).dim[1]) : shape_of(i);
        snprintf(name, sizeof name, "gradient %d", i);
        gradient[i] = w->gradient[i] = pr_graph_input(w->g, name, PR_F32, shape);
    }
    w->read = pr_embed(w->g, p[SPARSE], w->ids);
    gradient[SPARSE] = pr_embed_grad(w->g, gradient[SPARSE], w->ids, shape_of(SPARSE).dim[0]);
    pr_graph_phase(w->g, PR_UPDATE);
    for (int i = 0; i < PARAMS; i++)
        pr_adamw(w->g, p[i], gradient[i], w->factor, w->rates, w->clock, &options);
}

static world make(pr_backend *backend) {
    world w = {.backend = backend};
    pr_error err = {0};
    make_store(&w);
    make_graph(&w);
    must(pr_graph_check(w.g, &err), &err);
    pr_plan_options how = {.capacity = batch, .wanted = &w.read, .n_wanted = 1, .training = true};
    w.plan = pr_plan_new(w.g, w.store, w.backend, &how, &err);
    if (!w.plan) fail_msg("%s", err.message);
    w.arena = backend->alloc(backend, pr_plan_get_report(w.plan)->arena);
    assert_non_null(w.arena);
    pr_plan_attach(w.plan, w.arena);
    return w;
}

static void drop(world *w) {
    w->backend->free(w->backend, w->arena, pr_plan_get_report(w->plan)->arena);
    pr_plan_free(w->plan);
    pr_graph_free(w->g);
    pr_store_free(w->store);
    pr_backend_free(w->backend);
}

static void feed(world *w, pr_tid t, const void *host) {
    pr_error err = {0};
    must(pr_plan_feed(w->plan, t, batch, host, &err), &err);
}

static void step(world *w, int number) {
    const uint64_t clock[3] = {0, (uint64_t)number, 0};
    const float factor = 0.5f;
    pr_error err = {0};
    feed(w, w->factor, &factor);
    feed(w, w->rates, rates);
    feed(w, w->clock, clock);
    feed(w, w->ids, ids);
    for (int i = 0; i < PARAMS; i++) {
        int64_t n = i == SPARSE ? TOKENS * shape_of(i).dim[1] : elements(shape_of(i));
        float *gradient = values_of(i, n, 1 + number);
        feed(w, w->gradient[i], gradient);
        free(gradient);
    }
    must(pr_plan_run(w->plan, batch, &err), &err);
    must(w->backend->sync(w->backend, &err), &err);
}

/* What was summed up in the steps is rounded otherwise where a product and a sum are fused. */
static void assert_close(const float *a, const float *b, int i, float size) {
    for (int64_t k = 0; k < elements(shape_of(i)); k++) {
        if (fabsf(a[k] - b[k]) <= 1e-6f * (fabsf(b[k]) + size)) continue;
        fail_msg("parameter %d: element %lld is %.9g and should be %.9g", i, (long long)k,
                 (double)a[k], (double)b[k]);
    }
}

static void all_are_updated_as_the_processor_does(void **state) {
    (void)state;
    pr_error err = {0};
    pr_backend *backend = test_backend_new(2, &err);
    if (!backend) {
        fail_msg("%s", err.message);
        return;
    }
    pr_backend *processor = pr_cpu_new(1, &err);
    assert_non_null(processor);
    world tried = make(backend), expected = make(processor);
    for (int number = BEGINS; number < STEPS; number++) {
        step(&tried, number);
        step(&expected, number);
    }
    for (int i = 0; i < PARAMS; i++) {
        const pr_param *p = pr_store_param(tried.store, i), *q = pr_store_param(expected.store, i);
        assert_int_equal(p->since, i % LATE ? 0 : BEGINS);
        assert_close(test_host(backend, p->data, p->bytes), q->data, i, 1.0f);
        for (int slot = PR_STATE_FIRST; slot <= PR_STATE_SECOND; slot++) {
            assert_close(test_host(backend, p->state[slot], p->bytes), q->state[slot], i, 0.1f);
        }
    }
    const pr_param *p = pr_store_param(tried.store, SPARSE);
    size_t bytes = p->state_bytes[PR_STATE_ROWS];
    assert_memory_equal(test_host(backend, p->state[PR_STATE_ROWS], bytes),
                        pr_store_param(expected.store, SPARSE)->state[PR_STATE_ROWS], bytes);
    drop(&tried);
    drop(&expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_updated_as_the_processor_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
