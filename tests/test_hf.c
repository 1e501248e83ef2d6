/* Hugging Face directories: names, config.json, round trips, and what is wrong with a broken one.
 */
#include "tests/test.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backends/cpu.h"
#include "graph/memory.h"
#include "models/hf.h"
#include "models/json.h"
#include "models/safetensors.h"
#include "tests/alloc_fault.h"
#include "tests/scratch.h"

static pr_backend *cpu;
static char folder[512]; /* of the exported model */

static int begin(void **state) {
    pr_error err = {0};
    cpu = pr_cpu_new(1, &err);
    return cpu ? scratch_make(state) : -1;
}

static const char *const files[] = {"config.json", "model.safetensors", "vocab.txt",
                                    "tokenizer_config.json", "tokenizer.json"};

static const char *in_folder(const char *name) {
    static char path[640];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int clean(void **state) {
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(in_folder(files[i]));
    return scratch_empty(state);
}

static int end(void **state) {
    pr_backend_free(cpu);
    return scratch_remove(state);
}

/* ---- names ---- */

static void assert_same_name(pr_bert_kind kind, const char *hf, const char *gguf) {
    char name[PR_HF_NAME];
    assert_true(pr_hf_to_gguf(kind, hf, name));
    assert_string_equal(name, gguf);
    assert_true(pr_hf_from_gguf(kind, gguf, name));
    assert_string_equal(name, hf);
}

static void names_are_known_both_ways(void **state) {
    (void)state;
    assert_same_name(PR_BERT, "bert.embeddings.token_type_embeddings.weight", "token_types.weight");
    assert_same_name(PR_BERT, "bert.encoder.layer.11.attention.output.LayerNorm.bias",
                     "blk.11.attn_output_norm.bias");
    assert_same_name(PR_BERT, "bert.encoder.layer.0.output.dense.weight", "blk.0.ffn_down.weight");
    assert_same_name(PR_BERT, "bert.pooler.dense.bias", "cls.bias");
    assert_same_name(PR_DISTILBERT, "distilbert.transformer.layer.5.attention.out_lin.weight",
                     "blk.5.attn_output.weight");
    assert_same_name(PR_DISTILBERT, "distilbert.transformer.layer.0.output_layer_norm.weight",
                     "blk.0.layer_output_norm.weight");
    assert_same_name(PR_DISTILBERT, "pre_classifier.weight", "cls.weight");
    assert_same_name(PR_DISTILBERT, "classifier.bias", "cls.output.bias");
}

static void old_names_are_known(void **state) {
    (void)state;
    char name[PR_HF_NAME];
    assert_true(pr_hf_to_gguf(PR_BERT, "embeddings.LayerNorm.gamma", name));
    assert_string_equal(name, "token_embd_norm.weight");
    assert_true(pr_hf_to_gguf(PR_BERT, "encoder.layer.3.output.LayerNorm.beta", name));
    assert_string_equal(name, "blk.3.layer_output_norm.bias");
    assert_true(pr_hf_to_gguf(PR_DISTILBERT, "transformer.layer.10.ffn.lin1.bias", name));
    assert_string_equal(name, "blk.10.ffn_up.bias");
}

static void strange_names_are_not_known(void **state) {
    (void)state;
    static const char *const strange[] = {"",
                                          "bert",
                                          "bert.pooler.dense.weight.",
                                          "bert.pooler.dense.scale",
                                          "bert.encoder.layer.01.output.dense.weight",
                                          "bert.encoder.layer..output.dense.weight",
                                          "bert.encoder.layer.x.output.dense.weight",
                                          "bert.encoder.layer.9999999.output.dense.weight",
                                          "bert.bert.pooler.dense.weight",
                                          "distilbert.embeddings.LayerNorm.weight"};
    char name[PR_HF_NAME];
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
        assert_false(pr_hf_to_gguf(PR_BERT, strange[i], name));
    assert_false(pr_hf_from_gguf(PR_BERT, "blk.0.attn_q.lora_a", name));
    assert_false(pr_hf_from_gguf(PR_DISTILBERT, "token_types.weight", name));
    assert_true(pr_hf_is_skipped("bert.embeddings.position_ids"));
    assert_true(pr_hf_is_skipped("cls.predictions.transform.dense.weight"));
    assert_true(pr_hf_is_skipped("vocab_layer_norm.bias"));
    assert_false(pr_hf_is_skipped("classifier.weight"));
}

/* ---- round trips ---- */

static pr_model *make_model(pr_bert_kind kind) {
    static const char *const pieces[] = {"[PAD]",  "[UNK]", "[CLS]", "[SEP]",
                                         "[MASK]", "the",   "##s",   "caf\xc3\xa9"};
    static const char *const labels[] = {"no", "yes", "say \"maybe\""};
    pr_bert_config config = {.kind = kind,
                             .layers = 2,
                             .width = 8,
                             .heads = 2,
                             .ffn = 12,
                             .vocab = 8,
                             .positions = 5,
                             .token_types = kind == PR_BERT ? 2 : 0,
                             .labels = 3,
                             .epsilon = 1e-12f,
                             .dropout = 0.1f,
                             .attention_dropout = 0.25f,
                             .head_dropout = 0.3f};
    pr_error err = {0};
    pr_vocab *vocab = pr_vocab_new();
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pr_vocab_add(vocab, pieces[i], strlen(pieces[i]), &err), PR_OK);
    assert_int_equal(pr_vocab_finish(vocab, &err), PR_OK);
    pr_model *model = pr_model_random(&config, vocab, cpu, 7, &err);
    bool made;
    assert_non_null(model);
    assert_int_equal(pr_model_set_labels(model, labels, 3, 7, &made, &err), PR_OK);
    return model;
}

static void export_model(pr_bert_kind kind) {
    pr_error err = {0};
    snprintf(folder, sizeof folder, "%s", scratch_path("model"));
    pr_model *model = make_model(kind);
    if (pr_model_export(model, folder, &err) != PR_OK) fail_msg("%s", err.message);
    pr_model_free(model);
}

static pr_model *open_good(void) {
    pr_error err = {0};
    pr_model *model = pr_model_open(folder, cpu, &err);
    if (!model) fail_msg("%s", err.message);
    return model;
}

static void assert_same_parameters(const pr_model *a, const pr_model *b) {
    assert_int_equal(pr_store_count(a->store), pr_store_count(b->store));
    for (int i = 0; i < pr_store_count(a->store); i++) {
        const pr_param *p = pr_store_param(a->store, i);
        const pr_param *q = pr_store_param(b->store, pr_store_find(b->store, p->name));
        assert_true(pr_shape_equal(p->shape, q->shape));
        assert_memory_equal(p->data, q->data, p->bytes);
    }
}

static void check_round_trip(pr_bert_kind kind) {
    export_model(kind);
    pr_model *before = make_model(kind), *after = open_good();
    const pr_bert_config *c = &before->config, *d = &after->config;
    assert_int_equal(d->kind, kind);
    assert_int_equal(d->layers, c->layers);
    assert_int_equal(d->heads, c->heads);
    assert_int_equal(d->token_types, c->token_types);
    assert_int_equal(d->labels, 3);
    assert_false(d->regression);
    assert_true(d->epsilon == c->epsilon && d->dropout == c->dropout);
    assert_true(d->attention_dropout == c->attention_dropout);
    assert_true(d->head_dropout == c->head_dropout);
    assert_true(after->has_head && after->has_pooler);
    for (int i = 0; i < 3; i++)
        assert_string_equal(after->label[i], before->label[i]);
    assert_int_equal(after->vocab->n, 8);
    assert_string_equal(after->vocab->piece[7], before->vocab->piece[7]);
    assert_same_parameters(before, after);
    pr_model_free(before);
    pr_model_free(after);
}

static void a_bert_comes_back(void **state) {
    (void)state;
    check_round_trip(PR_BERT);
}

static void a_distilbert_comes_back(void **state) {
    (void)state;
    check_round_trip(PR_DISTILBERT);
}

/* The exported weights again, as a bare encoder of old: no prefix, gamma and beta, no head, and
 * with what is no weight of it. */
static void an_old_bare_encoder_is_read(void **state) {
    (void)state;
    pr_error err = {0};
    export_model(PR_BERT);
    pr_safetensors *file = pr_safetensors_open(in_folder("model.safetensors"), &err);
    pr_outgoing list = {0};
    static const float ids[5];
    for (int i = 0; i < pr_safetensors_count(file); i++) {
        const pr_stored *t = pr_safetensors_tensor(file, i);
        const char *name = strncmp(t->name, "bert.", 5) == 0 ? t->name + 5 : NULL;
        char old[PR_HF_NAME];
        if (!name) continue;
        const char *norm = strstr(name, "LayerNorm.");
        if (norm)
            snprintf(old, sizeof old, "%.*sLayerNorm.%s", (int)(norm - name), name,
                     strstr(norm, "weight") ? "gamma" : "beta");
        else
            snprintf(old, sizeof old, "%s", name);
        assert_int_equal(
            pr_outgoing_add(&list, old, t->shape, PR_FORMAT_F32, pr_stored_direct(t), &err), PR_OK);
    }
    pr_outgoing_add(&list, "embeddings.position_ids", pr_shape_1(5), PR_FORMAT_F32, ids, &err);
    pr_outgoing_add(&list, "cls.predictions.bias", pr_shape_1(5), PR_FORMAT_F32, ids, &err);
    assert_int_equal(pr_safetensors_write(&list, in_folder("model.safetensors"), &err), PR_OK);
    pr_outgoing_clear(&list);
    pr_safetensors_close(file);

    pr_model *whole = make_model(PR_BERT), *bare = open_good();
    assert_true(bare->has_pooler);
    assert_false(bare->has_head);
    for (int i = 0; i < pr_store_count(bare->store); i++) {
        const pr_param *p = pr_store_param(bare->store, i);
        const pr_param *q = pr_store_param(whole->store, pr_store_find(whole->store, p->name));
        assert_memory_equal(p->data, q->data, p->bytes);
    }
    pr_model_free(whole);
    pr_model_free(bare);
}

/* ---- config.json ---- */

/* Opens the exported model with fields of its config.json replaced. */
static pr_model *open_with(const char *fields, pr_error *err) {
    pr_error ignored = {0};
    export_model(PR_BERT);
    json_t *root = pr_json_read(in_folder("config.json"), &ignored);
    json_t *change = json_loads(fields, 0, NULL);
    assert_non_null(change);
    assert_int_equal(json_object_update(root, change), 0);
    char *text = json_dumps(root, 0);
    scratch_write(in_folder("config.json"), text, strlen(text));
    free(text);
    json_decref(root);
    json_decref(change);
    *err = (pr_error){0};
    return pr_model_open(folder, cpu, err);
}

static void a_bad_config_is_named(void **state) {
    (void)state;
    static const struct {
        const char *fields, *message;
        pr_status status;
    } bad[] = {
        {"{\"hidden_size\": null}", "'hidden_size' is missing", PR_BAD_FILE},
        {"{\"hidden_size\": \"8\"}", "'hidden_size' must be an integer above 0", PR_BAD_FILE},
        {"{\"hidden_size\": 8.5}", "'hidden_size' must be an integer above 0", PR_BAD_FILE},
        {"{\"hidden_size\": -8}", "'hidden_size' must be an integer above 0", PR_BAD_FILE},
        {"{\"hidden_size\": 9}", "width 9 is no multiple of its 2 heads", PR_BAD_FILE},
        {"{\"num_hidden_layers\": 2147483647}", "layers: expected 1 to 1000", PR_BAD_FILE},
        {"{\"hidden_dropout_prob\": 1}", "'hidden_dropout_prob' must be a number", PR_BAD_FILE},
        {"{\"layer_norm_eps\": \"x\"}", "'layer_norm_eps' must be a number", PR_BAD_FILE},
        {"{\"model_type\": \"roberta\"}", "'model_type' is 'roberta'", PR_UNSUPPORTED},
        {"{\"model_type\": null}", "'model_type' is missing", PR_BAD_FILE},
        {"{\"hidden_act\": \"relu\"}", "'hidden_act' is 'relu'; only 'gelu'", PR_UNSUPPORTED},
        {"{\"position_embedding_type\": \"relative_key\"}", "only 'absolute'", PR_UNSUPPORTED},
        {"{\"is_decoder\": true}", "'is_decoder' must be false", PR_UNSUPPORTED},
        {"{\"id2label\": {\"0\": \"a\"}}", "'id2label' must name 3 labels", PR_BAD_FILE},
        {"{\"id2label\": {\"0\": \"a\", \"1\": \"b\", \"3\": \"c\"}}", "no name for \"2\"",
         PR_BAD_FILE},
        {"{\"id2label\": {\"0\": \"a\", \"1\": \"a\", \"2\": \"c\"}}", "'a' is named twice",
         PR_BAD_FILE},
        {"{\"problem_type\": \"multi_label_classification\"}", "several labels", PR_UNSUPPORTED},
        {"{\"vocab_size\": 9}", "the vocabulary has 8 pieces", PR_BAD_FILE},
        {"{\"num_hidden_layers\": 3}", "layer.2.attention.self.query.weight' is missing",
         PR_BAD_FILE},
        {"{\"intermediate_size\": 13}", "expected shape (13, 8), found (12, 8)", PR_BAD_FILE},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pr_error err;
        assert_null(open_with(bad[i].fields, &err));
        assert_says(err.message, bad[i].message);
        assert_says(err.message, "/model/");
        assert_int_equal(err.code, bad[i].status);
    }
}

static void absent_fields_have_their_defaults(void **state) {
    (void)state;
    pr_error err;
    pr_model *model = open_with("{\"id2label\": null, \"classifier_dropout\": null,"
                                "\"hidden_dropout_prob\": 0.4, \"layer_norm_eps\": null}",
                                &err);
    assert_non_null(model);
    assert_string_equal(model->label[2], "LABEL_2");
    assert_true(model->config.head_dropout == 0.4f);
    assert_true(model->config.epsilon == 1e-12f);
    pr_model_free(model);
}

/* ---- broken directories ---- */

static void assert_not_opened(pr_status status, const char *message) {
    pr_error err = {0};
    assert_null(pr_model_open(folder, cpu, &err));
    assert_says(err.message, message);
    assert_int_equal(err.code, status);
}

static void missing_and_broken_files_are_named(void **state) {
    (void)state;
    export_model(PR_DISTILBERT);
    unlink(in_folder("model.safetensors"));
    assert_not_opened(PR_IO, "model.safetensors: No such file");
    unlink(in_folder("vocab.txt"));
    assert_not_opened(PR_IO, "neither vocab.txt nor tokenizer.json is there");
    scratch_write(in_folder("tokenizer_config.json"), "{\"do_lower_case\": false}", 24);
    assert_not_opened(PR_UNSUPPORTED, "'do_lower_case' is false");
    scratch_write(in_folder("config.json"), "{\"a\": 1, \"a\": 2}", 16);
    assert_not_opened(PR_BAD_FILE, "config.json: no valid JSON in line 1");
    scratch_write(in_folder("config.json"), "[]", 2);
    assert_not_opened(PR_BAD_FILE, "config.json: is JSON, but no object");
    scratch_write(in_folder("config.json"), "", 0);
    assert_not_opened(PR_IO, "config.json: the file is empty");
    unlink(in_folder("config.json"));
    assert_not_opened(PR_IO, "config.json: No such file");
}

static void assert_weights_refused(const char *name, const char *message) {
    static const float zeros[64];
    pr_error err = {0};
    pr_outgoing list = {0};
    assert_int_equal(pr_outgoing_add(&list, "bert.embeddings.LayerNorm.weight", pr_shape_1(8),
                                     PR_FORMAT_F32, zeros, &err),
                     PR_OK);
    assert_int_equal(pr_outgoing_add(&list, name, pr_shape_1(8), PR_FORMAT_F32, zeros, &err),
                     PR_OK);
    assert_int_equal(pr_safetensors_write(&list, in_folder("model.safetensors"), &err), PR_OK);
    pr_outgoing_clear(&list);
    assert_not_opened(PR_BAD_FILE, message);
}

static void strangers_and_twins_are_named(void **state) {
    (void)state;
    export_model(PR_BERT);
    assert_weights_refused("bert.adapter.weight",
                           "tensor 'bert.adapter.weight' has no place in a BERT");
    assert_weights_refused("embeddings.LayerNorm.gamma",
                           "'bert.embeddings.LayerNorm.weight' and 'embeddings.LayerNorm.gamma'");
    assert_weights_refused("bert.pooler.dense.bias",
                           "tensor 'bert.embeddings.word_embeddings.weight' is missing");
}

static void an_export_takes_no_strangers_folder(void **state) {
    (void)state;
    export_model(PR_BERT);
    export_model(PR_BERT); /* over itself is fine */
    scratch_write(in_folder("tokenizer.json"), "{}", 2);
    pr_error err = {0};
    pr_model *model = make_model(PR_BERT);
    assert_int_equal(pr_model_export(model, folder, &err), PR_IO);
    assert_says(err.message, "holds 'tokenizer.json', which is no part of an exported model");
    err = (pr_error){0};
    assert_int_equal(pr_model_export(model, scratch_path("none/model"), &err), PR_IO);
    assert_says(err.message, "can't be made a directory: No such file");
    err = (pr_error){0};
    scratch_write(scratch_path("file"), "x", 1);
    assert_int_equal(pr_model_export(model, scratch_path("file"), &err), PR_IO);
    assert_says(err.message, "is there and no directory");
    pr_model_free(model);
}

static bool open_once(void *context) {
    (void)context;
    pr_error err = {0};
    pr_model *model = pr_model_open(folder, cpu, &err);
    pr_model_free(model);
    return model != NULL;
}

static bool export_once(void *model) {
    return pr_model_export(model, folder, NULL) == PR_OK;
}

static void every_failing_allocation_comes_back(void **state) {
    (void)state;
    export_model(PR_DISTILBERT);
    alloc_fault_every(open_once, NULL);
    pr_model *model = make_model(PR_DISTILBERT);
    alloc_fault_every(export_once, model);
    pr_model_free(model);
}

static void a_full_disk_leaves_no_folder(void **state) {
    (void)state;
    pr_error err = {0};
    pr_model *model = make_model(PR_BERT);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = {2000, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    pr_status status = pr_model_export(model, scratch_path("full"), &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(status, PR_IO);
    assert_says(err.message, "full/model.safetensors: can't be written: File too large");
    assert_int_equal(access(scratch_path("full"), F_OK), -1);
    pr_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_known_both_ways),
        cmocka_unit_test(old_names_are_known),
        cmocka_unit_test(strange_names_are_not_known),
        cmocka_unit_test_teardown(a_bert_comes_back, clean),
        cmocka_unit_test_teardown(a_distilbert_comes_back, clean),
        cmocka_unit_test_teardown(an_old_bare_encoder_is_read, clean),
        cmocka_unit_test_teardown(a_bad_config_is_named, clean),
        cmocka_unit_test_teardown(absent_fields_have_their_defaults, clean),
        cmocka_unit_test_teardown(missing_and_broken_files_are_named, clean),
        cmocka_unit_test_teardown(strangers_and_twins_are_named, clean),
        cmocka_unit_test_teardown(an_export_takes_no_strangers_folder, clean),
        cmocka_unit_test_teardown(a_full_disk_leaves_no_folder, clean),
        cmocka_unit_test_teardown(every_failing_allocation_comes_back, clean),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
