/* GGUF: what is written is read back, and a broken file gets a message. */
#include "tests/test.h"

#include <math.h>

#include "graph/memory.h"
#include "models/gguf.h"
#include "tests/alloc_fault.h"
#include "tests/scratch.h"

static const float weights[6] = {1, -2, 0.333333343f, 1e-30f, -65504, 3};

/* A file with every kind of value and tensor that the writer knows. */
static void write_example(const char *path) {
    static const char *const texts[] = {"[PAD]", "", "\xe2\x96\x81the"};
    static const int32_t integers[] = {3, -1, INT32_MAX};
    static const float floats[] = {0.5f, -0.25f};
    pr_error err = {0};
    pr_gguf_writer *w = pr_gguf_writer_new();
    assert_non_null(w);
    pr_gguf_put_text(w, "general.architecture", "bert");
    pr_gguf_put_u32(w, "a.u32", UINT32_MAX);
    pr_gguf_put_u64(w, "a.u64", UINT64_MAX);
    pr_gguf_put_i32(w, "an.i32", -7);
    pr_gguf_put_f32(w, "an.f32", 1e-12f);
    pr_gguf_put_boolean(w, "a.boolean", true);
    pr_gguf_put_texts(w, "some.texts", texts, 3);
    pr_gguf_put_texts(w, "no.texts", NULL, 0);
    pr_gguf_put_i32s(w, "some.i32", integers, 3);
    pr_gguf_put_f32s(w, "some.f32", floats, 2);
    pr_gguf_put_tensor(w, "matrix", pr_shape_2(2, 3), PR_FORMAT_F32, weights);
    pr_gguf_put_tensor(w, "half", pr_shape_1(5), PR_FORMAT_BF16, weights);
    pr_gguf_put_tensor(w, "last", pr_shape_1(6), PR_FORMAT_F32, weights);
    assert_int_equal(pr_gguf_write(w, path, &err), PR_OK);
    pr_gguf_writer_free(w);
}

static pr_gguf *open_good(const char *path) {
    pr_error err = {0};
    pr_gguf *g = pr_gguf_open(path, &err);
    if (!g) fail_msg("%s", err.message);
    return g;
}

static void keys_come_back(void **state) {
    (void)state;
    pr_error err = {0};
    int64_t integer = 0;
    double number = 0;
    bool boolean = false;
    const char *text = NULL, *const *texts = NULL;
    size_t count = 0;
    write_example(scratch_path("a.gguf"));
    pr_gguf *g = open_good(scratch_path("a.gguf"));
    assert_int_equal(pr_gguf_version(g), 3);
    assert_int_equal(pr_gguf_keys(g), 10);
    assert_string_equal(pr_gguf_key(g, 1)->key, "a.u32");
    assert_int_equal(pr_gguf_get_text(g, "general.architecture", true, &text, &err), PR_OK);
    assert_string_equal(text, "bert");
    assert_int_equal(pr_gguf_get_integer(g, "a.u32", true, 0, INT64_MAX, &integer, &err), PR_OK);
    assert_int_equal(integer, UINT32_MAX);
    assert_int_equal(pr_gguf_get_integer(g, "an.i32", true, -7, -7, &integer, &err), PR_OK);
    assert_int_equal(integer, -7);
    assert_int_equal(pr_gguf_get_number(g, "an.f32", true, &number, &err), PR_OK);
    assert_true(number == (double)1e-12f);
    assert_int_equal(pr_gguf_get_boolean(g, "a.boolean", true, &boolean, &err), PR_OK);
    assert_true(boolean);
    assert_int_equal(pr_gguf_get_texts(g, "some.texts", true, &texts, &count, &err), PR_OK);
    assert_int_equal(count, 3);
    assert_string_equal(texts[1], "");
    assert_string_equal(texts[2], "\xe2\x96\x81the");
    assert_int_equal(pr_gguf_get_texts(g, "no.texts", true, &texts, &count, &err), PR_OK);
    assert_int_equal(count, 0);
    assert_true(pr_gguf_element_integer(pr_gguf_value_of(g, "some.i32"), 1, &integer));
    assert_int_equal(integer, -1);
    assert_true(pr_gguf_element_number(pr_gguf_value_of(g, "some.f32"), 1, &number));
    assert_true(number == -0.25);
    /* An absent key leaves the default. */
    integer = 32;
    assert_int_equal(pr_gguf_get_integer(g, "none", false, 0, 1, &integer, &err), PR_OK);
    assert_int_equal(integer, 32);
    pr_gguf_close(g);
}

static void getters_say_what_is_wrong(void **state) {
    (void)state;
    int64_t integer = 1;
    double number = 1;
    const char *text = NULL;
    write_example(scratch_path("a.gguf"));
    pr_gguf *g = open_good(scratch_path("a.gguf"));
    pr_error err = {0};
    pr_gguf_get_integer(g, "none", true, 0, 1, &integer, &err);
    assert_says(err.message, "a.gguf: key 'none' is missing, expected an integer");
    err = (pr_error){0};
    pr_gguf_get_integer(g, "an.i32", false, 0, 8, &integer, &err);
    assert_says(err.message, "key 'an.i32' is -7, expected 0 to 8");
    err = (pr_error){0};
    pr_gguf_get_integer(g, "a.u64", false, 0, 8, &integer, &err);
    assert_says(err.message, "key 'a.u64' is above 8");
    err = (pr_error){0};
    pr_gguf_get_integer(g, "an.f32", false, 0, 8, &integer, &err);
    assert_says(err.message, "key 'an.f32' is of type f32, expected an integer");
    err = (pr_error){0};
    pr_gguf_get_number(g, "a.boolean", false, &number, &err);
    assert_says(err.message, "key 'a.boolean' is of type boolean, expected a number");
    err = (pr_error){0};
    pr_gguf_get_text(g, "some.texts", false, &text, &err);
    assert_says(err.message, "key 'some.texts' is an array of text, expected a text");
    assert_int_equal(integer, 1);
    pr_gguf_close(g);
}

static void tensors_come_back(void **state) {
    (void)state;
    pr_error err = {0};
    write_example(scratch_path("a.gguf"));
    pr_gguf *g = open_good(scratch_path("a.gguf"));
    assert_int_equal(pr_gguf_tensors(g), 3);
    const pr_stored *matrix = pr_gguf_tensor(g, pr_gguf_find(g, "matrix"));
    assert_true(pr_shape_equal(matrix->shape, pr_shape_2(2, 3)));
    assert_memory_equal(pr_stored_direct(matrix), weights, sizeof weights);
    pr_gguf_release(g, 0);
    assert_memory_equal(pr_stored_direct(matrix), weights, sizeof weights);

    const pr_stored *half = pr_gguf_tensor(g, pr_gguf_find(g, "half"));
    float expanded[5];
    assert_null(pr_stored_direct(half));
    assert_string_equal(half->type_name, "bf16");
    assert_int_equal(pr_stored_expand(half, expanded, &err), PR_OK);
    for (int i = 0; i < 5; i++)
        assert_true(fabsf(expanded[i] - weights[i]) <= fabsf(weights[i]) / 256);
    assert_int_equal(pr_gguf_find(g, "none"), -1);
    assert_int_equal((uintptr_t)half->data % 32, 0);
    pr_gguf_close(g);
}

static void a_copy_of_all_values_is_the_same_file(void **state) {
    (void)state;
    pr_error err = {0};
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path("a.gguf"));
    write_example(path);
    size_t before, after;
    unsigned char *first = scratch_read(path, &before);
    pr_gguf *g = open_good(path);
    pr_gguf_writer *w = pr_gguf_writer_new();
    for (int i = 0; i < pr_gguf_keys(g); i++)
        pr_gguf_put_value(w, pr_gguf_key(g, i));
    assert_true(pr_gguf_has_key(w, "a.u64"));
    float half[5];
    pr_stored_expand(pr_gguf_tensor(g, 1), half, &err);
    for (int i = 0; i < 3; i++) {
        const pr_stored *t = pr_gguf_tensor(g, i);
        pr_gguf_put_tensor(w, t->name, t->shape, t->format, i == 1 ? half : pr_stored_direct(t));
    }
    /* Over the very file whose mapping is read. */
    assert_int_equal(pr_gguf_write(w, path, &err), PR_OK);
    pr_gguf_writer_free(w);
    pr_gguf_close(g);
    unsigned char *second = scratch_read(path, &after);
    assert_int_equal(after, before);
    assert_memory_equal(first, second, before);
    free(first);
    free(second);
}

static void a_writers_faults_stick(void **state) {
    (void)state;
    pr_error err = {0};
    pr_gguf_writer *w = pr_gguf_writer_new();
    pr_gguf_put_u32(w, "key", 1);
    pr_gguf_put_u32(w, "key", 2);
    pr_gguf_put_u32(w, "more", 2);
    assert_int_equal(pr_gguf_write(w, scratch_path("a.gguf"), &err), PR_BAD_ARGUMENT);
    assert_says(err.message, "a.gguf: key 'key' is given twice");
    pr_gguf_writer_free(w);

    w = pr_gguf_writer_new();
    pr_gguf_put_tensor(w, "t", pr_shape_1(0), PR_FORMAT_F32, weights);
    err = (pr_error){0};
    assert_int_equal(pr_gguf_write(w, scratch_path("a.gguf"), &err), PR_BAD_ARGUMENT);
    assert_says(err.message, "tensor 't'");
    pr_gguf_writer_free(w);

    w = pr_gguf_writer_new();
    err = (pr_error){0};
    assert_int_equal(pr_gguf_write(w, scratch_path("none/a.gguf"), &err), PR_IO);
    pr_gguf_writer_free(w);
    pr_gguf_writer_free(NULL);
    assert_int_equal(scratch_entries(), 0);
}

/* ---- broken files ---- */

typedef struct image {
    unsigned char bytes[1024];
    size_t size;
} image;

static void add(image *m, const void *bytes, size_t size) {
    memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

static void add_u32(image *m, uint32_t value) {
    add(m, &value, sizeof value);
}

static void add_u64(image *m, uint64_t value) {
    add(m, &value, sizeof value);
}

static void add_text(image *m, const char *text) {
    add_u64(m, strlen(text));
    add(m, text, strlen(text));
}

static image header(uint32_t version, uint64_t tensors, uint64_t keys) {
    image m = {.size = 0};
    add(&m, "GGUF", 4);
    add_u32(&m, version);
    add_u64(&m, tensors);
    add_u64(&m, keys);
    return m;
}

static void add_tensor(image *m, const char *name, uint32_t n_dims, const uint64_t *dims,
                       uint32_t type, uint64_t offset) {
    add_text(m, name);
    add_u32(m, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        add_u64(m, dims[i]);
    add_u32(m, type);
    add_u64(m, offset);
}

static void add_data(image *m, size_t size) {
    m->size = (m->size + 31) / 32 * 32 + size;
}

static void assert_refused(const image *m, const char *message) {
    pr_error err = {0};
    scratch_write(scratch_path("bad.gguf"), m->bytes, m->size);
    assert_null(pr_gguf_open(scratch_path("bad.gguf"), &err));
    assert_int_equal(err.code, PR_BAD_FILE);
    assert_says(err.message, "bad.gguf: ");
    assert_says(err.message, message);
}

static void a_bad_header_is_named(void **state) {
    (void)state;
    image m = header(3, 0, 0);
    m.bytes[0] = 'g';
    assert_refused(&m, "not a GGUF file");
    m = header(1, 0, 0);
    assert_refused(&m, "GGUF version 1; versions 2 and 3 are read");
    m = header(0x03000000, 0, 0);
    assert_refused(&m, "(a big-endian file?)");
    m = header(3, UINT64_MAX, 0);
    assert_refused(
        &m,
        "tensors: there are said to be 18446744073709551615, which the 0 bytes left can't hold");
    m = header(3, 0, UINT64_MAX / 14);
    assert_refused(&m, "keys: there are said to be 1317624576693539401, which the 0 bytes");
    m = header(3, 0, 1);
    add_data(&m, 40);
    assert_refused(&m, "the name of a key is empty");
}

static void a_bad_key_is_named(void **state) {
    (void)state;
    image m = header(3, 0, 1);
    add_u64(&m, UINT64_MAX);
    add_data(&m, 64);
    assert_refused(&m, "the name of a key at byte 32 takes 18446744073709551615 bytes");
    m = header(3, 0, 1);
    add_text(&m, "k\ney");
    add_data(&m, 32);
    assert_refused(&m, "has a control character");
    m = header(3, 0, 1);
    add_text(&m, "key");
    add_u32(&m, 13);
    assert_refused(&m, "key 'key' is of unknown type 13");
    m = header(3, 0, 1);
    add_text(&m, "key");
    add_u32(&m, PR_GGUF_BOOL);
    add(&m, "\2", 1);
    assert_refused(&m, "key 'key': a boolean is 2");
    m = header(3, 0, 1);
    add_text(&m, "key");
    add_u32(&m, PR_GGUF_TEXT);
    add_u64(&m, 3);
    add(&m, "a\0b", 3);
    assert_refused(&m, "key has a NUL inside");
    m = header(3, 0, 1);
    add_text(&m, "key");
    add_u32(&m, PR_GGUF_ARRAY);
    add_u32(&m, PR_GGUF_ARRAY);
    add_u64(&m, 1);
    assert_refused(&m, "key 'key' is an array of arrays");
    m = header(3, 0, 1);
    add_text(&m, "key");
    add_u32(&m, PR_GGUF_ARRAY);
    add_u32(&m, PR_GGUF_I32);
    add_u64(&m, UINT64_MAX / 4 + 2); /* times 4 is 4 */
    add_u32(&m, 1);
    assert_refused(&m, "key: there are said to be 4611686018427387905, which the 4 bytes");
    m = header(3, 0, 2);
    for (int i = 0; i < 2; i++) {
        add_text(&m, "key");
        add_u32(&m, PR_GGUF_U32);
        add_u32(&m, 1);
    }
    assert_refused(&m, "key 'key' is there twice");
}

static void a_bad_alignment_is_named(void **state) {
    (void)state;
    static const uint32_t bad[] = {0, 48, 1 << 21};
    static const char *const message[] = {"is 0, expected 1 to 1048576",
                                          "is 48, not a power of two", "is 2097152, expected"};
    for (int i = 0; i < 3; i++) {
        image m = header(3, 0, 1);
        add_text(&m, "general.alignment");
        add_u32(&m, PR_GGUF_U32);
        add_u32(&m, bad[i]);
        assert_refused(&m, message[i]);
    }
}

static void a_bad_tensor_is_named(void **state) {
    (void)state;
    static const struct {
        uint32_t n_dims, type;
        uint64_t offset, dims[5];
        const char *message;
    } bad[] = {
        {0, 0, 0, {0}, "tensor 't' has 0 dimensions, expected 1 to 4"},
        {5, 0, 0, {1, 1, 1, 1, 1}, "tensor 't' has 5 dimensions"},
        {2, 0, 0, {4, 0}, "tensor 't' has a dimension of 0"},
        {1, 0, 0, {UINT64_MAX}, "tensor 't' has a dimension of 18446744073709551615"},
        {2, 0, 0, {UINT64_C(1) << 33, UINT64_C(1) << 33}, "product of its dimensions overflows"},
        {1, 0, 0, {UINT64_C(1) << 62}, "elements can't be stored as f32"},
        {1, 8, 0, {33}, "tensor 't': (33) elements can't be stored as q8_0"},
        {1, 4, 0, {4}, "tensor 't' is of unknown type 4"},
        {1, 99, 0, {4}, "tensor 't' is of unknown type 99"},
        {1, 0, 4, {4}, "its offset 4 is no multiple of the alignment 32"},
        {1, 0, 0, {9}, "takes 36 bytes at offset 0 of the data, which has 32"},
        {1, 0, 64, {4}, "takes 16 bytes at offset 64 of the data, which has 32"},
        {1, 0, UINT64_MAX - 31, {4}, "offset 18446744073709551584 of the data"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        image m = header(3, 1, 0);
        add_tensor(&m, "t", bad[i].n_dims, bad[i].dims, bad[i].type, bad[i].offset);
        add_data(&m, 32);
        assert_refused(&m, bad[i].message);
    }
    image m = header(3, 2, 0);
    add_tensor(&m, "t", 1, (uint64_t[]){4}, 0, 0);
    add_tensor(&m, "t", 1, (uint64_t[]){4}, 0, 0);
    add_data(&m, 32);
    assert_refused(&m, "tensor 't' is there twice");
}

static void other_types_are_listed_but_not_read(void **state) {
    (void)state;
    pr_error err = {0};
    float to[64];
    image m = header(2, 1, 0);
    add_tensor(&m, "blk.0.q", 2, (uint64_t[]){32, 2}, 8, 0);
    add_data(&m, 68);
    scratch_write(scratch_path("q.gguf"), m.bytes, m.size);
    pr_gguf *g = open_good(scratch_path("q.gguf"));
    const pr_stored *t = pr_gguf_tensor(g, 0);
    assert_true(pr_shape_equal(t->shape, pr_shape_2(2, 32)));
    assert_int_equal(t->bytes, 68);
    assert_int_equal(pr_stored_expand(t, to, &err), PR_BAD_FILE);
    assert_string_equal(err.message,
                        "tensor 'blk.0.q' is of type q8_0; weights must be f32, f16 or bf16");
    pr_gguf_close(g);
}

/* Uses all that an opened file offers; refusals need a message. */
static void open_and_use(const char *path) {
    pr_error err = {0};
    pr_gguf *g = pr_gguf_open(path, &err);
    if (!g) {
        assert_int_not_equal(err.code, PR_OK);
        assert_int_not_equal(err.message[0], 0);
        return;
    }
    double number, sum = 0;
    int64_t integer;
    for (int i = 0; i < pr_gguf_keys(g); i++) {
        const pr_gguf_value *v = pr_gguf_key(g, i);
        for (size_t k = 0; k < v->count; k++) {
            if (v->texts)
                sum += (double)strlen(v->texts[k]);
            else if (pr_gguf_element_number(v, k, &number) &&
                     pr_gguf_element_integer(v, k, &integer))
                sum += number;
        }
    }
    for (int i = 0; i < pr_gguf_tensors(g); i++) {
        const pr_stored *t = pr_gguf_tensor(g, i);
        float *to = pr_alloc(t->count, sizeof *to);
        assert_non_null(to);
        pr_stored_expand(t, to, NULL);
        pr_stored_check_finite(t, NULL);
        pr_free(to);
    }
    assert_false(sum < 0 && sum > 0);
    pr_gguf_close(g);
}

static void broken_files_never_crash(void **state) {
    (void)state;
    write_example(scratch_path("a.gguf"));
    size_t size;
    free(scratch_read(scratch_path("a.gguf"), &size));
    scratch_mutate(scratch_path("a.gguf"), size, size - 96, 5000, open_and_use);
}

static void every_cut_is_refused(void **state) {
    (void)state;
    write_example(scratch_path("a.gguf"));
    size_t size;
    unsigned char *bytes = scratch_read(scratch_path("a.gguf"), &size);
    for (size_t length = 0; length < size - 8; length++) { /* 24 bytes of 32: padding ends it */
        pr_error err = {0};
        scratch_write(scratch_path("cut.gguf"), bytes, length);
        assert_null(pr_gguf_open(scratch_path("cut.gguf"), &err));
        assert_says(err.message, "cut.gguf: ");
    }
    free(bytes);
}

static bool copy_once(void *context) {
    (void)context;
    pr_gguf *g = pr_gguf_open(scratch_path("a.gguf"), NULL);
    pr_gguf_writer *w = g ? pr_gguf_writer_new() : NULL;
    for (int i = 0; w && i < pr_gguf_keys(g); i++)
        pr_gguf_put_value(w, pr_gguf_key(g, i));
    if (w) pr_gguf_put_tensor(w, "matrix", pr_shape_2(2, 3), PR_FORMAT_BF16, weights);
    bool good = w && pr_gguf_write(w, scratch_path("b.gguf"), NULL) == PR_OK;
    pr_gguf_writer_free(w);
    pr_gguf_close(g);
    return good;
}

static void every_failing_allocation_comes_back(void **state) {
    (void)state;
    write_example(scratch_path("a.gguf"));
    alloc_fault_every(copy_once, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_back),
        cmocka_unit_test(getters_say_what_is_wrong),
        cmocka_unit_test(tensors_come_back),
        cmocka_unit_test(a_copy_of_all_values_is_the_same_file),
        cmocka_unit_test_setup(a_writers_faults_stick, scratch_empty),
        cmocka_unit_test(a_bad_header_is_named),
        cmocka_unit_test(a_bad_key_is_named),
        cmocka_unit_test(a_bad_alignment_is_named),
        cmocka_unit_test(a_bad_tensor_is_named),
        cmocka_unit_test(other_types_are_listed_but_not_read),
        cmocka_unit_test(broken_files_never_crash),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(every_failing_allocation_comes_back),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
