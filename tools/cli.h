/* The command line in one style for all programs: a table of options, their help, strict values,
 * one line for each error, and the exit codes 0 (done), 1 (failed) and 2 (wrong use). */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "graph/status.h"
#include "tools/options.h"

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_WRONG_USE = 2 };

typedef struct cli_program {
    const char *name;
    const char *usage;       /* what follows the name: "MODEL [options]" */
    const char *description; /* a paragraph under the usage; the help breaks its lines */
    const char *examples;    /* lines, each ended by a newline; may be NULL */
    cli_options *options;
    int least_arguments, most_arguments; /* beside options; most < 0: any number */
} cli_program;

/* Reads the options into their values and moves the other arguments to the end of argv, whose first
 * it returns the index of. --help and --version print and end the process with 0; wrong use ends it
 * with 2 after one line on stderr that names the nearest right word. */
int cli_parse(const cli_program *program, int argc, char **argv);

/* Whether the option of that name was on the command line. */
bool cli_given(const cli_program *program, const char *name);

/* Ends the process with 2 after "NAME: message" on stderr. */
_Noreturn void cli_wrong_use(const cli_program *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What a program's main returns. Prints "NAME: message" on stderr for a fault, on one line whatever
 * the message holds, and for output that could not be written. PR_BAD_ARGUMENT is wrong use: what
 * the command line asks for has no meaning for the files that it names. */
int cli_end(const cli_program *program, pr_status status, const pr_error *err);

/* The one of names (ended by NULL) that the word was probably meant to be, or NULL. */
const char *cli_nearest(const char *word, const char *const *names);

#endif
