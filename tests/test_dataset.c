/* Tables to token ids and labels, GLUE's tasks, and batches. */
#include "tests/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "graph/memory.h"
#include "tests/alloc_fault.h"
#include "train/dataset.h"
#include "train/task.h"

/* A vocabulary of letters: every word of one letter is a token, 'a' being LETTER_A. */
enum { UNK, CLS, SEP, LETTER_A };

static pr_wordpiece *wordpiece;

static int open_wordpiece(void **state) {
    (void)state;
    pr_error err = {0};
    pr_vocab *vocab = pr_vocab_new();
    pr_vocab_add(vocab, "[UNK]", 5, &err);
    pr_vocab_add(vocab, "[CLS]", 5, &err);
    pr_vocab_add(vocab, "[SEP]", 5, &err);
    for (const char *c = "abcdefghijklmnopqrstuvwxyz"; *c; c++) {
        pr_vocab_add(vocab, c, 1, &err);
    }
    assert_int_equal(pr_vocab_finish(vocab, &err), PR_OK);
    wordpiece = pr_wordpiece_new(vocab, &err);
    pr_vocab_free(vocab);
    return wordpiece ? 0 : -1;
}

static int close_wordpiece(void **state) {
    (void)state;
    pr_wordpiece_free(wordpiece);
    return 0;
}

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
    pr_dataset *data = pr_dataset_new(table, wordpiece, max_length, labels, err);
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

static void texts_have_no_labels(void **state) {
    (void)state;
    pr_error err = {0};
    pr_scores scores;
    const char *const a[] = {"a", "b c"};
    const char *const b[] = {"x", "y"};
    pr_dataset *d = pr_dataset_of_texts(a, b, 2, wordpiece, 9, &err);
    assert_int_equal(d->n, 2);
    assert_int_equal(d->start[2], 11);
    assert_false(d->labelled);
    assert_int_equal(pr_dataset_score(d, (float[]){0, 0}, &scores, &err), PR_BAD_ARGUMENT);
    pr_dataset_free(d);
    assert_null(pr_dataset_of_texts((const char *const[]){"\xFF"}, NULL, 1, wordpiece, 9, &err));
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

static void tasks_are_found_in_any_spelling(void **state) {
    (void)state;
    pr_error err = {0};
    assert_string_equal(pr_task_find("cola", &err)->name, "CoLA");
    assert_string_equal(pr_task_find("SST2", &err)->name, "SST-2");
    assert_string_equal(pr_task_find("sts-b", &err)->name, "STS-B");
    assert_string_equal(pr_task_find("mnli", &err)->dev, "dev_matched.tsv");
    assert_string_equal(pr_task_find("MNLI-mm", &err)->dev, "dev_mismatched.tsv");
    assert_null(pr_task_find("imdb", &err));
    assert_string_equal(err.message, "no task is called 'imdb'; expected one of CoLA, MNLI, "
                                     "MNLI-mm, MRPC, QNLI, QQP, RTE, SST-2, STS-B, WNLI");
}

static void tasks_are_whole(void **state) {
    (void)state;
    int n = 0;
    for (const pr_task *task = pr_task_at(0); task; task = pr_task_at(++n)) {
        pr_error err = {0};
        assert_ptr_equal(pr_task_find(task->name, &err), task);
        assert_non_null(task->column[PR_TEXT]);
        assert_non_null(task->column[PR_LABEL]);
        assert_true(task->n_metrics >= 1 && task->n_metrics <= PR_TASK_METRICS);
        for (int i = 0; i < PR_TASK_LABELS; i++) {
            bool used = i < task->n_labels && !task->regression;
            assert_int_equal(task->label_name[i] != NULL, used);
            assert_int_equal(task->label_value[i] != NULL, used);
        }
    }
    assert_int_equal(n, 10);
}

static void a_task_is_read_from_either_folder(void **state) {
    (void)state;
    pr_error err = {0};
    size_t skipped = 99;
    mkdir("test_dataset.glue", 0777);
    mkdir("test_dataset.glue/CoLA", 0777);
    const char *path = "test_dataset.glue/CoLA/train.tsv";
    write_file(path, "gj04\t1\t\ta b\ngj04\t0\t*\tc\n");
    const pr_task *task = pr_task_find("CoLA", &err);
    const char *const folders[] = {"test_dataset.glue", "test_dataset.glue/CoLA"};
    for (size_t i = 0; i < 2; i++) {
        pr_dataset *d = pr_task_read(task, folders[i], PR_TRAIN, wordpiece, 9, &skipped, &err);
        assert_non_null(d);
        assert_int_equal(d->n, 2);
        assert_int_equal(d->n_metrics, 2);
        assert_int_equal(skipped, 0);
        assert_string_equal(d->label_name[1], "acceptable");
        assert_memory_equal(d->label, ((int32_t[]){1, 0}), 2 * sizeof(int32_t));
        pr_dataset_free(d);
    }
    assert_null(pr_task_read(task, folders[0], PR_DEV, wordpiece, 9, NULL, &err));
    assert_int_equal(err.code, PR_IO);
    assert_string_equal(err.message, "test_dataset.glue: neither dev.tsv nor CoLA/dev.tsv is "
                                     "there, which CoLA wants");
    remove(path);
    rmdir("test_dataset.glue/CoLA");
    rmdir("test_dataset.glue");
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
    if (table) data = pr_dataset_new(table, wordpiece, 9, &own_labels, &err);
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
        cmocka_unit_test(texts_have_no_labels),
        cmocka_unit_test(batches_are_packed),
        cmocka_unit_test(tasks_are_found_in_any_spelling),
        cmocka_unit_test(tasks_are_whole),
        cmocka_unit_test(a_task_is_read_from_either_folder),
        cmocka_unit_test(an_epoch_takes_every_row_once),
        cmocka_unit_test(every_order_is_as_likely),
        cmocka_unit_test(failing_allocations_come_back),
    };
    return cmocka_run_group_tests(tests, open_wordpiece, close_wordpiece);
}
