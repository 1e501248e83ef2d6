/* The data a program works on, as its command line names it: a task of GLUE, files with columns, or
 * the sample that comes with Primer. */
#ifndef DATA_H
#define DATA_H

#include <stdio.h>

#include "models/model.h"
#include "tools/cli.h"
#include "train/dataset.h"
#include "train/task.h"

typedef struct data_choice {
    const char *task_name, *folder;
    const char *train_file, *dev_file;
    const char *text, *text_b, *label;
    int64_t max_length;
    const pr_task *task; /* found by data_check; NULL: files or the sample */
} data_choice;

typedef struct data_sets {
    pr_dataset *train; /* NULL when it was not asked for */
    pr_dataset *dev;   /* NULL when there is none */
    size_t skipped;    /* broken rows left out, where the task's files are known for them */
} data_sets;

/* Adds the options that name data. */
void data_add_options(cli_options *options, data_choice *choice, bool training);

/* Ends the process for options that contradict each other, and for a task that there is not. */
void data_check(const cli_program *program, data_choice *choice, bool training);

/* The task of a name; ends the process, naming the nearest or all, when there is none. */
const pr_task *data_find_task(const cli_program *program, const char *name);

/* "CoLA", "train.tsv", or "the sample data". */
const char *data_name(const data_choice *choice);
bool data_is_sample(const data_choice *choice);

/* Whether a path leads to a file that would be read, or to any file of the task. */
bool data_is_input(const data_choice *choice, const char *path);
bool data_is_of_task(const pr_task *task, const char *folder, const char *path);

/* Prints a line on how many texts lost their ends, if any did. */
void data_tell_truncated(FILE *out, size_t truncated, int64_t max_length);

/* The same of data sets, and how many rows were left out. */
void data_tell_losses(FILE *out, const data_choice *choice, const data_sets *sets);

/* The tokenizer of the model at `path`. NULL with err set for a vocabulary that can't be used. */
pr_wordpiece *data_tokenizer(const pr_model *model, const char *path, pr_error *err);

/* Reads what training needs, or the dev part alone, for the model at `path`. For training the
 * labels are the data's own; else they are the model's. */
pr_status data_read(const data_choice *choice, const pr_model *model, const char *path,
                    bool training, data_sets *sets, pr_error *err);
void data_free(data_sets *sets);

/* PR_BAD_ARGUMENT when a model can't take texts of so many tokens. */
pr_status data_check_length(const pr_model *model, int64_t max_length, pr_error *err);

#endif
