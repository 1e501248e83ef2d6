/* GLUE's tasks: small files in the columns that GLUE's own have, as they are downloaded. */
#include "tests/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "graph/memory.h"
#include "tests/alloc_fault.h"
#include "tests/letters.h"
#include "tests/scratch.h"
#include "train/task.h"

#define MNLI_PARSES                                                                                \
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"             \
    "sentence1_parse\tsentence2_parse\tsentence1\tsentence2"
#define STS_SOURCES                                                                                \
    "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2"

/* A file of each kind: what is in it, and which first texts, labels and rows are to come of it. */
typedef struct sample {
    const char *task, *file;
    pr_split split;
    const char *text;
    size_t n;
    const char *tokens;  /* the letters of all rows, a dot where a text ends */
    const char *classes; /* a digit a row; NULL: no labels, or numbers */
} sample;

static const sample samples[] = {
    {"CoLA", "train.tsv", PR_TRAIN, "gj04\t1\t\ta \"b\ngj04\t0\t*\tc\n", 2, "ab.c.", "10"},
    {"CoLA", "dev.tsv", PR_DEV, "gj04\t1\t\ta b\ngj04\t0\t*\tc", 2, "ab.c.", "10"},
    {"CoLA", "test.tsv", PR_TEST, "index\tsentence\n0\ta b\n1\tc\n", 2, "ab.c.", NULL},
    {"MNLI", "train.tsv", PR_TRAIN,
     MNLI_PARSES "\tlabel1\tgold_label\n"
                 "0\t3\t3n\tslate\t(x)\t(y)\t(ROOT x)\t(ROOT y)\ta b\tc\tneutral\tneutral\n"
                 "1\t4\t4e\tslate\t(x)\t(y)\t(ROOT x)\t(ROOT y)\td\te\tneutral\tentailment\n"
                 "2\t5\t5c\tslate\t(x)\t(y)\t(ROOT x)\t(ROOT y)\tf\tg\tneutral\tcontradiction\n",
     3, "ab.c.d.e.f.g.", "102"},
    {"MRPC", "train.tsv", PR_TRAIN,
     "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
     "1\t70\t71\t\" a\tb\n0\t80\t81\tc\td \"\n",
     2, "a.b.c.d.", "10"},
    {"MRPC", "dev.tsv", PR_DEV,
     "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t70\t71\ta\tb\n", 1, "a.b.", "0"},
    {"MRPC", "test.tsv", PR_TEST,
     "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t70\t71\ta\tb\n1\t80\t81\tc\td\n", 2, "a.b.c.d.",
     NULL},
    {"MRPC", "test.tsv", PR_TEST, /* as Microsoft has it */
     "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t70\t71\ta\tb\n", 1, "a.b.", NULL},
    {"QNLI", "train.tsv", PR_TRAIN,
     "index\tquestion\tsentence\tlabel\n0\ta\tb\tentailment\n1\tc\td\tnot_entailment\n", 2,
     "a.b.c.d.", "01"},
    {"QNLI", "test.tsv", PR_TEST, "index\tquestion\tsentence\n0\ta\tb\n", 1, "a.b.", NULL},
    {"QQP", "train.tsv", PR_TRAIN,
     "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
     "7\t1\t2\ta\tb\t0\n9\t3\t4\tc\td\t1\n",
     2, "a.b.c.d.", "01"},
    {"QQP", "test.tsv", PR_TEST, "id\tquestion1\tquestion2\n0\ta\tb\n1\tc\td\n", 2, "a.b.c.d.",
     NULL},
    {"RTE", "dev.tsv", PR_DEV,
     "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tnot_entailment\n1\tc\td\tentailment\n", 2,
     "a.b.c.d.", "10"},
    {"RTE", "test.tsv", PR_TEST, "index\tsentence1\tsentence2\n0\ta\tb\n", 1, "a.b.", NULL},
    {"SST-2", "train.tsv", PR_TRAIN, "sentence\tlabel\na b \t0\nc \t1\n", 2, "ab.c.", "01"},
    {"SST-2", "test.tsv", PR_TEST, "index\tsentence\n0\ta b\n1\tc\n", 2, "ab.c.", NULL},
    {"STS-B", "train.tsv", PR_TRAIN,
     STS_SOURCES "\tscore\n0\tnews\tf\t2012\t0001\tnone\tnone\ta\tb\t5.000\n"
                 "1\tnews\tf\t2012\t0002\tnone\tnone\tc\td\t0.000\n",
     2, "a.b.c.d.", NULL},
    {"STS-B", "test.tsv", PR_TEST, STS_SOURCES "\n0\tnews\tf\t2012\t0001\tnone\tnone\ta\tb\n", 1,
     "a.b.", NULL},
    {"WNLI", "train.tsv", PR_TRAIN, "index\tsentence1\tsentence2\tlabel\n0\ta\tb\t1\n1\tc\td\t0\n",
     2, "a.b.c.d.", "10"},
    {"WNLI", "test.tsv", PR_TEST, "index\tsentence1\tsentence2\n0\ta\tb\n", 1, "a.b.", NULL},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void put(const char *file, const char *text) {
    scratch_write(scratch_path(file), text, strlen(text));
}

static pr_dataset *read_split(const char *task, pr_split split, size_t *skipped, pr_error *err) {
    return pr_task_read(pr_task_find(task, err), scratch_folder(), split, letters(), 32, skipped,
                        err);
}

static void expect_tokens(const pr_dataset *d, const char *tokens) {
    size_t at = 0;
    for (size_t i = 0; i < d->start[d->n]; i++) {
        char want = d->ids[i] == SEP ? '.' : (char)('a' + d->ids[i] - LETTER_A);
        if (d->ids[i] == CLS || d->ids[i] == UNK) continue; /* UNK: a quote */
        if (tokens[at++] != want) fail_msg("token %zu is not '%c' of %s", i, want, tokens);
    }
    assert_int_equal(at, strlen(tokens));
}

static void files_are_read_in_their_own_columns(void **state) {
    for (int i = 0; i < SAMPLES; i++) {
        const sample *s = &samples[i];
        pr_error err = {0};
        size_t skipped = 9;
        scratch_empty(state);
        put(s->file, s->text);
        pr_dataset *d = read_split(s->task, s->split, &skipped, &err);
        assert_string_equal(err.message, "");
        assert_int_equal(d->n, s->n);
        assert_int_equal(skipped, 0);
        assert_int_equal(d->second, 0);
        assert_int_equal(d->labelled, s->split != PR_TEST);
        expect_tokens(d, s->tokens);
        for (size_t r = 0; s->classes && r < d->n; r++)
            assert_int_equal(d->label[r], s->classes[r] - '0');
        pr_dataset_free(d);
    }
}

static void scores_are_those_of_the_file(void **state) {
    (void)state;
    pr_error err = {0};
    put("dev.tsv", STS_SOURCES "\tscore\n0\tx\tx\tx\tx\tx\tx\ta\tb\t4.250\n");
    pr_dataset *d = read_split("sts-b", PR_DEV, NULL, &err);
    assert_true(d && d->regression && d->target[0] == 4.25F);
    assert_int_equal(d->n_metrics, 2);
    assert_int_equal(d->metric[0], PR_PEARSON);
    assert_int_equal(d->metric[1], PR_SPEARMAN);
    pr_dataset_free(d);
}

static void tasks_are_found_in_any_spelling(void **state) {
    (void)state;
    pr_error err = {0};
    assert_string_equal(pr_task_find("cola", &err)->name, "CoLA");
    assert_string_equal(pr_task_find("SST2", &err)->name, "SST-2");
    assert_string_equal(pr_task_find("sts-b", &err)->name, "STS-B");
    assert_string_equal(pr_task_find("mnli", &err)->file[PR_DEV][0], "dev_matched.tsv");
    assert_string_equal(pr_task_find("MNLI", &err)->file[PR_DEV][1], "dev_mismatched.tsv");
    assert_null(pr_task_find("imdb", &err));
    assert_string_equal(err.message, "no task is called 'imdb'; expected one of CoLA, MNLI, "
                                     "MRPC, QNLI, QQP, RTE, SST-2, STS-B, WNLI");
}

static void tasks_are_whole(void **state) {
    (void)state;
    int n = 0;
    for (const pr_task *task = pr_task_at(0); task; task = pr_task_at(++n)) {
        pr_error err = {0};
        assert_ptr_equal(pr_task_find(task->name, &err), task);
        for (int split = 0; split < PR_SPLITS; split++) {
            assert_non_null(task->file[split][0]);
            assert_non_null(task->column[split][PR_TEXT]);
            assert_int_equal(task->column[split][PR_LABEL] != NULL, split != PR_TEST);
            assert_int_equal(task->column[split][PR_INDEX] != NULL, split == PR_TEST);
        }
        for (int part = 0; part < PR_TASK_PARTS; part++) {
            assert_int_equal(task->submission[part] != NULL, task->file[PR_TEST][part] != NULL);
        }
        assert_true(task->n_metrics >= 1 && task->n_metrics <= PR_TASK_METRICS);
        for (int i = 0; i < PR_TASK_LABELS; i++) {
            bool used = i < task->n_labels && !task->regression;
            assert_int_equal(task->label_name[i] != NULL, used);
            assert_int_equal(task->label_value[i] != NULL, used);
        }
    }
    assert_int_equal(n, 9);
}

static void a_task_is_read_from_either_folder(void **state) {
    (void)state;
    pr_error err = {0};
    const char *folder = scratch_folder();
    char glue[256];
    snprintf(glue, sizeof glue, "%s/glue", folder);
    mkdir(glue, 0777);
    mkdir(scratch_path("glue/CoLA"), 0777);
    put("glue/CoLA/train.tsv", "gj04\t1\t\ta b\ngj04\t0\t*\tc\n");
    const pr_task *task = pr_task_find("CoLA", &err);
    const char *const folders[] = {glue, scratch_path("glue/CoLA")};
    for (size_t i = 0; i < 2; i++) {
        pr_dataset *d = pr_task_read(task, folders[i], PR_TRAIN, letters(), 9, NULL, &err);
        assert_non_null(d);
        assert_int_equal(d->n, 2);
        assert_string_equal(d->label_name[1], "acceptable");
        pr_dataset_free(d);
    }
    assert_null(pr_task_read(task, glue, PR_DEV, letters(), 9, NULL, &err));
    assert_int_equal(err.code, PR_IO);
    assert_says(err.message, "glue: neither dev.tsv nor CoLA/dev.tsv is there, which CoLA wants");
    assert_null(pr_task_path(task, glue, PR_TRAIN, 1, NULL));
    remove(scratch_path("glue/CoLA/train.tsv"));
    rmdir(scratch_path("glue/CoLA"));
    rmdir(glue);
}

#define MNLI_DEV MNLI_PARSES "\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n"
#define MNLI_ROW(index, a, b, label)                                                               \
    index "\t3\t3n\tslate\tx\ty\tx\ty\t" a "\t" b "\tneutral\tneutral\t\t\t\t" label "\n"

static void mnli_has_two_dev_and_two_test_files(void **state) {
    (void)state;
    pr_error err = {0};
    pr_scores scores;
    put("dev_matched.tsv", MNLI_DEV MNLI_ROW("0", "a", "b", "neutral"));
    assert_null(read_split("MNLI", PR_DEV, NULL, &err));
    assert_says(err.message, "neither dev_mismatched.tsv nor MNLI/dev_mismatched.tsv is there");
    put("dev_mismatched.tsv",
        MNLI_DEV MNLI_ROW("0", "c", "d", "contradiction") MNLI_ROW("1", "e", "f", "entailment"));
    err = (pr_error){0};
    pr_dataset *d = read_split("MNLI", PR_DEV, NULL, &err);
    assert_non_null(d);
    expect_tokens(d, "a.b.c.d.e.f.");
    assert_int_equal(d->n, 3);
    assert_int_equal(d->second, 1);
    const float logits[] = {0, 1, 0, 0, 0, 1, 0, 0, 1};
    assert_int_equal(pr_dataset_score(d, logits, &scores, &err), PR_OK);
    assert_int_equal(scores.n, 2);
    assert_true(scores.metric[0] == PR_ACCURACY && scores.value[0] == 1);
    assert_true(scores.metric[1] == PR_ACCURACY_MISMATCHED && scores.value[1] == 0.5);
    pr_dataset_free(d);

    put("test_matched.tsv", MNLI_PARSES "\n0\t3\t3n\tslate\tx\ty\tx\ty\ta\tb\n"
                                        "1\t3\t3n\tslate\tx\ty\tx\ty\tc\td\n");
    put("test_mismatched.tsv", MNLI_PARSES "\n0\t3\t3n\tslate\tx\ty\tx\ty\te\tf\n");
    d = read_split("MNLI", PR_TEST, NULL, &err);
    assert_non_null(d);
    expect_tokens(d, "a.b.c.d.e.f.");
    assert_int_equal(d->second, 2);
    assert_false(d->labelled);
    pr_dataset_free(d);

    put("dev_mismatched.tsv", MNLI_DEV MNLI_ROW("0", "c", "d", "-"));
    assert_null(read_split("MNLI", PR_DEV, NULL, &err));
    assert_says(err.message, "dev_mismatched.tsv:2: label '-'; expected one of 'entailment', "
                             "'neutral', 'contradiction', as in MNLI");
}

#define QQP_HEADER "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"

/* Questions with newlines in them: their rows fall apart. */
static void broken_rows_of_qqp_are_left_out_and_counted(void **state) {
    (void)state;
    pr_error err = {0};
    size_t skipped;
    const char *broken = QQP_HEADER "1\t1\t2\ta\tb\t0\n"
                                    "2\t3\t4\t\"c\n\n\"\td\t1\n"
                                    "3\t5\t6\te\n"
                                    "4\t7\t8\tf\tg\tg\t1\n"
                                    "5\t9\t10\th\t\t1\n";
    put("train.tsv", broken);
    pr_dataset *d = read_split("QQP", PR_TRAIN, &skipped, &err);
    assert_non_null(d);
    assert_int_equal(skipped, 5);
    expect_tokens(d, "a.b.h..");
    pr_dataset_free(d);

    /* A test set's answers are counted: none of its rows may go. */
    put("test.tsv", "id\tquestion1\tquestion2\n0\ta\tb\n1\t\"c\n\"\td\n");
    assert_null(read_split("QQP", PR_TEST, NULL, &err));
    assert_says(err.message, "test.tsv:3: 2 columns; expected 3 as in line 1");
    err = (pr_error){0};
    put("test.tsv", "id\tquestion1\tquestion2\n0\ta\tb\n\n1\tc\td\n");
    assert_null(read_split("QQP", PR_TEST, NULL, &err));
    assert_says(err.message, "test.tsv:3: an empty line; expected a row");
    err = (pr_error){0};
    put("train.tsv", QQP_HEADER "1\t1\t2\ta\tb\n");
    assert_null(read_split("QQP", PR_TRAIN, NULL, &err));
    assert_says(err.message, "train.tsv: no rows");
}

/* What a task's reading says of every other task's file, where it can be told from its own. */
static void files_of_other_tasks_are_refused(void **state) {
    int told = 0, taken = 0;
    for (int t = 0; pr_task_at(t); t++) {
        const pr_task *task = pr_task_at(t);
        for (int i = 0; i < SAMPLES; i++) {
            const sample *s = &samples[i];
            pr_error err = {0};
            if (!strcmp(s->task, task->name) || s->split == PR_DEV) continue;
            scratch_empty(state);
            put(task->file[s->split][0], s->text);
            if (task->file[s->split][1]) put(task->file[s->split][1], s->text);
            pr_dataset *d = read_split(task->name, s->split, NULL, &err);
            if (d) {
                taken++;
                pr_dataset_free(d);
                continue;
            }
            told++;
            char label[32], columns[32];
            snprintf(label, sizeof label, ", as in %s", task->name);
            snprintf(columns, sizeof columns, ":1: not %s's columns: ", task->name);
            assert_int_equal(err.code, PR_BAD_FILE);
            assert_non_null(strstr(err.message, task->file[s->split][0]));
            if (!strstr(err.message, label) && !strstr(err.message, columns)) {
                fail_msg("%s in %s: %s", s->task, task->name, err.message);
            }
        }
    }
    /* Test files alone: CoLA's and SST-2's have the same columns, and RTE's and WNLI's. */
    assert_int_equal(taken, 4);
    assert_int_equal(told, 132);
}

static void wrong_columns_are_named(void **state) {
    const struct {
        const char *task, *file, *text, *says;
        pr_split split;
    } wrong[] = {
        {"RTE", "dev.tsv", "index\tquestion\tsentence\tlabel\n0\ta\tb\tentailment\n",
         "dev.tsv:1: not RTE's columns: 'index', 'question', 'sentence', 'label'; expected index, "
         "sentence1, sentence2, label",
         PR_DEV},
        {"CoLA", "train.tsv", "sentence\tlabel\na\t1\n",
         "train.tsv:1: not CoLA's columns: 'sentence', 'label'; expected 4 without a header: "
         "source, label, mark, sentence",
         PR_TRAIN},
        {"CoLA", "train.tsv", "the cat\t1\na mat\t0\n",
         "train.tsv:1: not CoLA's columns: 'the cat', '1'; expected 4 without a header: ",
         PR_TRAIN},
        {"CoLA", "dev.tsv", "gj04\t1\t\ta\tb\n", "dev.tsv:1: not CoLA's columns: 'gj04', '1', '',",
         PR_DEV},
        {"CoLA", "train.tsv", "id\tlabel\tmark\tsentence\nx\t1\t\ta\n",
         "train.tsv:1: label 'label'; expected one of '0', '1', as in CoLA", PR_TRAIN},
        {"SST-2", "test.tsv", "index\tquestion\tsentence\n0\ta\tb\n", "not SST-2's columns",
         PR_TEST},
        {"WNLI", "test.tsv", STS_SOURCES "\n0\tx\tx\tx\tx\tx\tx\ta\tb\n", "not WNLI's columns",
         PR_TEST},
        {"RTE", "dev.tsv", "index\tsentence1\tsentence2\n0\ta\tb\n", "not RTE's columns", PR_DEV},
        {"SST-2", "dev.tsv", "sentence\tlabel\tlabel\na\t1\t1\n", "more than one of the header's 3",
         PR_DEV},
        {"STS-B", "dev.tsv", STS_SOURCES "\tscore\n0\tx\tx\tx\tx\tx\tx\ta\tb\t5.5\n",
         "dev.tsv:2: label '5.5'; expected a number from 0 to 5, as in STS-B", PR_DEV},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        pr_error err = {0};
        scratch_empty(state);
        put(wrong[i].file, wrong[i].text);
        assert_null(read_split(wrong[i].task, wrong[i].split, NULL, &err));
        assert_says(err.message, wrong[i].says);
    }
    /* Columns more or less than GLUE's own are no fault. */
    pr_error err = {0};
    put("dev.tsv", "sentence1\tmine\tlabel\tsentence2\na\tx\tentailment\tb\n");
    pr_dataset *d = read_split("RTE", PR_DEV, NULL, &err);
    assert_non_null(d);
    expect_tokens(d, "a.b.");
    pr_dataset_free(d);
}

static void a_test_set_with_a_gap_is_refused(void **state) {
    (void)state;
    const struct {
        const char *text, *says;
    } bad[] = {
        {"index\tsentence\n0\ta\n2\tb\n",
         "test.tsv:3: index '2'; expected '1', since a test set's"},
        {"index\tsentence\n0\ta\n0\tb\n", "test.tsv:3: index '0'; expected '1'"},
        {"index\tsentence\n0\ta\n01\tb\n", "test.tsv:3: index '01'; expected '1'"},
        {"index\tsentence\n0\ta\n\tb\n", "test.tsv:3: index ''; expected '1'"},
        {"index\tsentence\nx\ta\n", "test.tsv:2: index 'x'; expected '0'"},
        {"index\tsentence\n-1\ta\n", "test.tsv:2: index '-1'; expected '0'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pr_error err = {0};
        put("test.tsv", bad[i].text);
        assert_null(read_split("SST-2", PR_TEST, NULL, &err));
        assert_int_equal(err.code, PR_BAD_FILE);
        assert_says(err.message, bad[i].says);
    }
    pr_error err = {0};
    put("test.tsv", "index\tsentence\n7\ta\n8\tb\n");
    pr_dataset *d = read_split("SST-2", PR_TEST, NULL, &err);
    assert_non_null(d);
    pr_dataset_free(d);
}

static bool read_mnli(void *context) {
    (void)context;
    pr_error err = {0};
    pr_dataset *d = read_split("MNLI", PR_DEV, NULL, &err);
    assert_true(d ? err.code == PR_OK : err.code == PR_NO_MEMORY);
    pr_dataset_free(d);
    return d != NULL;
}

static void failing_allocations_come_back(void **state) {
    (void)state;
    put("dev_matched.tsv", MNLI_DEV MNLI_ROW("0", "a", "b", "neutral"));
    put("dev_mismatched.tsv", MNLI_DEV MNLI_ROW("0", "c", "d", "contradiction"));
    alloc_fault_every(read_mnli, NULL);
}

static int open_both(void **state) {
    return scratch_make(state) || letters_open(state);
}

static int close_both(void **state) {
    return scratch_remove(state) || letters_close(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(files_are_read_in_their_own_columns, scratch_empty),
        cmocka_unit_test_teardown(scores_are_those_of_the_file, scratch_empty),
        cmocka_unit_test(tasks_are_found_in_any_spelling),
        cmocka_unit_test(tasks_are_whole),
        cmocka_unit_test_teardown(a_task_is_read_from_either_folder, scratch_empty),
        cmocka_unit_test_teardown(mnli_has_two_dev_and_two_test_files, scratch_empty),
        cmocka_unit_test_teardown(broken_rows_of_qqp_are_left_out_and_counted, scratch_empty),
        cmocka_unit_test_teardown(files_of_other_tasks_are_refused, scratch_empty),
        cmocka_unit_test_teardown(wrong_columns_are_named, scratch_empty),
        cmocka_unit_test_teardown(a_test_set_with_a_gap_is_refused, scratch_empty),
        cmocka_unit_test_teardown(failing_allocations_come_back, scratch_empty),
    };
    return cmocka_run_group_tests(tests, open_both, close_both);
}
