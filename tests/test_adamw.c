/* AdamW against torch, and sparse updates against dense ones bit for bit. Compiled with TEST_CUDA
 * it is the CUDA backend's test. */
#include "tests/test.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "graph/plan.h"
#include "ops/ops.h"
#include "ops/ops_grad.h"
#include "ops/table.h"
#include "tests/backend_under_test.h"
#include "tests/golden/adamw.h"

enum { STEPS = 50, TOKENS = 12, MOST_RATES = 64 };

static const pr_extent batch = {.tokens = TOKENS, .sentences = 1, .longest = TOKENS};
static const pr_adamw_options options = {0.9f, 0.999f, 1e-8f, 0.01f};

/* Which of AdamW's kernels have run. */
static const pr_op *ran[2];

static pr_status count_run(void *context, const pr_call *call, const pr_op *op, double seconds) {
    (void)context;
    (void)call;
    (void)seconds;
    if (op == &pr_op_adamw) ran[0] = op;
    if (op == &pr_op_adamw_catch_up) ran[1] = op;
    return PR_OK;
}

static bool was_run(const pr_op *op) {
    return ran[0] == op || ran[1] == op;
}

/* A parameter "w" (rows, d) with a graph that updates it. */
typedef struct world {
    pr_backend *backend;
    pr_store *store;
    pr_graph *g;
    pr_plan *plan;
    void *arena;
    pr_tid gradient, ids, factor, rates, clock;
    pr_tid read; /* the rows that ids name, before the update */
    bool sparse;
    int32_t rows, d;
} world;

static void must(pr_status status, const pr_error *err) {
    if (status != PR_OK) fail_msg("%s", err->message);
}

static void make_store(world *w, const char *name, int32_t since, const float *start) {
    pr_error err = {0};
    w->backend = test_backend_new(2, &err);
    if (!w->backend) fail_msg("%s", err.message);
    w->store = pr_store_new(w->backend);
    pr_shape shape = pr_shape_2(w->rows, w->d);
    size_t bytes = (size_t)w->rows * (size_t)w->d * sizeof(float);
    assert_int_equal(pr_store_add(w->store, name, shape, NULL, &err), 0);
    must(pr_store_write(w->store, 0, start, &err), &err);
    must(pr_store_require_grad(w->store, "*", true, &err), &err);
    must(pr_store_settle(w->store, since, &err), &err);
    must(pr_store_make_state(w->store, 0, PR_STATE_FIRST, bytes, &err), &err);
    must(pr_store_make_state(w->store, 0, PR_STATE_SECOND, bytes, &err), &err);
    if (!w->sparse) return;
    must(pr_store_make_state(w->store, 0, PR_STATE_ROWS, (size_t)w->rows * 4, &err), &err);
}

static world make(bool sparse, int32_t rows, int32_t d, int32_t since, const float *start) {
    world w = {.sparse = sparse, .rows = rows, .d = d};
    pr_error err = {0};
    make_store(&w, "w", since, start);
    w.g = pr_graph_new(w.store);
    pr_tid p = pr_graph_param(w.g, "w");
    w.gradient = pr_graph_input(w.g, "gradient", PR_F32, pr_shape_2(sparse ? PR_TOKENS : rows, d));
    w.factor = pr_graph_input(w.g, "factor", PR_F32, pr_shape_1(1));
    w.rates = pr_graph_input(w.g, "rates", PR_F32, pr_shape_1(MOST_RATES));
    w.clock = pr_graph_input(w.g, "clock", PR_U64, pr_shape_1(3));
    pr_tid gradient = w.gradient;
    if (sparse) {
        w.ids = pr_graph_input(w.g, "ids", PR_I32, pr_shape_1(PR_TOKENS));
        w.read = pr_embed(w.g, p, w.ids);
        gradient = pr_embed_grad(w.g, w.gradient, w.ids, rows);
    }
    pr_graph_phase(w.g, PR_UPDATE);
    pr_adamw(w.g, p, gradient, w.factor, w.rates, w.clock, &options);
    must(pr_graph_check(w.g, &err), &err);
    pr_plan_options how = {.capacity = {TOKENS + 5, 1, TOKENS}, /* runs may be rounded up */
                           .wanted = &w.read,
                           .n_wanted = sparse,
                           .training = true};
    w.plan = pr_plan_new(w.g, w.store, w.backend, &how, &err);
    if (!w.plan) fail_msg("%s", err.message);
    size_t bytes = pr_plan_get_report(w.plan)->arena;
    w.arena = w.backend->alloc(w.backend, bytes);
    pr_plan_attach(w.plan, w.arena);
    pr_plan_set_watch(w.plan, count_run, NULL);
    return w;
}

static void drop(world *w) {
    w->backend->free(w->backend, w->arena, pr_plan_get_report(w->plan)->arena);
    pr_plan_free(w->plan);
    pr_graph_free(w->g);
    pr_store_free(w->store);
    pr_backend_free(w->backend);
}

/* One step with a gradient (dense, or a row for each id). The first is run node by node, and the
 * others as the backend likes. */
static pr_status step(world *w, uint64_t number, const float *gradient, const int32_t *ids,
                      float factor, const float *rates, pr_error *err) {
    const uint64_t clock[3] = {0, number, 0};
    pr_status status = pr_plan_feed(w->plan, w->gradient, batch, gradient, err);
    if (status == PR_OK && ids) status = pr_plan_feed(w->plan, w->ids, batch, ids, err);
    if (status == PR_OK) status = pr_plan_feed(w->plan, w->factor, batch, &factor, err);
    if (status == PR_OK) status = pr_plan_feed(w->plan, w->rates, batch, rates, err);
    if (status == PR_OK) status = pr_plan_feed(w->plan, w->clock, batch, clock, err);
    if (status == PR_OK) status = pr_plan_run(w->plan, batch, err);
    pr_plan_set_watch(w->plan, NULL, NULL);
    return status == PR_OK ? w->backend->sync(w->backend, err) : status;
}

static const pr_param *param(const world *w) {
    return pr_store_param(w->store, 0);
}

/* What the host sees of the parameter's values now, and of a state. */
static const float *values(const world *w) {
    return test_host(w->backend, param(w)->data, param(w)->bytes);
}

static const void *state_of(const world *w, pr_state_slot slot) {
    return test_host(w->backend, param(w)->state[slot], param(w)->state_bytes[slot]);
}

static void assert_close(const float *found, const float *expected, int n, double relative,
                         double absolute) {
    for (int i = 0; i < n; i++) {
        double error = fabs((double)found[i] - (double)expected[i]);
        if (error <= relative * fabs((double)expected[i]) + absolute) continue;
        fail_msg("element %d: expected %.9g, found %.9g", i, (double)expected[i], (double)found[i]);
    }
}

/* The golden run begins at step `since` of the run's table of rates. */
static void like_torch(int32_t since) {
    const int n = GOLDEN_ROWS * GOLDEN_COLUMNS;
    float rates[MOST_RATES] = {0};
    memcpy(rates + since, golden_rates, sizeof golden_rates);
    world w = make(false, GOLDEN_ROWS, GOLDEN_COLUMNS, since, golden_start);
    for (int i = 0; i < GOLDEN_STEPS; i++) {
        pr_error err = {0};
        must(step(&w, (uint64_t)since + (uint64_t)i, golden_gradient[i], NULL, 0.5f, rates, &err),
             &err);
        /* The parameter's own rounding, and that of updates of up to 2e-3. */
        assert_close(values(&w), golden_param[i], n, 1.2e-7 * (i + 1), 1e-9 * (i + 1));
    }
    const float *first = state_of(&w, PR_STATE_FIRST);
    for (int i = 0; i < n; i++) { /* a sum of gradients of either sign */
        double largest = 0;
        for (int k = 0; k < GOLDEN_STEPS; k++)
            largest = fmax(largest, fabs((double)golden_gradient[k][i]));
        assert_close(first + i, golden_first + i, 1, 0, 6e-8 * largest);
    }
    assert_close(state_of(&w, PR_STATE_SECOND), golden_second, n, 1e-6, 0);
    drop(&w);
}

static void agrees_with_torch(void **state) {
    (void)state;
    like_torch(0);
}

static void corrects_bias_from_when_training_began(void **state) {
    (void)state;
    like_torch(17);
}

static uint32_t next_random(uint32_t *random) {
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

static float small_random(uint32_t *random) {
    return (float)next_random(random) / (float)(1 << 23) - 1.0f;
}

static void assert_same_bits(const void *a, const void *b, size_t bytes, const char *what,
                             int number) {
    if (memcmp(a, b, bytes) != 0) fail_msg("%s differ at %d", what, number);
}

/* Rates of which some are zero, as before a warm-up and after the end. */
static void make_rates(float rates[MOST_RATES]) {
    for (int i = 0; i < MOST_RATES; i++)
        rates[i] = 1e-3f * (float)(i % 13) / 12.0f;
}

static float *random_floats(size_t n, uint32_t *random) {
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = small_random(random);
    return x;
}

/* Draws a batch: ids, some of them twice, and a gradient by rows and as a whole. */
static void draw_batch(int32_t rows, int32_t d, uint32_t *random, int32_t ids[TOKENS],
                       float *by_row, float *whole) {
    memset(whole, 0, (size_t)rows * (size_t)d * sizeof *whole);
    for (int i = 0; i < TOKENS; i++) {
        int32_t spread = next_random(random) % 2 ? rows - 1 : 9; /* the last row never comes */
        ids[i] = (int32_t)(next_random(random) % (uint32_t)spread);
        for (int x = 0; x < d; x++) {
            by_row[i * d + x] = small_random(random);
            whole[ids[i] * d + x] += by_row[i * d + x];
        }
    }
}

static void assert_same_world(const world *a, const world *b) {
    size_t bytes = param(a)->bytes;
    assert_same_bits(values(a), values(b), bytes, "parameters", a->d);
    for (int slot = PR_STATE_FIRST; slot <= PR_STATE_SECOND; slot++)
        assert_same_bits(state_of(a, slot), state_of(b, slot), bytes, "moments", slot);
}

static void compare_sparse_and_dense(int32_t rows, int32_t d, int32_t since) {
    uint32_t random = 7;
    size_t n = (size_t)rows * (size_t)d, row_bytes = (size_t)d * sizeof(float);
    float *start = random_floats(n, &random), *whole = malloc(n * sizeof *whole);
    float *by_row = malloc(TOKENS * row_bytes), *read = malloc(TOKENS * row_bytes);
    float rates[MOST_RATES];
    make_rates(rates);
    world dense = make(false, rows, d, since, start), sparse = make(true, rows, d, since, start);
    pr_error err = {0};
    for (int i = since; i < STEPS; i++) {
        int32_t ids[TOKENS];
        draw_batch(rows, d, &random, ids, by_row, whole);
        float factor = i % 3 ? 1.0f : 0.3f;
        must(step(&sparse, (uint64_t)i, by_row, ids, factor, rates, &err), &err);
        must(pr_plan_fetch(sparse.plan, sparse.read, batch, read, &err), &err);
        const float *table = values(&dense);
        for (int k = 0; k < TOKENS; k++) {
            assert_same_bits(read + k * d, table + ids[k] * d, row_bytes, "rows that were read", i);
        }
        must(step(&dense, (uint64_t)i, whole, NULL, factor, rates, &err), &err);
    }
    must(pr_adamw_catch_up(sparse.store, 0, rates, STEPS, &options, &err), &err);
    assert_same_world(&sparse, &dense);
    must(pr_adamw_catch_up(sparse.store, 0, rates, STEPS, &options, &err), &err);
    assert_same_world(&sparse, &dense); /* caught up twice */
    drop(&dense);
    drop(&sparse);
    free(start);
    free(whole);
    free(by_row);
    free(read);
}

static void sparse_has_the_bits_of_dense(void **state) {
    (void)state;
    compare_sparse_and_dense(60, 64, 0);
    compare_sparse_and_dense(40, 7, 0);
    compare_sparse_and_dense(30, 83, 11);
}

enum { BLOCKS = 1 + PR_STATE_SLOTS };

/* Copies of the parameter's values and states, NULL where there is none; to be freed. */
typedef struct kept {
    void *block[BLOCKS];
    size_t bytes[BLOCKS];
} kept;

static kept keep(const world *w) {
    kept k = {.bytes = {param(w)->bytes}};
    const void *now[BLOCKS] = {values(w)};
    for (int slot = 0; slot < PR_STATE_SLOTS; slot++) {
        k.bytes[1 + slot] = param(w)->state_bytes[slot];
        now[1 + slot] = state_of(w, (pr_state_slot)slot);
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (!now[i]) continue;
        k.block[i] = malloc(k.bytes[i]);
        assert_non_null(k.block[i]);
        memcpy(k.block[i], now[i], k.bytes[i]);
    }
    return k;
}

static void free_kept(kept *k) {
    for (int i = 0; i < BLOCKS; i++)
        free(k->block[i]);
}

static bool same_kept(const kept *a, const kept *b) {
    bool same = true;
    for (int i = 0; i < BLOCKS; i++)
        same &= !a->block[i] || memcmp(a->block[i], b->block[i], a->bytes[i]) == 0;
    return same;
}

static void not_a_number_leaves_everything(void **state) {
    (void)state;
    uint32_t random = 3;
    float *start = random_floats(30 * 8, &random), *gradient = random_floats(30 * 8, &random);
    int32_t ids[TOKENS] = {4, 5};
    float rates[MOST_RATES];
    make_rates(rates);
    for (int sparse = 0; sparse < 2; sparse++) {
        world w = make(sparse, 30, 8, 0, start);
        pr_error err = {0};
        const int32_t *which = sparse ? ids : NULL;
        must(step(&w, 0, gradient, which, 1.0f, rates, &err), &err);
        must(step(&w, 1, gradient, which, 1.0f, rates, &err), &err);
        /* Reading the rows again is what the prologue may change; that is done beforehand. */
        must(pr_adamw_catch_up(w.store, 0, rates, 2, &options, &err), &err);
        kept before = keep(&w);
        must(step(&w, 2, gradient, which, NAN, rates, &err), &err);
        kept after = keep(&w);
        assert_true(same_kept(&before, &after));
        must(step(&w, 2, gradient, which, 1.0f, rates, &err), &err);
        kept updated = keep(&w);
        assert_false(same_kept(&before, &updated));
        free_kept(&before);
        free_kept(&after);
        free_kept(&updated);
        drop(&w);
    }
    free(start);
    free(gradient);
}

/* What a checkpoint says nothing of: how far each row is, and whether it ever had a gradient. */
static void rows_are_restored_from_moments(void **state) {
    (void)state;
    enum { ROWS = 300, D = 5, SINCE = 4 };
    uint32_t random = 11;
    float *start = random_floats(ROWS * D, &random), *gradient = random_floats(TOKENS * D, &random);
    float rates[MOST_RATES];
    make_rates(rates);
    world w = make(true, ROWS, D, SINCE, start);
    pr_error err = {0};
    for (int i = SINCE; i < STEPS; i++) {
        int32_t ids[TOKENS];
        for (int k = 0; k < TOKENS; k++)
            ids[k] = (int32_t)(next_random(&random) % ROWS);
        must(step(&w, (uint64_t)i, gradient, ids, 1.0f, rates, &err), &err);
    }
    must(pr_adamw_catch_up(w.store, 0, rates, STEPS, &options, &err), &err);
    kept before = keep(&w);
    void *rows = param(&w)->state[PR_STATE_ROWS];
    must(w.backend->fill(w.backend, rows, 0, param(&w)->state_bytes[PR_STATE_ROWS]), &err);
    must(pr_adamw_restore_rows(w.store, 0, STEPS, &err), &err);
    kept after = keep(&w);
    assert_true(same_kept(&before, &after));
    assert_int_equal(pr_adamw_restore_rows(w.store, 0, SINCE - 1, &err), PR_BAD_ARGUMENT);
    free_kept(&before);
    free_kept(&after);
    drop(&w);
    free(start);
    free(gradient);
}

#ifndef TEST_CUDA /* a GPU's memory has no pages that come and go */
static size_t resident_pages(void *block, size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page, found = 0;
    unsigned char *vector = malloc(pages);
    assert_int_equal(mincore(block, bytes, vector), 0);
    for (size_t i = 0; i < pages; i++)
        found += vector[i] & 1;
    free(vector);
    return found;
}

/* Rows 0 to 15 fill one page of 4096 bytes; nothing else gets a gradient. */
static void moments_of_untouched_rows_take_no_memory(void **state) {
    (void)state;
    enum { ROWS = 2048, D = 64 };
    uint32_t random = 5;
    float *start = random_floats(ROWS * D, &random), *gradient = random_floats(TOKENS * D, &random);
    float rates[MOST_RATES];
    make_rates(rates);
    world w = make(true, ROWS, D, 0, start);
    pr_error err = {0};
    for (int i = 0; i < 20; i++) {
        int32_t ids[TOKENS];
        for (int k = 0; k < TOKENS; k++)
            ids[k] = (i + k) % 16;
        must(step(&w, (uint64_t)i, gradient, ids, 1.0f, rates, &err), &err);
    }
    must(pr_adamw_catch_up(w.store, 0, rates, 20, &options, &err), &err);
    const pr_param *p = param(&w);
    for (int slot = PR_STATE_FIRST; slot <= PR_STATE_SECOND; slot++)
        assert_int_equal(resident_pages(p->state[slot], p->state_bytes[slot]), 1);
    assert_true(p->data[ROWS * D - 1] != start[ROWS * D - 1]); /* it did decay */
    drop(&w);
    free(start);
    free(gradient);
}
#endif

static void steps_outside_the_table_are_refused(void **state) {
    (void)state;
    uint32_t random = 9;
    float *start = random_floats(30 * 8, &random), rates[MOST_RATES];
    int32_t ids[TOKENS] = {1};
    make_rates(rates);
    for (int sparse = 0; sparse < 2; sparse++) {
        world w = make(sparse, 30, 8, 3, start);
        const int32_t *which = sparse ? ids : NULL;
        pr_error late = {0}, early = {0};
        assert_int_equal(step(&w, MOST_RATES, start, which, 1.0f, rates, &late), PR_BAD_ARGUMENT);
        assert_int_equal(step(&w, 2, start, which, 1.0f, rates, &early), PR_BAD_ARGUMENT);
        drop(&w);
    }
    free(start);
}

/* Comes last; test_ops counts on it for these ops. */
static void both_kernels_were_held_to_numbers(void **state) {
    (void)state;
    assert_true(was_run(&pr_op_adamw));
    assert_true(was_run(&pr_op_adamw_catch_up));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_torch),
        cmocka_unit_test(corrects_bias_from_when_training_began),
        cmocka_unit_test(sparse_has_the_bits_of_dense),
        cmocka_unit_test(not_a_number_leaves_everything),
        cmocka_unit_test(rows_are_restored_from_moments),
#ifndef TEST_CUDA
        cmocka_unit_test(moments_of_untouched_rows_take_no_memory),
#endif
        cmocka_unit_test(steps_outside_the_table_are_refused),
        cmocka_unit_test(both_kernels_were_held_to_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
