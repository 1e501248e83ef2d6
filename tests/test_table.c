/* TSV, CSV and JSONL: what is accepted, and the one line that each bad file gets. */
#include "tests/test.h"

#include "tests/alloc_fault.h"
#include "train/table.h"

static const char *path_of(pr_table_format format) {
    static const char *const paths[] = {"test_table.tsv", "test_table.csv", "test_table.jsonl"};
    return paths[format];
}

/* Writes n bytes to a file of the format's ending and reads it. */
static pr_table *read_bytes(const char *bytes, size_t n, pr_table_options options, pr_error *err) {
    const char *path = path_of(options.format);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
    pr_table *table = pr_table_read(path, &options, err);
    remove(path);
    return table;
}

static pr_table *read_text(const char *text, pr_table_options options) {
    pr_error err = {0};
    pr_table *table = read_bytes(text, strlen(text), options, &err);
    if (!table) fail_msg("%s: %s", text, err.message);
    return table;
}

static void expect_row(const pr_table *table, size_t row, const char *a, const char *b,
                       const char *label) {
    const char *const want[PR_COLUMNS] = {a, b, label};
    assert_true(row < table->n);
    for (int c = 0; c < PR_COLUMNS; c++) {
        const char *cell = pr_table_cell(table, row, (pr_column)c);
        if (want[c]) {
            assert_non_null(cell);
            assert_string_equal(cell, want[c]);
        } else {
            assert_null(cell);
        }
    }
}

static void tsv_is_never_quoted(void **state) {
    (void)state;
    pr_table *table =
        read_text("\xEF\xBB\xBFid\ta\tb\tlabel\r\n"
                  "1\t\"open\tit 's \"\t0\r\n"
                  "2\t\t\"\t1\r\n"
                  "\r\n",
                  (pr_table_options){.format = PR_TSV, .column = {"a", "b", "label"}});
    assert_int_equal(table->n, 2);
    expect_row(table, 0, "\"open", "it 's \"", "0");
    expect_row(table, 1, "", "\"", "1");
    assert_int_equal(table->line[1], 3);
    pr_table_free(table);
}

static void columns_by_number_mean_no_header(void **state) {
    (void)state;
    pr_table *table = read_text("gj04\t1\t\tOne.\ngj04\t0\t*\tTwo.",
                                (pr_table_options){.format = PR_TSV, .column = {"4", NULL, "2"}});
    assert_int_equal(table->n, 2);
    expect_row(table, 0, "One.", NULL, "1");
    expect_row(table, 1, "Two.", NULL, "0");
    pr_table_free(table);
    table = read_text("text,label\na,0\n",
                      (pr_table_options){.format = PR_CSV, .column = {"text", NULL, "2"}});
    assert_int_equal(table->n, 1);
    expect_row(table, 0, "a", NULL, "0");
    pr_table_free(table);
}

static void csv_follows_rfc_4180(void **state) {
    (void)state;
    pr_table *table =
        read_text("\"label\",text,\"b \"\"c\"\"\"\r\n"
                  "x,\"one, \"\"two\"\"\nand three\",\r\n"
                  "\"y\",\"\",\"\"\"\"\r\n"
                  "z,5\" disk,last",
                  (pr_table_options){.format = PR_CSV, .column = {"text", "b \"c\"", "label"}});
    assert_int_equal(table->n, 3);
    expect_row(table, 0, "one, \"two\"\nand three", "", "x");
    expect_row(table, 1, "", "\"", "y");
    expect_row(table, 2, "5\" disk", "last", "z");
    assert_int_equal(table->line[0], 2);
    assert_int_equal(table->line[1], 4);
    assert_int_equal(table->line[2], 5);
    pr_table_free(table);
    table = read_text("a,\n\"b\",\"c\"",
                      (pr_table_options){.format = PR_CSV, .column = {"1", NULL, "2"}});
    expect_row(table, 0, "a", NULL, "");
    expect_row(table, 1, "b", NULL, "c");
    pr_table_free(table);
}

static void jsonl_values_are_text_numbers_and_booleans(void **state) {
    (void)state;
    pr_table *table = read_text("{\"t\": \"a\\nb \\u00e9\", \"l\": 1, \"more\": [null]}\r\n"
                                "{\"l\": true, \"t\": \"\"}\n"
                                "{\"l\": 2.6, \"t\": \"\xE4\xB8\xAD\"}\n\n",
                                (pr_table_options){.format = PR_JSONL, .column = {"t", NULL, "l"}});
    assert_int_equal(table->n, 3);
    expect_row(table, 0, "a\nb \xC3\xA9", NULL, "1");
    expect_row(table, 1, "", NULL, "true");
    expect_row(table, 2, "\xE4\xB8\xAD", NULL, "2.6");
    pr_table_free(table);
}

static void malformed_rows_are_counted_where_they_may_be_left_out(void **state) {
    (void)state;
    pr_table *table = read_text(
        "t\tl\na\t0\nbroken\nb\t1\n",
        (pr_table_options){.format = PR_TSV, .column = {"t", NULL, "l"}, .skip_malformed = true});
    assert_int_equal(table->n, 2);
    assert_int_equal(table->skipped, 1);
    expect_row(table, 1, "b", NULL, "1");
    pr_table_free(table);
}

static void empty_lines_are_malformed_rows(void **state) {
    (void)state;
    pr_table *table = read_text(
        "t\tl\r\n\r\na\t0\nbro\n\n\nken\t1\nb\t1\n\n\n",
        (pr_table_options){.format = PR_TSV, .column = {"t", NULL, "l"}, .skip_malformed = true});
    assert_int_equal(table->n, 3);
    assert_int_equal(table->skipped, 1 + 1 + 2);
    expect_row(table, 0, "a", NULL, "0");
    expect_row(table, 1, "ken", NULL, "1");
    expect_row(table, 2, "b", NULL, "1");
    assert_int_equal(table->line[0], 3);
    assert_int_equal(table->line[1], 7);
    assert_int_equal(table->line[2], 8);
    pr_table_free(table);
}

static const char *const header[] = {"t", "l", "x"};

/* Refuses all headers but those of three columns, and takes back a column that is not there. */
static pr_status look(void *context, char *const *field, size_t n, pr_table_options *options,
                      pr_error *err) {
    ++*(int *)context;
    if (n != 3) return pr_fail(err, PR_BAD_FILE, "%zu, not 3, from '%s' on", n, field[0]);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(field[i], header[i]);
    options->column[PR_INDEX] = NULL;
    return PR_OK;
}

static void the_first_row_is_looked_at_before_columns_are_sought(void **state) {
    (void)state;
    int calls = 0;
    pr_error err = {0};
    const pr_table_options options = {.format = PR_TSV,
                                      .column = {"t", NULL, "l", "index"},
                                      .first_row = look,
                                      .context = &calls};
    pr_table *table = read_text("t\tl\tx\na\t0\tz\n", options);
    expect_row(table, 0, "a", NULL, "0");
    assert_false(table->has[PR_INDEX]);
    pr_table_free(table);
    assert_null(read_bytes("t\tl\na\t0\n", 8, options, &err));
    assert_string_equal(err.message, "2, not 3, from 't' on");
    assert_int_equal(calls, 2);
}

static void formats_go_by_the_ending(void **state) {
    (void)state;
    assert_int_equal(pr_table_format_of("a.b/train.tsv"), PR_TSV);
    assert_int_equal(pr_table_format_of("/dev/stdin"), PR_TSV);
    assert_int_equal(pr_table_format_of("x.CSV"), PR_CSV);
    assert_int_equal(pr_table_format_of("x.jsonl"), PR_JSONL);
}

#define BYTES(text) text, sizeof(text) - 1

static void bad_files_get_one_clear_line(void **state) {
    (void)state;
    const struct {
        pr_table_format format;
        const char *text, *label;
        const char *bytes;
        size_t n;
        const char *says;
    } bad[] = {
        {PR_TSV, "t", "l", BYTES(""), "test_table.tsv: the file is empty"},
        {PR_TSV, "t", "l", BYTES("\xEF\xBB\xBF"), "the file is empty"},
        {PR_TSV, "1", "2", BYTES("\n\n"), "no rows"},
        {PR_TSV, "t", "l", BYTES("t\tl\n"), "no rows"},
        {PR_TSV, "t", "l", BYTES("t\tl\na\t1\n\nb\t0\n"), "test_table.tsv:3: an empty line"},
        {PR_TSV, "t", "l", BYTES("t\tl\r\na\t1\r\n\r\nb\t0\r\n"),
         "test_table.tsv:3: an empty line"},
        {PR_CSV, "t", "l", BYTES("t,l\n\na,1\n"), "test_table.csv:2: an empty line"},
        {PR_TSV, "t", "l", BYTES("t\tl\na\t1\nb\n"),
         "test_table.tsv:3: 1 column; expected 2 as in line 1"},
        {PR_TSV, "t", "l", BYTES("t\tl\na\t1\tx\n"), "test_table.tsv:2: 3 columns; expected 2"},
        {PR_TSV, "1", "3", BYTES("a\tb\n"), "test_table.tsv:1: no column 3; the row has 2"},
        {PR_TSV, "99999999999999999999999", "1", BYTES("a\tb\n"), "no column 99999"},
        {PR_TSV, "t", "label", BYTES("t\tl\na\t1\n"), "called 'label'"},
        {PR_TSV, "t", "l", BYTES("t\tl\tt\na\t1\tb\n"), "more than one of the header's 3 columns"},
        {PR_TSV, "", "l", BYTES("t\tl\n"), "'' is no column"},
        {PR_TSV, "t", "0", BYTES("t\tl\n"), "'0' is no column"},
        {PR_TSV, "t", "l", BYTES("t\tl\nab\xFF\t1\n"),
         "test_table.tsv:2: byte 3 of the line (0xFF) is no valid UTF-8"},
        {PR_TSV, "t", "l", BYTES("t\tl\na\xED\xA0\x80\t1\n"), "test_table.tsv:2: byte 2"},
        {PR_TSV, "t", "l", BYTES("t\tl\na\0b\t1\n"),
         "test_table.tsv:2: byte 2 of the line (0x00) is a NUL"},
        {PR_TSV, "t", "l", BYTES("t\tl\na\t1\xC3"), "test_table.tsv:2: byte 4"},
        {PR_CSV, "t", "l", BYTES("t,l\n\"a,1\nb,2\n"),
         "test_table.csv:2: a quoted field begins here"},
        {PR_CSV, "t", "l", BYTES("t,l\n\"a\"b,1\n"),
         "test_table.csv:2: text after a closing quote"},
        {PR_CSV, "t", "l", BYTES("t,l\n\"a\nb\",1\nc\n"), "test_table.csv:4: 1 column"},
        {PR_CSV, "1", "2", BYTES("a,\""), "test_table.csv:1: a quoted field begins here"},
        {PR_JSONL, "t", "l", BYTES("{\"t\":\"a\",\"l\":1}\n{\"t\":\"a\"}\n"),
         "test_table.jsonl:2: no key 'l'"},
        {PR_JSONL, "t", "l", BYTES("{\"t\":\"a\",\"l\":null}"),
         "test_table.jsonl:1: no fit value under 'l'"},
        {PR_JSONL, "t", "l", BYTES("{\"t\":[\"a\"],\"l\":1}"),
         "test_table.jsonl:1: no fit value under 't'"},
        {PR_JSONL, "t", "l", BYTES("{\"t\":\"a\",\"l\":1,\"l\":2}"), "test_table.jsonl:1: no JSON"},
        {PR_JSONL, "t", "l", BYTES("{\"t\":\"a\\u0000b\",\"l\":1}"), "test_table.jsonl:1: no JSON"},
        {PR_JSONL, "t", "l", BYTES("[1]\n"), "test_table.jsonl:1: an array"},
        {PR_JSONL, "t", "l", BYTES("{\"t\":\"a\",\"l\":1}\n\n{\"t\":\"a\",\"l\":1}\n"),
         "test_table.jsonl:2: an empty line"},
        {PR_JSONL, "t", "l", BYTES("{\"t\":\"a\",\"l\":1\n"), "test_table.jsonl:1: no JSON"},
        {PR_JSONL, "t", "l", BYTES("   \n"), "test_table.jsonl:1: no JSON"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pr_table_options options = {.format = bad[i].format,
                                    .column = {bad[i].text, NULL, bad[i].label}};
        pr_error err = {0};
        assert_null(read_bytes(bad[i].bytes, bad[i].n, options, &err));
        if (!strstr(err.message, bad[i].says)) {
            fail_msg("%s: expected '%s', found '%s'", bad[i].bytes, bad[i].says, err.message);
        }
        assert_null(strchr(err.message, '\n'));
    }
}

static void files_that_cannot_be_read_are_named(void **state) {
    (void)state;
    const char *const paths[] = {"no such folder/train.tsv", "."};
    for (size_t i = 0; i < 2; i++) {
        pr_table_options options = {.format = PR_TSV, .column = {"1", NULL, NULL}};
        pr_error err = {0};
        assert_null(pr_table_read(paths[i], &options, &err));
        assert_int_equal(err.code, PR_IO);
        assert_int_equal(strncmp(err.message, paths[i], strlen(paths[i])), 0);
    }
}

/* Every prefix of good files, and every byte of them replaced: a table or a message, never more. */
static void mutilated_files_do_no_harm(void **state) {
    (void)state;
    const char *const good[] = {"t\tl\r\na\t1\nb c\t0\n\n", "t,l\r\n\"a \"\"b\"\"\n\",1\nc,\"0\"\n",
                                "{\"t\":\"a\\\"\\u00e9\",\"l\":1}\n{\"t\":\"\",\"l\":-1.5e3}\n"};
    const char bytes[] = "\0\n\r\t\",\\{}[]\xFF\xC3\xA9z0";
    for (int format = PR_TSV; format <= PR_JSONL; format++) {
        pr_table_options options = {.format = (pr_table_format)format, .column = {"t", NULL, "l"}};
        char text[128];
        size_t n = strlen(good[format]);
        for (size_t cut = 0; cut < n; cut++) {
            pr_error err = {0};
            pr_table *table = read_bytes(good[format], cut, options, &err);
            assert_true(table || err.code);
            pr_table_free(table);
            for (size_t b = 0; b < sizeof bytes; b++) {
                memcpy(text, good[format], n);
                text[cut] = bytes[b];
                err = (pr_error){0};
                table = read_bytes(text, n, options, &err);
                assert_true(table || err.code);
                pr_table_free(table);
            }
        }
    }
}

static bool read_jsonl(void *context) {
    pr_table_options options = {.format = PR_JSONL, .column = {"t", NULL, "l"}};
    pr_error err = {0};
    pr_table_free(pr_table_read(context, &options, &err));
    assert_true(err.code == PR_OK || err.code == PR_NO_MEMORY);
    return err.code == PR_OK;
}

static void failing_allocations_come_back(void **state) {
    (void)state;
    char path[] = "test_table.fault.jsonl";
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs("{\"t\":\"a text of more than sixteen bytes\",\"l\":1}\n{\"t\":\"b\",\"l\":2.5}\n", file);
    fclose(file);
    alloc_fault_every(read_jsonl, path);
    remove(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tsv_is_never_quoted),
        cmocka_unit_test(columns_by_number_mean_no_header),
        cmocka_unit_test(csv_follows_rfc_4180),
        cmocka_unit_test(jsonl_values_are_text_numbers_and_booleans),
        cmocka_unit_test(malformed_rows_are_counted_where_they_may_be_left_out),
        cmocka_unit_test(empty_lines_are_malformed_rows),
        cmocka_unit_test(the_first_row_is_looked_at_before_columns_are_sought),
        cmocka_unit_test(formats_go_by_the_ending),
        cmocka_unit_test(bad_files_get_one_clear_line),
        cmocka_unit_test(files_that_cannot_be_read_are_named),
        cmocka_unit_test(mutilated_files_do_no_harm),
        cmocka_unit_test(failing_allocations_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
