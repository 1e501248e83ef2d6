/* Mapped files, and new files that appear whole or not at all. */
#include "tests/test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/file.h"
#include "tests/scratch.h"

static void write_file(const char *path, const char *text) {
    pr_error err = {0};
    pr_file_writer *writer = pr_file_writer_open(path, &err);
    assert_non_null(writer);
    pr_file_write_text(writer, text);
    assert_int_equal(pr_file_commit(writer, &err), PR_OK);
}

static void assert_holds(const char *path, const char *text) {
    pr_error err = {0};
    pr_file file;
    assert_int_equal(pr_file_map(path, &file, &err), PR_OK);
    assert_int_equal(file.size, strlen(text));
    assert_memory_equal(file.bytes, text, file.size);
    pr_file_unmap(&file);
    assert_null(file.bytes);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    enum { PART = 70001, PARTS = 7 }; /* across the buffer, at odd places */
    static unsigned char part[PART];
    for (int i = 0; i < PART; i++)
        part[i] = (unsigned char)(i * 31 >> 3);
    pr_error err = {0};
    pr_file_writer *writer = pr_file_writer_open(scratch_path("a"), &err);
    assert_non_null(writer);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(pr_file_write(writer, part, (size_t)(PART - i * 10000)), PR_OK);
        assert_int_equal(pr_file_write_zeros(writer, 1000), PR_OK);
    }
    uint64_t total = pr_file_position(writer);
    assert_int_equal(access(scratch_path("a"), F_OK), -1);
    assert_int_equal(pr_file_commit(writer, &err), PR_OK);

    pr_file file;
    assert_int_equal(pr_file_map(scratch_path("a"), &file, &err), PR_OK);
    assert_int_equal(file.size, total);
    pr_file_release(file.bytes, file.size);
    const unsigned char *at = file.bytes;
    for (int i = 0; i < PARTS; i++) {
        assert_memory_equal(at, part, (size_t)(PART - i * 10000));
        at += PART - i * 10000;
        for (int k = 0; k < 1000; k++)
            assert_int_equal(*at++, 0);
    }
    pr_file_unmap(&file);
    assert_int_equal(scratch_entries(), 1);
}

static void a_new_file_has_the_usual_mode(void **state) {
    (void)state;
    mode_t mask = umask(022);
    write_file(scratch_path("a"), "x");
    umask(mask);
    struct stat info;
    assert_int_equal(stat(scratch_path("a"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644);
}

static void the_old_file_stays_until_commit(void **state) {
    (void)state;
    pr_error err = {0};
    write_file(scratch_path("a"), "old");
    pr_file_writer *writer = pr_file_writer_open(scratch_path("a"), &err);
    pr_file_write_text(writer, "new");
    assert_holds(scratch_path("a"), "old");
    pr_file_abandon(writer);
    assert_holds(scratch_path("a"), "old");
    assert_int_equal(scratch_entries(), 1);
    pr_file_abandon(NULL);

    /* A mapping of the old file goes on reading it. */
    pr_file file;
    assert_int_equal(pr_file_map(scratch_path("a"), &file, &err), PR_OK);
    write_file(scratch_path("a"), "new");
    assert_memory_equal(file.bytes, "old", 3);
    pr_file_unmap(&file);
    assert_holds(scratch_path("a"), "new");
}

static void two_writers_do_not_meet(void **state) {
    (void)state;
    pr_error err = {0};
    pr_file_writer *first = pr_file_writer_open(scratch_path("a"), &err);
    pr_file_writer *second = pr_file_writer_open(scratch_path("a"), &err);
    pr_file_write_text(first, "first");
    pr_file_write_text(second, "second");
    assert_int_equal(pr_file_commit(second, &err), PR_OK);
    assert_holds(scratch_path("a"), "second");
    assert_int_equal(pr_file_commit(first, &err), PR_OK);
    assert_holds(scratch_path("a"), "first");
    assert_int_equal(scratch_entries(), 1);
}

static void a_link_is_followed(void **state) {
    (void)state;
    write_file(scratch_path("real"), "old");
    assert_int_equal(symlink("real", scratch_path("link")), 0);
    write_file(scratch_path("link"), "new");
    struct stat info;
    assert_int_equal(lstat(scratch_path("link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_holds(scratch_path("real"), "new");
}

static void a_full_disk_leaves_nothing(void **state) {
    (void)state;
    pr_error err = {0};
    write_file(scratch_path("a"), "old");
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = {100000, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    pr_file_writer *writer = pr_file_writer_open(scratch_path("a"), &err);
    assert_non_null(writer);
    assert_int_equal(pr_file_write_zeros(writer, 99000), PR_OK);
    assert_int_equal(pr_file_write_zeros(writer, 200000), PR_IO);
    assert_int_equal(pr_file_write_text(writer, "x"), PR_IO);
    assert_int_equal(pr_file_commit(writer, &err), PR_IO);

    /* The last, short part is noticed too. */
    pr_error last = {0};
    writer = pr_file_writer_open(scratch_path("a"), &last);
    assert_int_equal(pr_file_write_zeros(writer, 100001), PR_OK);
    assert_int_equal(pr_file_commit(writer, &last), PR_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);

    assert_non_null(strstr(err.message, "/a: can't be written: File too large"));
    assert_int_equal(last.code, PR_IO);
    assert_holds(scratch_path("a"), "old");
    assert_int_equal(scratch_entries(), 1);
}

static void assert_not_writable(const char *path, const char *message) {
    pr_error err = {0};
    assert_null(pr_file_writer_open(path, &err));
    assert_int_equal(err.code, PR_IO);
    if (!strstr(err.message, message)) fail_msg("'%s' does not say '%s'", err.message, message);
}

static void a_bad_target_is_named(void **state) {
    (void)state;
    assert_not_writable(scratch_folder(), "is a directory");
    assert_not_writable("/dev/full", "is a device or pipe");
    assert_not_writable(scratch_path("none/a"), "No such file or directory");
    assert_not_writable("/proc/primer", "can't be created");
}

static void assert_not_mapped(const char *path, const char *message) {
    pr_error err = {0};
    pr_file file;
    assert_int_equal(pr_file_map(path, &file, &err), PR_IO);
    assert_null(file.bytes);
    if (!strstr(err.message, message)) fail_msg("'%s' does not say '%s'", err.message, message);
}

static void a_bad_source_is_named(void **state) {
    (void)state;
    assert_not_mapped(scratch_path("none"), "none: No such file or directory");
    assert_not_mapped(scratch_folder(), "is a directory");
    assert_not_mapped("/dev/null", "is a device or pipe");
    write_file(scratch_path("empty"), "");
    assert_not_mapped(scratch_path("empty"), "empty: the file is empty");
    assert_int_equal(mkfifo(scratch_path("pipe"), 0600), 0);
    assert_not_mapped(scratch_path("pipe"), "is a device or pipe");
}

static void what_is_settled_has_no_name_yet(void **state) {
    (void)state;
    pr_error err = {0};
    write_file(scratch_path("a"), "old");
    pr_file_writer *writer = pr_file_writer_open(scratch_path("a"), &err);
    assert_non_null(writer);
    pr_file_write_text(writer, "new ");
    assert_int_equal(pr_file_settle(writer, &err), PR_OK);
    assert_holds(scratch_path("a"), "old");
    pr_file_write_text(writer, "text");
    assert_int_equal(pr_file_commit(writer, &err), PR_OK);
    assert_holds(scratch_path("a"), "new text");
    assert_int_equal(scratch_entries(), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_written_is_read, scratch_empty),
        cmocka_unit_test_teardown(what_is_settled_has_no_name_yet, scratch_empty),
        cmocka_unit_test_teardown(a_new_file_has_the_usual_mode, scratch_empty),
        cmocka_unit_test_teardown(the_old_file_stays_until_commit, scratch_empty),
        cmocka_unit_test_teardown(two_writers_do_not_meet, scratch_empty),
        cmocka_unit_test_teardown(a_link_is_followed, scratch_empty),
        cmocka_unit_test_teardown(a_full_disk_leaves_nothing, scratch_empty),
        cmocka_unit_test_teardown(a_bad_target_is_named, scratch_empty),
        cmocka_unit_test_teardown(a_bad_source_is_named, scratch_empty),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
