/* Parameters in bf16: which form they take as flags flip, what reading gives, and who owns what. */
#include "tests/test.h"

#include "backends/cpu.h"
#include "graph/bf16.h"
#include "graph/store.h"
#include "tests/alloc_fault.h"

enum { ELEMENTS = 6, BYTES = ELEMENTS * sizeof(float) };

/* The last three are no bf16. */
static const float mapped[ELEMENTS] = {1, -2, 0.5f, 1.01f, 3.3f, -1e-3f};
static const uint16_t halves[ELEMENTS] = {0x3f80, 0xc000, 0x3f00, 0x4040, 0x4080, 0x40a0};
static const float widened[ELEMENTS] = {1, -2, 0.5f, 3, 4, 5};

typedef struct world {
    pr_backend *backend;
    pr_store *store;
    const void *released; /* the last */
    size_t released_bytes;
} world;

static void note_release(void *context, const void *data, size_t bytes) {
    world *w = context;
    w->released = data;
    w->released_bytes = bytes;
}

static int set_up(void **state) {
    world *w = calloc(1, sizeof *w);
    w->backend = pr_cpu_new(1, NULL);
    w->store = pr_store_new(w->backend);
    pr_store_on_release(w->store, note_release, w);
    assert_int_equal(pr_store_add(w->store, "f32", pr_shape_2(2, 3), mapped, NULL), 0);
    assert_int_equal(pr_store_add_half(w->store, "bf16", pr_shape_2(2, 3), halves, NULL), 1);
    pr_store_keep(w->store, 1, PR_KEEP_AS_ADDED);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;
    pr_store_free(w->store);
    pr_backend_free(w->backend);
    free(w);
    return 0;
}

static const pr_param *settled(world *w, int index, pr_keep keep, bool trains) {
    pr_store_keep(w->store, index, keep);
    pr_store_require_grad(w->store, index ? "bf16" : "f32", trains, NULL);
    assert_int_equal(pr_store_settle(w->store, 3, NULL), PR_OK);
    return pr_store_param(w->store, index);
}

static void assert_reads(const world *w, int index, const float *values) {
    float read[ELEMENTS];
    assert_int_equal(pr_store_read(w->store, index, read, NULL), PR_OK);
    assert_memory_equal(read, values, BYTES);
}

static void a_frozen_one_is_rounded(void **state) {
    world *w = *state;
    const pr_param *p = settled(w, 0, PR_KEEP_BF16, false);
    assert_null(p->data);
    assert_false(p->owned); /* its values are the mapping's */
    assert_true(p->bytes == BYTES);
    for (int i = 0; i < ELEMENTS; i++)
        assert_int_equal(p->half[i], pr_bf16_from_f32(mapped[i]));
    assert_true(w->released == mapped && w->released_bytes == BYTES);
    w->released = NULL;
    assert_reads(w, 0, mapped); /* not rounded */
    assert_ptr_equal(w->released, mapped);
    uint16_t *half = p->half;
    assert_ptr_equal(settled(w, 0, PR_KEEP_BF16, false)->half, half);
}

static void f32_comes_back_as_it_was(void **state) {
    world *w = *state;
    settled(w, 0, PR_KEEP_BF16, false);
    const pr_param *p = settled(w, 0, PR_KEEP_F32, false);
    assert_ptr_equal(p->data, mapped);
    w->released = NULL;
    assert_reads(w, 0, mapped);
    assert_null(w->released); /* where it stands */
    assert_true(!p->half && !p->owned);
    settled(w, 0, PR_KEEP_BF16, false);
    p = settled(w, 0, PR_KEEP_BF16, true); /* what trains is f32, and starts from all its bits */
    assert_true(p->data && p->data != mapped && !p->half && p->owned);
    assert_memory_equal(p->data, mapped, BYTES);
}

static void one_that_trained_is_rounded_when_it_freezes(void **state) {
    world *w = *state;
    const float trained[ELEMENTS] = {1.01f, 2, 3, 4, 5, 6};
    float rounded[ELEMENTS];
    settled(w, 0, PR_KEEP_BF16, true);
    assert_int_equal(pr_store_write(w->store, 0, trained, NULL), PR_OK);
    const pr_param *p = settled(w, 0, PR_KEEP_BF16, false);
    assert_true(!p->data && p->half && p->owned && p->since == 3);
    for (int i = 0; i < ELEMENTS; i++)
        rounded[i] = pr_f32_from_bf16(pr_bf16_from_f32(trained[i]));
    assert_true(rounded[0] != trained[0]);
    assert_reads(w, 0, rounded);
    p = settled(w, 0, PR_KEEP_F32, false);
    assert_true(p->data && !p->half && p->owned);
    assert_reads(w, 0, rounded);
}

static void halves_of_a_file_stay_there(void **state) {
    world *w = *state;
    assert_ptr_equal(pr_store_param(w->store, 1)->half, halves);
    assert_reads(w, 1, widened);
    const pr_keep both[] = {PR_KEEP_BF16, PR_KEEP_AS_ADDED};
    for (int i = 0; i < 2; i++) {
        const pr_param *p = settled(w, 1, both[i], false);
        assert_ptr_equal(p->half, halves);
        assert_true(!p->data && !p->owned);
    }
    assert_null(settled(w, 0, PR_KEEP_AS_ADDED, false)->half); /* f32 is not rounded for that */
    assert_ptr_equal(pr_store_param(w->store, 0)->data, mapped);
}

static void halves_of_a_file_are_widened(void **state) {
    world *w = *state;
    const pr_param *p = settled(w, 1, PR_KEEP_F32, false);
    assert_true(p->data && !p->half && p->owned);
    assert_memory_equal(p->data, widened, BYTES);
    assert_true(w->released == halves && w->released_bytes == BYTES / 2);
    p = settled(w, 1, PR_KEEP_BF16, true);
    assert_memory_equal(p->data, widened, BYTES);
    p->data[0] = 7; /* no longer the file's */
    p = settled(w, 1, PR_KEEP_AS_ADDED, false);
    assert_true(p->data && !p->half);
    p = settled(w, 1, PR_KEEP_BF16, false);
    assert_true(p->half && p->half != halves && p->half[0] == pr_bf16_from_f32(7));
}

static void writing_makes_one_of_its_own(void **state) {
    world *w = *state;
    settled(w, 1, PR_KEEP_BF16, false);
    settled(w, 0, PR_KEEP_BF16, false);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pr_store_write_rows(w->store, i, 1, 1, mapped, NULL), PR_OK);
        float expected[ELEMENTS];
        memcpy(expected, i ? widened : mapped, BYTES);
        memcpy(expected + 3, mapped, 3 * sizeof *mapped);
        assert_reads(w, i, expected);
        assert_true(pr_store_param(w->store, i)->owned);
    }
}

static bool all_forms(void *context) {
    (void)context;
    pr_error err = {0};
    pr_backend *backend = pr_cpu_new(1, &err);
    pr_store *store = backend ? pr_store_new(backend) : NULL;
    bool ok = store && pr_store_add(store, "f32", pr_shape_2(2, 3), mapped, &err) == 0 &&
              pr_store_add_half(store, "bf16", pr_shape_2(2, 3), halves, &err) == 1;
    const pr_keep forms[] = {PR_KEEP_BF16, PR_KEEP_F32, PR_KEEP_BF16, PR_KEEP_AS_ADDED};
    for (int i = 0; ok && i < 4; i++) {
        pr_store_keep(store, 0, forms[i]);
        pr_store_keep(store, 1, forms[3 - i]);
        ok = pr_store_require_grad(store, "*", i == 1, &err) == PR_OK &&
             pr_store_settle(store, i, &err) == PR_OK;
    }
    pr_store_free(store);
    if (backend) pr_backend_free(backend);
    return ok;
}

static void every_failing_allocation_is_reported(void **state) {
    (void)state;
    alloc_fault_every(all_forms, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_frozen_one_is_rounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(f32_comes_back_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_trained_is_rounded_when_it_freezes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(halves_of_a_file_stay_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(halves_of_a_file_are_widened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writing_makes_one_of_its_own, set_up, tear_down),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
