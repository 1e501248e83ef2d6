/* What two backends made of the same steps, judged and told. */
#include "tools/side_by_side.h"

#include <math.h>

#include "tests/alloc_fault.h"
#include "tests/test.h"
#include "tests/toy.h"

enum { TOLERATED = 40, TEXT = 4096 };

static pr_difference apart(const char *value, pr_phase phase, double norm, double by) {
    return (pr_difference){.op = &toy_mix,
                           .node = "node",
                           .value = value,
                           .phase = phase,
                           .shape = pr_shape_2(2, 3),
                           .norm = norm,
                           .apart = by,
                           .largest = by};
}

static side_by_side begin(void) {
    return (side_by_side){.step = 1, .tolerance = 1e-4};
}

static pr_status judge(const side_by_side *s, char text[TEXT], pr_error *err) {
    FILE *out = fmemopen(text, TEXT, "w");
    pr_status status = side_by_side_judge(s, out, err);
    fclose(out);
    return status;
}

static void note(side_by_side *s, pr_difference d) {
    assert_int_equal(side_by_side_note(s, &d), PR_OK);
}

static void what_agrees_is_no_row(void **state) {
    (void)state;
    side_by_side s = begin();
    char text[TEXT] = "";
    pr_error err = {0};
    note(&s, apart("a", PR_FORWARD, 1.0, 0.0));
    note(&s, apart("b", PR_BACKWARD, 0.0, 0.0));
    assert_int_equal(judge(&s, text, &err), PR_OK);
    assert_string_equal(
        text, "2 values compared, 0 differ, 0 out of tolerance (0.0001 of a value's norm)\n");
    side_by_side_free(&s);
}

/* A value's names are the plan's, which may be gone by now. */
static void the_worst_comes_first(void **state) {
    (void)state;
    side_by_side s = begin();
    char text[TEXT] = "", name[] = "gone";
    pr_error err = {0};
    note(&s, apart("agrees", PR_FORWARD, 1.0, 0.0));
    note(&s, apart("within", PR_FORWARD, 1.0, 0.9e-4));
    note(&s, apart(name, PR_FORWARD, 1.0, 3e-4));
    note(&s, apart("infinite", PR_FORWARD, INFINITY, INFINITY));
    memset(name, '?', sizeof name - 1);
    assert_int_equal(judge(&s, text, &err), PR_DEVICE);
    assert_string_equal(err.message, "2 of 4 values are out of tolerance");
    const char *infinite = strstr(text, "infinite"), *gone = strstr(text, "gone"),
               *within = strstr(text, "within");
    assert_true(infinite && gone && within && infinite < gone && gone < within);
    assert_null(strstr(text, "agrees"));
    assert_non_null(strstr(text, "4 values compared, 3 differ, 2 out of tolerance"));
    side_by_side_free(&s);
}

/* A small value is measured by the largest of its phase. */
static void a_phase_has_a_scale(void **state) {
    (void)state;
    side_by_side s = begin();
    char text[TEXT] = "";
    pr_error err = {0};
    note(&s, apart("large", PR_BACKWARD, 1.0, 0.0));
    note(&s, apart("small", PR_BACKWARD, 1e-9, 0.5e-6));
    assert_int_equal(judge(&s, text, &err), PR_OK);
    note(&s, apart("alone", PR_FORWARD, 1e-9, 0.5e-6));
    assert_int_equal(judge(&s, text, &err), PR_DEVICE);
    side_by_side_free(&s);
}

static void only_the_worst_are_listed(void **state) {
    (void)state;
    side_by_side s = begin();
    char text[TEXT] = "";
    pr_error err = {0};
    for (int i = 0; i < TOLERATED; i++)
        note(&s, apart("within", PR_FORWARD, 1.0, 1e-5));
    assert_int_equal(judge(&s, text, &err), PR_OK);
    int rows = 0;
    for (const char *at = text; (at = strstr(at, "within")) != NULL; at++)
        rows++;
    assert_int_equal(rows, 12);
    side_by_side_free(&s);
}

static void a_less_precise_one_is_given_more(void **state) {
    (void)state;
    assert_true(side_by_side_tolerance(PR_PRECISION_F32, PR_PRECISION_F32) == 1e-4);
    assert_true(side_by_side_tolerance(PR_PRECISION_F32, PR_PRECISION_BF16) == 1e-2);
    assert_true(side_by_side_tolerance(PR_PRECISION_TF32, PR_PRECISION_F32) == 1e-2);
}

static bool note_and_judge(void *context) {
    side_by_side s = begin();
    pr_error err = {0};
    pr_difference d = apart("a", PR_FORWARD, 1.0, 0.0);
    pr_status status = side_by_side_note(&s, &d);
    if (status == PR_OK) status = side_by_side_judge(&s, context, &err);
    side_by_side_free(&s);
    return status == PR_OK;
}

static void memory_may_fail(void **state) {
    (void)state;
    FILE *out = fopen("/dev/null", "w");
    assert_non_null(out);
    fputc('\n', out); /* its buffer is no part of it */
    fflush(out);
    alloc_fault_every(note_and_judge, out);
    fclose(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_agrees_is_no_row),
        cmocka_unit_test(the_worst_comes_first),
        cmocka_unit_test(a_phase_has_a_scale),
        cmocka_unit_test(only_the_worst_are_listed),
        cmocka_unit_test(a_less_precise_one_is_given_more),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
