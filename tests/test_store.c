/* Parameters: where their bytes live as flags flip, and what patterns match. */
#include "tests/test.h"

#include <unistd.h>

#include "backends/cpu.h"
#include "graph/store.h"
#include "tests/alloc_fault.h"

enum { ELEMENTS = 6, BYTES = ELEMENTS * sizeof(float) };

static const float mapped[ELEMENTS] = {1, 2, 3, 4, 5, 6};

typedef struct world {
    pr_backend *backend;
    pr_store *store;
    pr_error err;
} world;

static int set_up(void **state) {
    world *w = calloc(1, sizeof *w);
    w->backend = pr_cpu_new(1, NULL);
    w->store = pr_store_new(w->backend);
    *state = w;
    assert_int_equal(pr_store_add(w->store, "a.weight", pr_shape_2(2, 3), mapped, NULL), 0);
    assert_int_equal(pr_store_add(w->store, "a.bias", pr_shape_1(6), NULL, NULL), 1);
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;
    pr_store_free(w->store);
    pr_backend_free(w->backend);
    free(w);
    return 0;
}

static void globs_match_as_shells_do(void **state) {
    (void)state;
    const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"*", "", true},
        {"*", "blk.0.attn_q.weight", true},
        {"blk.*.attn_{q,k,v,output}.weight", "blk.11.attn_output.weight", true},
        {"blk.*.attn_{q,k,v,output}.weight", "blk.0.attn_q.weight", true},
        {"blk.*.attn_{q,k,v,output}.weight", "blk.0.attn_q.bias", false},
        {"blk.*.attn_{q,k,v,output}.weight", "blk.0.attn_q.weight.lora_a", false},
        {"blk.*.attn_{q,k,v,output}.weight", "blk.0.attn_output_norm.weight", false},
        {"{a*,b?}c", "axyzc", true},
        {"{a*,b?}c", "bxc", true},
        {"{a*,b?}c", "bc", false},
        {"{,a}b", "b", true},
        {"{,a}b", "ab", true},
        {"{a,ab}c", "abc", true},
        {"{a}", "a", true},
        {"{a", "{a", true},
        {"a}", "a}", true},
        {"a,b", "a,b", true},
        {"blk.[0-2].x", "blk.2.x", true},
        {"blk.[0-2].x", "blk.3.x", false},
        {"blk.[02].x", "blk.1.x", false},
        {"[ab", "[ab", true},
        {"[ab", "a", false},
        {"?", "a", true},
        {"?", "", false},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZd", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (pr_glob(cases[i].pattern, cases[i].name) != cases[i].matches) {
            fail_msg("'%s' against '%s'", cases[i].pattern, cases[i].name);
        }
    }
}

static void parameters_are_found_and_counted(void **state) {
    world *w = *state;
    size_t all, trained;
    const pr_param *p = pr_store_param(w->store, 0);
    assert_ptr_equal(p->data, mapped);
    assert_true(p->decay && !p->owned && !p->require_grad);
    assert_int_equal(p->bytes, BYTES);
    assert_false(pr_store_param(w->store, 1)->decay);
    assert_int_equal(pr_store_find(w->store, "a.bias"), 1);
    assert_int_equal(pr_store_find(w->store, "b"), -1);
    assert_null(pr_store_param(w->store, 2));
    pr_store_require_grad(w->store, "a.bias", true, NULL);
    pr_store_totals(w->store, &all, &trained);
    assert_int_equal(all, 12);
    assert_int_equal(trained, 6);
}

static void bad_parameters_are_refused(void **state) {
    world *w = *state;
    const struct {
        const char *name;
        pr_shape shape;
    } cases[] = {
        {"a.bias", pr_shape_1(3)},
        {"b", pr_shape_1(PR_TOKENS)},
        {"b", pr_shape_2(3, 0)},
        {"b", pr_shape_2(3, -5)},
        {"b", {.n_dims = 0}},
        {"b", {.n_dims = 9}},
        {"b", pr_shape_2(INT64_MAX, INT64_MAX)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pr_error err = {0};
        assert_int_equal(pr_store_add(w->store, cases[i].name, cases[i].shape, NULL, &err), -1);
        assert_int_equal(err.code, PR_BAD_ARGUMENT);
        assert_non_null(strstr(err.message, cases[i].name));
    }
    assert_int_equal(pr_store_count(w->store), 2);
    pr_error err = {0};
    assert_int_equal(pr_store_require_grad(w->store, "c*", true, &err), PR_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "c*"));
}

static void only_a_change_counts_the_version_up(void **state) {
    world *w = *state;
    uint64_t version = pr_store_version(w->store);
    pr_store_require_grad(w->store, "*", false, NULL);
    assert_true(pr_store_version(w->store) == version);
    pr_store_require_grad(w->store, "*", true, NULL);
    assert_true(pr_store_version(w->store) == version + 1);
    pr_store_require_grad(w->store, "a.bias", true, NULL);
    assert_true(pr_store_version(w->store) == version + 1);
}

typedef struct released {
    const void *data;
    size_t bytes;
    int times;
} released;

static void note_release(void *context, const void *data, size_t bytes) {
    released *r = context;
    *r = (released){data, bytes, r->times + 1};
}

/* Whether a write to p faults, asked of the kernel rather than by dying: it copies into p. */
static bool is_writable(float *p) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    float one = 1;
    assert_int_equal(write(ends[1], &one, sizeof one), sizeof one);
    bool ok = read(ends[0], p, sizeof one) == sizeof one;
    close(ends[0]);
    close(ends[1]);
    return ok;
}

static void memory_follows_the_flags(void **state) {
    world *w = *state;
    released r = {0};
    pr_store_on_release(w->store, note_release, &r);
    pr_store_require_grad(w->store, "a.weight", true, NULL);
    assert_ptr_equal(pr_store_param(w->store, 0)->data, mapped); /* not before it settles */
    assert_int_equal(pr_store_settle(w->store, 7, NULL), PR_OK);
    const pr_param *p = pr_store_param(w->store, 0);
    assert_true(p->owned && p->since == 7);
    assert_int_equal((uintptr_t)p->data % 4096, 0);
    assert_memory_equal(p->data, mapped, BYTES);
    assert_true(r.times == 1 && r.data == mapped && r.bytes == BYTES);

    assert_int_equal(pr_store_make_state(w->store, 0, PR_STATE_FIRST, BYTES, NULL), PR_OK);
    float *moments = p->state[PR_STATE_FIRST];
    moments[5] = 9;
    p->data[0] = 100;
    assert_int_equal(pr_store_settle(w->store, 8, NULL), PR_OK);
    assert_int_equal(p->since, 7);

    pr_store_require_grad(w->store, "a.weight", false, NULL);
    assert_true(moments[5] == 9); /* untouched until it settles */
    assert_int_equal(pr_store_settle(w->store, 9, NULL), PR_OK);
    assert_true(p->data[0] == 100 && p->owned);
    assert_null(p->state[PR_STATE_FIRST]);
    assert_int_equal(p->state_bytes[PR_STATE_FIRST], 0);
    assert_false(is_writable(p->data));

    pr_store_require_grad(w->store, "a.weight", true, NULL);
    assert_int_equal(pr_store_settle(w->store, 20, NULL), PR_OK);
    assert_int_equal(p->since, 20);
    assert_true(is_writable(p->data));
    assert_int_equal(r.times, 1);
}

static void a_flip_leaves_other_moments_alone(void **state) {
    world *w = *state;
    pr_store_require_grad(w->store, "*", true, NULL);
    pr_store_settle(w->store, 0, NULL);
    pr_store_make_state(w->store, 0, PR_STATE_SECOND, BYTES, NULL);
    pr_store_make_state(w->store, 1, PR_STATE_SECOND, BYTES, NULL);
    float *kept = pr_store_param(w->store, 1)->state[PR_STATE_SECOND];
    kept[3] = 3;
    pr_store_require_grad(w->store, "a.weight", false, NULL);
    pr_store_settle(w->store, 5, NULL);
    assert_ptr_equal(pr_store_param(w->store, 1)->state[PR_STATE_SECOND], kept);
    assert_true(kept[3] == 3 && pr_store_param(w->store, 1)->since == 0);
    assert_int_equal(pr_store_make_state(w->store, 1, PR_STATE_SECOND, BYTES, NULL), PR_OK);
    assert_true(kept[3] == 3);
    assert_int_equal(pr_store_make_state(w->store, 1, PR_STATE_SECOND, 4, NULL), PR_BAD_ARGUMENT);
    assert_int_equal(pr_store_make_state(w->store, 0, PR_STATE_FIRST, BYTES, NULL),
                     PR_BAD_ARGUMENT);
}

static void writing_owns_and_respects_read_only(void **state) {
    world *w = *state;
    const float values[ELEMENTS] = {6, 5, 4, 3, 2, 1};
    float back[ELEMENTS];
    assert_int_equal(pr_store_write(w->store, 0, values, NULL), PR_OK);
    assert_true(mapped[0] == 1.0f && pr_store_param(w->store, 0)->owned);
    assert_int_equal(pr_store_settle(w->store, 0, NULL), PR_OK);
    assert_false(is_writable(pr_store_param(w->store, 0)->data));
    assert_int_equal(pr_store_write(w->store, 0, values, NULL), PR_OK);
    assert_false(is_writable(pr_store_param(w->store, 0)->data));
    assert_int_equal(pr_store_read(w->store, 0, back, NULL), PR_OK);
    assert_memory_equal(back, values, BYTES);
    assert_int_equal(pr_store_read(w->store, 2, back, NULL), PR_BAD_ARGUMENT);
    assert_int_equal(pr_store_write(w->store, -1, back, NULL), PR_BAD_ARGUMENT);
}

static void a_renewed_parameter_is_as_if_just_added(void **state) {
    world *w = *state;
    size_t all, trained;
    pr_store_require_grad(w->store, "*", true, NULL);
    pr_store_settle(w->store, 0, NULL);
    pr_store_make_state(w->store, 1, PR_STATE_FIRST, BYTES, NULL);
    assert_int_equal(pr_store_renew(w->store, 1, pr_shape_2(4, 5), NULL), PR_OK);
    const pr_param *p = pr_store_param(w->store, 1);
    assert_true(p->owned && p->decay && !p->require_grad && p->data[19] == 0.0f);
    assert_null(p->state[PR_STATE_FIRST]);
    assert_string_equal(p->name, "a.bias");
    pr_store_totals(w->store, &all, &trained);
    assert_int_equal(all, 26);
    assert_int_equal(pr_store_renew(w->store, 1, pr_shape_1(0), NULL), PR_BAD_ARGUMENT);
    assert_int_equal(pr_store_param(w->store, 1)->shape.dim[1], 5);
}

static void rows_are_written_alone(void **state) {
    world *w = *state;
    const float rows[] = {7, 8, 9, 10};
    pr_error err = {0};
    assert_int_equal(pr_store_write_rows(w->store, 0, 1, 1, rows, NULL), PR_OK);
    assert_int_equal(pr_store_write_rows(w->store, 1, 2, 4, rows, NULL), PR_OK);
    assert_memory_equal(pr_store_param(w->store, 0)->data, ((float[]){1, 2, 3, 7, 8, 9}), BYTES);
    assert_memory_equal(pr_store_param(w->store, 1)->data, ((float[]){0, 0, 7, 8, 9, 10}), BYTES);
    assert_true(mapped[3] == 4.0f);
    assert_int_equal(pr_store_settle(w->store, 0, NULL), PR_OK);
    assert_int_equal(pr_store_write_rows(w->store, 0, 0, 1, rows, NULL), PR_OK);
    assert_false(is_writable(pr_store_param(w->store, 0)->data));
    const struct {
        int index;
        int64_t row, n;
    } bad[] = {{0, -1, 1}, {0, 0, 3}, {0, 2, 1}, {0, 0, -1}, {0, INT64_MAX, 1}, {0, 1, INT64_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (pr_error){0};
        assert_int_equal(
            pr_store_write_rows(w->store, bad[i].index, bad[i].row, bad[i].n, rows, &err),
            PR_BAD_ARGUMENT);
        assert_non_null(strstr(err.message, "'a.weight' has no"));
    }
    assert_int_equal(pr_store_write_rows(w->store, 2, 0, 1, rows, NULL), PR_BAD_ARGUMENT);
    assert_memory_equal(pr_store_param(w->store, 0)->data, ((float[]){7, 8, 9, 7, 8, 9}), BYTES);
}

/* ---- rows that change places ---- */

/* A further parameter of rows of three, whose numbers and moments are told from a.weight's. */
static int add_other(world *w, bool moments) {
    static const float values[] = {10, 20, 30, 40, 50, 60, 70, 80, 90};
    int other = pr_store_add(w->store, "b.weight", pr_shape_2(3, 3), NULL, NULL);
    assert_int_equal(pr_store_write(w->store, other, values, NULL), PR_OK);
    pr_store_require_grad(w->store, "*.weight", true, NULL);
    assert_int_equal(pr_store_settle(w->store, 0, NULL), PR_OK);
    for (int slot = PR_STATE_FIRST; moments && slot <= PR_STATE_SECOND; slot++) {
        const int index[] = {0, other};
        for (int k = 0; k < 2; k++) {
            const pr_param *p = pr_store_param(w->store, index[k]);
            pr_store_make_state(w->store, index[k], (pr_state_slot)slot, p->bytes, NULL);
            float *m = p->state[slot];
            for (size_t i = 0; i < p->bytes / sizeof *m; i++)
                m[i] = p->data[i] + 0.25f * (float)(slot + 1);
        }
    }
    return other;
}

static void rows_change_places(void **state) {
    world *w = *state;
    static const float a[] = {1, 2, 3, 70, 80, 90}, b[] = {10, 20, 30, 40, 50, 60, 4, 5, 6};
    int other = add_other(w, true);
    assert_int_equal(pr_store_swap_rows(w->store, 0, 1, other, 2, NULL), PR_OK);
    const pr_param *p = pr_store_param(w->store, 0), *q = pr_store_param(w->store, other);
    assert_memory_equal(p->data, a, sizeof a);
    assert_memory_equal(q->data, b, sizeof b);
    for (int slot = PR_STATE_FIRST; slot <= PR_STATE_SECOND; slot++) {
        const float *m = p->state[slot], *n = q->state[slot], more = 0.25f * (float)(slot + 1);
        for (int i = 0; i < ELEMENTS; i++)
            assert_true(m[i] == a[i] + more);
        for (int i = 0; i < 9; i++)
            assert_true(n[i] == b[i] + more);
    }
    assert_true(mapped[3] == 4.0f);
}

static void frozen_rows_change_places_too(void **state) {
    world *w = *state;
    int other = add_other(w, true);
    pr_store_require_grad(w->store, "*", false, NULL);
    assert_int_equal(pr_store_settle(w->store, 1, NULL), PR_OK);
    assert_int_equal(pr_store_swap_rows(w->store, other, 0, 0, 0, NULL), PR_OK);
    const pr_param *p = pr_store_param(w->store, 0), *q = pr_store_param(w->store, other);
    assert_memory_equal(p->data, ((float[]){10, 20, 30, 4, 5, 6}), BYTES);
    assert_memory_equal(q->data, ((float[]){1, 2, 3, 40, 50, 60, 70, 80, 90}), q->bytes);
    assert_false(is_writable(p->data) || is_writable(q->data));
    assert_null(p->state[PR_STATE_FIRST]);
}

static void rows_that_do_not_match_stay(void **state) {
    world *w = *state;
    int other = add_other(w, false);
    const pr_param *p = pr_store_param(w->store, 0), *q = pr_store_param(w->store, other);
    const struct {
        int a, row_a, b, row_b;
    } bad[] = {
        {0, 2, other, 0},  {0, -1, other, 0}, {0, 0, other, 3},
        {0, 0, other, -1}, {0, 0, 1, 0}, /* one number a row */
        {0, 0, 0, 1},      {0, 0, 7, 0},      {-1, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pr_error err = {0};
        assert_int_equal(
            pr_store_swap_rows(w->store, bad[i].a, bad[i].row_a, bad[i].b, bad[i].row_b, &err),
            PR_BAD_ARGUMENT);
        assert_non_null(strstr(err.message, "can't change places"));
    }
    /* One trains, the other does not; one has moments; one is updated row by row. */
    pr_store_require_grad(w->store, "b.weight", false, NULL);
    assert_int_equal(pr_store_swap_rows(w->store, 0, 0, other, 0, NULL), PR_BAD_ARGUMENT);
    pr_store_require_grad(w->store, "b.weight", true, NULL);
    pr_store_make_state(w->store, 0, PR_STATE_SECOND, p->bytes, NULL);
    assert_int_equal(pr_store_swap_rows(w->store, 0, 0, other, 0, NULL), PR_BAD_ARGUMENT);
    pr_store_make_state(w->store, other, PR_STATE_SECOND, q->bytes, NULL);
    pr_store_make_state(w->store, other, PR_STATE_ROWS, 3 * sizeof(int32_t), NULL);
    assert_int_equal(pr_store_swap_rows(w->store, 0, 0, other, 0, NULL), PR_BAD_ARGUMENT);
    assert_memory_equal(p->data, mapped, BYTES);
    assert_true(q->data[0] == 10.0f);
}

/* ---- forgetting ---- */

static void what_is_truncated_was_never_there(void **state) {
    world *w = *state;
    size_t all, trained;
    int other = add_other(w, true);
    assert_int_equal(pr_store_truncate(w->store, 4, NULL), PR_BAD_ARGUMENT);
    assert_int_equal(pr_store_truncate(w->store, -1, NULL), PR_BAD_ARGUMENT);
    assert_int_equal(pr_store_truncate(w->store, 3, NULL), PR_OK);
    assert_int_equal(pr_store_count(w->store), 3);
    assert_int_equal(pr_store_truncate(w->store, 2, NULL), PR_OK);
    assert_int_equal(pr_store_count(w->store), 2);
    assert_int_equal(pr_store_find(w->store, "b.weight"), -1);
    assert_null(pr_store_param(w->store, other));
    pr_store_totals(w->store, &all, &trained);
    assert_int_equal(all, 12);
    assert_int_equal(trained, 6);
    assert_int_equal(pr_store_require_grad(w->store, "b*", true, NULL), PR_BAD_ARGUMENT);
    assert_int_equal(pr_store_find(w->store, "a.weight"), 0);
    /* The name is free again, and its parameter a new one. */
    assert_int_equal(pr_store_add(w->store, "b.weight", pr_shape_1(2), NULL, NULL), other);
    const pr_param *p = pr_store_param(w->store, other);
    assert_true(p->bytes == 2 * sizeof(float) && p->data[0] == 0.0f && !p->require_grad);
    assert_null(p->state[PR_STATE_FIRST]);
    assert_int_equal(pr_store_find(w->store, "b.weight"), other);
    pr_store_totals(w->store, &all, &trained);
    assert_int_equal(all, 14);
}

static bool live_through_a_flip(void *context) {
    pr_backend *backend = context;
    pr_error err = {0};
    pr_store *store = pr_store_new(backend);
    if (!store) return false;
    bool ok = true;
    for (int i = 0; i < 20 && ok; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        ok = pr_store_add(store, name, pr_shape_2(2, 3), i % 2 ? mapped : NULL, &err) == i;
    }
    ok = ok && pr_store_renew(store, 2, pr_shape_1(5), &err) == PR_OK;
    ok = ok && pr_store_require_grad(store, "*", true, &err) == PR_OK;
    ok = ok && pr_store_settle(store, 0, &err) == PR_OK;
    ok = ok && pr_store_make_state(store, 3, PR_STATE_FIRST, BYTES, &err) == PR_OK;
    ok = ok && pr_store_require_grad(store, "p1*", false, &err) == PR_OK;
    ok = ok && pr_store_settle(store, 1, &err) == PR_OK;
    ok = ok && pr_store_swap_rows(store, 4, 0, 5, 1, &err) == PR_OK;
    ok = ok && pr_store_truncate(store, 15, &err) == PR_OK;
    if (!ok) assert_int_equal(err.code, PR_NO_MEMORY);
    pr_store_free(store);
    return ok;
}

static void every_failing_allocation_is_reported(void **state) {
    (void)state;
    pr_backend *backend = pr_cpu_new(1, NULL);
    alloc_fault_every(live_through_a_flip, backend);
    pr_backend_free(backend);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs_match_as_shells_do),
        cmocka_unit_test_setup_teardown(parameters_are_found_and_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_parameters_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_a_change_counts_the_version_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_follows_the_flags, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flip_leaves_other_moments_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writing_owns_and_respects_read_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_renewed_parameter_is_as_if_just_added, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_are_written_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_change_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frozen_rows_change_places_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_that_do_not_match_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_truncated_was_never_there, set_up, tear_down),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
