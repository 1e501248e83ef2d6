/* Which parameters there are and which train, for every method: the counts to the last one, and the
 * names. Nothing is trained, and pages that nobody touches cost nothing. */
#include "tests/test.h"

#include "backends/cpu.h"
#include "graph/memory.h"
#include "graph/store.h"
#include "models/method.h"

static const pr_bert_config distilbert = {.kind = PR_DISTILBERT,
                                          .layers = 6,
                                          .width = 768,
                                          .heads = 12,
                                          .ffn = 3072,
                                          .vocab = 30522,
                                          .positions = 512,
                                          .labels = 2,
                                          .epsilon = 1e-12f};
static const pr_bert_config minilm = {.kind = PR_BERT,
                                      .layers = 6,
                                      .width = 384,
                                      .heads = 12,
                                      .ffn = 1536,
                                      .vocab = 30522,
                                      .positions = 512,
                                      .token_types = 2,
                                      .labels = 2,
                                      .epsilon = 1e-12f};
static const pr_bert_config bert = {.kind = PR_BERT,
                                    .layers = 12,
                                    .width = 768,
                                    .heads = 12,
                                    .ffn = 3072,
                                    .vocab = 30522,
                                    .positions = 512,
                                    .token_types = 2,
                                    .labels = 2,
                                    .epsilon = 1e-12f};

/* What all parameters read, as from a file: zeros. */
static float *zeros;

static int make_zeros(void **state) {
    (void)state;
    zeros = pr_alloc((size_t)bert.vocab * (size_t)bert.width, sizeof *zeros);
    return zeros ? 0 : -1;
}

static int free_zeros(void **state) {
    (void)state;
    pr_free(zeros);
    return 0;
}

static pr_status add_zeros(void *store, const char *name, pr_shape shape, pr_error *err) {
    return pr_store_add(store, name, shape, zeros, err) < 0 ? err->code : PR_OK;
}

/* A store with a model's parameters and a method's, at the beginning of a run. */
typedef struct scene {
    pr_backend *backend;
    pr_store *store;
    const pr_method *method;
    pr_method_options options;
    void *state; /* the method's */
} scene;

static void open_scene(scene *s, const pr_bert_config *config, const char *method, int32_t size) {
    pr_error err = {0};
    *s = (scene){.backend = pr_cpu_new(1, &err), .method = pr_method_find(method)};
    s->store = pr_store_new(s->backend);
    s->options = s->method->defaults;
    if (size) s->options.size = size;
    pr_bert_parameters(config, add_zeros, s->store, &err);
    pr_method_add(s->method, config, s->store, &s->options, false, &err);
    if (s->method->begin) s->method->begin(s->store, config, &s->options, &s->state, &err);
    pr_method_begin(s->method, s->store, &err);
    assert_string_equal(err.message, "");
}

static void set_phase(scene *s, int phase) {
    pr_error err = {0};
    pr_method_phase(s->method, s->store, phase, &err);
    assert_string_equal(err.message, "");
}

static void close_scene(scene *s) {
    if (s->state) s->method->free(s->state);
    pr_store_free(s->store);
    pr_backend_free(s->backend);
}

/* ---- counts ----
 *
 * Of a width d, a feed-forward of f nodes, L layers and 2 labels. DistilBERT's are the paper's
 * Table 1; the others are worked out by the same sums:
 *
 *                              DistilBERT     MiniLM    BERT-base
 *     d, f, L                768, 3072, 6  384, 1536, 6  768, 3072, 12
 *     rows of embeddings           31,034     31,036       31,036   30,522 + 512 (+ 2 types)
 *  A  they and their norm      23,835,648 11,918,592   23,837,184   (rows + 2) d
 *  W  one square weight           589,824    147,456      589,824   d d
 *  N  norms of a block              3,072      1,536        3,072   4 d
 *  B  biases of its linears         6,912      3,456        6,912   5 d + f
 *  F  its feed-forward's weights 4,718,592 1,179,648    4,718,592   2 d f
 *     a block                   7,087,872  1,774,464    7,087,872   4 W + F + B + N
 *  H  the head                    592,130    148,610      592,130   W + d + 2 d + 2
 *     all                      66,955,010 22,713,986  109,483,778   A + L blocks + H
 *
 * learner and lora of rank r, P1 and P2 beside six linears of in + out = 2 d four times and d + f
 * twice:
 *     added, r = 64             5,308,416  2,654,208   10,616,832   L r (10 d + 2 f)
 *     trained                   5,960,450  2,832,770   11,328,770   added + L (B + N) + H
 *     while priming            20,116,226  6,371,714   39,640,322   trained + L 4 W
 *     trained, r = 8            1,315,586                           663,552 + 59,904 + H
 *     trained, r = 256         21,885,698                           21,233,664 + 59,904 + H
 * bitfit, the biases of linears (B) and norms (2 d a block, d of the embeddings'):
 *     trained                     643,586    174,338      694,274   L (B + 2 d) + d + H
 * adapter of width w, two a block, each of two weights and their biases:
 *     added, w = 256            4,730,880  2,366,976    9,461,760   2 L (2 d w + w + d)
 *     trained                   5,341,442  2,524,802   10,090,754   added + L N + H
 * parallel, one a block:
 *     added, w = 512            4,726,272  2,364,672    9,452,544   L (2 d w + w + d)
 *     trained                   5,336,834  2,522,498   10,081,538   added + L N + H
 * freeze-ffn:
 *     trained                  14,807,810  3,717,506   29,023,490   L (4 W + B + N) + H
 * far, of whose f nodes, each of 2 d + 1 numbers, 10 % go on training after the flip: 307 of 3,072
 * (307.2) and 154 of 1,536 (153.6), so that 2,765 and 1,382 of a block freeze:
 *     frozen                   25,498,830  6,376,548   50,997,660   L (f - kept) (2 d + 1)
 *     trained                  41,456,180 16,337,438   58,486,118   all - frozen */

/* The totals after the flip and before it; a method without one has the same. */
typedef struct count {
    const char *method;
    int32_t size; /* 0: the method's own */
    size_t all, trained, primed;
} count;

static void check_counts(const pr_bert_config *config, const count *counts, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const count *c = &counts[i];
        scene s;
        size_t all, trained;
        open_scene(&s, config, c->method, c->size);
        for (int phase = 0; phase < 2; phase++) {
            set_phase(&s, phase);
            pr_store_totals(s.store, &all, &trained);
            if (all != c->all || trained != (phase ? c->trained : c->primed)) {
                fail_msg("%s, phase %d: %zu parameters, %zu train", c->method, phase, all, trained);
            }
        }
        close_scene(&s);
    }
}

static void counts_of_distilbert(void **state) {
    (void)state;
    static const count counts[] = {
        {"full", 0, 66955010, 66955010, 66955010},
        {"learner", 0, 72263426, 5960450, 20116226},
        {"learner", 8, 67618562, 1315586, 15471362},
        {"learner", 256, 88188674, 21885698, 36041474},
        {"lora", 0, 72263426, 5960450, 5960450},
        {"bitfit", 0, 66955010, 643586, 643586},
        {"adapter", 0, 71685890, 5341442, 5341442},
        {"parallel", 0, 71681282, 5336834, 5336834},
        {"freeze-ffn", 0, 66955010, 14807810, 14807810},
        {"far", 0, 66955010, 41456180, 66955010},
    };
    check_counts(&distilbert, counts, sizeof counts / sizeof *counts);
}

static void counts_of_minilm(void **state) {
    (void)state;
    static const count counts[] = {
        {"full", 0, 22713986, 22713986, 22713986},     {"learner", 0, 25368194, 2832770, 6371714},
        {"lora", 0, 25368194, 2832770, 2832770},       {"bitfit", 0, 22713986, 174338, 174338},
        {"adapter", 0, 25080962, 2524802, 2524802},    {"parallel", 0, 25078658, 2522498, 2522498},
        {"freeze-ffn", 0, 22713986, 3717506, 3717506}, {"far", 0, 22713986, 16337438, 22713986},
    };
    check_counts(&minilm, counts, sizeof counts / sizeof *counts);
}

static void counts_of_bert(void **state) {
    (void)state;
    static const count counts[] = {
        {"full", 0, 109483778, 109483778, 109483778},
        {"learner", 0, 120100610, 11328770, 39640322},
        {"lora", 0, 120100610, 11328770, 11328770},
        {"bitfit", 0, 109483778, 694274, 694274},
        {"adapter", 0, 118945538, 10090754, 10090754},
        {"parallel", 0, 118936322, 10081538, 10081538},
        {"freeze-ffn", 0, 109483778, 29023490, 29023490},
        {"far", 0, 109483778, 58486118, 109483778},
    };
    check_counts(&bert, counts, sizeof counts / sizeof *counts);
}

/* ---- names ---- */

/* Every parameter is in one group. */
enum {
    EMBEDDINGS = 1 << 0,
    EMBEDDING_NORM = 1 << 1, /* its weight */
    EMBEDDING_NORM_BIAS = 1 << 2,
    HEAD = 1 << 3,
    ATTENTION = 1 << 4, /* weights, as the next one */
    FEED_FORWARD = 1 << 5,
    UP_BIAS = 1 << 6,
    OTHER_BIASES = 1 << 7,
    NORMS = 1 << 8, /* weights, of a block */
    NORM_BIASES = 1 << 9,
    LOW_RANK = 1 << 10, /* from here on what methods add */
    TWO_ADAPTERS = 1 << 11,
    ONE_ADAPTER = 1 << 12,
    KEPT_NODES = 1 << 13,
    GROUPS = 14,
    BASE = LOW_RANK - 1,
    BIASES = UP_BIAS | OTHER_BIASES,
    BLOCK_NORMS = NORMS | NORM_BIASES,
};

/* Those from ATTENTION on are of each block. */
static const char *const names[GROUPS][13] = {
    {"token_embd.weight", "position_embd.weight"},
    {"token_embd_norm.weight"},
    {"token_embd_norm.bias"},
    {"cls.weight", "cls.bias", "cls.output.weight", "cls.output.bias"},
    {"attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_output.weight"},
    {"ffn_up.weight", "ffn_down.weight"},
    {"ffn_up.bias"},
    {"attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias", "ffn_down.bias"},
    {"attn_output_norm.weight", "layer_output_norm.weight"},
    {"attn_output_norm.bias", "layer_output_norm.bias"},
    {"attn_q.weight.lora_a", "attn_q.weight.lora_b", "attn_k.weight.lora_a", "attn_k.weight.lora_b",
     "attn_v.weight.lora_a", "attn_v.weight.lora_b", "attn_output.weight.lora_a",
     "attn_output.weight.lora_b", "ffn_up.weight.lora_a", "ffn_up.weight.lora_b",
     "ffn_down.weight.lora_a", "ffn_down.weight.lora_b"},
    {"adapter_attn_down.weight", "adapter_attn_down.bias", "adapter_attn_up.weight",
     "adapter_attn_up.bias", "adapter_ffn_down.weight", "adapter_ffn_down.bias",
     "adapter_ffn_up.weight", "adapter_ffn_up.bias"},
    {"adapter_down.weight", "adapter_down.bias", "adapter_up.weight", "adapter_up.bias"},
    {"ffn_up.weight.kept", "ffn_up.bias.kept", "ffn_down.weight.kept"},
};

/* primed: what trains until the flip alone. */
static const struct {
    const char *method;
    int added, trained, primed;
} choices[] = {
    {"full", 0, BASE, 0},
    {"learner", LOW_RANK, LOW_RANK | BIASES | BLOCK_NORMS | HEAD, ATTENTION},
    {"lora", LOW_RANK, LOW_RANK | BIASES | BLOCK_NORMS | HEAD, 0},
    {"bitfit", 0, BIASES | NORM_BIASES | EMBEDDING_NORM_BIAS | HEAD, 0},
    {"adapter", TWO_ADAPTERS, TWO_ADAPTERS | BLOCK_NORMS | HEAD, 0},
    {"parallel", ONE_ADAPTER, ONE_ADAPTER | BLOCK_NORMS | HEAD, 0},
    {"freeze-ffn", 0, ATTENTION | BIASES | BLOCK_NORMS | HEAD, 0},
    {"far", KEPT_NODES, (BASE & ~(FEED_FORWARD | UP_BIAS)) | KEPT_NODES, FEED_FORWARD | UP_BIAS},
};

/* Asserts of one parameter and counts it. */
static void expect(const scene *s, int *n, bool trains, const char *name) {
    int index = pr_store_find(s->store, name);
    if (index < 0) fail_msg("there is no %s", name);
    if (pr_store_param(s->store, index)->require_grad != trains) {
        fail_msg("%s should %s", name, trains ? "train" : "be frozen");
    }
    (*n)++;
}

static void expect_group(const scene *s, int *n, bool trains, int group, int layers) {
    for (const char *const *name = names[group]; *name; name++) {
        if (1 << group < ATTENTION) expect(s, n, trains, *name);
        for (int layer = 0; 1 << group >= ATTENTION && layer < layers; layer++) {
            char whole[64];
            snprintf(whole, sizeof whole, "blk.%d.%s", layer, *name);
            expect(s, n, trains, whole);
        }
    }
}

/* These parameters there are, and no others; those of the groups in `trained` train. */
static void expect_all(const scene *s, const pr_bert_config *config, int there, int trained) {
    int n = 0;
    for (int group = 0; group < GROUPS; group++) {
        if (there & 1 << group) {
            expect_group(s, &n, trained & 1 << group, group, config->layers);
        }
    }
    if (config->token_types) expect(s, &n, trained & EMBEDDINGS, "token_types.weight");
    assert_int_equal(n, pr_store_count(s->store));
}

static void methods_train_these(void **state) {
    (void)state;
    enum { N = sizeof choices / sizeof *choices };
    for (int i = 0; i < N; i++) {
        for (int kind = 0; kind < 2; kind++) {
            const pr_bert_config *config = kind ? &minilm : &distilbert;
            scene s;
            open_scene(&s, config, choices[i].method, 4);
            set_phase(&s, 0);
            expect_all(&s, config, BASE | choices[i].added, choices[i].trained | choices[i].primed);
            set_phase(&s, 1);
            expect_all(&s, config, BASE | choices[i].added, choices[i].trained);
            close_scene(&s);
        }
    }
    assert_ptr_equal(pr_methods[N], NULL); /* there is no other method */
}

static void a_method_without_priming_has_no_flip(void **state) {
    (void)state;
    for (const pr_method *const *m = pr_methods; *m; m++) {
        scene s;
        open_scene(&s, &minilm, (*m)->name, 4);
        uint64_t version = pr_store_version(s.store);
        set_phase(&s, 0);
        set_phase(&s, 1);
        assert_int_equal(pr_store_version(s.store) != version, (*m)->primed != NULL);
        close_scene(&s);
    }
}

/* Weight decay is for matrices. */
static void vectors_do_not_decay(void **state) {
    (void)state;
    for (const pr_method *const *m = pr_methods; *m; m++) {
        scene s;
        open_scene(&s, &minilm, (*m)->name, 4);
        for (int i = 0; i < pr_store_count(s.store); i++) {
            const pr_param *p = pr_store_param(s.store, i);
            bool vector = pr_glob("*.bias{,.kept}", p->name) || pr_glob("*_norm.weight", p->name);
            assert_int_equal(p->decay, !vector);
        }
        close_scene(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_distilbert),
        cmocka_unit_test(counts_of_minilm),
        cmocka_unit_test(counts_of_bert),
        cmocka_unit_test(methods_train_these),
        cmocka_unit_test(a_method_without_priming_has_no_flip),
        cmocka_unit_test(vectors_do_not_decay),
    };
    return cmocka_run_group_tests(tests, make_zeros, free_zeros);
}
