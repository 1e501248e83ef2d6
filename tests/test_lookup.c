/* A table that stays in its mapping and of which only rows are looked up: its pages go back after
 * each step and each evaluation; those of one that is read whole, or that trains, do not. */
#include "backends/cpu.h"
#include "graph/bf16.h"
#include "ops/ops.h"
#include "tests/test.h"
#include "train/trainer.h"

enum { VOCAB = 8, WIDTH = 4, TOKENS = 3 };

typedef struct world {
    float table[VOCAB * WIDTH], weight[WIDTH], targets[TOKENS];
    uint16_t half[VOCAB * WIDTH];
    int32_t ids[TOKENS];
    pr_backend *backend;
    pr_store *store;
    pr_graph *g;
    pr_tid id, target, y, loss;
    pr_trainer *trainer;
    int table_released, half_released, other_released;
} world;

static void note_release(void *context, const void *data, size_t bytes) {
    world *w = context;
    bool table = data == w->table && bytes == sizeof w->table;
    bool half = data == w->half && bytes == sizeof w->half;
    w->table_released += table;
    w->half_released += half;
    w->other_released += !table && !half;
}

/* y = (rows of the table) weight'; read_whole: the table is a factor of a product too. */
static world *open_world(bool in_half, bool read_whole, const char *trained) {
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    pr_error err = {0};
    for (int i = 0; i < VOCAB * WIDTH; i++) {
        w->table[i] = 0.25f * (float)(i % 7) - 0.5f;
        w->half[i] = pr_bf16_from_f32(w->table[i]);
    }
    for (int i = 0; i < TOKENS; i++)
        w->ids[i] = 2 * i + 1;
    w->backend = pr_cpu_new(1, &err);
    w->store = pr_store_new(w->backend);
    pr_store_on_release(w->store, note_release, w);
    pr_shape shape = pr_shape_2(VOCAB, WIDTH);
    if (in_half)
        pr_store_add_half(w->store, "table", shape, w->half, &err);
    else
        pr_store_add(w->store, "table", shape, w->table, &err);
    pr_store_add(w->store, "weight", pr_shape_2(1, WIDTH), w->weight, &err);
    w->g = pr_graph_new(w->store);
    pr_graph *g = w->g;
    w->id = pr_graph_input(g, "ids", PR_I32, pr_shape_1(PR_TOKENS));
    w->target = pr_graph_input(g, "targets", PR_F32, pr_shape_1(PR_TOKENS));
    pr_tid t = pr_graph_param(g, "table"), x = pr_embed(g, t, w->id);
    if (read_whole) /* x table' table */
        x = pr_matmul(g, pr_matmul(g, x, t, PR_TRANSPOSE_B, 1, 0, 0), t, 0, 1, 0, 0);
    w->y = pr_linear(g, x, pr_graph_param(g, "weight"), 0);
    w->loss = pr_mse(g, w->y, w->target);
    assert_int_equal(pr_store_require_grad(w->store, trained, true, &err), PR_OK);
    static const float rates[] = {0.1f, 0.1f};
    pr_trainer_options o = pr_trainer_default();
    o.rates = rates;
    o.steps = 2;
    w->backend->precision = in_half ? PR_PRECISION_BF16 : PR_PRECISION_F32;
    w->trainer = pr_trainer_new(g, w->backend, w->loss, &o, &err);
    assert_string_equal(err.message, "");
    return w;
}

static void close_world(world *w) {
    pr_trainer_free(w->trainer);
    pr_graph_free(w->g);
    pr_store_free(w->store);
    pr_backend_free(w->backend);
    free(w);
}

static const pr_extent extent = {.tokens = TOKENS, .sentences = 1, .longest = TOKENS};

static void step(world *w) {
    const pr_feed feeds[] = {{w->id, w->ids}, {w->target, w->targets}};
    pr_error err = {0};
    float loss;
    assert_int_equal(pr_trainer_step(w->trainer, extent, feeds, 2, &loss, &err), PR_OK);
    w->other_released = 0; /* of what began to train */
}

static void pages_go_back_after_each_step(void **state) {
    (void)state;
    world *w = open_world(false, false, "weight");
    for (int i = 1; i <= 2; i++) {
        step(w);
        assert_int_equal(w->table_released, i);
    }
    close_world(w);
}

static void pages_go_back_after_an_evaluation(void **state) {
    (void)state;
    world *w = open_world(true, false, "weight");
    const pr_feed feeds[] = {{w->id, w->ids}};
    float y[TOKENS];
    pr_error err = {0};
    assert_int_equal(pr_trainer_evaluate(w->trainer, w->y, extent, feeds, 1, y, &err), PR_OK);
    assert_int_equal(w->half_released, 1);
    assert_int_equal(w->table_released, 0);
    close_world(w);
}

static void what_is_read_whole_stays(void **state) {
    (void)state;
    world *w = open_world(false, true, "weight");
    step(w);
    assert_int_equal(w->table_released, 0);
    close_world(w);
}

static void what_trains_has_no_pages_there(void **state) {
    (void)state;
    world *w = open_world(false, false, "*");
    step(w);
    assert_int_equal(w->table_released, 1); /* when it was copied */
    step(w);
    assert_int_equal(w->table_released, 1);
    close_world(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_go_back_after_each_step),
        cmocka_unit_test(pages_go_back_after_an_evaluation),
        cmocka_unit_test(what_is_read_whole_stays),
        cmocka_unit_test(what_trains_has_no_pages_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
