/* Where each kind of model drops, and how much: the nodes of its graph, forward and backward. */
#include "tests/dropout_scene.h"

#include "autograd/backward.h"
#include "backends/cpu.h"
#include "models/gguf.h"
#include "ops/ops.h"
#include "tests/scratch.h"
#include "tests/test.h"

/* A site as it should be: its name, its rate, the op that makes what it drops (attention drops
 * inside), and the op that alone reads what is left; NULL: several do. */
typedef struct expected_site {
    const char *name;
    const float *rate;
    const char *after, *before;
} expected_site;

static const expected_site bert_sites[] = {
    {"token_embd_norm", &scene_body, "layer_norm", NULL},
    {"blk.0.attention", &scene_scores, NULL, "matmul"},
    {"blk.0.attn_output", &scene_body, "matmul", "add"},
    {"blk.0.ffn_down", &scene_body, "matmul", "add"},
    {"blk.1.attention", &scene_scores, NULL, "matmul"},
    {"blk.1.attn_output", &scene_body, "matmul", "add"},
    {"blk.1.ffn_down", &scene_body, "matmul", "add"},
    {"cls", &scene_head, "tanh", "matmul"},
    {0},
};
static const expected_site distilbert_sites[] = {
    {"token_embd_norm", &scene_body, "layer_norm", NULL},
    {"blk.0.attention", &scene_scores, NULL, "matmul"},
    {"blk.0.ffn_down", &scene_body, "matmul", "add"},
    {"blk.1.attention", &scene_scores, NULL, "matmul"},
    {"blk.1.ffn_down", &scene_body, "matmul", "add"},
    {"cls", &scene_head, "relu", "matmul"},
    {0},
};

static const expected_site *sites_of(pr_bert_kind kind) {
    return kind == PR_BERT ? bert_sites : distilbert_sites;
}

static const char *maker_of(const pr_graph *g, pr_tid t) {
    return pr_graph_get(g, pr_graph_tensor(g, t)->node)->op->name;
}

/* The only reader's op, or NULL. */
static const char *reader_of(const pr_graph *g, pr_tid t) {
    const char *name = NULL;
    for (int32_t i = 0; i < pr_graph_nodes(g); i++) {
        const pr_node *node = pr_graph_get(g, i);
        if (!scene_reads(node, t)) continue;
        if (name) return NULL;
        name = node->op->name;
    }
    return name;
}

static void assert_site(const dropout_scene *s, int32_t index, const expected_site *e) {
    const pr_node *node = pr_graph_get(s->g, index);
    assert_string_equal(node->op->name, e->after ? "dropout" : "attention");
    assert_true(node->attr.site == pr_site(e->name));
    assert_true(node->attr.f[0] == *e->rate);
    if (e->after) assert_string_equal(maker_of(s->g, node->in[0]), e->after);
    const char *before = reader_of(s->g, node->out[0]);
    if (e->before)
        assert_string_equal(before, e->before);
    else
        assert_null(before);
    /* Masks go by (sentence, position); the head has one row a sentence and no positions. */
    bool by_token = e->rate != &scene_head;
    assert_int_equal(scene_reads(node, s->bert.offsets), by_token);
}

/* A site as a method leaves it. */
static expected_site with_method(expected_site e, const char *method) {
    bool low_rank = strcmp(method, "learner") == 0 || strcmp(method, "lora") == 0;
    bool sublayer = pr_glob("blk.*.{attn_output,ffn_down}", e.name);
    /* Two products read attention: W's and the branch's P1. */
    if (low_rank && !e.after) e.before = NULL;
    /* An adapter comes after the dropout of a sublayer, with a sum of its own; a parallel one
     * before the feed-forward's. */
    if (strcmp(method, "adapter") == 0 && sublayer) e.before = NULL;
    if (strcmp(method, "parallel") == 0 && pr_glob("*.ffn_down", e.name)) e.after = "add";
    return e;
}

static void the_sites_are_the_kinds(void **state) {
    const pr_method *method = *state;
    for (int k = 0; k < 2; k++) {
        dropout_scene s;
        pr_bert_kind kind = k ? PR_BERT : PR_DISTILBERT;
        dropout_scene_open_dropping(&s, kind, method->name);
        int n = 0;
        for (const expected_site *e = sites_of(kind); e->name; e++, n++) {
            const expected_site site = with_method(*e, method->name);
            assert_true(n < s.n);
            assert_site(&s, s.node[n], &site);
        }
        assert_int_equal(n, s.n);
        dropout_scene_close(&s);
    }
}

static void a_rate_of_zero_leaves_no_site(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        dropout_scene s;
        dropout_scene_open(&s, k ? PR_BERT : PR_DISTILBERT, "full",
                           (float[]){0.0f, scene_scores, 0.0f});
        for (int i = 0; i < s.n; i++) {
            const pr_node *node = pr_graph_get(s.g, s.node[i]);
            assert_string_equal(node->op->name, "attention");
            assert_true(node->attr.f[0] == scene_scores);
        }
        assert_int_equal(s.n, 2);
        dropout_scene_close(&s);
        dropout_scene_open(&s, k ? PR_BERT : PR_DISTILBERT, "full",
                           (float[]){0.0f, 0.0f, scene_head});
        int dropping = 0;
        for (int i = 0; i < s.n; i++)
            dropping += pr_graph_get(s.g, s.node[i])->attr.f[0] > 0.0f;
        assert_int_equal(dropping, 1);
        assert_true(pr_graph_get(s.g, s.node[s.n - 1])->attr.site == pr_site("cls"));
        dropout_scene_close(&s);
    }
}

/* Backward draws each mask again: as many nodes, of the same sites and rates. */
static void backward_has_the_same_sites(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        dropout_scene s;
        pr_error err = {0};
        dropout_scene_open_dropping(&s, k ? PR_BERT : PR_DISTILBERT, "full");
        pr_store_require_grad(s.model->store, "*", true, &err);
        assert_int_equal(pr_backward(s.g, s.bert.loss, &err), PR_OK);
        for (int i = 0; i < s.n; i++) {
            pr_attr forward = pr_graph_get(s.g, s.node[i])->attr;
            int found = 0;
            for (int32_t j = 0; j < pr_graph_nodes(s.g); j++) {
                const pr_node *node = pr_graph_get(s.g, j);
                if (node->phase != PR_BACKWARD || !scene_reads(node, s.bert.clock)) continue;
                if (node->attr.site != forward.site) continue;
                assert_true(node->attr.f[0] == forward.f[0]);
                found++;
            }
            assert_int_equal(found, 1);
        }
        dropout_scene_close(&s);
    }
}

static void a_file_without_rates_has_its_kinds(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        pr_error err = {0};
        pr_backend *backend = pr_cpu_new(1, &err);
        pr_model *model = toy_model(k ? PR_BERT : PR_DISTILBERT, backend, 1);
        model->config.dropout = model->config.attention_dropout = model->config.head_dropout = 0;
        pr_model_save(model, scratch_path("ours"), false, &err);
        pr_model_free(model);
        pr_gguf *file = pr_gguf_open(scratch_path("ours"), &err);
        pr_gguf_writer *writer = pr_gguf_writer_new();
        for (int i = 0; i < pr_gguf_keys(file); i++) {
            const pr_gguf_value *value = pr_gguf_key(file, i);
            if (strncmp(value->key, "primer.", 7) != 0) pr_gguf_put_value(writer, value);
        }
        for (int i = 0; i < pr_gguf_tensors(file); i++) {
            const pr_stored *t = pr_gguf_tensor(file, i);
            pr_gguf_put_tensor(writer, t->name, t->shape, t->format, pr_stored_direct(t));
        }
        pr_gguf_write(writer, scratch_path("others"), &err);
        pr_gguf_writer_free(writer);
        pr_gguf_close(file);
        model = pr_model_open(scratch_path("others"), backend, &err);
        assert_string_equal(err.message, "");
        assert_int_equal(model->config.kind, k ? PR_BERT : PR_DISTILBERT);
        assert_true(model->config.dropout == 0.1f && model->config.attention_dropout == 0.1f);
        assert_true(model->config.head_dropout == (k ? 0.1f : 0.2f));
        pr_model_free(model);
        pr_backend_free(backend);
    }
}

int main(void) {
    enum { METHODS = 8, OTHERS = 3 };
    struct CMUnitTest tests[METHODS + OTHERS] = {
        cmocka_unit_test(a_rate_of_zero_leaves_no_site),
        cmocka_unit_test(backward_has_the_same_sites),
        cmocka_unit_test_teardown(a_file_without_rates_has_its_kinds, scratch_empty),
    };
    for (int m = 0; m < METHODS; m++) {
        tests[OTHERS + m] = (struct CMUnitTest){.name = pr_methods[m]->name,
                                                .test_func = the_sites_are_the_kinds,
                                                .initial_state = (void *)pr_methods[m]};
    }
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
