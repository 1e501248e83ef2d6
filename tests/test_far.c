/* FAR: which nodes it keeps, what their changing places leaves as it was, and that the others are
 * held from the flip to the end. */
#include "tests/test.h"

#include <math.h>

#include "backends/cpu.h"
#include "graph/memory.h"
#include "tests/difference.h"
#include "tests/scene.h"
#include "tests/scratch.h"
#include "tests/toy_run.h"

enum { ROWS = 24, STEPS = 6, LAYERS = 2, WIDTH = 16, NODES = 32, KEPT = 8 /* 25 % */ };

/* The three parts of the hidden nodes of a block: a row, a number and a column of each node. */
enum { UP, BIAS, DOWN, PARTS };
static const char *const parts[PARTS] = {"ffn_up.weight", "ffn_up.bias", "ffn_down.weight"};
static const size_t row_length[PARTS] = {WIDTH, 1, WIDTH};

static pr_bert_kind kinds[] = {PR_BERT, PR_DISTILBERT};

static void open_far(scene *s, pr_bert_kind kind) {
    const scene_options o = scene_default(kind, "far");
    scene_open(s, &o, toy_data(ROWS, 3));
}

static const int32_t *order_of(const scene *s, int layer) {
    size_t n;
    const int32_t *order = s->model->method->order(s->model->state, &n);
    assert_int_equal(n, LAYERS * NODES);
    return order + (size_t)layer * NODES;
}

static bool is_kept(const int32_t *order, int32_t node) {
    for (int i = 0; i < KEPT; i++) {
        if (order[i] == node) return true;
    }
    return false;
}

/* The leaf in which a place lies, and its row there. */
static int leaf_of(const scene *s, int layer, int part, int place, int64_t *row) {
    char name[64];
    bool kept = place < KEPT;
    snprintf(name, sizeof name, "blk.%d.%s%s", layer, parts[part], kept ? ".kept" : "");
    int leaf = pr_store_find(s->model->store, name);
    assert_true(leaf >= 0);
    *row = kept ? place : place - KEPT;
    return leaf;
}

/* Of a place's values (slot -1) or of a state. */
static const float *row_at(const scene *s, int slot, int layer, int part, int place) {
    int64_t row;
    const pr_param *p = pr_store_param(s->model->store, leaf_of(s, layer, part, place, &row));
    const float *block = slot < 0 ? p->data : p->state[slot];
    assert_non_null(block);
    assert_int_equal(p->bytes, (size_t)p->shape.dim[0] * row_length[part] * sizeof *block);
    return block + (size_t)row * row_length[part];
}

static void read_logits(scene *s, float logits[16]) {
    pr_feed feeds[PR_BERT_FEEDS];
    pr_error err = {0};
    int n = scene_feed(s, 0, feeds);
    pr_trainer_evaluate(s->trainer, s->bert.logits, s->batch.extent, feeds, n, logits, &err);
    assert_string_equal(err.message, "");
}

/* ---- what stays as it was ---- */

static void the_output_stays(void **state) {
    scene s;
    float before[16], after[16];
    pr_error err = {0};
    open_far(&s, *(pr_bert_kind *)*state);
    scene_steps(&s, STEPS);
    read_logits(&s, before);
    assert_int_equal(pr_model_flip(s.model, &err), PR_OK);
    for (int layer = 0; layer < LAYERS; layer++) {
        int moved = 0;
        for (int i = 0; i < KEPT; i++)
            moved += order_of(&s, layer)[i] != i;
        assert_true(moved > 0);
    }
    read_logits(&s, after);
    assert_true(largest_difference(before, after, 16) <= 1e-6);
    pr_method_phase(s.model->method, s.model->store, 1, &err);
    pr_trainer_prepare(s.trainer, s.batch.extent, &err); /* the rest freezes */
    assert_string_equal(err.message, "");
    read_logits(&s, after);
    assert_true(largest_difference(before, after, 16) <= 1e-6);
    scene_close(&s);
}

/* What a node has, by its original number: values and both moments of all its parts. */
enum { SLOTS = 3, NUMBERS = SLOTS * (2 * WIDTH + 1) };
typedef float node_numbers[NUMBERS];

static void note_nodes(const scene *s, int layer, const int32_t *order, node_numbers *out) {
    for (int place = 0; place < NODES; place++) {
        float *to = out[order[place]];
        for (int slot = -1; slot < SLOTS - 1; slot++) {
            for (int part = 0; part < PARTS; part++) {
                memcpy(to, row_at(s, slot, layer, part, place), row_length[part] * sizeof *to);
                to += row_length[part];
            }
        }
    }
}

static void moments_travel_with_their_nodes(void **state) {
    scene s;
    pr_error err = {0};
    static node_numbers before[LAYERS][NODES], after[NODES];
    open_far(&s, *(pr_bert_kind *)*state);
    scene_steps(&s, STEPS);
    for (int layer = 0; layer < LAYERS; layer++)
        note_nodes(&s, layer, order_of(&s, layer), before[layer]);
    assert_int_equal(pr_model_flip(s.model, &err), PR_OK);
    for (int layer = 0; layer < LAYERS; layer++) {
        note_nodes(&s, layer, order_of(&s, layer), after);
        assert_memory_equal(before[layer], after, sizeof after);
        for (int node = 1; node < NODES; node++) /* else it would not be seen */
            assert_memory_not_equal(after[node - 1], after[node], sizeof *after);
    }
    scene_close(&s);
}

static void end_method(scene *s) {
    pr_error err = {0};
    pr_trainer_catch_up(s->trainer, &err);
    pr_trainer_free(s->trainer);
    pr_graph_free(s->g);
    s->trainer = NULL;
    s->g = NULL;
    pr_model_end_method(s->model, &err);
    assert_string_equal(err.message, "");
}

/* Were it not for what freezes, the flip would change nothing of what comes after it. */
static void training_goes_on_as_it_would(void **state) {
    scene s, twin;
    pr_error err = {0};
    open_far(&s, *(pr_bert_kind *)*state);
    open_far(&twin, *(pr_bert_kind *)*state);
    scene_steps(&s, STEPS);
    scene_steps(&twin, STEPS);
    assert_int_equal(pr_model_flip(s.model, &err), PR_OK);
    for (size_t i = 0; i < STEPS; i++)
        assert_true(fabsf(scene_step(&s, i) - scene_step(&twin, i)) <= 1e-5f);
    end_method(&s);
    end_method(&twin);
    for (int i = 0; i < pr_store_count(s.model->store); i++) {
        const pr_param *p = pr_store_param(s.model->store, i);
        const pr_param *q = pr_store_param(twin.model->store, i);
        /* The gradient of a key's bias is rounding noise, which AdamW turns into steps. */
        if (pr_glob("blk.*.attn_k.bias", p->name)) continue;
        double d = largest_difference(p->data, q->data, p->bytes / sizeof(float));
        if (!(d <= 1e-4)) fail_msg("%s is %g away", p->name, d); /* a step is of 1e-2 */
    }
    scene_close(&s);
    scene_close(&twin);
}

/* ---- which nodes ---- */

/* Adds to one number of a node, at its place before any flip. */
static void move(scene *s, int layer, int part, int node, int element, float by) {
    pr_error err = {0};
    float row[WIDTH];
    int64_t at;
    int leaf = leaf_of(s, layer, part, node, &at);
    memcpy(row, row_at(s, -1, layer, part, node), row_length[part] * sizeof *row);
    row[element] += by;
    assert_int_equal(pr_store_write_rows(s->model->store, leaf, at, 1, row, &err), PR_OK);
}

static void assert_kept(const scene *s, int layer, const int32_t *expected) {
    const int32_t *order = order_of(s, layer);
    bool seen[NODES] = {0};
    for (int i = 0; i < KEPT; i++) {
        if (!is_kept(order, expected[i])) {
            fail_msg("layer %d: node %d is not kept", layer, (int)expected[i]);
        }
        if (expected[i] < KEPT) assert_int_equal(order[expected[i]], expected[i]); /* it stays */
    }
    for (int i = 0; i < NODES; i++) {
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
    }
}

/* In each part, by whichever sign, by the sum over the parts; of equal ones the first. Biases start
 * at zero, so that theirs are exactly equal. */
static void the_nodes_that_moved_most_are_kept(void **state) {
    scene s;
    open_far(&s, *(pr_bert_kind *)*state);
    move(&s, 0, UP, 20, 3, -0.5f);
    move(&s, 0, BIAS, 10, 0, 0.45f);
    move(&s, 0, DOWN, 30, WIDTH - 1, -0.4f);
    move(&s, 0, UP, 5, 0, 0.15f); /* 0.35 in all */
    move(&s, 0, UP, 5, WIDTH - 1, -0.05f);
    move(&s, 0, DOWN, 5, 7, -0.15f);
    const int32_t equal[] = {31, 17, 6, 22, 12};
    for (int i = 0; i < 5; i++)
        move(&s, 0, BIAS, equal[i], 0, i % 2 ? 0.25f : -0.25f);
    move(&s, 0, DOWN, 9, 0, 0.2f);
    for (int node = 0; node < NODES; node++)
        move(&s, 1, DOWN, node, node % WIDTH, 0.01f * (float)(node * 7 % NODES));
    const int32_t first[KEPT] = {20, 10, 30, 5, 6, 12, 17, 22};
    int32_t second[KEPT];
    for (int node = 0, n = 0; node < NODES; node++) {
        if (node * 7 % NODES >= NODES - KEPT) second[n++] = node;
    }
    scene_flip(&s);
    assert_kept(&s, 0, first);
    assert_kept(&s, 1, second);
    scene_close(&s);
}

static void nodes_that_did_not_move_stay(void **state) {
    scene s;
    open_far(&s, *(pr_bert_kind *)*state);
    scene_flip(&s);
    for (int layer = 0; layer < LAYERS; layer++) {
        for (int i = 0; i < NODES; i++)
            assert_int_equal(order_of(&s, layer)[i], i);
    }
    scene_close(&s);
}

static void some_nodes_are_kept_and_not_all(void **state) {
    const pr_bert_kind kind = *(pr_bert_kind *)*state;
    static const struct {
        double retain;
        int64_t kept;
    } cases[] = {{25, 8},
                 {1e-9, 1},
                 {99.9999, NODES - 1},
                 {9.3, 3 /* 2.976 */},
                 {10.9, 3},
                 {11, 4 /* 3.52 */},
                 {0, 0},
                 {100, 0},
                 {-1, 0},
                 {INFINITY, 0},
                 {NAN, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pr_error err = {0};
        pr_backend *backend = pr_cpu_new(1, &err);
        pr_model *model = toy_model(kind, backend, 1);
        const pr_method_options o = {.retain = cases[i].retain};
        pr_status status = pr_model_set_method(model, pr_method_find("far"), &o, &err);
        int leaf = pr_store_find(model->store, "blk.1.ffn_down.weight.kept");
        if (cases[i].kept) {
            assert_int_equal(status, PR_OK);
            assert_int_equal(pr_store_param(model->store, leaf)->shape.dim[0], cases[i].kept);
        } else {
            assert_int_equal(status, PR_BAD_ARGUMENT);
            assert_says(err.message, "expected to retain over 0 and under 100 %");
            assert_int_equal(leaf, -1);
        }
        pr_model_free(model);
        pr_backend_free(backend);
    }
}

/* ---- the end ---- */

/* Cut, moved and joined again, a model has every number where it was. */
static void the_model_is_whole_again(void **state) {
    const pr_bert_kind kind = *(pr_bert_kind *)*state;
    scene s, plain;
    pr_error err = {0};
    const scene_options o = scene_default(kind, "full");
    open_far(&s, kind);
    scene_open(&plain, &o, toy_data(ROWS, 3));
    for (int node = 0; node < NODES; node += 3)
        move(&s, 1, BIAS, node, 0, (float)node);
    scene_flip(&s);
    assert_true(order_of(&s, 1)[0] != 0);
    end_method(&s);
    assert_null(s.model->state);
    assert_string_equal(s.model->method->name, "full");
    assert_int_equal(pr_store_count(s.model->store), pr_store_count(plain.model->store));
    for (int i = 0; i < pr_store_count(s.model->store); i++) {
        const pr_param *p = pr_store_param(s.model->store, i);
        const pr_param *q = pr_store_param(plain.model->store, i);
        assert_string_equal(p->name, q->name);
        assert_true(pr_shape_equal(p->shape, q->shape) && p->decay == q->decay);
        bool moved = strcmp(p->name, "blk.1.ffn_up.bias") == 0;
        for (int node = 0; moved && node < NODES; node++)
            assert_true(p->data[node] == (node % 3 ? 0.0f : (float)node));
        if (!moved) assert_memory_equal(p->data, q->data, p->bytes);
    }
    assert_int_equal(pr_model_end_method(s.model, &err), PR_OK); /* there is none */
    scene_close(&s);
    scene_close(&plain);
}

/* ---- whole runs, by the files that they leave ---- */

enum { FLIP = 5 };

/* A saved model, opened. */
typedef struct saved {
    pr_backend *backend;
    pr_model *model;
} saved;

static saved open_saved(const char *path) {
    pr_error err = {0};
    saved s = {.backend = pr_cpu_new(1, &err)};
    s.model = pr_model_open(path, s.backend, &err);
    assert_string_equal(err.message, "");
    assert_string_equal(s.model->method->name, "full");
    return s;
}

static saved open_result(const toy_result *result, const char *name) {
    scratch_write(scratch_path(name), result->file, result->size);
    return open_saved(scratch_path(name));
}

static void close_saved(saved *s) {
    pr_model_free(s->model);
    pr_backend_free(s->backend);
}

/* A number of a node in a plain model. */
static float number_of(const saved *s, int layer, int part, int node, int element) {
    char name[64];
    snprintf(name, sizeof name, "blk.%d.%s", layer, parts[part]);
    const float *data = pr_store_param(s->model->store, pr_store_find(s->model->store, name))->data;
    if (part == DOWN) return data[element * NODES + node]; /* (WIDTH, NODES) */
    return data[(size_t)node * row_length[part] + (size_t)element];
}

static double distance(const saved *a, const saved *b, int layer, int node) {
    double sum = 0;
    for (int part = 0; part < PARTS; part++) {
        for (int k = 0; k < (int)row_length[part]; k++) {
            sum += fabs((double)number_of(a, layer, part, node, k) -
                        (double)number_of(b, layer, part, node, k));
        }
    }
    return sum;
}

/* How many nodes moved farther. */
static int rank_of(const double *moved, int node) {
    int farther = 0;
    for (int other = 0; other < NODES; other++)
        farther += moved[other] > moved[node] || (moved[other] == moved[node] && other < node);
    return farther;
}

/* The model that a run starts from, the one that it has before its flip, and its last. */
static void the_rest_is_held_to_the_bit(void **state) {
    toy_run run = toy_run_default("far", FLIP), short_run = run;
    size_t size;
    run.model = short_run.model = toy_run_model(*(pr_bert_kind *)*state);
    short_run.options.max_steps = FLIP;
    toy_result whole = toy_run_through(&run), part = toy_run_through(&short_run);
    assert_int_equal(whole.flips, 1);
    assert_int_equal(part.flips, 0);
    free(scratch_read(run.model, &size));
    assert_int_equal(whole.size, size);
    saved start = open_saved(run.model), before = open_result(&part, "before"),
          end = open_result(&whole, "end");
    for (int layer = 0; layer < LAYERS; layer++) {
        double moved[NODES];
        for (int node = 0; node < NODES; node++)
            moved[node] = distance(&start, &before, layer, node);
        for (int node = 0; node < NODES; node++) {
            bool kept = rank_of(moved, node) < KEPT;
            double since = distance(&before, &end, layer, node);
            assert_true(moved[node] > 0);
            if (kept != (since > 0)) fail_msg("layer %d, node %d: %g", layer, node, since);
        }
    }
    close_saved(&start);
    close_saved(&before);
    close_saved(&end);
    free(whole.file);
    free(part.file);
}

static void threads_do_not_matter(void **state) {
    toy_run run = toy_run_default("far", FLIP);
    run.model = toy_run_model(*(pr_bert_kind *)*state);
    run.threads = 1;
    toy_result one = toy_run_through(&run);
    for (run.threads = 2; run.threads <= 4; run.threads++) {
        toy_result many = toy_run_through(&run);
        assert_same_file(&one, &many);
        assert_memory_equal(one.loss, many.loss, sizeof one.loss);
        free(many.file);
    }
    free(one.file);
}

/* What the user freezes stays, and the nodes are chosen by what else there is of them. */
static void a_frozen_part_moves_with_its_nodes(void **state) {
    toy_run run = toy_run_default("far", FLIP);
    run.model = toy_run_model(*(pr_bert_kind *)*state);
    run.options.freeze = (const char *const[]){"blk.*.ffn_up.weight", NULL};
    toy_result whole = toy_run_through(&run);
    saved start = open_saved(run.model), end = open_result(&whole, "end");
    int held = 0;
    for (int layer = 0; layer < LAYERS; layer++) {
        for (int node = 0; node < NODES; node++) {
            for (int k = 0; k < WIDTH; k++) {
                assert_true(number_of(&start, layer, UP, node, k) ==
                            number_of(&end, layer, UP, node, k));
            }
            held += distance(&start, &end, layer, node) == 0;
        }
    }
    assert_int_equal(held, 0); /* all trained until the flip, in their other parts */
    close_saved(&start);
    close_saved(&end);
    free(whole.file);
}

/* Each with a model of either kind. */
int main(void) {
    static const struct CMUnitTest each[] = {
        cmocka_unit_test_teardown(the_output_stays, scratch_empty),
        cmocka_unit_test_teardown(moments_travel_with_their_nodes, scratch_empty),
        cmocka_unit_test_teardown(training_goes_on_as_it_would, scratch_empty),
        cmocka_unit_test_teardown(the_nodes_that_moved_most_are_kept, scratch_empty),
        cmocka_unit_test_teardown(nodes_that_did_not_move_stay, scratch_empty),
        cmocka_unit_test_teardown(some_nodes_are_kept_and_not_all, scratch_empty),
        cmocka_unit_test_teardown(the_model_is_whole_again, scratch_empty),
        cmocka_unit_test_teardown(the_rest_is_held_to_the_bit, scratch_empty),
        cmocka_unit_test_teardown(threads_do_not_matter, scratch_empty),
        cmocka_unit_test_teardown(a_frozen_part_moves_with_its_nodes, scratch_empty),
    };
    enum { N = sizeof each / sizeof *each };
    struct CMUnitTest tests[2 * N];
    for (int i = 0; i < 2 * N; i++) {
        tests[i] = each[i % N];
        tests[i].initial_state = &kinds[i / N];
    }
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
