/* Checked sizes, growing lists, sticky errors and the name table. */
#include "tests/test.h"

#include "graph/memory.h"
#include "graph/names.h"

static void sizes_that_overflow_are_refused(void **state) {
    (void)state;
    size_t out = 7;
    assert_false(pr_size_multiply(SIZE_MAX, 2, &out));
    assert_false(pr_size_add(SIZE_MAX, 1, &out));
    assert_int_equal(out, 7);
    assert_null(pr_realloc(NULL, SIZE_MAX / 2, 3));
}

static void the_first_fault_sticks(void **state) {
    (void)state;
    pr_error err = {0};
    assert_int_equal(pr_fail(&err, PR_BAD_FILE, "first %d", 1), PR_BAD_FILE);
    pr_fail(&err, PR_IO, "second");
    assert_int_equal(err.code, PR_BAD_FILE);
    assert_string_equal(err.message, "first 1");
    assert_int_equal(pr_fail(NULL, PR_IO, "nowhere"), PR_IO);
}

static void names_are_found_again(void **state) {
    (void)state;
    pr_names *names = pr_names_new();
    char text[32];
    assert_int_equal(pr_names_get(names, "nothing"), -1);
    for (int32_t i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "name %d", i);
        assert_int_equal(pr_names_put(names, text, i), PR_OK);
    }
    assert_int_equal(pr_names_put(names, "name 7", 70), PR_OK);
    assert_int_equal(pr_names_count(names), 5000);
    assert_int_equal(pr_names_get(names, "name 7"), 70);
    assert_int_equal(pr_names_get(names, "name 4999"), 4999);
    assert_int_equal(pr_names_get(names, "name 5000"), -1);
    pr_names_free(names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(the_first_fault_sticks),
        cmocka_unit_test(names_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
