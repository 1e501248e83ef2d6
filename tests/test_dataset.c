/* Tables to token ids and labels, scores, and batches. */
#include "tests/test.h"

#include "tests/alloc_fault.h"
#include "tests/letters.h"
#include "train/dataset.h"

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static pr_dataset *dataset_of(const char *text, const char *text_b, const pr_label_set *labels,
                              size_t max_length, pr_error *err) {
    const char *path = "test_dataset.tsv";
    pr_table_options options = {.format = PR_TSV, .column = {"t", text_b, "l"}};
    write_file(path, text);
    pr_table *table = pr_table_read(path, &options, err);
    remove(path);
    if (!table) return NULL;
    pr_dataset *data = pr_dataset_new(table, letters(), max_length, labels, err);
    pr_table_free(table);
    return data;
}

static const pr_label_set own_labels = {0};

static void rows_are_packed_end_to_end(void **state) {
    (void)state;
    pr_error err = {0};
    pr_dataset *d = dataset_of("t\tu\tl\na b\tc\tyes\n\t\tno\nb b b b b\ta a a\tyes\n", "u",
                               &own_labels, 9, &err);
    assert_non_null(d);
    const int32_t ids[] = {CLS, 3, 4, SEP, 4 + 1, SEP, CLS, SEP, SEP,
                           CLS, 4, 4, 4,   SEP,   3,   3,   3,   SEP};
    const int32_t types[] = {0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1};
    assert_int_equal(d->n, 3);
    assert_memory_equal(d->start, ((size_t[]){0, 6, 9, 18}), 4 * sizeof(size_t));
    assert_memory_equal(d->ids, ids, sizeof ids);
    assert_memory_equal(d->types, types, sizeof types);
    assert_int_equal(d->truncated, 1);
    assert_int_equal(d->longest, 9);
    assert_int_equal(d->n_labels, 2);
    assert_string_equal(d->label_name[0], "no");
    assert_string_equal(d->label_name[1], "yes");
    assert_memory_equal(d->label, ((int32_t[]){1, 0, 1}), 3 * sizeof(int32_t));
    pr_dataset_free(d);
}

static void labels_of_another_set_are_used_as_they_are(void **state) {
    (void)state;
    pr_error err = {0};
    const char *const names[] = {"bad", "good", "odd"};
    const char *const values[] = {"0", "1", "2"};
    const pr_label_set set = {.name = names, .value = values, .n = 3};
    pr_dataset *d = dataset_of("t\tl\na\t1\nb\t0\n", NULL, &set, 9, &err);
    assert_non_null(d);
    assert_int_equal(d->n_labels, 3);
    assert_string_equal(d->label_name[2], "odd");
    assert_memory_equal(d->label, ((int32_t[]){1, 0}), 2 * sizeof(int32_t));
    pr_dataset_free(d);

    assert_null(dataset_of("t\tl\na\t1\nb\tgood\n", NULL, &set, 9, &err));
    assert_string_equal(err.message,
                        "test_dataset.tsv:3: label 'good'; expected one of '0', '1', '2'");
}

static void bad_labels_name_file_and_line(void **state) {
    (void)state;
    const pr_label_set numbers = {.regression = true};
    const pr_label_set marks = {.regression = true, .least = 0, .most = 5, .owner = "Marks"};
    const char *const names[] = {"bad", "good"};
    const pr_label_set words = {.name = names, .n = 2, .owner = "Words"};
    const struct {
        const char *text;
        const pr_label_set *labels;
        const char *says;
    } bad[] = {
        {"t\tl\na\t1\nb\t\n", &own_labels, "test_dataset.tsv:3: label ''; expected a name"},
        {"t\tl\na\t1\nb\t1\n", &own_labels, "all rows have the label '1'"},
        {"t\tl\na\t1.5\nb\tx\n", &numbers, "test_dataset.tsv:3: label 'x'; expected a finite"},
        {"t\tl\na\t\n", &numbers, "test_dataset.tsv:2: label ''; expected a finite"},
        {"t\tl\na\tnan\n", &numbers, "test_dataset.tsv:2: label 'nan'"},
        {"t\tl\na\t1e99\n", &numbers, "test_dataset.tsv:2: label '1e99'"},
        {"t\tl\na\t1 \n", &numbers, "test_dataset.tsv:2: label '1 '"},
        {"t\tl\na\t5\nb\t5.001\n", &marks,
         "test_dataset.tsv:3: label '5.001'; expected a number from 0 to 5, as in Marks"},
        {"t\tl\na\t-0.001\n", &marks, "test_dataset.tsv:2: label '-0.001'; expected a number from"},
        {"t\tl\na\tgood\nb\teven\n", &words,
         "test_dataset.tsv:3: label 'even'; expected one of 'bad', 'good', as in Words"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pr_error err = {0};
        assert_null(dataset_of(bad[i].text, NULL, bad[i].labels, 9, &err));
        assert_int_equal(err.code, PR_BAD_FILE);
        if (!strstr(err.message, bad[i].says)) fail_msg("%s", err.message);
    }
}

static void a_long_list_of_labels_is_cut(void **state) {
    (void)state;
    const char *names[100];
    for (int i = 0; i < 100; i++)
        names[i] = "some quite long label";
    const pr_label_set set = {.name = names, .n = 100};
    pr_error err = {0};
    assert_null(dataset_of("t\tl\na\t1\n", NULL, &set, 9, &err));
    assert_non_null(strstr(err.message, "some quite long label' ..."));
}

static void outputs_are_scored(void **state) {
    (void)state;
    pr_error err = {0};
    pr_scores scores;
    pr_dataset *d = dataset_of("t\tl\na\t0\nb\t1\nc\t1\nd\t0\n", NULL, &own_labels, 9, &err);
    const float logits[] = {2, 1, -1, 3, 0, 5, -2, -1};
    assert_int_equal(pr_dataset_score(d, logits, &scores, &err), PR_OK);
    assert_int_equal(scores.n, 2);
    assert_int_equal(scores.metric[0], PR_MATTHEWS);
    assert_true(scores.value[0] > 0.577350 && scores.value[0] < 0.577351);
    assert_true(scores.value[1] == 0.75);
    d->metric[0] = PR_F1;
    assert_int_equal(pr_dataset_score(d, logits, &scores, &err), PR_OK);
    assert_true(scores.value[0] == 0.8);
    pr_dataset_free(d);

    const pr_label_set numbers = {.regression = true};
    d = dataset_of("t\tl\na\t1\nb\t2.5\nc\t-4e0\n", NULL, &numbers, 9, &err);
    assert_int_equal(pr_dataset_score(d, (float[]){2, 5, -8}, &scores, &err), PR_OK);
    assert_int_equal(scores.metric[0], PR_PEARSON);
    assert_true(scores.value[0] > 0.999999 && scores.value[1] > 0.999999);
    pr_dataset_free(d);
}

/* The second part stands behind the first and is scored apart. */
static void a_second_part_is_scored_apart(void **state) {
    (void)state;
    pr_error err = {0};
    pr_scores scores;
    const char *const names[] = {"0", "1"};
    const pr_label_set set = {.name = names, .n = 2};
    pr_dataset *d = dataset_of("t\tl\na\t0\nb b\t1\n", NULL, &set, 4, &err);
    pr_dataset *more = dataset_of("t\tl\nc c c\t1\nd\t1\n\t0\n", NULL, &set, 4, &err);
    assert_int_equal(pr_dataset_append(d, more, &err), PR_OK);
    pr_dataset_free(more);
    const int32_t ids[] = {CLS, 3, SEP, CLS, 4, 4, SEP, CLS, 5, 5, SEP, CLS, 6, SEP, CLS, SEP};
    assert_int_equal(d->n, 5);
    assert_int_equal(d->second, 2);
    assert_int_equal(d->longest, 4);
    assert_int_equal(d->truncated, 1);
    assert_memory_equal(d->start, ((size_t[]){0, 3, 7, 11, 14, 16}), 6 * sizeof(size_t));
    assert_memory_equal(d->ids, ids, sizeof ids);
    assert_memory_equal(d->label, ((int32_t[]){0, 1, 1, 1, 0}), 5 * sizeof(int32_t));
    d->n_metrics = 3;
    d->metric[0] = PR_ACCURACY;
    d->metric[1] = PR_ACCURACY_MISMATCHED;
    d->metric[2] = PR_F1;
    const float logits[] = {1, 0, 1, 0, 0, 1, 0, 1, 0, 1};
    assert_int_equal(pr_dataset_score(d, logits, &scores, &err), PR_OK);
    assert_true(scores.value[0] == 0.5);
    assert_true(scores.value[1] == 2.0 / 3);
    assert_true(scores.value[2] == 0);
    pr_dataset_free(d);

    const pr_label_set numbers = {.regression = true};
    d = dataset_of("t\tl\na\t1\nb\t2\n", NULL, &numbers, 4, &err);
    more = dataset_of("t\tl\na\t9\n", NULL, &numbers, 4, &err);
    assert_int_equal(pr_dataset_append(d, more, &err), PR_OK);
    pr_dataset_free(more);
    assert_true(d->target[2] == 9 && !d->label);
    assert_int_equal(pr_dataset_score(d, (float[]){1, 2, -9}, &scores, &err), PR_OK);
    assert_true(scores.value[0] > 0.999999);
    pr_dataset_free(d);
}

static void texts_have_no_labels(void **state) {
    (void)state;
    pr_error err = {0};
    pr_scores scores;
    const char *const a[] = {"a", "b c"};
    const char *const b[] = {"x", "y"};
    pr_dataset *d = pr_dataset_of_texts(a, b, 2, letters(), 9, &err);
    assert_int_equal(d->n, 2);
    assert_int_equal(d->start[2], 11);
    assert_false(d->labelled);
    assert_int_equal(pr_dataset_score(d, (float[]){0, 0}, &scores, &err), PR_BAD_ARGUMENT);
    pr_dataset_free(d);
    assert_null(pr_dataset_of_texts((const char *const[]){"\xFF"}, NULL, 1, letters(), 9, &err));
}

static void batches_are_packed(void **state) {
    (void)state;
    pr_error err = {0};
    pr_batch batch = {0};
    pr_dataset *d =
        dataset_of("t\tl\na b c d\t0\n\t1\nb\t1\nc c\t0\nd d\t1\n", NULL, &own_labels, 9, &err);
    pr_extent capacity = pr_batch_capacity(d, 2);
    assert_int_equal(capacity.tokens, 6 + 4);
    assert_int_equal(capacity.sentences, 2);
    assert_int_equal(capacity.longest, 6);
    assert_int_equal(pr_batch_capacity(d, 99).tokens, d->start[d->n]);
    assert_int_equal(pr_batch_capacity(d, 99).sentences, 5);

    assert_int_equal(pr_batch_reserve(&batch, d, 3, &err), PR_OK);
    pr_batch_gather(&batch, d, (uint32_t[]){2, 0, 1}, 0, 3);
    assert_int_equal(batch.extent.tokens, 3 + 6 + 2);
    assert_int_equal(batch.extent.sentences, 3);
    assert_int_equal(batch.extent.longest, 6);
    assert_memory_equal(batch.offsets, ((int32_t[]){0, 3, 9, 11}), 4 * sizeof(int32_t));
    assert_memory_equal(batch.ids, ((int32_t[]){CLS, 4, SEP, CLS, 3, 4, 5, 6, SEP, CLS, SEP}),
                        11 * sizeof(int32_t));
    assert_memory_equal(batch.positions, ((int32_t[]){0, 1, 2, 0, 1, 2, 3, 4, 5, 0, 1}),
                        11 * sizeof(int32_t));
    assert_memory_equal(batch.label, ((int32_t[]){1, 0, 1}), 3 * sizeof(int32_t));
    pr_batch_gather(&batch, d, NULL, 3, 2);
    assert_int_equal(batch.extent.tokens, 8);
    assert_int_equal(batch.ids[5], 6);
    pr_batch_free(&batch);
    pr_dataset_free(d);
}

static void an_epoch_takes_every_row_once(void **state) {
    (void)state;
    uint32_t order[1000];
    uint32_t again[1000];
    bool seen[1000] = {false};
    pr_dataset_shuffle(order, 1000, 5, 3);
    pr_dataset_shuffle(again, 1000, 5, 3);
    assert_memory_equal(order, again, sizeof order);
    for (int i = 0; i < 1000; i++) {
        assert_true(order[i] < 1000 && !seen[order[i]]);
        seen[order[i]] = true;
    }
    pr_dataset_shuffle(again, 1000, 5, 4);
    assert_memory_not_equal(order, again, sizeof order);
    pr_dataset_shuffle(again, 1000, 6, 3);
    assert_memory_not_equal(order, again, sizeof order);
    pr_dataset_shuffle(order, 0, 5, 3);
    /* A run that is resumed elsewhere must meet the same rows. */
    pr_dataset_shuffle(order, 8, 0, 0);
    assert_memory_equal(order, ((uint32_t[]){1, 4, 2, 3, 5, 0, 7, 6}), 8 * sizeof *order);
}

static void every_order_is_as_likely(void **state) {
    (void)state;
    int times[27] = {0};
    for (int32_t epoch = 0; epoch < 6000; epoch++) {
        uint32_t order[3];
        pr_dataset_shuffle(order, 3, 1, epoch);
        times[9 * order[0] + 3 * order[1] + order[2]]++;
    }
    const int orders[] = {5, 7, 11, 15, 19, 21}; /* 012, 021, 102, 120, 201, 210 in base 3 */
    for (int i = 0; i < 6; i++) {                /* 1000 each, give or take four deviations */
        assert_in_range(times[orders[i]], 885, 1115);
    }
}

static bool read_and_gather(void *context) {
    pr_table_options options = {.format = PR_TSV, .column = {"t", NULL, "l"}};
    pr_error err = {0};
    pr_batch batch = {0};
    pr_scores scores;
    pr_dataset *data = NULL;
    pr_table *table = pr_table_read(context, &options, &err);
    if (table) data = pr_dataset_new(table, letters(), 9, &own_labels, &err);
    pr_table_free(table);
    if (data) pr_batch_reserve(&batch, data, 2, &err);
    if (data) pr_dataset_score(data, (float[]){0, 1, 1, 0, 1, 2}, &scores, &err);
    pr_batch_free(&batch);
    pr_dataset_free(data);
    assert_true(err.code == PR_OK || err.code == PR_NO_MEMORY);
    return err.code == PR_OK;
}

static void failing_allocations_come_back(void **state) {
    (void)state;
    char path[] = "test_dataset.fault.tsv";
    write_file(path, "t\tl\na b\t1\nc\t0\nd\t1\n");
    alloc_fault_every(read_and_gather, path);
    remove(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_packed_end_to_end),
        cmocka_unit_test(labels_of_another_set_are_used_as_they_are),
        cmocka_unit_test(bad_labels_name_file_and_line),
        cmocka_unit_test(a_long_list_of_labels_is_cut),
        cmocka_unit_test(outputs_are_scored),
        cmocka_unit_test(a_second_part_is_scored_apart),
        cmocka_unit_test(texts_have_no_labels),
        cmocka_unit_test(batches_are_packed),
        cmocka_unit_test(an_epoch_takes_every_row_once),
        cmocka_unit_test(every_order_is_as_likely),
        cmocka_unit_test(failing_allocations_come_back),
    };
    return cmocka_run_group_tests(tests, letters_open, letters_close);
}
