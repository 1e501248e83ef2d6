#include "models/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <utf8proc.h>

#include "graph/memory.h"

static const char BYTE_ORDER_MARK[] = "\xEF\xBB\xBF";
enum { MARK_BYTES = sizeof BYTE_ORDER_MARK - 1, PIECE = 1 << 16 };

static pr_status read_all(FILE *file, const char *path, pr_text *out, pr_error *err) {
    size_t capacity = 0;
    size_t got;
    do {
        size_t room; /* for a piece and the NUL */
        if (!pr_size_add(out->n, PIECE + 1, &room) ||
            !pr_grow((void **)&out->bytes, &capacity, room, 1)) {
            return pr_fail_memory(err, path, out->n + PIECE);
        }
        got = fread(out->bytes + out->n, 1, PIECE, file);
        out->n += got;
    } while (got == PIECE);
    if (ferror(file)) return pr_fail(err, PR_IO, "%s: %s", path, strerror(errno));
    out->bytes[out->n] = '\0';
    return PR_OK;
}

pr_status pr_text_check(const char *name, const char *text, size_t n, pr_error *err) {
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    size_t line = 1;
    size_t line_start = 0;
    for (size_t at = 0; at < n;) {
        if (bytes[at] == '\n') {
            line++;
            line_start = at + 1;
        }
        utf8proc_int32_t c = bytes[at];
        utf8proc_ssize_t length = 1;
        if (c >= 0x80) length = utf8proc_iterate(bytes + at, (utf8proc_ssize_t)(n - at), &c);
        if (length < 1 || c == 0) {
            return pr_fail(err, PR_BAD_FILE, "%s:%zu: byte %zu of the line (0x%02X) is %s", name,
                           line, at - line_start + 1, bytes[at],
                           bytes[at] ? "no valid UTF-8" : "a NUL; expected text");
        }
        at += (size_t)length;
    }
    return PR_OK;
}

pr_status pr_text_read_stream(FILE *stream, const char *name, pr_text *out, pr_error *err) {
    *out = (pr_text){0};
    pr_status status = read_all(stream, name, out, err);
    if (!status && out->n >= MARK_BYTES && !memcmp(out->bytes, BYTE_ORDER_MARK, MARK_BYTES)) {
        out->n -= MARK_BYTES;
        memmove(out->bytes, out->bytes + MARK_BYTES, out->n + 1);
    }
    if (!status && out->n == 0) {
        status = pr_fail(err, PR_BAD_FILE, "%s: the file is empty", name);
    }
    if (!status) status = pr_text_check(name, out->bytes, out->n, err);
    if (status) pr_text_free(out);
    return status;
}

pr_status pr_text_read(const char *path, pr_text *out, pr_error *err) {
    *out = (pr_text){0};
    FILE *file = fopen(path, "rb");
    if (!file) return pr_fail(err, PR_IO, "%s: %s", path, strerror(errno));
    pr_status status = pr_text_read_stream(file, path, out, err);
    fclose(file);
    return status;
}

void pr_text_free(pr_text *text) {
    if (!text) return;
    pr_free(text->bytes);
    *text = (pr_text){0};
}
