/* Which parameters there are and which train: a DistilBERT's counts to the last one, and the names
 * of each phase. Nothing is trained, and pages that nobody touches cost nothing. */
#include "tests/test.h"

#include "backends/cpu.h"
#include "graph/store.h"
#include "models/method.h"

enum { LAYERS = 6 };

static const pr_bert_config distilbert = {.kind = PR_DISTILBERT,
                                          .layers = LAYERS,
                                          .width = 768,
                                          .heads = 12,
                                          .ffn = 3072,
                                          .vocab = 30522,
                                          .positions = 512,
                                          .labels = 2,
                                          .epsilon = 1e-12f};
static const pr_bert_config bert = {.kind = PR_BERT,
                                    .layers = LAYERS,
                                    .width = 384,
                                    .heads = 12,
                                    .ffn = 1536,
                                    .vocab = 30522,
                                    .positions = 512,
                                    .token_types = 2,
                                    .labels = 2,
                                    .epsilon = 1e-12f};

static pr_status add_zeros(void *store, const char *name, pr_shape shape, pr_error *err) {
    return pr_store_add(store, name, shape, NULL, err) < 0 ? err->code : PR_OK;
}

/* A store with a model's parameters and a method's, at the beginning of a run. */
typedef struct scene {
    pr_backend *backend;
    pr_store *store;
    const pr_method *method;
    pr_method_options options;
} scene;

static void open_scene(scene *s, const pr_bert_config *config, const char *method, int32_t rank) {
    pr_error err = {0};
    *s = (scene){.backend = pr_cpu_new(1, &err), .method = pr_method_find(method)};
    s->store = pr_store_new(s->backend);
    s->options = s->method->defaults;
    if (rank) s->options.size = rank;
    pr_bert_parameters(config, add_zeros, s->store, &err);
    pr_method_add(s->method, config, s->store, &s->options, false, &err);
    pr_method_begin(s->method, s->store, &err);
    assert_string_equal(err.message, "");
}

static void set_epoch(scene *s, int32_t epoch) {
    pr_error err = {0};
    pr_method_phase(s->method, s->store, epoch >= s->options.prime, &err);
    assert_string_equal(err.message, "");
}

static void close_scene(scene *s) {
    pr_store_free(s->store);
    pr_backend_free(s->backend);
}

static void counts_are_the_papers(void **state) {
    (void)state;
    static const struct {
        const char *method;
        int32_t rank, epoch;
        size_t all, trained; /* all 0: not looked at */
    } counts[] = {
        {"full", 0, 0, 66955010, 66955010},     {"full", 0, 4, 66955010, 66955010},
        {"learner", 64, 0, 72263426, 20116226}, {"learner", 64, 1, 72263426, 20116226},
        {"learner", 64, 2, 72263426, 5960450},  {"learner", 64, 4, 72263426, 5960450},
        {"learner", 8, 2, 0, 1315586},          {"learner", 256, 2, 0, 21885698},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        scene s;
        size_t all, trained;
        open_scene(&s, &distilbert, counts[i].method, counts[i].rank);
        set_epoch(&s, counts[i].epoch);
        pr_store_totals(s.store, &all, &trained);
        if (counts[i].all) assert_int_equal(all, counts[i].all);
        assert_int_equal(trained, counts[i].trained);
        close_scene(&s);
    }
}

/* ---- names ---- */

/* Asserts of one parameter and counts it. */
static void expect(const scene *s, int *n, bool trains, const char *name) {
    int index = pr_store_find(s->store, name);
    if (index < 0) fail_msg("there is no %s", name);
    if (pr_store_param(s->store, index)->require_grad != trains) {
        fail_msg("%s should %s", name, trains ? "train" : "be frozen");
    }
    (*n)++;
}

static void expect_in_block(const scene *s, int *n, bool trains, int layer, const char *name) {
    char whole[64];
    snprintf(whole, sizeof whole, "blk.%d.%s", layer, name);
    expect(s, n, trains, whole);
}

static void expect_block(const scene *s, int *n, int layer, bool priming) {
    static const char *const attention[] = {"attn_q.weight", "attn_k.weight", "attn_v.weight",
                                            "attn_output.weight"};
    static const char *const frozen[] = {"ffn_up.weight", "ffn_down.weight"};
    static const char *const trained[] = {
        "attn_q.bias",
        "attn_k.bias",
        "attn_v.bias",
        "attn_output.bias",
        "ffn_up.bias",
        "ffn_down.bias",
        "attn_q.weight.lora_a",
        "attn_q.weight.lora_b",
        "attn_k.weight.lora_a",
        "attn_k.weight.lora_b",
        "attn_v.weight.lora_a",
        "attn_v.weight.lora_b",
        "attn_output.weight.lora_a",
        "attn_output.weight.lora_b",
        "ffn_up.weight.lora_a",
        "ffn_up.weight.lora_b",
        "ffn_down.weight.lora_a",
        "ffn_down.weight.lora_b",
        "attn_output_norm.weight",
        "attn_output_norm.bias",
        "layer_output_norm.weight",
        "layer_output_norm.bias",
    };
    for (size_t i = 0; i < sizeof attention / sizeof *attention; i++)
        expect_in_block(s, n, priming, layer, attention[i]);
    for (size_t i = 0; i < sizeof frozen / sizeof *frozen; i++)
        expect_in_block(s, n, false, layer, frozen[i]);
    for (size_t i = 0; i < sizeof trained / sizeof *trained; i++)
        expect_in_block(s, n, true, layer, trained[i]);
}

static void a_learner_trains_these(void **state) {
    (void)state;
    static const char *const embeddings[] = {"token_embd.weight", "position_embd.weight",
                                             "token_embd_norm.weight", "token_embd_norm.bias"};
    static const char *const head[] = {"cls.weight", "cls.bias", "cls.output.weight",
                                       "cls.output.bias"};
    for (int k = 0; k < 2; k++) {
        scene s;
        open_scene(&s, k ? &bert : &distilbert, "learner", 4);
        for (int32_t epoch = 0; epoch < 4; epoch++) {
            int n = 0;
            set_epoch(&s, epoch);
            for (int i = 0; i < 4; i++) {
                expect(&s, &n, false, embeddings[i]);
                expect(&s, &n, true, head[i]);
            }
            if (k) expect(&s, &n, false, "token_types.weight");
            for (int layer = 0; layer < LAYERS; layer++)
                expect_block(&s, &n, layer, epoch < 2);
            assert_int_equal(n, pr_store_count(s.store)); /* and there are no others */
        }
        close_scene(&s);
    }
}

static void full_trains_everything(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        scene s;
        open_scene(&s, k ? &bert : &distilbert, "full", 0);
        uint64_t version = pr_store_version(s.store);
        for (int32_t epoch = 0; epoch < 4; epoch++) {
            set_epoch(&s, epoch);
            for (int i = 0; i < pr_store_count(s.store); i++)
                assert_true(pr_store_param(s.store, i)->require_grad);
        }
        assert_true(pr_store_version(s.store) == version); /* no flip in it */
        close_scene(&s);
    }
}

/* Weight decay is for matrices. */
static void vectors_do_not_decay(void **state) {
    (void)state;
    scene s;
    open_scene(&s, &bert, "learner", 4);
    for (int i = 0; i < pr_store_count(s.store); i++) {
        const pr_param *p = pr_store_param(s.store, i);
        bool vector = pr_glob("*.bias", p->name) || pr_glob("*_norm.weight", p->name);
        assert_int_equal(p->decay, !vector);
    }
    close_scene(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_the_papers),
        cmocka_unit_test(a_learner_trains_these),
        cmocka_unit_test(full_trains_everything),
        cmocka_unit_test(vectors_do_not_decay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
