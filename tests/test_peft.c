/* Which of the base's weights trained, as a tuned model's file tells it, and the PEFT adapter
 * directory of a model of which none did. */
#include "tests/test.h"

#include <unistd.h>

#include "backends/cpu.h"
#include "graph/memory.h"
#include "models/gguf.h"
#include "models/json.h"
#include "models/safetensors.h"
#include "tests/alloc_fault.h"
#include "tests/scratch.h"
#include "tests/toy_run.h"

enum { LAYERS = 2, PRIMED = 4 * LAYERS, LINEARS = 6 * LAYERS };
static const char key[] = "primer.base_changed";

static pr_backend *cpu;

static int begin(void **state) {
    pr_error err = {0};
    cpu = pr_cpu_new(1, &err);
    return cpu ? scratch_make(state) : -1;
}

static int end(void **state) {
    pr_backend_free(cpu);
    return scratch_remove(state);
}

static const char *adapter_file(const char *name) {
    static char path[640];
    snprintf(path, sizeof path, "%s/adapter/%s", scratch_folder(), name);
    return path;
}

static int clean(void **state) {
    static const char *const files[] = {"adapter_model.safetensors", "model_config.json",
                                        "adapter_config.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(adapter_file(files[i]));
    rmdir(scratch_path("adapter"));
    return scratch_empty(state);
}

static pr_model *open_model(const char *name) {
    pr_error err = {0};
    pr_model *model = pr_model_open(scratch_path(name), cpu, &err);
    assert_string_equal(err.message, "");
    return model;
}

/* A run on the model at scratch/toy.gguf; its result is scratch/tuned.gguf. */
static void tune(const toy_run *run) {
    toy_result result = toy_run_through(run);
    free(result.file);
}

static toy_run run_of(const char *method, int32_t prime) {
    static char model[512];
    toy_run run = toy_run_default(method, prime);
    snprintf(model, sizeof model, "%s", scratch_path("toy.gguf"));
    run.model = model;
    return run;
}

static int count_trained(const pr_model *model) {
    int n = 0;
    for (int i = -1; (i = pr_model_next_trained(model, i)) >= 0;)
        n++;
    return n;
}

/* ---- what trained ---- */

/* The names in the file are those that trained, in their order; opened, the model knows them. */
static void assert_trained(const char *pattern, int n) {
    pr_error err = {0};
    pr_gguf *file = pr_gguf_open(scratch_path("tuned.gguf"), &err);
    assert_string_equal(err.message, "");
    const pr_gguf_value *value = pr_gguf_value_of(file, key);
    assert_non_null(value);
    assert_int_equal(value->count, n);
    for (int i = 0; i < n; i++) {
        if (!pr_glob(pattern, value->texts[i])) fail_msg("'%s' trained", value->texts[i]);
    }
    pr_gguf_close(file);
    pr_model *model = open_model("tuned.gguf");
    assert_int_equal(count_trained(model), n);
    assert_int_equal(pr_model_check_peft(model, &err), n ? PR_BAD_ARGUMENT : PR_OK);
    if (n) assert_says(err.message, "of the base's weights trained too, '");
    pr_model_free(model);
}

static void a_file_tells_which_base_weights_trained(void **state) {
    (void)state;
    static const char *const query[] = {"blk.1.attn_q.weight", NULL};
    static const char *const attention[] = {"blk.*.attn_{q,k,v,output}.weight", NULL};
    static const char *const tables[] = {"*_embd.weight", NULL};
    static const char *const small[] = {"*.bias", "token_embd_norm.*", NULL};
    static const struct {
        const char *method;
        const char *const *train, *const *freeze;
        const char *pattern;
        int32_t prime;
        int n;
    } cases[] = {
        {"learner", NULL, NULL, "", 0, 0},
        {"lora", NULL, NULL, "", 0, 0},
        {"lora", small, NULL, "", 0, 0},
        {"learner", NULL, NULL, "blk.?.attn_*.weight", 1, PRIMED},
        {"learner", NULL, NULL, "blk.?.attn_*.weight", RUN_EPOCHS, PRIMED},
        {"learner", NULL, attention, "", 1, 0},
        {"learner", NULL, query, "blk.?.attn_*.weight", 1, PRIMED - 1},
        {"lora", query, NULL, "blk.1.attn_q.weight", 0, 1},
        {"learner", tables, NULL, "{token,position}_embd.weight", 0, 2},
    };
    toy_run_model(PR_BERT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        toy_run run = run_of(cases[i].method, cases[i].prime);
        run.options.train = cases[i].train;
        run.options.freeze = cases[i].freeze;
        tune(&run);
        assert_trained(cases[i].pattern, cases[i].n);
    }
}

/* Primed weights come back from the checkpoint though they train no more. */
static void a_resumed_run_remembers(void **state) {
    (void)state;
    static char checkpoint[512];
    toy_run_model(PR_DISTILBERT);
    snprintf(checkpoint, sizeof checkpoint, "%s", scratch_path("checkpoint"));
    for (int32_t prime = 0; prime < 2; prime++) {
        toy_run run = run_of("learner", prime);
        run.options.max_steps = RUN_EPOCH_STEPS + 2;
        run.options.checkpoint = checkpoint;
        tune(&run);
        run.options.max_steps = 0;
        run.options.resume = checkpoint;
        tune(&run);
        assert_trained("blk.?.attn_*.weight", prime ? PRIMED : 0);
    }
}

/* Copies a model's file: its weights as bf16, or without the key. */
static void copy_file(const char *from, const char *to, bool bf16) {
    pr_error err = {0};
    pr_gguf *file = pr_gguf_open(scratch_path(from), &err);
    pr_gguf_writer *w = pr_gguf_writer_new();
    assert_string_equal(err.message, "");
    for (int i = 0; i < pr_gguf_keys(file); i++) {
        const pr_gguf_value *value = pr_gguf_key(file, i);
        if (bf16 || strcmp(value->key, key) != 0) pr_gguf_put_value(w, value);
    }
    for (int i = 0; i < pr_gguf_tensors(file); i++) {
        const pr_stored *t = pr_gguf_tensor(file, i);
        pr_gguf_put_tensor(w, t->name, t->shape, bf16 ? PR_FORMAT_BF16 : PR_FORMAT_F32,
                           pr_stored_direct(t));
    }
    pr_gguf_write(w, scratch_path(to), &err);
    assert_string_equal(err.message, "");
    pr_gguf_writer_free(w);
    pr_gguf_close(file);
}

/* The store's own copy of a bf16 weight is no change, also where a checkpoint brings it back. */
static void a_widened_base_is_unchanged(void **state) {
    (void)state;
    static char checkpoint[512];
    toy_run_model(PR_BERT);
    copy_file("toy.gguf", "toy.gguf", true);
    snprintf(checkpoint, sizeof checkpoint, "%s", scratch_path("checkpoint"));
    toy_run run = run_of("lora", 0);
    run.options.max_steps = 3;
    run.options.checkpoint = checkpoint;
    tune(&run);
    assert_trained("", 0);
    run.options.max_steps = 0;
    run.options.resume = checkpoint;
    tune(&run);
    assert_trained("", 0);
}

static void assert_same_files(const char *a, const char *b) {
    size_t n, m;
    unsigned char *x = scratch_read(scratch_path(a), &n), *y = scratch_read(scratch_path(b), &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static void save_again(const char *from, const char *to) {
    pr_error err = {0};
    pr_model *model = open_model(from);
    pr_model_save(model, scratch_path(to), false, &err);
    assert_string_equal(err.message, "");
    pr_model_free(model);
}

static void a_copy_tells_the_same(void **state) {
    (void)state;
    pr_error err = {0};
    toy_run_model(PR_BERT);
    const toy_run run = run_of("learner", 1);
    tune(&run);
    save_again("tuned.gguf", "again.gguf");
    assert_same_files("again.gguf", "tuned.gguf");
    /* One that does not tell is not taken for one of which nothing trained. */
    copy_file("tuned.gguf", "untold.gguf", false);
    save_again("untold.gguf", "again.gguf");
    assert_same_files("again.gguf", "untold.gguf");
    pr_model *model = open_model("again.gguf");
    assert_true(model->untold);
    assert_int_equal(pr_model_check_peft(model, &err), PR_BAD_ARGUMENT);
    assert_says(err.message, "does not say whether the base's weights trained");
    pr_model_free(model);
}

/* ---- the directory ---- */

static pr_model *tuned_model(pr_bert_kind kind, const char *method) {
    toy_run_model(kind);
    const toy_run run = run_of(method, 0);
    tune(&run);
    return open_model("tuned.gguf");
}

static void assert_tensor(const pr_safetensors *file, const char *name, const pr_model *model,
                          const char *gguf) {
    char full[256];
    snprintf(full, sizeof full, "base_model.model.%s", name);
    int at = pr_safetensors_find(file, full), param = pr_store_find(model->store, gguf);
    if (at < 0 || param < 0) fail_msg("%s is missing", at < 0 ? full : gguf);
    const pr_stored *t = pr_safetensors_tensor(file, at);
    const pr_param *p = pr_store_param(model->store, param);
    assert_true(pr_shape_equal(t->shape, p->shape));
    assert_memory_equal(t->data, p->data, p->bytes);
}

/* Everything but the embeddings' tables and the linear layers' weights, each under its name. */
static void the_tensors_are_the_models(void **state) {
    (void)state;
    pr_error err = {0};
    for (int kind = PR_BERT; kind <= PR_DISTILBERT; kind++) {
        pr_model *model = tuned_model((pr_bert_kind)kind, kind == PR_BERT ? "lora" : "learner");
        pr_model_export_peft(model, NULL, scratch_path("adapter"), &err);
        pr_safetensors *file = pr_safetensors_open(adapter_file("adapter_model.safetensors"), &err);
        assert_string_equal(err.message, "");
        int tables = kind == PR_BERT ? 3 : 2;
        assert_int_equal(pr_safetensors_count(file),
                         pr_store_count(model->store) - tables - LINEARS);
        if (kind == PR_BERT) {
            assert_tensor(file, "bert.encoder.layer.1.attention.self.key.lora_A.weight", model,
                          "blk.1.attn_k.weight.lora_a");
            assert_tensor(file, "bert.encoder.layer.0.output.dense.lora_B.weight", model,
                          "blk.0.ffn_down.weight.lora_b");
            assert_tensor(file, "bert.encoder.layer.0.attention.output.dense.base_layer.bias",
                          model, "blk.0.attn_output.bias");
            assert_tensor(file, "bert.encoder.layer.1.output.LayerNorm.weight", model,
                          "blk.1.layer_output_norm.weight");
            assert_tensor(file, "bert.pooler.dense.bias", model, "cls.bias");
        } else {
            assert_tensor(file, "distilbert.transformer.layer.1.ffn.lin1.lora_A.weight", model,
                          "blk.1.ffn_up.weight.lora_a");
            assert_tensor(file, "distilbert.transformer.layer.0.attention.out_lin.base_layer.bias",
                          model, "blk.0.attn_output.bias");
            assert_tensor(file, "distilbert.embeddings.LayerNorm.bias", model,
                          "token_embd_norm.bias");
            assert_tensor(file, "pre_classifier.weight", model, "cls.weight");
        }
        assert_tensor(file, "classifier.weight", model, "cls.output.weight");
        pr_safetensors_close(file);
        pr_model_free(model);
        clean(NULL);
    }
}

/* alpha over the rank is the scale, to the last bit, in as few digits as that takes. */
static void alpha_is_as_it_was_given(void **state) {
    (void)state;
    static const struct {
        double alpha;
        int rank;
        const char *text;
    } cases[] = {{16, 64, "\"lora_alpha\": 16,"},          {10, 3, "\"lora_alpha\": 10,"},
                 {0.7, 3, "\"lora_alpha\": 0.7,"},         {-2.5, 4, "\"lora_alpha\": -2.5,"},
                 {1e6 * 7, 7, "\"lora_alpha\": 7000000,"}, {0, 5, "\"lora_alpha\": 0,"}};
    pr_error err = {0};
    pr_model *model = tuned_model(PR_BERT, "lora");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size;
        model->options.size = cases[i].rank;
        model->options.scale = (float)(cases[i].alpha / cases[i].rank);
        pr_model_export_peft(model, "a \"base\"", scratch_path("adapter"), &err);
        assert_string_equal(err.message, "");
        char *text = (char *)scratch_read(adapter_file("adapter_config.json"), &size);
        assert_says(text, cases[i].text);
        assert_says(text, "\"base_model_name_or_path\": \"a \\\"base\\\"\"");
        free(text);
    }
    pr_model_free(model);
    assert_true((float)(pr_json_shortest(1.0f / 3, 1000) / 1000) == 1.0f / 3);
}

/* Nothing is left of a directory that could not be made whole. */
static bool export_once(void *model) {
    bool made = pr_model_export_peft(model, "base", scratch_path("adapter"), NULL) == PR_OK;
    assert_int_equal(access(adapter_file("adapter_config.json"), F_OK) == 0, made);
    if (made) assert_int_equal(access(adapter_file("adapter_model.safetensors"), F_OK), 0);
    return made;
}

static void every_failing_allocation_comes_back(void **state) {
    (void)state;
    pr_model *model = tuned_model(PR_DISTILBERT, "lora");
    alloc_fault_every(export_once, model);
    pr_model_free(model);
}

static void what_is_no_adapter_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *method, *says;
    } cases[] = {
        {"adapter", "PEFT has no method that is like 'adapter'"},
        {"parallel", "PEFT has no method that is like 'parallel'"},
        {"bitfit", "it is a plain model"},
        {"far", "it is a plain model"},
        {"learner", "8 of the base's weights trained too, 'blk.0.attn_q.weight' the first"}};
    toy_run_model(PR_BERT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pr_error err = {0};
        const toy_run run = run_of(cases[i].method, 1);
        tune(&run);
        pr_model *model = open_model("tuned.gguf");
        assert_int_equal(pr_model_export_peft(model, NULL, scratch_path("adapter"), &err),
                         PR_BAD_ARGUMENT);
        assert_says(err.message, cases[i].says);
        assert_int_equal(access(scratch_path("adapter"), F_OK), -1);
        pr_model_free(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_file_tells_which_base_weights_trained, clean),
        cmocka_unit_test_teardown(a_resumed_run_remembers, clean),
        cmocka_unit_test_teardown(a_widened_base_is_unchanged, clean),
        cmocka_unit_test_teardown(a_copy_tells_the_same, clean),
        cmocka_unit_test_teardown(the_tensors_are_the_models, clean),
        cmocka_unit_test_teardown(alpha_is_as_it_was_given, clean),
        cmocka_unit_test_teardown(every_failing_allocation_comes_back, clean),
        cmocka_unit_test_teardown(what_is_no_adapter_is_refused, clean),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
