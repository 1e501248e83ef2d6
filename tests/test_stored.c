/* Tensors as files store them: 16-bit floats and the search for NaN. */
#include "tests/test.h"

#include <math.h>

#include "graph/bf16.h"
#include "models/file.h"
#include "models/stored.h"
#include "tests/scratch.h"

/* IEEE 754: (-1)^s 2^(e-15) 1.f, 2^-14 0.f where e is 0. */
static float half_by_definition(unsigned bits) {
    int e = (int)(bits >> 10 & 31), f = (int)(bits & 1023);
    double v = e == 31  ? (f ? (double)NAN : (double)INFINITY)
               : e == 0 ? ldexp(f, -24)
                        : ldexp(1024 + f, e - 25);
    return (float)(bits & 0x8000 ? -v : v);
}

static void every_f16_is_exact(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 65536; bits++) {
        uint16_t half = (uint16_t)bits;
        pr_stored one = {.name = "x", .format = PR_FORMAT_F16, .count = 1, .bytes = 2};
        one.data = &half;
        float found, expected = half_by_definition(bits);
        assert_int_equal(pr_stored_expand(&one, &found, NULL), PR_OK);
        if (isnan(expected))
            assert_true(isnan(found));
        else
            assert_memory_equal(&found, &expected, sizeof found);
    }
}

static void bf16_rounds_to_the_nearest_even(void **state) {
    (void)state;
    assert_int_equal(pr_bf16_from_f32(1.0f), 0x3f80);
    assert_int_equal(pr_bf16_from_f32(0x1.01p0f), 0x3f80);     /* a tie: down to even */
    assert_int_equal(pr_bf16_from_f32(0x1.03p0f), 0x3f82);     /* a tie: up to even */
    assert_int_equal(pr_bf16_from_f32(0x1.010002p0f), 0x3f81); /* just above a tie */
    assert_int_equal(pr_bf16_from_f32(0x1.fffffep127f), 0x7f80);
    assert_int_equal(pr_bf16_from_f32(-INFINITY), 0xff80);
    assert_true((pr_bf16_from_f32(NAN) & 0x7f) != 0);
}

static void a_nan_is_named(void **state) {
    (void)state;
    static float big[3000000];
    pr_error err = {0};
    pr_stored t = {.name = "blk.0.w", .format = PR_FORMAT_F32, .shape = pr_shape_2(1000, 3000)};
    t.count = 3000000;
    t.bytes = sizeof big;
    /* The scan drops clean pages of a mapping, so the values have to be in a file. */
    for (int round = 0; round < 2; round++) {
        if (round) big[2999997] = -INFINITY;
        scratch_write(scratch_path("big"), big, sizeof big);
        pr_file file;
        assert_int_equal(pr_file_map(scratch_path("big"), &file, &err), PR_OK);
        t.data = file.bytes;
        assert_int_equal(pr_stored_check_finite(&t, &err), round ? PR_BAD_FILE : PR_OK);
        pr_file_unmap(&file);
    }
    assert_string_equal(err.message,
                        "tensor 'blk.0.w': [999, 2997] is -inf; weights must be finite");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_f16_is_exact),
        cmocka_unit_test(bf16_rounds_to_the_nearest_even),
        cmocka_unit_test(a_nan_is_named),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
