#include "tools/help.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 80, MOST_NAME_WIDTH = 24 };

void help_choices(const cli_option *option, char *out, size_t size) {
    size_t used = 0;
    out[0] = 0;
    for (const char *const *choice = option->choices; *choice && used < size; choice++) {
        int n = snprintf(out + used, size - used, "%s%s", used ? ", " : "", *choice);
        used += (size_t)n;
    }
}

/* "--name METAVAR" */
static void describe_name(const cli_option *o, char *out, size_t size) {
    bool takes = o->kind != CLI_FLAG;
    snprintf(out, size, "--%s%s%s", o->name, takes ? " " : "", takes ? o->metavar : "");
}

/* " (default)", or nothing for a flag or a text without one. */
static void describe_default(const cli_option *o, char *out, size_t size) {
    out[0] = 0;
    if (o->shown) {
        snprintf(out, size, " (%s)", o->shown);
    } else if (o->kind == CLI_INT) {
        snprintf(out, size, " (%lld)", (long long)*(int64_t *)o->value);
    } else if (o->kind == CLI_REAL) {
        snprintf(out, size, " (%g)", *(double *)o->value);
    } else if ((o->kind == CLI_TEXT || o->kind == CLI_CHOICE) && *(const char **)o->value) {
        snprintf(out, size, " (%s)", *(const char **)o->value);
    }
}

/* Prints words from column `at` on, broken before WIDTH and indented to `indent`. */
static void print_wrapped(const char *text, int at, int indent) {
    bool fresh = true;
    while (*text) {
        int n = (int)strcspn(text, " ");
        if (!fresh && at + 1 + n > WIDTH) {
            printf("\n%*s", indent, "");
            at = indent;
            fresh = true;
        }
        printf("%s%.*s", fresh ? "" : " ", n, text);
        at += n + !fresh;
        fresh = false;
        text += n + (text[n] == ' ');
    }
    printf("\n");
}

static void print_option(const cli_option *o, int column) {
    char name[64], list[256] = "", value[128], text[640];
    describe_name(o, name, sizeof name);
    describe_default(o, value, sizeof value);
    if (o->kind == CLI_CHOICE) help_choices(o, list, sizeof list);
    snprintf(text, sizeof text, "%s%s%s%s", o->help, *list ? ": " : "", list, value);
    int used = printf("  %-*s  ", column - 4, name);
    if (used > column) used = printf("\n%*s", column, "") - 1;
    print_wrapped(text, used, column);
}

void help_print(const cli_program *program) {
    int column = (int)strlen("--version"); /* all programs have it */
    for (int i = 0; i < program->options->n; i++) {
        const cli_option *o = &program->options->row[i];
        char name[64] = "";
        if (o->name) describe_name(o, name, sizeof name);
        int n = (int)strlen(name);
        if (n > column && n <= MOST_NAME_WIDTH) column = n;
    }
    column += 4;
    printf("usage: %s %s\n\n", program->name, program->usage);
    print_wrapped(program->description, 0, 0);
    if (program->options->n && program->options->row[0].name) printf("\nOptions:\n");
    for (int i = 0; i < program->options->n; i++) {
        const cli_option *o = &program->options->row[i];
        if (o->name) {
            print_option(o, column);
        } else {
            printf("\n%s:\n", o->help);
        }
    }
    printf("\nAll programs:\n");
    print_option(&(cli_option){.name = "help", .help = "print this and end"}, column);
    print_option(&(cli_option){.name = "version", .help = "print the version and end"}, column);
    if (program->examples) printf("\nExamples:\n%s", program->examples);
    printf("\nExit status: 0 done, 1 failed, 2 wrong use.\n");
}
