#include "tools/format.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const char *format_count(char out[FORMAT_SIZE], uint64_t n) {
    char digits[FORMAT_SIZE];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, n);
    char *o = out;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) *o++ = ',';
        *o++ = digits[i];
    }
    *o = 0;
    return out;
}

/* Three significant digits in front of a prefix of 1,000's powers. */
static const char *scaled(char out[FORMAT_SIZE], double value, const char *unit) {
    static const char *const prefix[] = {"", "k", "M", "G", "T", "P", "E"};
    enum { LAST = sizeof prefix / sizeof *prefix - 1 };
    int power = 0;
    while (value >= 999.5 && power < LAST) {
        value /= 1000;
        power++;
    }
    int decimals = power == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(out, FORMAT_SIZE, "%.*f %s%s", decimals, value, prefix[power], unit);
    return out;
}

const char *format_bytes(char out[FORMAT_SIZE], uint64_t bytes) {
    return scaled(out, (double)bytes, "B");
}

bool parse_bytes(const char *text, size_t *bytes) {
    static const struct {
        const char *unit;
        double factor;
    } units[] = {{"", 1},     {"B", 1},    {"kB", 1e3}, {"KB", 1e3},
                 {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}};
    char *end;
    if (*text < '0' || *text > '9') return false; /* no sign, no "inf", no "nan" */
    double value = strtod(text, &end);
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit) != 0) continue;
        value *= units[i].factor;
        if (!(value >= 1 && value < 9e18)) return false;
        *bytes = (size_t)value;
        return true;
    }
    return false;
}

const char *format_flops(char out[FORMAT_SIZE], double flops) {
    return scaled(out, flops, "FLOP");
}

const char *format_seconds(char out[FORMAT_SIZE], double seconds) {
    if (seconds < 99.95) {
        snprintf(out, FORMAT_SIZE, "%.*f s", seconds < 9.995 ? 2 : 1, seconds);
        return out;
    }
    int64_t whole = (int64_t)(seconds + 0.5);
    if (whole < 3600) {
        snprintf(out, FORMAT_SIZE, "%d min %02d s", (int)(whole / 60), (int)(whole % 60));
    } else {
        int64_t minutes = whole / 60;
        snprintf(out, FORMAT_SIZE, "%" PRId64 " h %02d min", minutes / 60, (int)(minutes % 60));
    }
    return out;
}

const char *format_clock(char out[FORMAT_SIZE], double seconds) {
    int64_t whole = (int64_t)(seconds + 0.5);
    int64_t hours = whole / 3600;
    int minutes = (int)(whole / 60 % 60), rest = (int)(whole % 60);
    if (hours) {
        snprintf(out, FORMAT_SIZE, "%" PRId64 ":%02d:%02d", hours, minutes, rest);
    } else {
        snprintf(out, FORMAT_SIZE, "%d:%02d", minutes, rest);
    }
    return out;
}

static bool is_control(char c) {
    return (unsigned char)c < ' ' || c == 127;
}

int format_columns(const char *text) {
    int columns = 0;
    for (; *text; text++) {
        bool inside = ((unsigned char)*text & 0xc0) == 0x80; /* of a character */
        columns += is_control(*text) ? 4 : !inside;
    }
    return columns;
}

void format_text(FILE *out, int width, const char *text) {
    int blanks = abs(width) - format_columns(text);
    if (width > 0 && blanks > 0) fprintf(out, "%*s", blanks, "");
    for (; *text; text++) {
        if (is_control(*text)) {
            fprintf(out, "\\x%02x", (unsigned)*text);
        } else {
            fputc(*text, out);
        }
    }
    if (width < 0 && blanks > 0) fprintf(out, "%*s", blanks, "");
}

void format_quoted(FILE *out, const char *text, size_t most) {
    size_t n = strlen(text), shown = n;
    if (n > most) {
        shown = most;
        while (((unsigned char)text[shown] & 0xc0) == 0x80) /* not inside a character */
            shown--;
    }
    fputc('"', out);
    for (size_t i = 0; i < shown; i++) {
        char c = text[i];
        if (is_control(c) || c == '"' || c == '\\') {
            fprintf(out, "\\x%02x", (unsigned)c);
        } else {
            fputc(c, out);
        }
    }
    fputs(shown < n ? "...\"" : "\"", out);
}
