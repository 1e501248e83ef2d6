/* Cuts a text into the records and fields of TSV or CSV, in place: what table.c reads files with.
 */
#ifndef PR_RECORDS_H
#define PR_RECORDS_H

#include <stdbool.h>

#include "models/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_records {
    const char *path; /* for messages */
    char *next, *end; /* what is still to be read; a NUL stands at end */
    size_t line;      /* where the record just read begins; 1 is the first line */
    size_t next_line;
    bool
        pass_empty; /* pass over empty lines between records and count them; else they are faults */
    size_t empty;   /* how many were passed over */
    char **field;   /* (n): the fields of the record just read, in the text itself */
    size_t n, capacity;
} pr_records;

/* Reads the next record; n is 0 when there is none. PR_BAD_FILE: an empty line that is not at the
 * end and not passed over, or a CSV quote that is not closed, or that closes before its field ends;
 * PR_NO_MEMORY. */
typedef pr_status (*pr_record_reader)(pr_records *records, pr_error *err);
pr_status pr_records_tsv(pr_records *records, pr_error *err);
pr_status pr_records_csv(pr_records *records, pr_error *err);

/* The next line as the record's only field, whatever is in it. */
pr_status pr_records_line(pr_records *records, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
