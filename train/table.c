#include "train/table.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "graph/memory.h"
#include "train/jsonl.h"
#include "train/records.h"

pr_table_format pr_table_format_of(const char *path) {
    static const struct {
        const char *ending;
        pr_table_format format;
    } known[] = {
        {".csv", PR_CSV}, {".jsonl", PR_JSONL}, {".ndjson", PR_JSONL}, {".json", PR_JSONL}};
    const char *ending = strrchr(path, '.');
    for (size_t i = 0; ending && i < sizeof known / sizeof *known; i++) {
        if (!strcasecmp(ending, known[i].ending)) return known[i].format;
    }
    return PR_TSV;
}

/* The number that a column is given by, or 0 when it is given by name. */
static size_t column_number(const char *column) {
    size_t number = 0;
    for (const char *at = column; *at; at++) {
        if (*at < '0' || *at > '9') return 0;
        if (number < SIZE_MAX / 16) number = number * 10 + (size_t)(*at - '0');
    }
    return number;
}

static bool has_header(const pr_table_options *options) {
    for (int c = 0; c < PR_COLUMNS; c++) {
        if (options->column[c] && !column_number(options->column[c])) return true;
    }
    return false;
}

/* Where in a record the wanted column is. */
static pr_status find_column(const pr_records *first, const char *column, size_t *index,
                             pr_error *err) {
    size_t number = column_number(column);
    size_t matches = 0;
    if (number) {
        *index = number - 1;
        if (number <= first->n) return PR_OK;
        return pr_fail(err, PR_BAD_FILE, "%s:%zu: no column %s; the row has %zu", first->path,
                       first->line, column, first->n);
    }
    for (size_t i = 0; i < first->n; i++) {
        if (strcmp(first->field[i], column) != 0) continue;
        *index = i;
        matches++;
    }
    if (matches == 1) return PR_OK;
    return pr_fail(err, PR_BAD_FILE, "%s:%zu: %s the header's %zu columns %s called '%s'",
                   first->path, first->line, matches ? "more than one of" : "none of", first->n,
                   matches ? "are" : "is", column);
}

static pr_status begin_row(pr_table *table, size_t line, pr_error *err) {
    size_t cells;
    if (!pr_size_multiply(table->n + 1, PR_COLUMNS, &cells) ||
        !pr_grow((void **)&table->cell, &table->cell_capacity, cells, sizeof *table->cell) ||
        !pr_grow((void **)&table->line, &table->line_capacity, table->n + 1, sizeof *table->line)) {
        return pr_fail_memory(err, table->path, table->n * PR_COLUMNS * sizeof *table->cell);
    }
    table->line[table->n++] = line;
    return PR_OK;
}

static size_t *last_row(pr_table *table) {
    return table->cell + (table->n - 1) * PR_COLUMNS;
}

static pr_status add_record(pr_table *table, const pr_records *r, const size_t *index,
                            pr_error *err) {
    pr_status status = begin_row(table, r->line, err);
    if (status) return status;
    size_t *cells = last_row(table);
    for (int c = 0; c < PR_COLUMNS; c++) {
        cells[c] = table->has[c] ? (size_t)(r->field[index[c]] - table->text.bytes) : 0;
    }
    return PR_OK;
}

static pr_status find_columns(pr_table *table, const pr_records *first, pr_table_options *options,
                              size_t index[PR_COLUMNS], pr_error *err) {
    pr_status status = PR_OK;
    if (options->first_row) {
        status = options->first_row(options->context, first->field, first->n, options, err);
    }
    for (int c = 0; c < PR_COLUMNS && !status; c++) {
        index[c] = 0;
        table->has[c] = options->column[c] != NULL;
        if (table->has[c]) status = find_column(first, options->column[c], &index[c], err);
    }
    return status;
}

static pr_status read_records(pr_table *table, pr_records *r, pr_record_reader next,
                              const pr_table_options *options, pr_error *err) {
    size_t index[PR_COLUMNS];
    pr_table_options wanted = *options;
    pr_status status = next(r, err);
    size_t columns = r->n;
    if (!status && r->n) status = find_columns(table, r, &wanted, index, err);
    r->pass_empty = options->skip_malformed;
    if (!status && has_header(&wanted)) status = next(r, err);
    while (!status && r->n) {
        if (r->n == columns) {
            status = add_record(table, r, index, err);
        } else if (options->skip_malformed) {
            table->skipped++;
        } else {
            status = pr_fail(err, PR_BAD_FILE, "%s:%zu: %zu column%s; expected %zu as in line 1",
                             table->path, r->line, r->n, r->n == 1 ? "" : "s", columns);
        }
        if (!status) status = next(r, err);
    }
    table->skipped += r->empty;
    return status;
}

/* Replaces the file's text by the values of its objects. */
static pr_status read_objects(pr_table *table, pr_records *r, const pr_table_options *options,
                              pr_error *err) {
    pr_text values = {0};
    size_t capacity = 0;
    pr_status status = pr_records_line(r, err);
    while (!status && r->n) {
        status = begin_row(table, r->line, err);
        if (!status) {
            status = pr_jsonl_values(r, options->column, PR_COLUMNS, &values, &capacity,
                                     last_row(table), err);
        }
        if (!status) status = pr_records_line(r, err);
    }
    pr_text_free(&table->text);
    table->text = values;
    return status;
}

static pr_status read_table(pr_table *table, const pr_table_options *options, pr_error *err) {
    pr_status status = pr_text_read(table->path, &table->text, err);
    if (status) return status;
    pr_records r = {.path = table->path,
                    .next = table->text.bytes,
                    .end = table->text.bytes + table->text.n,
                    .next_line = 1};
    if (options->format == PR_JSONL) {
        status = read_objects(table, &r, options, err);
    } else {
        pr_record_reader next = options->format == PR_CSV ? pr_records_csv : pr_records_tsv;
        status = read_records(table, &r, next, options, err);
    }
    pr_free((void *)r.field);
    if (!status && !table->n) status = pr_fail(err, PR_BAD_FILE, "%s: no rows", table->path);
    return status;
}

/* Says which columns there are to be. */
static pr_status name_columns(pr_table *table, const pr_table_options *options, pr_error *err) {
    for (int c = 0; c < PR_COLUMNS; c++) {
        const char *column = options->column[c];
        table->has[c] = column != NULL;
        if (column && (!*column || !strcmp(column, "0"))) {
            return pr_fail(err, PR_BAD_ARGUMENT,
                           "'%s' is no column; expected a name, or a number from 1 on", column);
        }
    }
    return PR_OK;
}

pr_table *pr_table_read(const char *path, const pr_table_options *options, pr_error *err) {
    pr_table *table = pr_alloc(1, sizeof *table);
    if (!table) {
        pr_fail_memory(err, path, sizeof *table);
        return NULL;
    }
    table->path = pr_copy_text(path);
    pr_status status = table->path ? PR_OK : pr_fail_memory(err, path, strlen(path));
    if (!status) status = name_columns(table, options, err);
    if (!status) status = read_table(table, options, err);
    if (!status) return table;
    pr_table_free(table);
    return NULL;
}

void pr_table_free(pr_table *table) {
    if (!table) return;
    pr_free(table->path);
    pr_free(table->cell);
    pr_free(table->line);
    pr_text_free(&table->text);
    pr_free(table);
}

const char *pr_table_cell(const pr_table *table, size_t row, pr_column column) {
    return table->has[column] ? table->text.bytes + table->cell[row * PR_COLUMNS + column] : NULL;
}
