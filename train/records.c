#include "train/records.h"

#include <string.h>

#include "graph/memory.h"

static pr_status add_field(pr_records *r, char *field, pr_error *err) {
    if (!pr_grow((void **)&r->field, &r->capacity, r->n + 1, sizeof *r->field)) {
        return pr_fail_memory(err, r->path, (r->n + 1) * sizeof *r->field);
    }
    r->field[r->n++] = field;
    return PR_OK;
}

static bool is_line_end(char c) {
    return c == '\n' || c == '\r';
}

/* Goes to the next record's first character; *found is false where only empty lines are left. */
static pr_status begin_record(pr_records *r, bool *found, pr_error *err) {
    r->n = 0;
    r->line = r->next_line;
    size_t before = r->empty;
    char *at = r->next;
    while (at < r->end && is_line_end(*at))
        at++;
    *found = at < r->end;
    if (!*found || at == r->next || (*r->next != '\n' && r->next[1] != '\n')) return PR_OK;
    if (!r->pass_empty) {
        return pr_fail(err, PR_BAD_FILE, "%s:%zu: an empty line; expected a row", r->path, r->line);
    }
    for (; r->next < at; r->next++)
        r->empty += *r->next == '\n';
    r->line = r->next_line = r->line + r->empty - before;
    return PR_OK;
}

pr_status pr_records_line(pr_records *r, pr_error *err) {
    bool found;
    pr_status status = begin_record(r, &found, err);
    if (status || !found) return status;
    char *line = r->next;
    char *stop = memchr(line, '\n', (size_t)(r->end - line));
    r->next = stop ? stop + 1 : r->end;
    r->next_line++;
    if (!stop) stop = r->end;
    if (stop > line && stop[-1] == '\r') stop--;
    *stop = '\0';
    return add_field(r, line, err);
}

pr_status pr_records_tsv(pr_records *r, pr_error *err) {
    pr_status status = pr_records_line(r, err);
    if (status || !r->n) return status;
    char *tab = r->field[0];
    while (!status && (tab = strchr(tab, '\t'))) {
        *tab++ = '\0';
        status = add_field(r, tab, err);
    }
    return status;
}

/* Moves the text of a quoted field, which begins after its quote, to where the quote was and takes
 * its doubled quotes for one. *stop is what follows the closing quote. */
static pr_status unquote(pr_records *r, char **text_end, char **stop, pr_error *err) {
    char *to = r->next;
    char *from = r->next + 1;
    size_t line = r->next_line;
    while (from < r->end && !(*from == '"' && from[1] != '"')) {
        if (*from == '\n') r->next_line++;
        if (*from == '"') from++;
        *to++ = *from++;
    }
    if (from == r->end) {
        return pr_fail(err, PR_BAD_FILE, "%s:%zu: a quoted field begins here and never ends",
                       r->path, line);
    }
    *text_end = to;
    *stop = from + 1;
    return PR_OK;
}

/* One field and what separates it from the next; *last when it ended the record. */
static pr_status read_csv_field(pr_records *r, bool *last, pr_error *err) {
    char *field = r->next;
    char *text_end = field;
    char *stop = field;
    if (*field == '"') {
        pr_status status = unquote(r, &text_end, &stop, err);
        if (status) return status;
    } else {
        stop = field + strcspn(field, ",\n");
        if (*stop != ',' && stop > field && stop[-1] == '\r') stop--;
        text_end = stop;
    }
    if (*stop == '\r' && (stop[1] == '\n' || stop + 1 == r->end)) stop++;
    if (stop < r->end && *stop != ',' && *stop != '\n') {
        return pr_fail(err, PR_BAD_FILE,
                       "%s:%zu: text after a closing quote; expected a comma or the line's end",
                       r->path, r->next_line);
    }
    *last = *stop != ',';
    if (*stop == '\n') r->next_line++;
    r->next = stop < r->end ? stop + 1 : stop;
    *text_end = '\0';
    return add_field(r, field, err);
}

pr_status pr_records_csv(pr_records *r, pr_error *err) {
    bool found;
    pr_status status = begin_record(r, &found, err);
    bool last = !found;
    while (!status && !last)
        status = read_csv_field(r, &last, err);
    return status;
}
