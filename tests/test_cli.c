/* The command line that all programs share: values, help, and what wrong use is told. */
#include "tests/test.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/format.h"

typedef struct settings {
    int64_t epochs, seed;
    double lr, dropout;
    const char *out, *method, *text;
    bool quiet;
} settings;

static const char *const methods[] = {"full", "learner", NULL};

/* Runs a command line through cli_parse in a child; its stdout and stderr land in `output`. The
 * child prints the values it read. Returns the exit code. */
static int run(char *output, size_t size, char **argv) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        close(ends[0]);
        settings s = {.epochs = 5, .lr = 2e-5, .method = "full"};
        cli_options table = {.n = 0};
        cli_group(&table, "Training");
        cli_int(&table, "epochs", "N", "passes over the data", &s.epochs, 1, 1000);
        cli_also(&table, "num_train_epochs");
        cli_real(&table, "lr", "RATE", "peak learning rate", &s.lr, 0, 1);
        cli_also(&table, "learning-rate");
        cli_int(&table, "seed", "N", "of all that is random", &s.seed, 0, INFINITY);
        cli_real(&table, "dropout", "P", "of the blocks", &s.dropout, 0, 1);
        cli_shown(&table, "the model's");
        cli_choice(&table, "method", "NAME", "what trains", &s.method, methods);
        cli_text(&table, "out", "FILE", "the tuned model", &s.out);
        cli_text(&table, "text", "COL", "column of the text", &s.text);
        cli_text(&table, "text-b", "COL", "column of the second text", &s.text);
        cli_flag(&table, "quiet", "print nothing", &s.quiet);
        cli_program program = {
            .name = "prog",
            .usage = "MODEL [options]",
            .description = "What it does.",
            .examples = "  prog m\n",
            .options = &table,
            .least_arguments = 1,
            .most_arguments = 2,
        };
        int argc = 0;
        while (argv[argc])
            argc++;
        int first = cli_parse(&program, argc, argv);
        printf("%lld %lld %g %g %s %s %d %s;", (long long)s.epochs, (long long)s.seed, s.lr,
               s.dropout, s.out, s.method, s.quiet, cli_given(&program, "epochs") ? "given" : "-");
        for (int i = first; i < argc; i++)
            printf(" %s", argv[i]);
        fflush(stdout);
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t got;
    while ((got = read(ends[0], output + used, size - 1 - used)) > 0)
        used += (size_t)got;
    output[used] = 0;
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define RUN(output, ...) run(output, sizeof(output), (char *[]){"prog", __VA_ARGS__, NULL})

/* Wrong use: code 2 and exactly this line. */
#define WRONG(line, ...)                                                                           \
    do {                                                                                           \
        char text_[4096];                                                                          \
        assert_int_equal(RUN(text_, __VA_ARGS__), 2);                                              \
        assert_string_equal(text_, line "\n");                                                     \
    } while (0)

static void values_are_read_in_any_order(void **state) {
    (void)state;
    char text[4096];
    assert_int_equal(RUN(text, "m"), 0);
    assert_string_equal(text, "5 0 2e-05 0 (null) full 0 -; m");
    assert_int_equal(RUN(text, "--lr", "1e-4", "m", "--epochs=7", "--quiet", "--seed", "9", "x",
                         "--method", "learner", "--out", "-o", "--dropout", ".5"),
                     0);
    assert_string_equal(text, "7 9 0.0001 0.5 -o learner 1 given; m x");
    assert_int_equal(RUN(text, "--", "--lr", "m"), 0);
    assert_string_equal(text, "5 0 2e-05 0 (null) full 0 -; --lr m");
}

static void unknown_words_name_the_nearest(void **state) {
    (void)state;
    WRONG("prog: unknown option '--epoch': did you mean '--epochs'?", "m", "--epoch", "3");
    WRONG("prog: unknown option '--epoch': did you mean '--epochs'?", "m", "--epoch=3");
    WRONG("prog: unknown option '--epohcs': did you mean '--epochs'?", "m", "--epohcs=3");
    WRONG("prog: unknown option '--num-train-epochs': did you mean '--epochs'?", "m",
          "--num-train-epochs", "3");
    WRONG("prog: unknown option '--learning_rate': did you mean '--lr'?", "m", "--learning_rate=1");
    WRONG("prog: unknown option '--output': did you mean '--out'?", "m", "--output", "x");
    WRONG("prog: unknown option '--text_b': did you mean '--text-b'?", "m", "--text_b", "x");
    WRONG("prog: unknown option '--hlep': did you mean '--help'?", "m", "--hlep");
    WRONG("prog: unknown option '-epochs': did you mean '--epochs'?", "m", "-epochs", "3");
    WRONG("prog: unknown option '-z': see 'prog --help'", "m", "-z");
    WRONG("prog: unknown option '--bananas': see 'prog --help'", "m", "--bananas");
    WRONG("prog: unknown --method 'lerner': did you mean 'learner'? (one of full, learner)", "m",
          "--method", "lerner");
    WRONG("prog: unknown --method 'x': it is one of full, learner", "m", "--method", "x");
}

static void values_are_strict(void **state) {
    (void)state;
    WRONG("prog: --epochs takes a whole number from 1 to 1000, found '0'", "m", "--epochs", "0");
    WRONG("prog: --epochs takes a whole number from 1 to 1000, found '5x'", "m", "--epochs", "5x");
    WRONG("prog: --epochs takes a whole number from 1 to 1000, found ' 5'", "m", "--epochs", " 5");
    WRONG("prog: --epochs takes a whole number from 1 to 1000, found '1.5'", "m", "--epochs",
          "1.5");
    WRONG("prog: --epochs takes a whole number from 1 to 1000, found ''", "m", "--epochs=");
    WRONG("prog: --seed takes a whole number of 0 or more, found '99999999999999999999'", "m",
          "--seed", "99999999999999999999");
    WRONG("prog: --lr takes a number from 0 to 1, found 'nan'", "m", "--lr", "nan");
    WRONG("prog: --lr takes a number from 0 to 1, found '0x1'", "m", "--lr", "0x1");
    WRONG("prog: --lr takes a number from 0 to 1, found '-1'", "m", "--lr", "-1");
    WRONG("prog: --lr takes a number from 0 to 1, found '1e999'", "m", "--lr", "1e999");
    WRONG("prog: --out needs a value, found an empty one", "m", "--out", "");
    WRONG("prog: --out needs a value: --out FILE", "m", "--out");
    WRONG("prog: '--quiet' takes no value", "m", "--quiet=yes");
    WRONG("prog: too few arguments: usage is 'prog MODEL [options]'", "--quiet");
    WRONG("prog: 'c' is one argument too many: usage is 'prog MODEL [options]'", "a", "b", "c");
    WRONG("prog: unknown option '--a?b': see 'prog --help'", "m", "--a\nb");
}

static void help_shows_groups_and_defaults(void **state) {
    (void)state;
    char text[4096], again[4096];
    assert_int_equal(RUN(text, "--help"), 0);
    assert_non_null(strstr(text, "usage: prog MODEL [options]\n"));
    assert_non_null(strstr(text, "\nTraining:\n"));
    assert_non_null(strstr(text, "--epochs N     passes over the data (5)\n"));
    assert_non_null(strstr(text, "peak learning rate (2e-05)\n"));
    assert_non_null(strstr(text, "of the blocks (the model's)\n"));
    assert_non_null(strstr(text, "what trains: full, learner (full)\n"));
    assert_non_null(strstr(text, "\nExamples:\n  prog m\n"));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(strlen(line) <= 80);
    }
    assert_int_equal(RUN(text, "--help"), 0);
    assert_int_equal(RUN(again, "m", "-h"), 0);
    assert_string_equal(text, again);
    assert_int_equal(RUN(text, "--version"), 0);
    assert_memory_equal(text, "prog (primer) ", strlen("prog (primer) "));
}

static void numbers_read_well(void **state) {
    (void)state;
    char out[FORMAT_SIZE];
    assert_string_equal(format_count(out, 0), "0");
    assert_string_equal(format_count(out, 999), "999");
    assert_string_equal(format_count(out, 66955010), "66,955,010");
    assert_string_equal(format_count(out, UINT64_MAX), "18,446,744,073,709,551,615");
    assert_string_equal(format_bytes(out, 999), "999 B");
    assert_string_equal(format_bytes(out, 1000), "1.00 kB");
    assert_string_equal(format_bytes(out, 999600), "1.00 MB");
    assert_string_equal(format_bytes(out, 51234567), "51.2 MB");
    assert_string_equal(format_bytes(out, 999499999), "999 MB");
    assert_string_equal(format_seconds(out, 0.418), "0.42 s");
    assert_string_equal(format_seconds(out, 41.26), "41.3 s");
    assert_string_equal(format_seconds(out, 125), "2 min 05 s");
    assert_string_equal(format_seconds(out, 12001), "3 h 20 min");
    assert_string_equal(format_clock(out, 41.6), "0:42");
    assert_string_equal(format_clock(out, 3723), "1:02:03");
    assert_string_equal(format_flops(out, 1.234e9), "1.23 GFLOP");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_in_any_order),
        cmocka_unit_test(unknown_words_name_the_nearest),
        cmocka_unit_test(values_are_strict),
        cmocka_unit_test(help_shows_groups_and_defaults),
        cmocka_unit_test(numbers_read_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
