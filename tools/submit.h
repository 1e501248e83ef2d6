/* GLUE's submission files: a tuned model's answers to a task's test set, as GLUE's server wants
 * them: a line "index<TAB>prediction", then one for each row, counted from 0. A label is spelled as
 * in the task's files, a number has three decimals and lies in the task's range. */
#ifndef SUBMIT_H
#define SUBMIT_H

#include "models/model.h"
#include "tools/cli.h"
#include "train/task.h"

typedef struct submit_choice {
    const char *task_name, *data;
    const char *folder;  /* where the files go; NULL: nothing is to be submitted */
    const pr_task *task; /* found by submit_check */
} submit_choice;

void submit_add_options(cli_options *options, submit_choice *choice);

/* Ends the process for options that contradict each other, for a task that there is not, and for
 * files that would take the place of an input. */
void submit_check(const cli_program *program, submit_choice *choice, const char *model);

/* Answers the test set and writes the task's file (MNLI: files) into the folder, which is made if
 * it is missing; prints a line for each. On a fault nothing is written: PR_BAD_FILE for a model
 * that was not tuned for the task and for a test set that is not whole, PR_IO, PR_NO_MEMORY. */
pr_status submit(const submit_choice *choice, pr_model *model, const char *path,
                 pr_backend *backend, int64_t max_length, int64_t batch_size, pr_error *err);

#endif
