/* A whole text file in memory: valid UTF-8 without NULs, a leading byte order mark taken off. */
#ifndef PR_TEXT_H
#define PR_TEXT_H

#include <stddef.h>
#include <stdio.h>

#include "graph/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_text {
    char *bytes; /* (n), and a NUL after them; the reader's own, to be cut up at will */
    size_t n;
} pr_text;

/* PR_IO when the file can't be read; PR_BAD_FILE, with the line, for what is no text, and for a
 * file that is empty. Pipes are fine. */
pr_status pr_text_read(const char *path, pr_text *out, pr_error *err);
/* The same from an open stream, which messages call `name`; the caller closes it. */
pr_status pr_text_read_stream(FILE *stream, const char *name, pr_text *out, pr_error *err);
/* PR_BAD_FILE, with the line, for n bytes that are no valid UTF-8 or have a NUL among them. */
pr_status pr_text_check(const char *name, const char *bytes, size_t n, pr_error *err);

void pr_text_free(pr_text *text);

#ifdef __cplusplus
}
#endif
#endif
