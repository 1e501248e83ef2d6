/* Tensors on their way into a file are let go of as they are written: whoever lent them is told of
 * each piece, in order, and a saved model leaves its mapping's pages. */
#include "models/gguf.h"

#include <fcntl.h>
#include <unistd.h>

#include "backends/cpu.h"
#include "models/model.h"
#include "tests/scratch.h"
#include "tests/test.h"
#include "tests/toy_model.h"

enum { ELEMENTS = (1 << 19) + 7 };

typedef struct told {
    const float *start;
    size_t bytes, largest;
    int times;
} told;

static void note(const void *context, const char *name, const float *data, size_t bytes) {
    told *t = *(told *const *)context;
    assert_string_equal(name, "large");
    if (!t->times) t->start = data;
    assert_ptr_equal(data, t->start + t->bytes / sizeof *data);
    t->bytes += bytes;
    if (bytes > t->largest) t->largest = bytes;
    t->times++;
}

static pr_status fill(const void *context, const char *name, float *to, pr_error *err) {
    (void)context, (void)name, (void)err;
    to[0] = 1;
    return PR_OK;
}

static void each_piece_is_told_of(void **state) {
    (void)state;
    for (int half = 0; half < 2; half++) {
        pr_error err = {0};
        float *data = malloc(ELEMENTS * sizeof *data);
        for (int i = 0; i < ELEMENTS; i++)
            data[i] = (float)(i % 256);
        told t = {0}, *context = &t;
        pr_gguf_writer *w = pr_gguf_writer_new();
        pr_gguf_put_tensor(w, "large", pr_shape_1(ELEMENTS), half ? PR_FORMAT_BF16 : PR_FORMAT_F32,
                           data);
        pr_gguf_put_filled(w, "made", pr_shape_1(1), PR_FORMAT_F32, fill, NULL);
        pr_gguf_on_written(w, note, &context);
        pr_gguf_write(w, scratch_path("large.gguf"), &err);
        assert_string_equal(err.message, "");
        pr_gguf_writer_free(w);
        assert_true(t.start == data && t.bytes == ELEMENTS * sizeof *data);
        assert_true(t.times == 3 && t.largest == 1 << 20);
        pr_gguf *file = pr_gguf_open(scratch_path("large.gguf"), &err);
        float *read = malloc(ELEMENTS * sizeof *read);
        pr_stored_expand(pr_gguf_tensor(file, 0), read, &err);
        assert_memory_equal(read, data, ELEMENTS * sizeof *data);
        pr_gguf_close(file);
        free(read);
        free(data);
    }
}

/* How many of the bytes' pages are resident in this process. */
static size_t resident(const void *bytes, size_t n) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;
    uintptr_t first = (uintptr_t)bytes / page * page;
    int map = open("/proc/self/pagemap", O_RDONLY);
    for (uintptr_t at = first; at < (uintptr_t)bytes + n; at += page) {
        uint64_t entry = 0;
        assert_int_equal(pread(map, &entry, sizeof entry, (off_t)(at / page * sizeof entry)),
                         sizeof entry);
        count += entry >> 63;
    }
    close(map);
    return count;
}

static void a_saved_model_leaves_its_mapping(void **state) {
    (void)state;
    pr_error err = {0};
    pr_bert_config config = toy_config(PR_BERT);
    config.vocab = 4000;
    config.width = 64;
    pr_backend *backend = pr_cpu_new(1, &err);
    pr_model *model = toy_model_of(&config, backend, 1);
    pr_model_save(model, scratch_path("toy.gguf"), false, &err);
    pr_model_free(model);
    model = pr_model_open(scratch_path("toy.gguf"), backend, &err);
    assert_string_equal(err.message, "");
    int table = pr_store_find(model->store, "token_embd.weight");
    const pr_param *p = pr_store_param(model->store, table);
    pr_model_save(model, scratch_path("again.gguf"), false, &err);
    assert_string_equal(err.message, "");
    assert_true(resident(p->data, p->bytes) <= 2); /* its ends, that other tensors share */
    float *read = malloc(p->bytes);
    pr_store_read(model->store, table, read, &err);
    assert_true(resident(p->data, p->bytes) > 200); /* what is read does show */
    free(read);
    pr_model_free(model);
    pr_backend_free(backend);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_piece_is_told_of, scratch_empty),
        cmocka_unit_test_teardown(a_saved_model_leaves_its_mapping, scratch_empty),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
