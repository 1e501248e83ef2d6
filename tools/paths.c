#include "tools/paths.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph/memory.h"
#include "models/file.h"

bool path_is_same(const char *a, const char *b) {
    struct stat x, y;
    if (stat(a, &x) != 0 || stat(b, &y) != 0) return false;
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The strings one after the other. */
static char *join(const char *a, const char *b, const char *c) {
    size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
    char *out = pr_alloc(size, 1);
    if (out) snprintf(out, size, "%s%s%s", a, b, c);
    return out;
}

bool path_is_of_model(const char *out, const char *model) {
    static const char *const files[] = {"config.json", "model.safetensors", "vocab.txt",
                                        "tokenizer.json", "tokenizer_config.json"};
    if (path_is_same(out, model)) return true;
    bool same = false;
    for (size_t i = 0; i < sizeof files / sizeof *files && !same; i++) {
        char *file = join(model, "/", files[i]);
        same = file && path_is_same(out, file);
        pr_free(file);
    }
    return same;
}

/* Where a path's ending begins, slashes at its end left out: the length of the rest. */
static size_t stem_length(const char *path, const char *ending) {
    size_t n = strlen(path), m = strlen(ending);
    while (n > 1 && path[n - 1] == '/')
        n--;
    bool ends = n > m && path[n - m - 1] != '/' && strncmp(path + n - m, ending, m) == 0;
    return ends ? n - m : n;
}

char *path_for_tuned(const char *model) {
    char real[PATH_MAX];
    const char *last = strrchr(model, '/');
    last = last ? last + 1 : model;
    /* Folders without a name of their own. */
    bool nameless = !*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0;
    if (nameless && realpath(model, real)) model = real;
    char *stem = pr_copy_bytes(model, stem_length(model, ".gguf"));
    char *out = stem ? join(stem, "-tuned", ".gguf") : NULL;
    pr_free(stem);
    return out;
}

char *path_with_ending(const char *path, const char *ending) {
    char *stem = pr_copy_bytes(path, stem_length(path, ".gguf"));
    char *out = stem ? join(stem, ending, "") : NULL;
    pr_free(stem);
    return out;
}

static bool holds_sample(const char *folder) {
    char *file = join(folder, "/", "train.tsv");
    bool there = file && access(file, R_OK) == 0;
    pr_free(file);
    return there;
}

char *path_of_sample(pr_error *err) {
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = 0;
    char *slash = strrchr(program, '/');
    if (slash) *slash = 0;
    char *folder = join(program, "/sample", "");
    if (folder && holds_sample(folder)) return folder;
    pr_free(folder);
    if (holds_sample(PRIMER_SAMPLE)) return pr_copy_text(PRIMER_SAMPLE);
    pr_fail(err, PR_IO, "the sample data is neither in %s/sample nor in %s: name your own data",
            program, PRIMER_SAMPLE);
    return NULL;
}

pr_status path_check_writable(const char *path, pr_error *err) {
    pr_file_writer *writer = pr_file_writer_open(path, err);
    if (!writer) return PR_IO;
    pr_file_abandon(writer);
    return PR_OK;
}
