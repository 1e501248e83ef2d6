/* A folder of a test's own, for the files that it writes; and broken variants of a file. */
#ifndef PR_SCRATCH_H
#define PR_SCRATCH_H

#include <stddef.h>

/* Group set-up and tear-down, and the tear-down of one test, which removes every file. */
int scratch_make(void **state);
int scratch_remove(void **state);
int scratch_empty(void **state);

const char *scratch_folder(void);
/* The path of a name in the folder; two calls' results live at once, a third overwrites the first.
 */
const char *scratch_path(const char *name);
int scratch_entries(void);

/* Writes and reads a whole file without the library's help. The bytes read are malloc'd, with a
 * NUL after them. */
void scratch_write(const char *path, const void *bytes, size_t size);
unsigned char *scratch_read(const char *path, size_t *size);

/* Calls open_and_use on the file at path cut at every length below `lengths`, and then on
 * `mutants` copies of it with one to eight bytes changed, drawn from a fixed seed, most of them in
 * its first `head` bytes. The caller looks at what comes back; a crash is a sanitizer's to see. */
void scratch_mutate(const char *path, size_t lengths, size_t head, int mutants,
                    void (*open_and_use)(const char *path));

/* Fails unless text holds part. */
void assert_says(const char *text, const char *part);

#endif
