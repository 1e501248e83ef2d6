#include "tools/options.h"

#include <stdlib.h>

static void add(cli_options *o, cli_option option) {
    if (o->n == CLI_MOST_OPTIONS) abort(); /* a program's table is fixed when it is written */
    o->row[o->n++] = option;
}

void cli_group(cli_options *o, const char *heading) {
    add(o, (cli_option){.help = heading});
}

void cli_flag(cli_options *o, const char *name, const char *help, bool *value) {
    add(o, (cli_option){.name = name, .help = help, .kind = CLI_FLAG, .value = value});
}

void cli_int(cli_options *o, const char *name, const char *metavar, const char *help,
             int64_t *value, double least, double most) {
    add(o,
        (cli_option){name, metavar, help, CLI_INT, .value = value, .least = least, .most = most});
}

void cli_real(cli_options *o, const char *name, const char *metavar, const char *help,
              double *value, double least, double most) {
    add(o,
        (cli_option){name, metavar, help, CLI_REAL, .value = value, .least = least, .most = most});
}

void cli_part(cli_options *o, const char *name, const char *metavar, const char *help,
              double *value) {
    add(o, (cli_option){name, metavar, help, CLI_PART, .value = value});
}

void cli_texts(cli_options *o, const char *name, const char *metavar, const char *help,
               cli_list *value) {
    add(o, (cli_option){name, metavar, help, CLI_LIST, .value = value});
}

void cli_text(cli_options *o, const char *name, const char *metavar, const char *help,
              const char **value) {
    add(o, (cli_option){name, metavar, help, CLI_TEXT, .value = value});
}

void cli_choice(cli_options *o, const char *name, const char *metavar, const char *help,
                const char **value, const char *const *choices) {
    add(o, (cli_option){name, metavar, help, CLI_CHOICE, .value = value, .choices = choices});
}

void cli_shown(cli_options *o, const char *text) {
    o->row[o->n - 1].shown = text;
}

void cli_also(cli_options *o, const char *names) {
    o->row[o->n - 1].also = names;
}
