#include "tools/submit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph/memory.h"
#include "models/file.h"
#include "tools/answers.h"
#include "tools/data.h"
#include "tools/format.h"
#include "tools/paths.h"
#include "train/finetune.h"

void submit_add_options(cli_options *o, submit_choice *c) {
    cli_group(o, "GLUE's test sets");
    cli_text(o, "submit", "DIR", "write the file that GLUE's server wants into this folder",
             &c->folder);
    cli_also(o, "submission out output output_dir");
    cli_text(o, "task", "NAME", "the task: CoLA, MRPC, ...", &c->task_name);
    cli_also(o, "task_name dataset");
    cli_text(o, "data", "DIR", "its folder, or the one that has all tasks", &c->data);
    cli_also(o, "data_dir task-dir");
}

/* Where an answer file goes: folder/file. From pr_alloc; NULL where there is none or no memory. */
static char *path_of_part(const submit_choice *c, int part) {
    const char *file = c->task->submission[part];
    size_t size = file ? strlen(c->folder) + strlen(file) + sizeof "/" : 0;
    char *path = file ? pr_alloc(size, 1) : NULL;
    if (path) snprintf(path, size, "%s/%s", c->folder, file);
    return path;
}

void submit_check(const cli_program *program, submit_choice *c, const char *model) {
    const char *stray = c->task_name ? "task" : c->data ? "data" : NULL;
    if (!c->folder && stray) {
        cli_wrong_use(program, "--%s needs --submit DIR, the folder for GLUE's submission file",
                      stray);
    }
    if (!c->folder) return;
    if (!c->task_name) cli_wrong_use(program, "--submit needs --task NAME, the task to answer");
    if (!c->data) {
        cli_wrong_use(program, "--task %s needs --data DIR, the folder with its files",
                      c->task_name);
    }
    c->task = data_find_task(program, c->task_name);
    for (int part = 0; part < PR_TASK_PARTS; part++) {
        char *path = path_of_part(c, part);
        if (path && (path_is_of_model(path, model) || data_is_of_task(c->task, c->data, path))) {
            cli_wrong_use(program, "--submit: '%s' is an input: name another folder", path);
        }
        pr_free(path);
    }
}

/* ---- the folder ---- */

/* Makes it unless it is there. */
static pr_status enter_folder(const char *folder, bool *made, pr_error *err) {
    struct stat found;
    *made = mkdir(folder, 0777) == 0;
    if (*made) return PR_OK;
    int fault = errno;
    if (fault == EEXIST && stat(folder, &found) == 0 && S_ISDIR(found.st_mode)) return PR_OK;
    if (fault == EEXIST) return pr_fail(err, PR_IO, "%s: is there and no directory", folder);
    return pr_fail(err, PR_IO, "%s: can't be made a directory: %s", folder, strerror(fault));
}

/* Before the work that the files are to hold. */
static pr_status check_places(char *const *path, pr_error *err) {
    pr_status status = PR_OK;
    for (int part = 0; part < PR_TASK_PARTS && status == PR_OK; part++) {
        if (path[part]) status = path_check_writable(path[part], err);
    }
    return status;
}

/* ---- answers ---- */

static pr_dataset *read_test_set(const submit_choice *c, const pr_model *model, const char *path,
                                 int64_t max_length, pr_error *err) {
    pr_wordpiece *wordpiece = data_tokenizer(model, path, err);
    if (!wordpiece) return NULL;
    pr_dataset *data =
        pr_task_read(c->task, c->data, PR_TEST, wordpiece, (size_t)max_length, NULL, err);
    pr_wordpiece_free(wordpiece);
    return data;
}

/* The model's outputs for the test set, (rows, labels), in the order of the task's labels. */
static pr_status answer(const pr_task *task, pr_model *model, pr_backend *backend,
                        const pr_dataset *data, int64_t batch_size, const int32_t *column,
                        float **outputs, pr_error *err) {
    pr_status status =
        pr_finetune_predict(model, backend, data, (int32_t)batch_size, NULL, outputs, err);
    if (status != PR_OK) return status;
    return answers_order(column, task->n_labels, *outputs, data->n, err);
}

/* ---- files ---- */

/* The rows of a part: first .. end - 1. */
static void find_rows(const pr_dataset *data, int part, size_t *first, size_t *end) {
    *first = part ? data->second : 0;
    *end = part || !data->second ? data->n : data->second;
}

/* One row's answer, as the server wants it. */
static void write_answer(pr_file_writer *file, const pr_task *task, const float *outputs) {
    char number[32];
    if (!task->regression) {
        pr_file_write_text(file, task->label_value[answers_largest(outputs, task->n_labels)]);
        return;
    }
    float value = outputs[0] > task->least ? outputs[0] : task->least;
    snprintf(number, sizeof number, "%.3f", (double)(value < task->most ? value : task->most));
    pr_file_write_text(file, number);
}

static void write_part(pr_file_writer *file, const pr_task *task, const pr_dataset *data,
                       const float *outputs, int part) {
    size_t first, end;
    find_rows(data, part, &first, &end);
    pr_file_write_text(file, "index\tprediction\n");
    for (size_t i = first; i < end; i++) {
        char index[32];
        snprintf(index, sizeof index, "%zu\t", i - first);
        pr_file_write_text(file, index);
        write_answer(file, task, outputs + i * (size_t)task->n_labels);
        pr_file_write_text(file, "\n");
    }
}

/* All are whole on the disk before the first takes its name. */
static pr_status write_files(const pr_task *task, const pr_dataset *data, const float *outputs,
                             char *const *path, pr_error *err) {
    pr_file_writer *file[PR_TASK_PARTS] = {NULL};
    pr_status status = PR_OK;
    for (int part = 0; part < PR_TASK_PARTS && status == PR_OK; part++) {
        if (!path[part]) continue;
        file[part] = pr_file_writer_open(path[part], err);
        if (file[part]) write_part(file[part], task, data, outputs, part);
        status = file[part] ? pr_file_settle(file[part], err) : err->code;
    }
    for (int part = 0; part < PR_TASK_PARTS; part++) {
        if (status == PR_OK && file[part]) {
            status = pr_file_commit(file[part], err);
        } else {
            pr_file_abandon(file[part]);
        }
    }
    return status;
}

static void tell(const pr_dataset *data, char *const *path, int64_t max_length) {
    char n[FORMAT_SIZE];
    for (int part = 0; part < PR_TASK_PARTS; part++) {
        size_t first, end;
        if (!path[part]) continue;
        find_rows(data, part, &first, &end);
        printf("Wrote %s: %s %s\n", path[part], format_count(n, end - first),
               end - first == 1 ? "answer" : "answers");
    }
    data_tell_truncated(stdout, data->truncated, max_length);
}

/* Reads the test set, answers it and writes the answers to the parts' paths. */
static pr_status fill(const submit_choice *c, pr_model *model, const char *path,
                      pr_backend *backend, int64_t max_length, int64_t batch_size,
                      char *const *file, pr_error *err) {
    const pr_task *task = c->task;
    const pr_label_set labels = {.name = task->label_name,
                                 .n = task->n_labels,
                                 .regression = task->regression,
                                 .owner = task->name};
    float *outputs = NULL;
    int32_t *column = answers_match(model, &labels, err);
    pr_dataset *data = column ? read_test_set(c, model, path, max_length, err) : NULL;
    pr_status status = err->code;
    if (data) {
        status = answer(task, model, backend, data, batch_size, column, &outputs, err);
        if (status == PR_OK) status = write_files(task, data, outputs, file, err);
        if (status == PR_OK) tell(data, file, max_length);
    }
    pr_free(outputs);
    pr_free(column);
    pr_dataset_free(data);
    return status;
}

pr_status submit(const submit_choice *c, pr_model *model, const char *path, pr_backend *backend,
                 int64_t max_length, int64_t batch_size, pr_error *err) {
    char *file[PR_TASK_PARTS];
    bool made = false;
    pr_status status = PR_OK;
    for (int part = 0; part < PR_TASK_PARTS; part++) {
        file[part] = path_of_part(c, part);
        if (!file[part] && c->task->submission[part]) {
            status = pr_fail_memory(err, "a path", strlen(c->folder));
        }
    }
    if (status == PR_OK) status = enter_folder(c->folder, &made, err);
    if (status == PR_OK) status = check_places(file, err);
    if (status == PR_OK) {
        status = fill(c, model, path, backend, max_length, batch_size, file, err);
    }
    if (status != PR_OK && made) (void)rmdir(c->folder);
    for (int part = 0; part < PR_TASK_PARTS; part++)
        pr_free(file[part]);
    return status;
}
