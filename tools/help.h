/* The text of --help, made from a program's table. */
#ifndef HELP_H
#define HELP_H

#include <stddef.h>

#include "tools/cli.h"

/* Usage, description, options in their groups with their defaults, examples: to stdout. */
void help_print(const cli_program *program);

/* "full, learner": the choices of an option, cut to size. */
void help_choices(const cli_option *option, char *out, size_t size);

#endif
