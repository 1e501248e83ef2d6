/* Rows of text and label out of a file: TSV as GLUE has it (never quoted), CSV (RFC 4180, quoted
 * newlines too) or JSONL (an object a line). A byte order mark, CRLF and empty lines at the end are
 * accepted; an empty line elsewhere and a row that has more or fewer columns than the first are
 * not. */
#ifndef PR_TABLE_H
#define PR_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "models/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pr_table_format { PR_TSV, PR_CSV, PR_JSONL } pr_table_format;

/* .csv is CSV, .jsonl, .ndjson and .json are JSONL, all else is TSV; case does not matter. */
pr_table_format pr_table_format_of(const char *path);

typedef enum pr_column { PR_TEXT, PR_TEXT_B, PR_LABEL, PR_INDEX, PR_COLUMNS } pr_column;

typedef struct pr_table_options pr_table_options;
struct pr_table_options {
    pr_table_format format;
    /* Each by its name in the header (JSONL: its key) or by its number, 1 being the first; NULL:
     * not wanted. When any is given by name the file's first row is a header, otherwise it is data.
     * A name made of digits alone is taken for a number. */
    const char *column[PR_COLUMNS];
    bool skip_malformed; /* leave out rows with another number of columns, and empty lines, and
                            count them */
    /* Called with the first row of a TSV or CSV file before columns are looked for. It may refuse
     * the file, or take back columns that are not there: options->column[c] = NULL. NULL: none. */
    pr_status (*first_row)(void *context, char *const *field, size_t n, pr_table_options *options,
                           pr_error *err);
    void *context;
};

typedef struct pr_table {
    char *path;
    size_t n;             /* rows, at least one */
    size_t *cell;         /* (n, PR_COLUMNS): where each begins in text */
    size_t *line;         /* (n): where each row begins in the file, 1 being the first line */
    bool has[PR_COLUMNS]; /* which columns were asked for */
    size_t skipped;       /* rows left out */
    pr_text text;
    size_t cell_capacity, line_capacity;
} pr_table;

/* NULL with err set: PR_IO, PR_NO_MEMORY, PR_BAD_ARGUMENT (a column that is no column), or
 * PR_BAD_FILE with the file, the line, what was expected and what was found. */
pr_table *pr_table_read(const char *path, const pr_table_options *options, pr_error *err);
void pr_table_free(pr_table *table);

/* A cell's text, the table's own; NULL in a column that was not asked for. */
const char *pr_table_cell(const pr_table *table, size_t row, pr_column column);

#ifdef __cplusplus
}
#endif
#endif
