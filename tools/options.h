/* A program's options, a call a line; what is added to one follows it:
 *     cli_int(o, "epochs", "N", "passes over the data", &s->epochs, 1, 100000);
 *     cli_also(o, "num_train_epochs");
 * What a value holds when it is added is the default that the help shows. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum cli_kind {
    CLI_FLAG,  /* value: bool *; takes no value and sets true */
    CLI_INT,   /* value: int64_t * */
    CLI_REAL,  /* value: double * */
    CLI_PART,  /* value: double *; a whole number from 1 on, or a percentage as a part under 1 */
    CLI_TEXT,  /* value: const char ** */
    CLI_LIST,  /* value: cli_list *; the option may come more than once */
    CLI_CHOICE /* value: const char **, set to one of choices */
} cli_kind;

typedef struct cli_option {
    const char *name; /* without its dashes; NULL: help is the heading of a group */
    const char *metavar;
    const char *help;
    cli_kind kind;
    bool given; /* set by cli_parse */
    void *value;
    double least, most;         /* of CLI_INT and CLI_REAL */
    const char *const *choices; /* of CLI_CHOICE, ended by NULL */
    const char *shown;          /* what the help shows as the default instead of the value */
    const char *also; /* what people call it elsewhere, separated by spaces: for suggestions */
} cli_option;

enum { CLI_MOST_OPTIONS = 56, CLI_MOST_LISTED = 16 };

typedef struct cli_list {
    const char *text[CLI_MOST_LISTED + 1]; /* ended by NULL */
    int n;
} cli_list;

typedef struct cli_options {
    cli_option row[CLI_MOST_OPTIONS];
    int n;
} cli_options;

/* Those below stand under this heading. */
void cli_group(cli_options *o, const char *heading);

void cli_flag(cli_options *o, const char *name, const char *help, bool *value);
/* most may be INFINITY. */
void cli_int(cli_options *o, const char *name, const char *metavar, const char *help,
             int64_t *value, double least, double most);
void cli_real(cli_options *o, const char *name, const char *metavar, const char *help,
              double *value, double least, double most);
/* "27", or "1%" of something. */
void cli_part(cli_options *o, const char *name, const char *metavar, const char *help,
              double *value);
void cli_texts(cli_options *o, const char *name, const char *metavar, const char *help,
               cli_list *value);
void cli_text(cli_options *o, const char *name, const char *metavar, const char *help,
              const char **value);
/* choices is ended by NULL. */
void cli_choice(cli_options *o, const char *name, const char *metavar, const char *help,
                const char **value, const char *const *choices);

/* Of the option added last: what the help shows as its default, for one whose value can't tell. */
void cli_shown(cli_options *o, const char *text);
/* Of the option added last: what people call it elsewhere, separated by spaces, for suggestions. */
void cli_also(cli_options *o, const char *names);

#endif
