/* Training with frozen weights in bf16: which are, through a flip; that all else is as it was, that
 * threads change no bit, and that files in bf16 are read where they lie. */
#include <math.h>

#include "backends/cpu.h"
#include "models/gguf.h"
#include "tests/scratch.h"
#include "tests/test.h"
#include "tests/toy_run.h"

enum { FLIP = RUN_EPOCH_STEPS };

static toy_run bf16_run(const char *method, int32_t prime) {
    toy_run run = toy_run_default(method, prime);
    run.model = toy_run_model(PR_BERT);
    run.precision = PR_PRECISION_BF16;
    return run;
}

/* ---- what is kept how ---- */

static bool is_attention(const char *name) {
    return pr_glob("blk.*.attn_{q,k,v,output}.weight", name);
}

static bool is_feed_forward(const char *name) {
    return pr_glob("blk.*.ffn_{up,down}.weight", name);
}

/* Notes the plan's weights before and after the flip of a learner that primes for an epoch. */
static bool note_weights(void *context, const pr_step_report *report) {
    size_t *weights = context; /* (2) */
    bool flipped = report->step > FLIP;
    weights[flipped] = pr_trainer_report(report->trainer)->weights;
    return true;
}

static size_t frozen_weights(const char *path, bool (*which)(const char *)) {
    pr_error err = {0};
    pr_backend *backend = pr_cpu_new(1, &err);
    pr_model *model = pr_model_open(path, backend, &err);
    assert_string_equal(err.message, "");
    size_t elements = 0;
    for (int i = 0; i < pr_store_count(model->store); i++) {
        const pr_param *p = pr_store_param(model->store, i);
        elements += which(p->name) ? p->bytes / sizeof(float) : 0;
    }
    pr_model_free(model);
    pr_backend_free(backend);
    return elements;
}

static void what_freezes_takes_half_the_bytes(void **state) {
    (void)state;
    size_t in_f32[2], in_bf16[2];
    toy_run run = bf16_run("learner", 1);
    run.step = note_weights;
    run.unsaved = true;
    run.context = in_bf16;
    toy_run_through(&run);
    run.precision = PR_PRECISION_F32;
    run.context = in_f32;
    toy_run_through(&run);
    size_t feed_forward = frozen_weights(run.model, is_feed_forward);
    size_t attention = frozen_weights(run.model, is_attention);
    assert_int_equal(in_f32[0] - in_bf16[0], 2 * feed_forward);
    assert_int_equal(in_f32[1] - in_bf16[1], 2 * (feed_forward + attention));
}

static void losses_are_near(void **state) {
    (void)state;
    toy_run run = bf16_run("learner", 1);
    run.unsaved = true;
    toy_result bf16 = toy_run_through(&run);
    run.precision = PR_PRECISION_F32;
    toy_result f32 = toy_run_through(&run);
    double apart = 0;
    for (int i = 0; i < RUN_STEPS; i++) {
        assert_float_equal(bf16.loss[i], f32.loss[i], 0.02f);
        apart += fabs((double)(bf16.loss[i] - f32.loss[i]));
    }
    assert_true(apart > 0);
}

static void where_nothing_freezes_nothing_changes(void **state) {
    (void)state;
    toy_run run = bf16_run("full", 0);
    toy_result bf16 = toy_run_through(&run);
    run.precision = PR_PRECISION_F32;
    toy_result f32 = toy_run_through(&run);
    assert_same_file(&bf16, &f32);
    free(bf16.file);
    free(f32.file);
}

static void threads_change_no_bit(void **state) {
    (void)state;
    toy_run run = bf16_run("learner", 1);
    run.threads = 1;
    toy_result one = toy_run_through(&run);
    for (run.threads = 2; run.threads < 5; run.threads++) {
        toy_result more = toy_run_through(&run);
        assert_same_file(&one, &more);
        free(more.file);
    }
    free(one.file);
}

/* ---- files ---- */

static const pr_stored *tensor_of(const pr_gguf *file, const char *name) {
    int index = pr_gguf_find(file, name);
    if (index < 0) fail_msg("no tensor '%s'", name);
    return pr_gguf_tensor(file, index);
}

/* What never trained is saved as it was, and what did as the run went on with it. */
static void weights_are_saved_as_they_were(void **state) {
    (void)state;
    pr_error err = {0};
    toy_run run = bf16_run("learner", 1);
    toy_result result = toy_run_through(&run);
    pr_gguf *before = pr_gguf_open(run.model, &err);
    pr_gguf *after = pr_gguf_open(scratch_path("tuned.gguf"), &err);
    assert_string_equal(err.message, "");
    const char *const frozen[] = {"blk.0.ffn_up.weight", "blk.1.ffn_down.weight"};
    for (int i = 0; i < 2; i++) {
        const pr_stored *was = tensor_of(before, frozen[i]), *is = tensor_of(after, frozen[i]);
        assert_memory_equal(was->data, is->data, was->bytes);
    }
    const pr_stored *primed = tensor_of(after, "blk.0.attn_q.weight");
    const uint32_t *bits = primed->data;
    for (size_t i = 0; i < primed->count; i++)
        assert_int_equal(bits[i] & 0xffff, 0);
    pr_gguf_close(before);
    pr_gguf_close(after);
    free(result.file);
}

/* The model's file with all its tensors in bf16. */
static const char *narrow_file(const char *path) {
    static char narrow[512];
    pr_error err = {0};
    snprintf(narrow, sizeof narrow, "%s", scratch_path("narrow.gguf"));
    pr_gguf *from = pr_gguf_open(path, &err);
    pr_gguf_writer *to = pr_gguf_writer_new();
    for (int i = 0; i < pr_gguf_keys(from); i++)
        pr_gguf_put_value(to, pr_gguf_key(from, i));
    for (int i = 0; i < pr_gguf_tensors(from); i++) {
        const pr_stored *t = pr_gguf_tensor(from, i);
        pr_gguf_put_tensor(to, t->name, t->shape, PR_FORMAT_BF16, t->data);
    }
    pr_gguf_write(to, narrow, &err);
    assert_string_equal(err.message, "");
    pr_gguf_writer_free(to);
    pr_gguf_close(from);
    return narrow;
}

static void a_file_in_bf16_is_read_where_it_lies(void **state) {
    (void)state;
    pr_error err = {0};
    const char *path = narrow_file(toy_run_model(PR_BERT));
    pr_backend *backend = pr_cpu_new(1, &err);
    backend->precision = PR_PRECISION_BF16;
    pr_model *model = pr_model_open(path, backend, &err);
    assert_string_equal(err.message, "");
    int n = pr_store_count(model->store);
    const uint16_t **half = calloc((size_t)n, sizeof *half);
    for (int i = 0; i < n; i++)
        half[i] = pr_store_param(model->store, i)->half;
    pr_dataset *data = toy_data(8, 3);
    float *logits;
    pr_finetune_predict(model, backend, data, 4, NULL, &logits, &err);
    assert_string_equal(err.message, "");
    for (int i = 0; i < n; i++) {
        const pr_param *p = pr_store_param(model->store, i);
        assert_non_null(half[i]);
        bool stays =
            pr_glob("blk.*.{attn_q,attn_k,attn_v,attn_output,ffn_up,ffn_down}.weight", p->name) ||
            pr_glob("{token_embd,position_embd,token_types,cls,cls.output}.weight", p->name);
        if (stays ? p->half != half[i] || p->owned : p->half || !p->data)
            fail_msg("'%s' is not kept as it should be", p->name);
    }
    free(half);
    free(logits);
    pr_dataset_free(data);
    pr_model_free(model);
    pr_backend_free(backend);
}

/* bf16 values are f32 values: a run on them in f32 is one on the widened file. */
static void f32_runs_on_it_too(void **state) {
    (void)state;
    toy_run run = bf16_run("bitfit", 0);
    run.precision = PR_PRECISION_F32;
    run.model = narrow_file(run.model);
    toy_result narrow = toy_run_through(&run);
    toy_run again = run;
    again.precision = PR_PRECISION_BF16;
    toy_result bf16 = toy_run_through(&again);
    for (int i = 0; i < RUN_STEPS; i++)
        assert_float_equal(bf16.loss[i], narrow.loss[i], 0.02f);
    free(narrow.file);
    free(bf16.file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_freezes_takes_half_the_bytes, scratch_empty),
        cmocka_unit_test_teardown(losses_are_near, scratch_empty),
        cmocka_unit_test_teardown(where_nothing_freezes_nothing_changes, scratch_empty),
        cmocka_unit_test_teardown(threads_change_no_bit, scratch_empty),
        cmocka_unit_test_teardown(weights_are_saved_as_they_were, scratch_empty),
        cmocka_unit_test_teardown(a_file_in_bf16_is_read_where_it_lies, scratch_empty),
        cmocka_unit_test_teardown(f32_runs_on_it_too, scratch_empty),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
