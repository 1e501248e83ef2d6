/* The tasks, as GLUE's files are downloaded, and how one is found by its name. */
#include <ctype.h>
#include <stdio.h>

#include "train/task.h"

/* Columns that more than one file has. */
static const char mrpc[] = "Quality, #1 ID, #2 ID, #1 String, #2 String";
static const char pair[] = "index, sentence1, sentence2, label";
static const char pair_test[] = "index, sentence1, sentence2";
static const char cola[] = "source, label, mark, sentence";
static const char mnli_dev[] =
    "index, promptID, pairID, genre, sentence1_binary_parse, sentence2_binary_parse, "
    "sentence1_parse, sentence2_parse, sentence1, sentence2, label1, label2, label3, label4, "
    "label5, gold_label";

static const pr_task tasks[] = {
    {.name = "CoLA", /* whose train and dev files have no header */
     .file = {{"train.tsv"}, {"dev.tsv"}, {"test.tsv"}},
     .columns = {cola, cola, "index, sentence"},
     .column = {{"4", NULL, "2"}, {"4", NULL, "2"}, {"sentence", NULL, NULL, "index"}},
     .submission = {"CoLA.tsv"},
     .n_labels = 2,
     .label_name = {"unacceptable", "acceptable"},
     .label_value = {"0", "1"},
     .n_metrics = 2,
     .metric = {PR_MATTHEWS, PR_ACCURACY}},
    {.name = "MNLI",
     .file = {{"train.tsv"},
              {"dev_matched.tsv", "dev_mismatched.tsv"},
              {"test_matched.tsv", "test_mismatched.tsv"}},
     .columns = {"index, promptID, pairID, genre, sentence1_binary_parse, sentence2_binary_parse, "
                 "sentence1_parse, sentence2_parse, sentence1, sentence2, label1, gold_label",
                 mnli_dev,
                 "index, promptID, pairID, genre, sentence1_binary_parse, sentence2_binary_parse, "
                 "sentence1_parse, sentence2_parse, sentence1, sentence2"},
     .column = {{"sentence1", "sentence2", "gold_label"},
                {"sentence1", "sentence2", "gold_label"},
                {"sentence1", "sentence2", NULL, "index"}},
     .submission = {"MNLI-m.tsv", "MNLI-mm.tsv"},
     .n_labels = 3,
     .label_name = {"entailment", "neutral", "contradiction"},
     .label_value = {"entailment", "neutral", "contradiction"},
     .n_metrics = 2,
     .metric = {PR_ACCURACY, PR_ACCURACY_MISMATCHED}},
    {.name = "MRPC",
     .file = {{"train.tsv"}, {"dev.tsv"}, {"test.tsv"}},
     .columns = {mrpc, mrpc, "index, #1 ID, #2 ID, #1 String, #2 String"},
     .column = {{"#1 String", "#2 String", "Quality"},
                {"#1 String", "#2 String", "Quality"},
                {"#1 String", "#2 String", NULL, "index"}},
     .submission = {"MRPC.tsv"},
     .n_labels = 2,
     .label_name = {"not_equivalent", "equivalent"},
     .label_value = {"0", "1"},
     .n_metrics = 2,
     .metric = {PR_ACCURACY, PR_F1}},
    {.name = "QNLI",
     .file = {{"train.tsv"}, {"dev.tsv"}, {"test.tsv"}},
     .columns = {"index, question, sentence, label", "index, question, sentence, label",
                 "index, question, sentence"},
     .column = {{"question", "sentence", "label"},
                {"question", "sentence", "label"},
                {"question", "sentence", NULL, "index"}},
     .submission = {"QNLI.tsv"},
     .n_labels = 2,
     .label_name = {"entailment", "not_entailment"},
     .label_value = {"entailment", "not_entailment"},
     .n_metrics = 1,
     .metric = {PR_ACCURACY}},
    {.name = "QQP",
     .file = {{"train.tsv"}, {"dev.tsv"}, {"test.tsv"}},
     .columns = {"id, qid1, qid2, question1, question2, is_duplicate",
                 "id, qid1, qid2, question1, question2, is_duplicate", "id, question1, question2"},
     .column = {{"question1", "question2", "is_duplicate"},
                {"question1", "question2", "is_duplicate"},
                {"question1", "question2", NULL, "id"}},
     .submission = {"QQP.tsv"},
     .n_labels = 2,
     .label_name = {"not_duplicate", "duplicate"},
     .label_value = {"0", "1"},
     .skip_malformed = true, /* questions with newlines in them */
     .n_metrics = 2,
     .metric = {PR_ACCURACY, PR_F1}},
    {.name = "RTE",
     .file = {{"train.tsv"}, {"dev.tsv"}, {"test.tsv"}},
     .columns = {pair, pair, pair_test},
     .column = {{"sentence1", "sentence2", "label"},
                {"sentence1", "sentence2", "label"},
                {"sentence1", "sentence2", NULL, "index"}},
     .submission = {"RTE.tsv"},
     .n_labels = 2,
     .label_name = {"entailment", "not_entailment"},
     .label_value = {"entailment", "not_entailment"},
     .n_metrics = 1,
     .metric = {PR_ACCURACY}},
    {.name = "SST-2",
     .file = {{"train.tsv"}, {"dev.tsv"}, {"test.tsv"}},
     .columns = {"sentence, label", "sentence, label", "index, sentence"},
     .column = {{"sentence", NULL, "label"},
                {"sentence", NULL, "label"},
                {"sentence", NULL, NULL, "index"}},
     .submission = {"SST-2.tsv"},
     .n_labels = 2,
     .label_name = {"negative", "positive"},
     .label_value = {"0", "1"},
     .n_metrics = 1,
     .metric = {PR_ACCURACY}},
    {.name = "STS-B",
     .file = {{"train.tsv"}, {"dev.tsv"}, {"test.tsv"}},
     .columns = {"index, genre, filename, year, old_index, source1, source2, sentence1, sentence2, "
                 "score",
                 "index, genre, filename, year, old_index, source1, source2, sentence1, sentence2, "
                 "score",
                 "index, genre, filename, year, old_index, source1, source2, sentence1, sentence2"},
     .column = {{"sentence1", "sentence2", "score"},
                {"sentence1", "sentence2", "score"},
                {"sentence1", "sentence2", NULL, "index"}},
     .submission = {"STS-B.tsv"},
     .n_labels = 1,
     .regression = true,
     .least = 0,
     .most = 5,
     .n_metrics = 2,
     .metric = {PR_PEARSON, PR_SPEARMAN}},
    {.name = "WNLI",
     .file = {{"train.tsv"}, {"dev.tsv"}, {"test.tsv"}},
     .columns = {pair, pair, pair_test},
     .column = {{"sentence1", "sentence2", "label"},
                {"sentence1", "sentence2", "label"},
                {"sentence1", "sentence2", NULL, "index"}},
     .submission = {"WNLI.tsv"},
     .n_labels = 2,
     .label_name = {"not_entailment", "entailment"},
     .label_value = {"0", "1"},
     .n_metrics = 1,
     .metric = {PR_ACCURACY}},
};
enum { TASKS = sizeof tasks / sizeof *tasks };

const pr_task *pr_task_at(int i) {
    return i >= 0 && i < TASKS ? &tasks[i] : NULL;
}

/* Equal but for case and hyphens. */
static bool is_called(const char *task, const char *name) {
    for (;;) {
        while (*task == '-')
            task++;
        while (*name == '-')
            name++;
        if (tolower((unsigned char)*task) != tolower((unsigned char)*name)) return false;
        if (!*task) return true;
        task++;
        name++;
    }
}

const pr_task *pr_task_find(const char *name, pr_error *err) {
    char known[160] = "";
    for (size_t i = 0, at = 0; i < TASKS; i++) {
        if (is_called(tasks[i].name, name)) return &tasks[i];
        int written = snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", tasks[i].name);
        at += written > 0 ? (size_t)written : 0;
        if (at >= sizeof known) at = sizeof known - 1;
    }
    pr_fail(err, PR_BAD_ARGUMENT, "no task is called '%s'; expected one of %s", name, known);
    return NULL;
}
