/* Collapsing: W + s P2 P1 in place of a learner gives the same logits from a plain model's file. */
#include "tests/test.h"

#include <math.h>
#include <unistd.h>

#include "backends/cpu.h"
#include "graph/memory.h"
#include "models/gguf.h"
#include "tests/difference.h"
#include "tests/scratch.h"
#include "tests/toy_model.h"
#include "train/finetune.h"

enum { ROWS = 24, DEV = 40, RANK = 4 };

static pr_backend *cpu;
static pr_dataset *dev;

static int begin(void **state) {
    pr_error err = {0};
    cpu = pr_cpu_new(2, &err);
    dev = toy_data(DEV, 4);
    return cpu ? scratch_make(state) : -1;
}

static int end(void **state) {
    pr_dataset_free(dev);
    pr_backend_free(cpu);
    return scratch_remove(state);
}

/* A learner of a scale that is not 1, trained until it matters, through the flip. */
static pr_model *tuned_model(pr_bert_kind kind) {
    pr_error err = {0};
    pr_model *model = toy_model(kind, cpu, 1);
    const pr_method *learner = pr_method_find("learner");
    const pr_method_options options = {.size = RANK, .scale = 1.5f, .prime = 1, .seed = 9};
    pr_model_set_method(model, learner, &options, &err);
    pr_dataset *train = toy_data(ROWS, 3);
    pr_finetune_options o = pr_finetune_default();
    o.epochs = 3;
    o.batch_size = 4;
    o.learning_rate = 2e-2;
    pr_finetune_result result;
    pr_finetune_run(model, cpu, train, NULL, &o, NULL, &result, &err);
    assert_string_equal(err.message, "");
    pr_dataset_free(train);
    return model;
}

/* (DEV, 2), to be freed with pr_free. */
static float *logits_of(pr_model *model) {
    pr_error err = {0};
    float *logits;
    pr_finetune_predict(model, cpu, dev, 8, NULL, &logits, &err);
    assert_string_equal(err.message, "");
    return logits;
}

/* The logits of the model in a file or a folder. */
static float *logits_at(const char *path, const char *method) {
    pr_error err = {0};
    pr_model *model = pr_model_open(path, cpu, &err);
    assert_string_equal(err.message, "");
    assert_string_equal(model->method->name, method);
    float *logits = logits_of(model);
    pr_model_free(model);
    return logits;
}

static void logits_agree(void **state) {
    const pr_bert_kind kind = *(const pr_bert_kind *)*state;
    const size_t n = (size_t)DEV * 2, bytes = n * sizeof(float);
    pr_error err = {0};
    pr_model *model = tuned_model(kind);
    char folder[512];
    snprintf(folder, sizeof folder, "%s", scratch_path("folder"));
    pr_model_save(model, scratch_path("tuned"), false, &err);
    pr_model_save(model, scratch_path("plain"), true, &err);
    pr_model_export(model, folder, &err);
    assert_string_equal(err.message, "");
    float *own = logits_of(model), *tuned = logits_at(scratch_path("tuned"), "learner");
    float *plain = logits_at(scratch_path("plain"), "full"), *exported = logits_at(folder, "full");
    assert_memory_equal(own, tuned, bytes);
    assert_memory_equal(plain, exported, bytes);
    assert_true(largest_difference(own, plain, n) <= 1e-5);
    pr_free(own);
    pr_free(tuned);
    pr_free(plain);
    pr_free(exported);
    pr_model_free(model);
    static const char *const files[] = {"config.json", "model.safetensors", "vocab.txt",
                                        "tokenizer_config.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[640];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

/* ---- the file ---- */

typedef struct comparison {
    const pr_model *model;
    const pr_gguf *file;
    int seen, folded;
    double most; /* that a learner moved a weight by */
} comparison;

/* W + s P2 P1 in double against what the file holds. */
static void check_folded(comparison *c, const pr_param *w, const float *stored) {
    const pr_store *store = c->model->store;
    char name[96];
    snprintf(name, sizeof name, "%s.lora_a", w->name);
    const float *down = pr_store_param(store, pr_store_find(store, name))->data; /* (RANK, in) */
    snprintf(name, sizeof name, "%s.lora_b", w->name);
    const float *up = pr_store_param(store, pr_store_find(store, name))->data; /* (out, RANK) */
    int64_t out = w->shape.dim[0], in = w->shape.dim[1];
    for (int64_t i = 0; i < out * in; i++) {
        double low = 0;
        for (int r = 0; r < RANK; r++)
            low += (double)up[i / in * RANK + r] * (double)down[r * in + i % in];
        double moved = (double)c->model->options.scale * low;
        assert_true(fabs((double)w->data[i] + moved - (double)stored[i]) < 1e-6);
        c->most = fmax(c->most, fabs(moved));
    }
    c->folded++;
}

static pr_status check_tensor(void *context, const char *name, pr_shape shape, pr_error *err) {
    comparison *c = context;
    const pr_store *store = c->model->store;
    int index = pr_gguf_find(c->file, name);
    if (index < 0) return pr_fail(err, PR_BAD_FILE, "'%s' is missing", name);
    const pr_stored *t = pr_gguf_tensor(c->file, index);
    const pr_param *p = pr_store_param(store, pr_store_find(store, name));
    assert_true(pr_shape_equal(t->shape, shape));
    if (pr_glob("blk.*.{attn_q,attn_k,attn_v,attn_output,ffn_up,ffn_down}.weight", name))
        check_folded(c, p, pr_stored_direct(t));
    else
        assert_memory_equal(t->data, p->data, p->bytes);
    c->seen++;
    return PR_OK;
}

static void the_file_is_a_plain_models(void **state) {
    static const char *const keys[] = {"primer.method", "primer.size", "primer.scale",
                                       "primer.prime"};
    pr_error err = {0};
    comparison c = {.model = tuned_model(*(const pr_bert_kind *)*state)};
    pr_model_save(c.model, scratch_path("plain"), true, &err);
    pr_gguf *file = pr_gguf_open(scratch_path("plain"), &err);
    assert_string_equal(err.message, "");
    c.file = file;
    pr_bert_parameters(&c.model->config, check_tensor, &c, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(c.seen, pr_gguf_tensors(file)); /* and no others */
    assert_int_equal(c.folded, 2 * 6);
    assert_true(c.most > 1e-2);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_null(pr_gguf_value_of(file, keys[i]));
    pr_gguf_close(file);
    pr_model_free((pr_model *)c.model);
}

/* A collapsed model can be given a method again; a tuned one can't. */
static void a_collapsed_model_can_be_tuned_again(void **state) {
    pr_error err = {0}, refused = {0};
    pr_model *model = tuned_model(*(const pr_bert_kind *)*state);
    const pr_method *learner = pr_method_find("learner");
    pr_model_save(model, scratch_path("plain"), true, &err);
    assert_int_equal(pr_model_set_method(model, learner, &learner->defaults, &refused),
                     PR_BAD_ARGUMENT);
    assert_says(refused.message, "collapse it first");
    pr_model_free(model);
    model = pr_model_open(scratch_path("plain"), cpu, &err);
    assert_true(model->has_head && model->has_pooler);
    pr_method_options options = learner->defaults;
    options.size = RANK;
    pr_model_set_method(model, learner, &options, &err);
    assert_string_equal(err.message, "");
    float *with_learner = logits_of(model), *plain = logits_at(scratch_path("plain"), "full");
    assert_true(largest_difference(with_learner, plain, (size_t)DEV * 2) <= 1e-5); /* P2 is zero */
    pr_free(with_learner);
    pr_free(plain);
    pr_model_free(model);
}

int main(void) {
    static pr_bert_kind bert = PR_BERT, distilbert = PR_DISTILBERT;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(logits_agree, NULL, scratch_empty, &bert),
        cmocka_unit_test_prestate_setup_teardown(logits_agree, NULL, scratch_empty, &distilbert),
        cmocka_unit_test_prestate_setup_teardown(the_file_is_a_plain_models, NULL, scratch_empty,
                                                 &bert),
        cmocka_unit_test_prestate_setup_teardown(the_file_is_a_plain_models, NULL, scratch_empty,
                                                 &distilbert),
        cmocka_unit_test_prestate_setup_teardown(a_collapsed_model_can_be_tuned_again, NULL,
                                                 scratch_empty, &bert),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
