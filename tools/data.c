#include "tools/data.h"

#include <string.h>

#include "graph/memory.h"
#include "tools/format.h"
#include "tools/help.h"
#include "tools/paths.h"

enum { SHORTEST = 8 }; /* tokens: a pair's three special ones and some of each text */

void data_add_options(cli_options *o, data_choice *c, bool training) {
    static const char own[] = "your own data: .tsv, .csv or .jsonl";
    c->max_length = 128;
    cli_group(o, "Data");
    cli_text(o, "task", "NAME", "a task of GLUE: CoLA, MRPC, ...", &c->task_name);
    cli_also(o, "task_name dataset");
    cli_text(o, "data", "DIR", "its folder, or the one that has all tasks", &c->folder);
    cli_also(o, "data_dir task-dir");
    if (training) {
        cli_text(o, "train-file", "FILE", own, &c->train_file);
        cli_also(o, "training-file");
    }
    cli_text(o, "dev-file", "FILE", training ? "scored after each epoch" : own, &c->dev_file);
    cli_also(o, "dev validation_file eval-file test-file");
    cli_text(o, "text", "COL", "column of the text, by name or number (1, 2, ...)", &c->text);
    cli_also(o, "text_column text-a");
    cli_text(o, "text-b", "COL", "column of the second text of a pair", &c->text_b);
    cli_also(o, "text-pair text2");
    cli_text(o, "label", "COL", "column of the label", &c->label);
    cli_also(o, "label_column target");
    cli_int(o, "max-length", "N", "tokens of a text at most; the rest is cut off", &c->max_length,
            SHORTEST, 1 << 20);
    cli_also(o, "max_seq_length max_seq_len");
}

const pr_task *data_find_task(const cli_program *program, const char *name) {
    enum { MOST = 32 };
    const char *names[MOST + 1] = {NULL};
    char list[256];
    const pr_task *task = pr_task_find(name, NULL);
    if (task) return task;
    for (int i = 0; i < MOST && pr_task_at(i); i++)
        names[i] = pr_task_at(i)->name;
    const char *nearest = cli_nearest(name, names);
    if (nearest) cli_wrong_use(program, "unknown --task '%s': did you mean '%s'?", name, nearest);
    help_choices(&(cli_option){.choices = names}, list, sizeof list);
    cli_wrong_use(program, "unknown --task '%s': it is one of %s", name, list);
}

void data_check(const cli_program *program, data_choice *c, bool training) {
    const char *file_option = training ? "--train-file" : "--dev-file";
    const char *file = training ? c->train_file : c->dev_file;
    const char *stray = c->text ? "--text" : c->text_b ? "--text-b" : c->label ? "--label" : NULL;
    if (c->task_name && (c->train_file || c->dev_file)) {
        cli_wrong_use(program, "--task and %s contradict each other: name one of them",
                      c->train_file ? "--train-file" : "--dev-file");
    }
    if (c->task_name && stray) {
        cli_wrong_use(program, "--task knows its columns: %s goes with %s", stray, file_option);
    }
    if (c->task_name && !c->folder) {
        cli_wrong_use(program, "--task %s needs --data DIR, the folder with its files",
                      c->task_name);
    }
    if (c->folder && !c->task_name) {
        cli_wrong_use(program, "--data needs --task NAME; for your own files use %s FILE",
                      file_option);
    }
    if (!file && (stray || c->dev_file)) {
        cli_wrong_use(program, "%s needs %s FILE", stray ? stray : "--dev-file", file_option);
    }
    if (file && !c->text) {
        cli_wrong_use(program, "%s needs --text COL, the column of the text", file_option);
    }
    if (file && !c->label) {
        cli_wrong_use(program, "%s needs --label COL, the column of the label", file_option);
    }
    if (c->task_name) c->task = data_find_task(program, c->task_name);
}

bool data_is_sample(const data_choice *c) {
    return !c->task_name && !c->train_file && !c->dev_file;
}

const char *data_name(const data_choice *c) {
    if (c->task) return c->task->name;
    if (c->train_file) return c->train_file;
    return c->dev_file ? c->dev_file : "the sample data";
}

bool data_is_of_task(const pr_task *task, const char *folder, const char *path) {
    bool same = false;
    for (int i = 0; i < PR_SPLITS * PR_TASK_PARTS && !same; i++) {
        char *file =
            pr_task_path(task, folder, (pr_split)(i / PR_TASK_PARTS), i % PR_TASK_PARTS, NULL);
        same = file && path_is_same(path, file);
        pr_free(file);
    }
    return same;
}

bool data_is_input(const data_choice *c, const char *path) {
    if (c->task) return data_is_of_task(c->task, c->folder, path);
    return (c->train_file && path_is_same(path, c->train_file)) ||
           (c->dev_file && path_is_same(path, c->dev_file));
}

void data_tell_truncated(FILE *out, size_t truncated, int64_t max_length) {
    char n[FORMAT_SIZE];
    if (!truncated) return;
    fprintf(out, "  %s %s longer than %lld tokens and %s\n", format_count(n, truncated),
            truncated == 1 ? "text is" : "texts are", (long long)max_length,
            truncated == 1 ? "loses its end" : "lose their ends");
}

void data_tell_losses(FILE *out, const data_choice *c, const data_sets *sets) {
    char n[FORMAT_SIZE];
    size_t in_train = sets->train ? sets->train->truncated : 0;
    data_tell_truncated(out, in_train + (sets->dev ? sets->dev->truncated : 0), c->max_length);
    if (!sets->skipped) return;
    fprintf(out, "  %s broken %s left out\n", format_count(n, sets->skipped),
            sets->skipped == 1 ? "row" : "rows");
}

/* ---- reading ---- */

static pr_dataset *read_file(const data_choice *c, const char *path, pr_wordpiece *wordpiece,
                             const pr_label_set *labels, pr_error *err) {
    pr_table_options options = {.format = pr_table_format_of(path)};
    options.column[PR_TEXT] = c->text;
    options.column[PR_TEXT_B] = c->text_b;
    options.column[PR_LABEL] = c->label;
    pr_table *table = pr_table_read(path, &options, err);
    pr_dataset *data = NULL;
    if (table) data = pr_dataset_new(table, wordpiece, (size_t)c->max_length, labels, err);
    pr_table_free(table);
    return data;
}

static pr_status read_files(const data_choice *c, pr_wordpiece *wordpiece,
                            const pr_label_set *labels, data_sets *sets, pr_error *err) {
    pr_label_set known = *labels;
    if (c->train_file) {
        sets->train = read_file(c, c->train_file, wordpiece, &known, err);
        if (!sets->train) return err->code;
        known.name = (const char *const *)sets->train->label_name;
        known.n = sets->train->n_labels;
    }
    if (c->dev_file) {
        sets->dev = read_file(c, c->dev_file, wordpiece, &known, err);
        if (!sets->dev) return err->code;
    }
    return PR_OK;
}

static pr_status read_sample(const data_choice *c, bool training, pr_wordpiece *wordpiece,
                             const pr_label_set *labels, data_sets *sets, pr_error *err) {
    char *folder = path_of_sample(err);
    if (!folder) return err->code;
    size_t size = strlen(folder) + sizeof "/train.tsv";
    char *train = pr_alloc(size, 1), *dev = pr_alloc(size, 1);
    pr_status status = PR_OK;
    if (train && dev) {
        snprintf(train, size, "%s/train.tsv", folder);
        snprintf(dev, size, "%s/dev.tsv", folder);
        data_choice sample = *c;
        sample.train_file = training ? train : NULL;
        sample.dev_file = dev;
        sample.text = "sentence";
        sample.label = "label";
        status = read_files(&sample, wordpiece, labels, sets, err);
    } else {
        status = pr_fail_memory(err, "a path", size);
    }
    pr_free(train);
    pr_free(dev);
    pr_free(folder);
    return status;
}

static pr_status read_task(const data_choice *c, bool training, pr_wordpiece *wordpiece,
                           data_sets *sets, pr_error *err) {
    size_t length = (size_t)c->max_length, in_train = 0, in_dev = 0;
    if (training) {
        sets->train = pr_task_read(c->task, c->folder, PR_TRAIN, wordpiece, length, &in_train, err);
        if (!sets->train) return err->code;
    }
    sets->dev = pr_task_read(c->task, c->folder, PR_DEV, wordpiece, length, &in_dev, err);
    sets->skipped = in_train + in_dev;
    return sets->dev ? PR_OK : err->code;
}

pr_status data_check_length(const pr_model *model, int64_t max_length, pr_error *err) {
    if (max_length <= model->config.positions) return PR_OK;
    return pr_fail(err, PR_BAD_ARGUMENT,
                   "--max-length %lld: the model has positions for %d tokens only",
                   (long long)max_length, (int)model->config.positions);
}

pr_wordpiece *data_tokenizer(const pr_model *model, const char *path, pr_error *err) {
    pr_error fault = {.code = PR_OK};
    pr_wordpiece *wordpiece = pr_wordpiece_new(model->vocab, &fault);
    if (!wordpiece) pr_fail_in_file(err, path, &fault);
    return wordpiece;
}

pr_status data_read(const data_choice *c, const pr_model *model, const char *path, bool training,
                    data_sets *sets, pr_error *err) {
    *sets = (data_sets){0};
    pr_status status = data_check_length(model, c->max_length, err);
    if (status != PR_OK) return status;
    pr_wordpiece *wordpiece = data_tokenizer(model, path, err);
    if (!wordpiece) return err->code;
    pr_label_set labels = {0};
    if (!training) {
        labels.regression = model->config.regression;
        labels.name = (const char *const *)model->label;
        labels.n = model->label ? model->config.labels : 0;
    }
    if (c->task) {
        status = read_task(c, training, wordpiece, sets, err);
    } else if (data_is_sample(c)) {
        status = read_sample(c, training, wordpiece, &labels, sets, err);
    } else {
        status = read_files(c, wordpiece, &labels, sets, err);
    }
    pr_wordpiece_free(wordpiece);
    if (status != PR_OK) data_free(sets);
    return status;
}

void data_free(data_sets *sets) {
    pr_dataset_free(sets->train);
    pr_dataset_free(sets->dev);
    *sets = (data_sets){0};
}
