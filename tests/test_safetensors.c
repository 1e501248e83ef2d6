/* safetensors: what is written is read back, and a broken file gets a message. */
#include "tests/test.h"

#include "graph/memory.h"
#include "models/safetensors.h"
#include "tests/alloc_fault.h"
#include "tests/scratch.h"

static const float weights[6] = {1, -2, 0.333333343f, 1e-30f, -65504, 3};

/* What "filled" is made of. */
static pr_status fill(const void *context, const char *name, float *to, pr_error *err) {
    if (*(const bool *)context) return pr_fail(err, PR_CANCELLED, "stopped at %s", name);
    for (int i = 0; i < 4; i++)
        to[i] = weights[i] * 2;
    return PR_OK;
}

static pr_status write_example(const char *path, bool stop, pr_error *err) {
    pr_outgoing list = {0};
    assert_int_equal(
        pr_outgoing_add(&list, "matrix", pr_shape_2(2, 3), PR_FORMAT_F32, weights, err), PR_OK);
    assert_int_equal(pr_outgoing_add(&list, "half", pr_shape_1(3), PR_FORMAT_BF16, weights, err),
                     PR_OK);
    assert_int_equal(
        pr_outgoing_add_filled(&list, "filled", pr_shape_2(2, 2), PR_FORMAT_F32, fill, &stop, err),
        PR_OK);
    pr_status status = pr_safetensors_write(&list, path, err);
    pr_outgoing_clear(&list);
    return status;
}

static pr_safetensors *open_good(const char *path) {
    pr_error err = {0};
    pr_safetensors *f = pr_safetensors_open(path, &err);
    if (!f) fail_msg("%s", err.message);
    return f;
}

static void tensors_come_back(void **state) {
    (void)state;
    pr_error err = {0};
    float to[4];
    assert_int_equal(write_example(scratch_path("a"), false, &err), PR_OK);
    pr_safetensors *f = open_good(scratch_path("a"));
    assert_int_equal(pr_safetensors_count(f), 3);
    const pr_stored *matrix = pr_safetensors_tensor(f, pr_safetensors_find(f, "matrix"));
    assert_true(pr_shape_equal(matrix->shape, pr_shape_2(2, 3)));
    assert_memory_equal(pr_stored_direct(matrix), weights, sizeof weights);
    const pr_stored *half = pr_safetensors_tensor(f, pr_safetensors_find(f, "half"));
    assert_string_equal(half->type_name, "BF16");
    assert_int_equal(pr_stored_expand(half, to, &err), PR_OK);
    assert_true(to[0] == 1 && to[1] == -2 && to[2] == 0x1.56p-2f);
    const pr_stored *filled = pr_safetensors_tensor(f, pr_safetensors_find(f, "filled"));
    assert_int_equal(pr_stored_expand(filled, to, &err), PR_OK);
    assert_true(to[1] == -4 && to[3] == 2e-30f);
    assert_int_equal(pr_safetensors_find(f, "none"), -1);
    pr_safetensors_close(f);
    pr_safetensors_close(NULL);
}

static void a_writers_faults_come_back(void **state) {
    (void)state;
    pr_error err = {0};
    assert_int_equal(write_example(scratch_path("a"), true, &err), PR_CANCELLED);
    assert_string_equal(err.message, "stopped at filled");
    err = (pr_error){0};
    assert_int_equal(write_example(scratch_path("none/a"), false, &err), PR_IO);
    assert_int_equal(scratch_entries(), 0);
    pr_outgoing list = {0};
    err = (pr_error){0};
    pr_outgoing_add(&list, "t", pr_shape_1(6), PR_FORMAT_F32, weights, &err);
    assert_int_equal(pr_outgoing_add(&list, "t", pr_shape_1(6), PR_FORMAT_F32, weights, &err),
                     PR_BAD_ARGUMENT);
    assert_string_equal(err.message, "tensor 't' is given twice");
    err = (pr_error){0};
    assert_int_equal(
        pr_outgoing_add(&list, "u", pr_shape_2(PR_TOKENS, 6), PR_FORMAT_F32, weights, &err),
        PR_BAD_ARGUMENT);
    assert_says(err.message, "tensor 'u': (N, 6) can't be written");
    pr_outgoing_clear(&list);
}

/* Writes a file of this header and 64 bytes of data. */
static void write_raw(const char *header) {
    unsigned char bytes[2048] = {0};
    uint64_t length = strlen(header);
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length + 1);
    scratch_write(scratch_path("raw"), bytes, 8 + length + 64);
}

static void assert_refused(const char *message) {
    pr_error err = {0};
    assert_null(pr_safetensors_open(scratch_path("raw"), &err));
    assert_int_equal(err.code, PR_BAD_FILE);
    assert_says(err.message, "raw: ");
    assert_says(err.message, message);
}

static void integers_and_scalars_are_listed(void **state) {
    (void)state;
    pr_error err = {0};
    float to[2];
    write_raw("{\"__metadata__\":{\"a\":\"b\"},"
              "\"ids\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[4,20]},"
              "\"x\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}");
    pr_safetensors *f = open_good(scratch_path("raw"));
    assert_int_equal(pr_safetensors_count(f), 2);
    assert_string_equal(pr_safetensors_tensor(f, 0)->name, "x"); /* in the order of bytes */
    assert_true(pr_shape_equal(pr_safetensors_tensor(f, 0)->shape, pr_shape_1(1)));
    assert_int_equal(pr_stored_expand(pr_safetensors_tensor(f, 1), to, &err), PR_BAD_FILE);
    assert_string_equal(err.message,
                        "tensor 'ids' is of type I64; weights must be f32, f16 or bf16");
    pr_safetensors_close(f);
}

static void a_bad_header_is_named(void **state) {
    (void)state;
    scratch_write(scratch_path("raw"), "1234567", 7);
    assert_refused("too short for a safetensors file: expected 8 bytes or more, found 7");
    scratch_write(scratch_path("raw"), "GGUF\3\0\0\0{}", 10);
    assert_refused("its header is said to take 14064895815 bytes, 2 are left");
    write_raw("{\"t\":");
    assert_refused("raw: no valid JSON in line 1, column 5");
    write_raw("[]");
    assert_refused("raw: is JSON, but no object");
    write_raw("{\"t\":1,\"t\":2}");
    assert_refused("duplicate object key");
    write_raw("{\"a\\u0000b\":1}");
    assert_refused("no valid JSON in line 1");
}

static void a_bad_tensor_is_named(void **state) {
    (void)state;
    static const struct {
        const char *dtype, *shape, *offsets, *message;
    } bad[] = {
        {"1", "[1]", "[0,4]", "tensor 't' has no dtype"},
        {"\"Q4\"", "[1]", "[0,4]", "tensor 't' is of unknown type 'Q4'"},
        {"\"F32\"", "3", "[0,4]", "tensor 't' has no shape"},
        {"\"F32\"", "[1,1,1,1,1]", "[0,4]", "has 5 dimensions, expected at most 4"},
        {"\"F32\"", "[2,0]", "[0,0]", "dimension 1 of its shape is no number above 0"},
        {"\"F32\"", "[-1]", "[0,4]", "dimension 0 of its shape is no number above 0"},
        {"\"F32\"", "[1.5]", "[0,4]", "dimension 0 of its shape is no number above 0"},
        {"\"F32\"", "[4294967296,4294967296]", "[0,4]", "product of its dimensions overflows"},
        {"\"F32\"", "[9223372036854775807]", "[0,4]", "tensor 't': its size overflows"},
        {"\"F32\"", "[1]", "[0]", "has no pair of data_offsets"},
        {"\"F32\"", "[1]", "[0,4.0]", "has no pair of data_offsets"},
        {"\"F32\"", "[1]", "[-4,0]", "is said to lie at bytes -4 to 0 of the data, which has 64"},
        {"\"F32\"", "[1]", "[4,0]", "is said to lie at bytes 4 to 0"},
        {"\"F32\"", "[1]", "[61,65]", "is said to lie at bytes 61 to 65"},
        {"\"F32\"", "[2]", "[0,4]", "(2) elements of type F32 take 8 bytes, its data_offsets give"},
    };
    char header[256];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(header, sizeof header, "{\"t\":{\"dtype\":%s,\"shape\":%s,\"data_offsets\":%s}}",
                 bad[i].dtype, bad[i].shape, bad[i].offsets);
        write_raw(header);
        assert_refused(bad[i].message);
    }
    write_raw("{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]},"
              "\"u\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}");
    assert_refused("tensors 'u' and 't' overlap");
    write_raw("{\"t\":7}");
    assert_refused("tensor 't' has no dtype");
}

static void open_and_use(const char *path) {
    pr_error err = {0};
    pr_safetensors *f = pr_safetensors_open(path, &err);
    if (!f) {
        assert_int_not_equal(err.code, PR_OK);
        assert_int_not_equal(err.message[0], 0);
        return;
    }
    for (int i = 0; i < pr_safetensors_count(f); i++) {
        const pr_stored *t = pr_safetensors_tensor(f, i);
        float *to = pr_alloc(t->count, sizeof *to);
        assert_non_null(to);
        pr_stored_expand(t, to, NULL);
        pr_stored_check_finite(t, NULL);
        pr_free(to);
    }
    pr_safetensors_close(f);
}

static void broken_files_never_crash(void **state) {
    (void)state;
    pr_error err = {0};
    assert_int_equal(write_example(scratch_path("a"), false, &err), PR_OK);
    size_t size;
    free(scratch_read(scratch_path("a"), &size));
    scratch_mutate(scratch_path("a"), size, size - 46, 5000, open_and_use);
    for (size_t length = 0; length < size; length++) {
        unsigned char *bytes = scratch_read(scratch_path("a"), &size);
        scratch_write(scratch_path("raw"), bytes, length);
        err = (pr_error){0};
        assert_null(pr_safetensors_open(scratch_path("raw"), &err));
        free(bytes);
    }
}

static bool copy_once(void *context) {
    (void)context;
    pr_outgoing list = {0};
    pr_safetensors *f = pr_safetensors_open(scratch_path("a"), NULL);
    bool good = f != NULL;
    for (int i = 0; good && i < 2; i++) {
        const pr_stored *t = pr_safetensors_tensor(f, i);
        good = pr_outgoing_add(&list, t->name, t->shape, t->format, weights, NULL) == PR_OK;
    }
    good = good && pr_safetensors_write(&list, scratch_path("b"), NULL) == PR_OK;
    pr_outgoing_clear(&list);
    pr_safetensors_close(f);
    return good;
}

static void every_failing_allocation_comes_back(void **state) {
    (void)state;
    pr_error err = {0};
    assert_int_equal(write_example(scratch_path("a"), false, &err), PR_OK);
    alloc_fault_every(copy_once, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_come_back),
        cmocka_unit_test_setup(a_writers_faults_come_back, scratch_empty),
        cmocka_unit_test(integers_and_scalars_are_listed),
        cmocka_unit_test(a_bad_header_is_named),
        cmocka_unit_test(a_bad_tensor_is_named),
        cmocka_unit_test(broken_files_never_crash),
        cmocka_unit_test(every_failing_allocation_comes_back),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
