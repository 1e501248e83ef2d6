/* A run stopped at any step and resumed ends in the same file, bit for bit, as
 * one that was not. */
#include <unistd.h>

#include "backends/cpu.h"
#include "graph/memory.h"
#include "tests/test.h"
#include "tests/toy_model.h"
#include "train/finetune.h"

enum { ROWS = 22, BATCH = 4, EPOCHS = 3, PER_EPOCH = 6, STEPS = EPOCHS * PER_EPOCH };

typedef struct bytes {
    unsigned char *data;
    size_t n;
} bytes;

static bytes read_file(const char *path) {
    bytes b = {0};
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    b.n = (size_t)ftell(f);
    rewind(f);
    b.data = malloc(b.n);
    assert_int_equal(fread(b.data, 1, b.n, f), b.n);
    fclose(f);
    return b;
}

/* Trains from the start, or from a checkpoint, up to max_steps; returns the
 * saved model. */
static bytes run(const char *method, int32_t max_steps, const char *checkpoint, const char *resume,
                 int threads) {
    pr_error err = {0};
    pr_backend *backend = pr_cpu_new(threads, &err);
    pr_model *model = toy_model(PR_BERT, backend, 1);
    const pr_method *m = pr_method_find(method);
    pr_method_options mo = m->defaults;
    if (m->sized) mo.size = 4;
    mo.seed = 9;
    pr_model_set_method(model, m, &mo, &err);
    pr_dataset *train = toy_data(ROWS, 3), *dev = toy_data(10, 4);
    pr_finetune_options o = pr_finetune_default();
    o.epochs = EPOCHS;
    o.batch_size = BATCH;
    o.learning_rate = 1e-2;
    o.seed = 7;
    o.max_steps = max_steps;
    o.checkpoint = checkpoint;
    o.resume = resume;
    pr_finetune_result result;
    pr_finetune_run(model, backend, train, dev, &o, NULL, &result, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(result.steps, max_steps ? max_steps : STEPS);
    char path[] = "/tmp/primer-resume-XXXXXX";
    close(mkstemp(path));
    pr_model_save(model, path, false, &err);
    assert_string_equal(err.message, "");
    bytes saved = read_file(path);
    unlink(path);
    pr_dataset_free(train);
    pr_dataset_free(dev);
    pr_model_free(model);
    pr_backend_free(backend);
    return saved;
}

static void resume_everywhere(const char *method) {
    char checkpoint[] = "/tmp/primer-checkpoint-XXXXXX";
    close(mkstemp(checkpoint));
    bytes whole = run(method, 0, NULL, NULL, 2);
    for (int32_t stop = 1; stop < STEPS; stop++) {
        bytes part = run(method, stop, checkpoint, NULL, 2);
        bytes rest = run(method, 0, NULL, checkpoint, 2);
        assert_int_equal(rest.n, whole.n);
        assert_memory_equal(rest.data, whole.data, whole.n);
        assert_true(part.n == whole.n && memcmp(part.data, whole.data, whole.n) != 0);
        free(part.data);
        free(rest.data);
    }
    free(whole.data);
    unlink(checkpoint);
}

static void full_resumes_at_any_step(void **state) {
    (void)state;
    resume_everywhere("full");
}

static void learner_resumes_at_any_step(void **state) {
    (void)state;
    resume_everywhere("learner"); /* prime 2: the flip comes at step 12 */
}

static void threads_do_not_matter(void **state) {
    (void)state;
    bytes one = run("learner", 0, NULL, NULL, 1);
    for (int threads = 2; threads <= 4; threads++) {
        bytes more = run("learner", 0, NULL, NULL, threads);
        assert_int_equal(one.n, more.n);
        assert_memory_equal(one.data, more.data, one.n);
        free(more.data);
    }
    free(one.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_resumes_at_any_step),
        cmocka_unit_test(learner_resumes_at_any_step),
        cmocka_unit_test(threads_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
