/* A whole text file in memory: valid UTF-8 without NULs, a leading byte order mark taken off. */
#ifndef PR_TEXT_H
#define PR_TEXT_H

#include <stddef.h>

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

void pr_text_free(pr_text *text);

#ifdef __cplusplus
}
#endif
#endif
