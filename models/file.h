/* Files: whole ones mapped for reading, and new ones that appear complete or not at all.
 * A writer works on a temporary file beside its target and takes the target's name at the end, so
 * that a full disk, a crash or Ctrl-C never leaves half a model under a good name. */
#ifndef PR_FILE_H
#define PR_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "graph/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A whole file, read-only. Nobody may shorten the file while it is mapped: a read would then end
 * the process (SIGBUS). Replacing it by rename, as the writer below does, is safe. */
typedef struct pr_file {
    const unsigned char *bytes;
    size_t size; /* at least 1 */
} pr_file;

/* PR_IO, with *file empty, when the path can't be opened, is no regular file or holds nothing. */
pr_status pr_file_map(const char *path, pr_file *file, pr_error *err);
/* Leaves *file empty; legal on an empty one. */
void pr_file_unmap(pr_file *file);
/* Takes the pages that lie wholly in a range of a mapping out of resident memory. The range stays
 * readable: a read brings the page back from the file. */
void pr_file_release(const void *bytes, size_t size);

typedef struct pr_file_writer pr_file_writer;

/* Starts a file that will be called `path`. An existing file of that name stays as it is until
 * commit; a symbolic link is followed, so what it points at is replaced. NULL with err set: PR_IO
 * when the folder is missing or can't be written, or when the path is there and no regular file. */
pr_file_writer *pr_file_writer_open(const char *path, pr_error *err);

/* Appends bytes, or zeros. The first fault sticks and comes back from every later call, so a caller
 * may write on and look only at what commit returns. PR_IO: the disk is full, ... */
pr_status pr_file_write(pr_file_writer *writer, const void *bytes, size_t size);
pr_status pr_file_write_zeros(pr_file_writer *writer, size_t size);
/* Appends a string without its NUL. */
pr_status pr_file_write_text(pr_file_writer *writer, const char *text);

/* Bytes appended so far. */
uint64_t pr_file_position(const pr_file_writer *writer);

/* Brings what was written so far to disk, under no name yet: for several files that are to appear
 * together, all of which are settled before the first is committed. */
pr_status pr_file_settle(pr_file_writer *writer, pr_error *err);
/* Brings everything to disk and gives the file its name. On a fault the temporary file is removed
 * and the target is as before. Frees the writer in both cases. */
pr_status pr_file_commit(pr_file_writer *writer, pr_error *err);
/* Removes the temporary file and frees the writer; NULL is legal. */
void pr_file_abandon(pr_file_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
