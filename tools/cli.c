#include "tools/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/help.h"

enum {
    FIRST_OPTION = 1000, /* getopt's number of the table's first line */
    HELP = 500,
    VERSION
};

static bool is_option(const cli_option *option) {
    return option->name != NULL;
}

/* Messages may carry what a file or a command line holds: newlines and escapes become '?'. */
static void print_message(const cli_program *program, const char *format, va_list args) {
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < ' ' || *c == 127) *c = '?';
    }
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", program->name, text);
}

void cli_wrong_use(const cli_program *program, const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_message(program, format, args);
    va_end(args);
    exit(CLI_WRONG_USE);
}

static int fail(const cli_program *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int fail(const cli_program *program, const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_message(program, format, args);
    va_end(args);
    return CLI_FAILED;
}

/* CLI_DONE, or CLI_FAILED after a message when not all of stdout could be written. */
static int finish(const cli_program *program) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return CLI_DONE;
    return fail(program, "standard output can't be written: %s", strerror(errno));
}

int cli_end(const cli_program *program, pr_status status, const pr_error *err) {
    if (status == PR_OK) return finish(program);
    fail(program, "%s", err->message);
    return status == PR_BAD_ARGUMENT ? CLI_WRONG_USE : CLI_FAILED;
}

bool cli_given(const cli_program *program, const char *name) {
    for (int i = 0; i < program->options->n; i++) {
        const cli_option *o = &program->options->row[i];
        if (is_option(o) && strcmp(o->name, name) == 0) return o->given;
    }
    return false;
}

/* Edits (a letter put in, left out, changed, or two swapped) between two words, as the optimal
 * string alignment distance; long words count as far. */
static int edit_distance(const char *a, const char *b) {
    enum { LONGEST = 40 };
    int n = (int)strlen(a), m = (int)strlen(b);
    if (n > LONGEST || m > LONGEST) return LONGEST;
    int d[LONGEST + 1][LONGEST + 1];
    for (int i = 0; i <= n; i++) {
        for (int j = 0; j <= m; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            bool same = a[i - 1] == b[j - 1];
            int least = d[i - 1][j - 1] + !same;
            if (d[i - 1][j] + 1 < least) least = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < least) least = d[i][j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && d[i - 2][j - 2] + 1 < least) least = d[i - 2][j - 2] + 1;
            d[i][j] = least;
        }
    }
    return d[n][m];
}

/* How far a word is from a name; a word that begins with the name, or the other way, is close.
 * Above TOO_FAR it was not meant. */
enum { TOO_FAR = 100 };
static int word_distance(const char *word, const char *name) {
    size_t n = strlen(word), m = strlen(name);
    int distance = 2 * edit_distance(word, name);
    size_t shorter = n < m ? n : m;
    if (shorter >= 3 && strncmp(word, name, shorter) == 0) {
        int rest = (int)(n > m ? n - m : m - n);
        return distance < 2 + rest ? distance : 2 + rest;
    }
    int longest = (int)(n > m ? n : m);
    return 3 * distance <= 2 * longest ? distance : TOO_FAR;
}

/* Lower case, and '-' for '_': how names are compared. */
static void normalise(char *out, size_t size, const char *word, size_t length) {
    size_t n = length < size - 1 ? length : size - 1;
    for (size_t i = 0; i < n; i++) {
        char c = word[i];
        if (c == '_') c = '-';
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        out[i] = c;
    }
    out[n] = 0;
}

const char *cli_nearest(const char *word, const char *const *names) {
    char typed[64], name[64];
    normalise(typed, sizeof typed, word, strlen(word));
    const char *best = NULL;
    int least = TOO_FAR;
    for (; *names; names++) {
        normalise(name, sizeof name, *names, strlen(*names));
        int distance = word_distance(typed, name);
        if (distance < least) {
            least = distance;
            best = *names;
        }
    }
    return best;
}

/* The option whose name, or one of whose names elsewhere, is nearest; NULL when none is near. */
static const char *nearest_option(const cli_program *program, const char *typed) {
    char word[64], name[64];
    normalise(word, sizeof word, typed, strcspn(typed, "="));
    const char *best = NULL;
    int least = TOO_FAR;
    for (int i = 0; i < program->options->n; i++) {
        const cli_option *o = &program->options->row[i];
        if (!is_option(o)) continue;
        int distance = word_distance(word, o->name);
        for (const char *also = o->also; also && *also;) {
            size_t length = strcspn(also, " ");
            normalise(name, sizeof name, also, length);
            int d = strcmp(word, name) == 0 ? 0 : TOO_FAR;
            if (d < distance) distance = d;
            also += length + strspn(also + length, " ");
        }
        if (distance < least) {
            least = distance;
            best = o->name;
        }
    }
    if (word_distance(word, "help") < least) best = "help";
    return best;
}

static _Noreturn void unknown_option(const cli_program *program, const char *typed) {
    const char *nearest = nearest_option(program, typed + strspn(typed, "-"));
    int length = (int)strcspn(typed, "=");
    if (nearest) {
        cli_wrong_use(program, "unknown option '%.*s': did you mean '--%s'?", length, typed,
                      nearest);
    }
    cli_wrong_use(program, "unknown option '%.*s': see '%s --help'", length, typed, program->name);
}

/* "a whole number from 1 to 9", "a number of 0 or more". */
static void describe_range(const cli_option *o, char *out, size_t size) {
    if (o->kind == CLI_PART) {
        snprintf(out, size,
                 "a whole number of 1 or more, or a percentage over 0%% and under 100%%");
        return;
    }
    const char *what = o->kind == CLI_INT ? "a whole number" : "a number";
    if (isinf(o->most)) {
        snprintf(out, size, "%s of %.15g or more", what, o->least);
    } else {
        snprintf(out, size, "%s from %.15g to %.15g", what, o->least, o->most);
    }
}

static bool in_range(const cli_option *o, double value) {
    return value >= o->least && value <= o->most;
}

/* Decimal digits, a point, an exponent; no blanks, "0x", "inf" or "nan", which strtod takes. */
static bool is_plain_number(const char *text) {
    return *text && text[strspn(text, "+-.0123456789eE")] == 0;
}

static bool set_int(const cli_option *o, const char *text) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (!is_plain_number(text) || *end || errno || !in_range(o, (double)value)) return false;
    *(int64_t *)o->value = value;
    return true;
}

static bool set_real(const cli_option *o, const char *text) {
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    bool overflow = errno == ERANGE && isinf(value);
    if (!is_plain_number(text) || *end || overflow || !in_range(o, value)) return false;
    *(double *)o->value = value;
    return true;
}

/* "1%" and "1.5%" are parts of one; "27" is itself. */
static bool set_part(const cli_option *o, const char *text) {
    char *end;
    enum { MOST = 1 << 30 };
    double value = strtod(text, &end);
    size_t digits = strspn(text, "0123456789.");
    bool percent = strcmp(end, "%") == 0;
    if (!digits || text + digits != end || !(percent || !*end)) return false;
    if (percent ? !(value > 0 && value < 100) : !(value >= 1 && value <= MOST)) return false;
    if (!percent && value != floor(value)) return false;
    *(double *)o->value = percent ? value / 100 : value;
    return true;
}

static void add_to_list(const cli_program *program, const cli_option *o, const char *text) {
    cli_list *list = o->value;
    if (list->n == CLI_MOST_LISTED) {
        cli_wrong_use(program, "--%s comes more than %d times", o->name, CLI_MOST_LISTED);
    }
    list->text[list->n++] = text;
    list->text[list->n] = NULL;
}

static void set_choice(const cli_program *program, const cli_option *o, const char *text) {
    for (const char *const *choice = o->choices; *choice; choice++) {
        if (strcmp(*choice, text) == 0) {
            *(const char **)o->value = *choice;
            return;
        }
    }
    char list[256];
    help_choices(o, list, sizeof list);
    const char *nearest = cli_nearest(text, o->choices);
    if (nearest) {
        cli_wrong_use(program, "unknown --%s '%s': did you mean '%s'? (one of %s)", o->name, text,
                      nearest, list);
    }
    cli_wrong_use(program, "unknown --%s '%s': it is one of %s", o->name, text, list);
}

static void set_option(const cli_program *program, cli_option *o, const char *text) {
    bool good = true;
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)o->value = true;
        break;
    case CLI_INT:
        good = set_int(o, text);
        break;
    case CLI_REAL:
        good = set_real(o, text);
        break;
    case CLI_PART:
        good = set_part(o, text);
        break;
    case CLI_TEXT:
    case CLI_LIST:
        if (!*text) cli_wrong_use(program, "--%s needs a value, found an empty one", o->name);
        if (o->kind == CLI_LIST) {
            add_to_list(program, o, text);
        } else {
            *(const char **)o->value = text;
        }
        break;
    case CLI_CHOICE:
        set_choice(program, o, text);
        break;
    }
    if (!good) {
        char range[96];
        describe_range(o, range, sizeof range);
        cli_wrong_use(program, "--%s takes %s, found '%s'", o->name, range, text);
    }
    o->given = true;
}

static void fill_long_options(const cli_program *program, struct option *out) {
    int n = 0;
    out[n++] = (struct option){"help", no_argument, NULL, HELP};
    out[n++] = (struct option){"version", no_argument, NULL, VERSION};
    for (int i = 0; i < program->options->n; i++) {
        const cli_option *o = &program->options->row[i];
        if (!is_option(o)) continue;
        int takes = o->kind == CLI_FLAG ? no_argument : required_argument;
        out[n++] = (struct option){o->name, takes, NULL, FIRST_OPTION + i};
    }
    out[n] = (struct option){0};
}

/* The argument that getopt stopped at. */
static const char *typed_option(char **argv, int short_option) {
    const char *next = argv[optind];
    bool in_cluster = short_option && next && next[0] == '-' && next[1] == short_option && next[2];
    return in_cluster ? next : argv[optind - 1];
}

static void check_arguments(const cli_program *program, int n, char **argument) {
    if (n < program->least_arguments) {
        cli_wrong_use(program, "too few arguments: usage is '%s %s'", program->name,
                      program->usage);
    }
    if (program->most_arguments >= 0 && n > program->most_arguments) {
        cli_wrong_use(program, "'%s' is one argument too many: usage is '%s %s'",
                      argument[program->most_arguments], program->name, program->usage);
    }
}

/* A standard stream that the shell closed leaves its number to the next file that is opened, which
 * would then be printed into. /dev/null opened the wrong way round takes the number instead, so
 * that printing still fails. */
static void hold_standard_streams(void) {
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0) (void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    }
}

int cli_parse(const cli_program *program, int argc, char **argv) {
    struct option longs[CLI_MOST_OPTIONS + 3]; /* with help, version and an end */
    fill_long_options(program, longs);
    hold_standard_streams();
    signal(SIGXFSZ, SIG_IGN); /* a file beyond the user's limit is a failed write, no crash */
    opterr = 0;
    int code, index = 0;
    while ((code = getopt_long(argc, argv, ":h", longs, &index)) != -1) {
        if (code == 'h') code = HELP;
        const char *typed = typed_option(argv, code == '?' && optopt < HELP ? optopt : 0);
        if (code == '?' && optopt >= HELP) {
            cli_wrong_use(program, "'%.*s' takes no value", (int)strcspn(typed, "="), typed);
        }
        if (code == '?') unknown_option(program, typed);
        if (code >= HELP && optarg && optarg == typed) typed = argv[optind - 2];
        /* getopt takes any unique beginning of a name; a script that relies on one breaks when the
         * next option is added. */
        int number = code == ':' ? optopt : code;
        const char *name = number == HELP      ? "help"
                           : number == VERSION ? "version"
                                               : program->options->row[number - FIRST_OPTION].name;
        size_t length = strcspn(typed, "=");
        bool whole = strlen(name) + 2 == length && strncmp(typed + 2, name, length - 2) == 0;
        if (!whole && strcmp(typed, "-h") != 0) unknown_option(program, typed);
        if (code == ':') {
            cli_wrong_use(program, "--%s needs a value: --%s %s", name, name,
                          program->options->row[number - FIRST_OPTION].metavar);
        }
        if (code == HELP) help_print(program);
        if (code == VERSION) printf("%s (primer) %s\n", program->name, PRIMER_VERSION);
        if (code == HELP || code == VERSION) exit(finish(program));
        set_option(program, &program->options->row[code - FIRST_OPTION], optarg ? optarg : "");
    }
    check_arguments(program, argc - optind, argv + optind);
    return optind;
}
