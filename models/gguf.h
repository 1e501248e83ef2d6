/* GGUF, the model file of the ggml world: typed keys, tensor descriptions, then aligned bytes.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; versions 2 and 3 are read, 3 written.
 *
 * A file stores a tensor's innermost dimension first; the reader and the writer turn that around,
 * and nothing else in Primer knows of it. */
#ifndef PR_GGUF_H
#define PR_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/shape.h"
#include "graph/status.h"
#include "models/outgoing.h"
#include "models/stored.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers are the format's. */
typedef enum pr_gguf_type {
    PR_GGUF_U8,
    PR_GGUF_I8,
    PR_GGUF_U16,
    PR_GGUF_I16,
    PR_GGUF_U32,
    PR_GGUF_I32,
    PR_GGUF_F32,
    PR_GGUF_BOOL,
    PR_GGUF_TEXT,
    PR_GGUF_ARRAY,
    PR_GGUF_U64,
    PR_GGUF_I64,
    PR_GGUF_F64,
    PR_GGUF_TYPES
} pr_gguf_type;

/* A key and its value. Texts end with a NUL and hold no other. */
typedef struct pr_gguf_value {
    const char *key;
    pr_gguf_type type;         /* of the elements, when it is an array; never PR_GGUF_ARRAY */
    bool is_array;             /* else count is 1 */
    size_t count;              /* elements */
    const char *const *texts;  /* of PR_GGUF_TEXT: count of them; else NULL */
    const unsigned char *data; /* of other types: count numbers in the mapping, at any byte */
} pr_gguf_value;

/* ---- reading ---- */

typedef struct pr_gguf pr_gguf;

/* Maps a file and checks all of its structure: every count, length and offset against the bytes
 * there are. NULL with err set: PR_IO, PR_BAD_FILE (one line: file, key or tensor, what is wrong),
 * PR_NO_MEMORY. */
pr_gguf *pr_gguf_open(const char *path, pr_error *err);
/* Unmaps; what came from the file is gone. NULL is legal. */
void pr_gguf_close(pr_gguf *gguf);

const char *pr_gguf_path(const pr_gguf *gguf);
int pr_gguf_version(const pr_gguf *gguf);

int pr_gguf_tensors(const pr_gguf *gguf);
const pr_stored *pr_gguf_tensor(const pr_gguf *gguf, int index); /* 0 .. tensors - 1, file order */
int pr_gguf_find(const pr_gguf *gguf, const char *name);         /* its index, or -1 */
/* Takes a tensor's pages out of resident memory, once it has been copied; still readable. */
void pr_gguf_release(const pr_gguf *gguf, int index);

int pr_gguf_keys(const pr_gguf *gguf);
const pr_gguf_value *pr_gguf_key(const pr_gguf *gguf, int index); /* 0 .. keys - 1, file order */
const pr_gguf_value *pr_gguf_value_of(const pr_gguf *gguf, const char *key); /* or NULL */
const char *pr_gguf_type_name(pr_gguf_type type);                            /* "u32" */
size_t pr_gguf_type_size(pr_gguf_type type); /* bytes of an element; 0 of texts and arrays */

/* One element of a number or boolean, 0 <= i < count. As an integer only when it is one (or a
 * boolean) and fits; else false, with *out untouched. Texts are no numbers. */
bool pr_gguf_element_integer(const pr_gguf_value *value, size_t i, int64_t *out);
bool pr_gguf_element_number(const pr_gguf_value *value, size_t i, double *out);

/* Typed getters. Where the key is absent: PR_BAD_FILE if it is required, else PR_OK with *out
 * untouched, so that a default goes in before. A wrong type or a value out of range is PR_BAD_FILE
 * in both cases. */
pr_status pr_gguf_get_integer(const pr_gguf *gguf, const char *key, bool required, int64_t lowest,
                              int64_t highest, int64_t *out, pr_error *err);
/* Finite; any number type. */
pr_status pr_gguf_get_number(const pr_gguf *gguf, const char *key, bool required, double *out,
                             pr_error *err);
pr_status pr_gguf_get_boolean(const pr_gguf *gguf, const char *key, bool required, bool *out,
                              pr_error *err);
/* Texts stay the file's. */
pr_status pr_gguf_get_text(const pr_gguf *gguf, const char *key, bool required, const char **out,
                           pr_error *err);
pr_status pr_gguf_get_texts(const pr_gguf *gguf, const char *key, bool required,
                            const char *const **out, size_t *count, pr_error *err);

/* ---- writing ---- */

/* Keys and tensors are collected, then written in the order they came. The first fault sticks and
 * comes back from pr_gguf_write: building needs no checks. */
typedef struct pr_gguf_writer pr_gguf_writer;

/* NULL when there is no memory. */
pr_gguf_writer *pr_gguf_writer_new(void);
void pr_gguf_writer_free(pr_gguf_writer *writer);

/* A key twice is a fault. Everything is copied. Arrays may be empty. */
void pr_gguf_put_u32(pr_gguf_writer *writer, const char *key, uint32_t value);
void pr_gguf_put_u64(pr_gguf_writer *writer, const char *key, uint64_t value);
void pr_gguf_put_i32(pr_gguf_writer *writer, const char *key, int32_t value);
void pr_gguf_put_f32(pr_gguf_writer *writer, const char *key, float value);
void pr_gguf_put_boolean(pr_gguf_writer *writer, const char *key, bool value);
void pr_gguf_put_text(pr_gguf_writer *writer, const char *key, const char *value);
void pr_gguf_put_texts(pr_gguf_writer *writer, const char *key, const char *const *values,
                       size_t count);
void pr_gguf_put_i32s(pr_gguf_writer *writer, const char *key, const int32_t *values, size_t count);
void pr_gguf_put_f32s(pr_gguf_writer *writer, const char *key, const float *values, size_t count);
/* Another file's value under its own key, whatever its type. Its general.alignment is passed over:
 * it speaks of that file's layout. */
void pr_gguf_put_value(pr_gguf_writer *writer, const pr_gguf_value *value);

/* Whether a key is there already. */
bool pr_gguf_has_key(const pr_gguf_writer *writer, const char *key);

/* A tensor, to be written as PR_FORMAT_F32 or PR_FORMAT_BF16. The data, f32 in row-major order,
 * is read by pr_gguf_write and must stay until then. */
void pr_gguf_put_tensor(pr_gguf_writer *writer, const char *name, pr_shape shape, pr_format format,
                        const float *data);

/* The same for a tensor that fill makes when its turn to be written comes, so that only one such
 * tensor is in memory at a time. */
void pr_gguf_put_filled(pr_gguf_writer *writer, const char *name, pr_shape shape, pr_format format,
                        pr_outgoing_fill fill, const void *context);

/* Calls `written` for the data of pr_gguf_put_tensor, piece by piece, once each is written. */
void pr_gguf_on_written(pr_gguf_writer *writer, pr_outgoing_written written, const void *context);

/* Writes the file, whole or not at all (file.h). A file that is mapped may be written over itself.
 */
pr_status pr_gguf_write(pr_gguf_writer *writer, const char *path, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
