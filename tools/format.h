/* What people read: numbers, each written to out with at most FORMAT_SIZE bytes and returned, and
 * texts that are not ours. */
#ifndef FORMAT_H
#define FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { FORMAT_SIZE = 32 };

/* "66,955,010" */
const char *format_count(char out[FORMAT_SIZE], uint64_t n);

/* "999 B", "51.2 MB", "1.07 GB": powers of 1,000, three digits. */
const char *format_bytes(char out[FORMAT_SIZE], uint64_t bytes);

/* The bytes that "400MB", "0.4 GB" or "400000000" names, as format_bytes writes them; false for
 * anything else, or none. */
bool parse_bytes(const char *text, size_t *bytes);

/* "0.42 s", "41.3 s", "2 min 05 s", "3 h 20 min" */
const char *format_seconds(char out[FORMAT_SIZE], double seconds);

/* "1.23 GFLOP": powers of 1,000, three digits. */
const char *format_flops(char out[FORMAT_SIZE], double flops);

/* "0:42", "12:05", "1:02:03": time left, for a progress bar. */
const char *format_clock(char out[FORMAT_SIZE], double seconds);

/* The columns that format_text takes for a text: characters of any width are counted as one. */
int format_columns(const char *text);

/* Prints a text so that it stays on its line and no terminal acts on it, control characters as
 * "\x1b"; in `width` columns or more, as printf's %*s does: to the right, or the left for < 0. */
void format_text(FILE *out, int width, const char *text);

/* Prints a text in double quotes, as Python reads it: control characters, quotes and backslashes as
 * "\x22". Of one of more than `most` bytes it prints the beginning and three dots. */
void format_quoted(FILE *out, const char *text, size_t most);

#endif
