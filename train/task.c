#include "train/task.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "graph/memory.h"
#include "train/listing.h"

/* directory/folder/file, or directory/file when folder is NULL. */
static char *join(const char *directory, const char *folder, const char *file) {
    size_t bytes = strlen(directory) + strlen(file) + 3 + (folder ? strlen(folder) : 0);
    char *path = pr_alloc(bytes, 1);
    if (path) {
        snprintf(path, bytes, "%s/%s%s%s", directory, folder ? folder : "", folder ? "/" : "",
                 file);
    }
    return path;
}

char *pr_task_path(const pr_task *task, const char *directory, pr_split split, int part,
                   pr_error *err) {
    const char *file = task->file[split][part];
    const char *folders[] = {NULL, task->name};
    for (size_t i = 0; file && i < sizeof folders / sizeof *folders; i++) {
        char *path = join(directory, folders[i], file);
        if (!path) {
            pr_fail_memory(err, directory, strlen(directory));
            return NULL;
        }
        if (!access(path, F_OK)) return path;
        pr_free(path);
    }
    if (file) {
        pr_fail(err, PR_IO, "%s: neither %s nor %s/%s is there, which %s wants", directory, file,
                task->name, file, task->name);
    }
    return NULL;
}

/* ---- whether a file is the task's ---- */

/* A file of a task. */
typedef struct source {
    const pr_task *task;
    pr_split split;
    const char *path;
} source;

/* The length of the name that a list of columns begins with; *next: where the rest begins. */
static size_t first_name(const char *columns, const char **next) {
    const char *comma = strstr(columns, ", ");
    *next = comma ? comma + strlen(", ") : "";
    return comma ? (size_t)(comma - columns) : strlen(columns);
}

static size_t count_columns(const char *columns) {
    size_t n = 0;
    for (; *columns; n++)
        first_name(columns, &columns);
    return n;
}

/* Whether a row is the header of such a file, column by column. */
static bool is_header(char *const *field, size_t n, const char *columns) {
    if (n != count_columns(columns)) return false;
    for (size_t i = 0; i < n; i++) {
        const char *name = columns;
        size_t length = first_name(columns, &columns);
        if (strlen(field[i]) != length || strncmp(field[i], name, length) != 0) return false;
    }
    return true;
}

static bool is_header_of(char *const *field, size_t n, const pr_task *task) {
    for (int split = 0; split < PR_SPLITS; split++) {
        if (is_header(field, n, task->columns[split])) return true;
    }
    return false;
}

static bool is_of_another_task(char *const *field, size_t n, const pr_task *task) {
    if (is_header_of(field, n, task)) return false;
    for (int i = 0; pr_task_at(i); i++) {
        if (is_header_of(field, n, pr_task_at(i))) return true;
    }
    return false;
}

static bool is_among(char *const *field, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(field[i], name)) return true;
    }
    return false;
}

/* A file whose columns go by number has no header. */
static bool is_headerless(const source *s) {
    return atoi(s->task->column[s->split][PR_TEXT]) > 0;
}

static pr_status bad_columns(const source *s, char *const *field, size_t n, pr_error *err) {
    char found[128];
    const char *columns = s->task->columns[s->split];
    pr_list_names((const char *const *)field, n, found, sizeof found);
    if (is_headerless(s)) {
        return pr_fail(err, PR_BAD_FILE,
                       "%s:1: not %s's columns: %s; expected %zu without a header: %s", s->path,
                       s->task->name, found, count_columns(columns), columns);
    }
    return pr_fail(err, PR_BAD_FILE, "%s:1: not %s's columns: %s; expected %s", s->path,
                   s->task->name, found, columns);
}

/* Other columns than GLUE's own may be among them, but the file must not be another task's. */
static pr_status look_at_columns(void *context, char *const *field, size_t n,
                                 pr_table_options *options, pr_error *err) {
    const source *s = context;
    bool good = !is_of_another_task(field, n, s->task);
    if (is_headerless(s)) {
        good = good && n == count_columns(s->task->columns[s->split]) &&
               !is_header_of(field, n, s->task);
        return good ? PR_OK : bad_columns(s, field, n, err);
    }
    /* A labelled file in a test file's place may do without an index. */
    const char *index = options->column[PR_INDEX];
    if (index && !is_among(field, n, index)) options->column[PR_INDEX] = NULL;
    for (int c = 0; c < PR_COLUMNS; c++) {
        good = good && (!options->column[c] || is_among(field, n, options->column[c]));
    }
    return good ? PR_OK : bad_columns(s, field, n, err);
}

/* ---- reading ---- */

/* Whether the rows are numbered one after the other: a test set with a gap is no whole one. */
static pr_status check_index(const pr_table *table, pr_error *err) {
    unsigned long long first = 0;
    for (size_t i = 0; i < table->n && table->has[PR_INDEX]; i++) {
        char expected[24];
        const char *found = pr_table_cell(table, i, PR_INDEX);
        if (i == 0 && isdigit((unsigned char)*found)) first = strtoull(found, NULL, 10);
        snprintf(expected, sizeof expected, "%llu", first + i);
        if (strcmp(found, expected) != 0) {
            return pr_fail(err, PR_BAD_FILE,
                           "%s:%zu: index '%.40s'; expected '%s', since a test set's rows are "
                           "numbered one after the other",
                           table->path, table->line[i], found, expected);
        }
    }
    return PR_OK;
}

static pr_dataset *read_table(const source *s, pr_wordpiece *wordpiece, size_t max_length,
                              size_t *skipped, pr_error *err) {
    const pr_task *task = s->task;
    pr_table_options options = {.format = PR_TSV,
                                .skip_malformed = task->skip_malformed && s->split != PR_TEST,
                                .first_row = look_at_columns,
                                .context = (void *)s};
    memcpy(options.column, task->column[s->split], sizeof options.column);
    pr_table *table = pr_table_read(s->path, &options, err);
    if (!table) return NULL;
    const pr_label_set labels = {.name = task->label_name,
                                 .value = task->label_value,
                                 .n = task->n_labels,
                                 .regression = task->regression,
                                 .least = task->least,
                                 .most = task->most,
                                 .owner = task->name};
    pr_dataset *data = NULL;
    if (!check_index(table, err)) {
        data = pr_dataset_new(table, wordpiece, max_length, &labels, err);
    }
    *skipped += table->skipped;
    pr_table_free(table);
    return data;
}

/* Reads one part; NULL without a fault where there is none. */
static pr_dataset *read_part(const pr_task *task, const char *directory, pr_split split, int part,
                             pr_wordpiece *wordpiece, size_t max_length, size_t *skipped,
                             pr_error *err) {
    char *path = pr_task_path(task, directory, split, part, err);
    if (!path) return NULL;
    const source s = {task, split, path};
    pr_dataset *data = read_table(&s, wordpiece, max_length, skipped, err);
    pr_free(path);
    return data;
}

pr_dataset *pr_task_read(const pr_task *task, const char *directory, pr_split split,
                         pr_wordpiece *wordpiece, size_t max_length, size_t *skipped,
                         pr_error *err) {
    size_t left_out = 0;
    bool two = task->file[split][1] != NULL;
    pr_dataset *second = NULL;
    pr_dataset *data = read_part(task, directory, split, 0, wordpiece, max_length, &left_out, err);
    if (data && two) {
        second = read_part(task, directory, split, 1, wordpiece, max_length, &left_out, err);
        if (!second || pr_dataset_append(data, second, err)) {
            pr_dataset_free(data);
            data = NULL;
        }
        pr_dataset_free(second);
    }
    if (skipped) *skipped = left_out;
    if (data) {
        data->n_metrics = task->n_metrics;
        memcpy(data->metric, task->metric, sizeof task->metric);
    }
    return data;
}
