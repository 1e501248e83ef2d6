/* The rewrite to first rows: what it builds again and what it leaves, that results and gradients
 * stay what they were, and what is left to compute of a model's last block. */
#include "graph/plan.h"
#include "ops/ops.h"
#include "ops/rewrite.h"
#include "tests/net.h"
#include "tests/reference.h"
#include "tests/scene.h"
#include "tests/test.h"

enum { TOKENS = 7, SENTENCES = 3, D = 4, ROWS = 6, MOST = 64, TEXT = 512 };

static const pr_extent extent = {.tokens = TOKENS, .sentences = SENTENCES, .longest = 4};
static const int32_t offsets[] = {0, 2, 6, 7};
static const int32_t ids[] = {0, 5, 2, 5, 5, 1, 0};
static const uint64_t rng[] = {3, 1, 4};
static float drawn[NET_LEAVES][MOST];

static pr_tid param(net *n, pr_shape shape) {
    uint32_t random = 7 + (uint32_t)n->n_leaves;
    for (int i = 0; i < MOST; i++) {
        random = random * 1664525u + 1013904223u;
        drawn[n->n_leaves][i] = (float)(random >> 8) / (float)(1 << 23) - 1.0f;
    }
    return net_param(n, shape, drawn[n->n_leaves]);
}

/* (N, D) */
static pr_tid tokens(net *n) {
    return net_lead(n, param(n, pr_shape_2(TOKENS, D)), PR_TOKENS);
}

static pr_tid square(net *n) {
    return param(n, pr_shape_2(D, D));
}

static pr_tid vector(net *n) {
    return param(n, pr_shape_1(D));
}

static pr_tid where(net *n) {
    return net_input(n, PR_I32, pr_shape_1(PR_OFFSETS), offsets);
}

static pr_tid clock(net *n) {
    return net_input(n, PR_U64, pr_shape_1(3), rng);
}

/* ---- nets: each returns what its loss weighs ---- */

static pr_tid rows_alone(net *n) {
    pr_tid x = tokens(n), at = where(n);
    x = pr_layer_norm(n->g, x, vector(n), vector(n), 1e-5f);
    x = pr_dropout(n->g, pr_scale(n->g, x, 0.5f), clock(n), at, 0.5f, "site");
    x = pr_matmul(n->g, pr_tanh(n->g, x), square(n), 0, 2.0f, vector(n), pr_gelu(n->g, x));
    x = pr_softmax(n->g, pr_add(n->g, x, pr_relu(n->g, x)));
    const pr_dropped dropped = {clock(n), at, pr_site("another site"), 0.25f};
    x = pr_residual_norm(n->g, x, pr_scale(n->g, x, 2.0f), vector(n), vector(n), 1e-5f, &dropped);
    return pr_first_token(n->g, x, at);
}

/* A block: everything but keys and values shrinks. */
static pr_tid a_block(net *n) {
    pr_tid x = tokens(n), at = where(n), v = pr_gelu(n->g, pr_linear(n->g, x, square(n), 0));
    pr_tid q = pr_linear(n->g, x, square(n), 0), k = pr_linear(n->g, x, square(n), 0);
    pr_tid a = pr_attention(n->g, q, k, v, at, clock(n), 2, 0.25f, "site");
    a = pr_layer_norm(n->g, pr_add(n->g, pr_linear(n->g, a, square(n), 0), x), vector(n), vector(n),
                      1e-5f);
    return pr_first_token(n->g, pr_add(n->g, a, pr_gelu(n->g, a)), at);
}

static pr_tid attention_to_itself(net *n) {
    pr_tid x = pr_tanh(n->g, tokens(n)), at = where(n);
    pr_tid a = pr_attention(n->g, x, x, x, at, 0, 2, 0.0f, "site");
    return pr_first_token(n->g, a, at);
}

static pr_tid an_embedding(net *n) {
    pr_tid x = pr_embed(n->g, param(n, pr_shape_2(ROWS, D)),
                        net_input(n, PR_I32, pr_shape_1(PR_TOKENS), ids));
    return pr_first_token(n->g, pr_gelu(n->g, pr_linear(n->g, x, square(n), 0)), where(n));
}

static pr_tid two_readers(net *n) {
    pr_tid x = tokens(n), at = where(n), y = pr_gelu(n->g, x);
    pr_tid one = pr_first_token(n->g, pr_tanh(n->g, y), at);
    return pr_add(n->g, one, pr_first_token(n->g, pr_relu(n->g, y), at));
}

static pr_tid twice_the_same(net *n) {
    pr_tid x = tokens(n), at = where(n), y = pr_gelu(n->g, x);
    return pr_add(n->g, pr_first_token(n->g, y, at), pr_first_token(n->g, y, at));
}

/* The whole of y is read: as keys. */
static pr_tid read_whole_elsewhere(net *n) {
    pr_tid at = where(n), y = pr_gelu(n->g, tokens(n));
    pr_tid a = pr_attention(n->g, tokens(n), y, tokens(n), at, 0, 1, 0.0f, "site");
    return pr_add(n->g, pr_first_token(n->g, y, at), pr_first_token(n->g, a, at));
}

static pr_tid a_leaf(net *n) {
    return pr_first_token(n->g, tokens(n), where(n));
}

/* Sentences that another tensor counts out: what it asks for is left as it is. */
static pr_tid other_offsets(net *n) {
    static const int32_t other[] = {0, 1, 4, 7};
    pr_tid y = pr_gelu(n->g, tokens(n)), z = pr_tanh(n->g, tokens(n));
    pr_tid first = pr_first_token(n->g, y, where(n));
    return pr_add(n->g, first,
                  pr_first_token(n->g, z, net_input(n, PR_I32, pr_shape_1(PR_OFFSETS), other)));
}

static const struct {
    const char *name;
    pr_tid (*build)(net *n);
    const char *built; /* by the rewrite, in order */
} nets[] = {
    {"rows alone", rows_alone,
     " first_token layer_norm scale dropout tanh gelu matmul relu add softmax scale residual_norm"},
    {"a block", a_block, " first_token matmul attention matmul add layer_norm gelu add"},
    {"attention to itself", attention_to_itself, " first_token attention"},
    {"an embedding", an_embedding, " first_token matmul gelu"},
    {"two readers", two_readers, " first_token gelu tanh relu"},
    {"twice the same", twice_the_same, " first_token gelu gelu"},
    {"read whole elsewhere", read_whole_elsewhere, " first_token attention"},
    {"a leaf", a_leaf, ""},
    {"other offsets", other_offsets, " first_token gelu"},
};
enum { NETS = sizeof nets / sizeof *nets };

static void open_net(net *n, size_t i, bool rewritten) {
    pr_error err = {0};
    net_open(n, extent, true);
    pr_tid y = nets[i].build(n);
    if (rewritten) pr_rewrite_first_rows(n->g, &err);
    assert_string_equal(err.message, "");
    pr_graph_scope(n->g, "loss");
    net_end(n, y);
}

/* The names of the ops of the nodes that the rewrite made. */
static void list_built(const pr_graph *g, char text[TEXT]) {
    size_t used = 0;
    text[0] = 0;
    for (int32_t i = 0; i < pr_graph_nodes(g); i++) {
        const pr_node *n = pr_graph_get(g, i);
        if (!strstr(n->name, "/first/")) continue;
        used += (size_t)snprintf(text + used, TEXT - used, " %s", n->op->name);
        assert_true(used < TEXT);
    }
}

static unsigned params_of(const net *n) {
    unsigned bits = 0;
    for (int i = 0; i < n->n_leaves; i++)
        bits |= n->leaf[i].is_param ? 1u << i : 0;
    return bits;
}

static void assert_same_gradients(const net *n, float *const a[], float *const b[]) {
    for (int i = 0; i < n->n_leaves; i++) {
        for (int64_t k = 0; a[i] && k < reference_count(n->leaf[i].shape); k++)
            assert_float_equal(a[i][k], b[i][k], 1e-5f);
    }
}

static void results_and_gradients_stay(void **state) {
    (void)state;
    for (size_t i = 0; i < NETS; i++) {
        net plain, n;
        char built[TEXT];
        float *expected[NET_LEAVES], *gradient[NET_LEAVES];
        open_net(&plain, i, false);
        open_net(&n, i, true);
        list_built(n.g, built);
        if (strcmp(built, nets[i].built) != 0) fail_msg("%s: built%s", nets[i].name, built);
        net_gradients(&plain, params_of(&plain), expected);
        net_gradients(&n, params_of(&n), gradient);
        net_check(&n, nets[i].name, gradient, MOST, 1e-5);
        assert_same_gradients(&n, gradient, expected);
        net_free_gradients(expected);
        net_free_gradients(gradient);
        net_close(&plain);
        net_close(&n);
    }
}

/* Each op that says it goes by row has been shrunk above. */
static void every_op_that_goes_by_row_is_tried(void **state) {
    (void)state;
    for (const pr_op *const *op = pr_ops; *op; op++) {
        bool tried = false;
        for (size_t i = 0; i < NETS && (*op)->by_row; i++) {
            const char *at = strstr(nets[i].built, (*op)->name);
            tried |= at && at[-1] == ' ';
        }
        if ((*op)->by_row && !tried) fail_msg("%s goes by row, and no net has it", (*op)->name);
    }
}

static void a_second_rewrite_changes_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < NETS; i++) {
        net n;
        net_open(&n, extent, true);
        nets[i].build(&n);
        pr_rewrite_first_rows(n.g, NULL);
        int32_t nodes = pr_graph_nodes(n.g);
        pr_rewrite_first_rows(n.g, NULL);
        assert_int_equal(pr_graph_nodes(n.g), nodes);
        net_close(&n);
    }
}

/* ---- a model ---- */

static void run(const scene *s, pr_graph *g, pr_tid wanted, const pr_feed *feeds, int n_feeds,
                float *out, double *flops) {
    pr_error err = {0};
    double bytes;
    const pr_plan_options options = {.capacity = s->batch.extent, .wanted = &wanted, .n_wanted = 1};
    pr_plan *plan = pr_plan_new(g, s->model->store, s->backend, &options, &err);
    assert_string_equal(err.message, "");
    size_t arena_bytes = pr_plan_get_report(plan)->arena;
    void *arena = s->backend->alloc(s->backend, arena_bytes);
    pr_plan_attach(plan, arena);
    for (int i = 0; i < n_feeds; i++)
        pr_plan_feed(plan, feeds[i].input, s->batch.extent, feeds[i].data, &err);
    pr_plan_run(plan, s->batch.extent, &err);
    pr_plan_fetch(plan, wanted, s->batch.extent, out, &err);
    assert_string_equal(err.message, "");
    pr_plan_cost(plan, flops, &bytes);
    s->backend->free(s->backend, arena, arena_bytes);
    pr_plan_free(plan);
}

static void assert_near(const float *a, const float *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        assert_float_equal(a[i], b[i], 1e-5f);
}

/* Of the last block only keys and values have a row a token. */
static void assert_last_block_shrunk(const pr_graph *g) {
    bool *live = pr_graph_live(g);
    for (int32_t i = 0; i < pr_graph_nodes(g); i++) {
        const pr_node *n = pr_graph_get(g, i);
        bool whole = pr_graph_tensor(g, n->out[0])->shape.dim[0] == PR_TOKENS;
        if (!live[i] || n->phase != PR_FORWARD || strncmp(n->name, "blk.1.", 6) != 0) continue;
        bool key_or_value = strstr(n->name, ".attn_k") || strstr(n->name, ".attn_v");
        if (whole != key_or_value) fail_msg("'%s' has a row %s", n->name, whole ? "a token" : "");
    }
    free(live);
}

static void check_model(pr_bert_kind kind, const char *method) {
    enum { BATCH = 8, MOST_HIDDEN = 8192 };
    scene_options o = scene_default(kind, method);
    o.config.layers = 2;
    scene s;
    pr_feed feeds[PR_BERT_FEEDS];
    static float expected[MOST_HIDDEN], found[MOST_HIDDEN];
    double before, after;
    scene_open(&s, &o, toy_data(BATCH, 3));
    int n = scene_feed(&s, 0, feeds);
    pr_graph *plain = pr_graph_new(s.model->store);
    pr_bert built = pr_model_build(s.model, plain);
    run(&s, plain, built.logits, feeds, n, expected, &before);
    run(&s, s.g, s.bert.logits, feeds, n, found, &after);
    assert_near(expected, found, (size_t)BATCH * (size_t)o.config.labels);
    assert_true(after < 0.85 * before);
    assert_last_block_shrunk(s.g);
    /* A tensor that the loss no longer needs is still there for who wants it. */
    pr_tid hidden = pr_graph_find(plain, "blk.1.layer_output_norm/layer_norm");
    size_t elements;
    assert_true(pr_shape_count(pr_shape_bind(pr_graph_tensor(plain, hidden)->shape, s.batch.extent),
                               &elements));
    assert_true(elements <= MOST_HIDDEN);
    run(&s, plain, hidden, feeds, n, expected, &before);
    run(&s, s.g, hidden, feeds, n, found, &after);
    assert_memory_equal(expected, found, elements * sizeof *found);
    pr_graph_free(plain);
    scene_close(&s);
}

static void a_last_block_shrinks(void **state) {
    (void)state;
    static const char *const methods[] = {"full",    "learner",  "lora",       "bitfit",
                                          "adapter", "parallel", "freeze-ffn", "far"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        check_model(PR_BERT, methods[i]);
        check_model(PR_DISTILBERT, methods[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_and_gradients_stay),
        cmocka_unit_test(every_op_that_goes_by_row_is_tried),
        cmocka_unit_test(a_second_rewrite_changes_nothing),
        cmocka_unit_test(a_last_block_shrinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
