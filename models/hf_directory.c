/* A directory of several files, written as one. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph/memory.h"
#include "models/file.h"
#include "models/hf.h"

static bool is_output(const pr_hf_output *outputs, const char *name) {
    for (; outputs->name; outputs++) {
        if (strcmp(name, outputs->name) == 0) return true;
    }
    return false;
}

/* Makes the directory, or takes one that holds nothing but an earlier export: another model's
 * tokenizer.json, say, would be read along with these files. */
static pr_status enter_directory(const char *directory, const pr_hf_output *outputs, bool *made,
                                 pr_error *err) {
    *made = mkdir(directory, 0777) == 0;
    if (*made) return PR_OK;
    DIR *dir = errno == EEXIST ? opendir(directory) : NULL;
    if (!dir && errno == ENOTDIR)
        return pr_fail(err, PR_IO, "%s: is there and no directory", directory);
    if (!dir)
        return pr_fail(err, PR_IO, "%s: can't be made a directory: %s", directory, strerror(errno));
    pr_status status = PR_OK;
    for (const struct dirent *e; status == PR_OK && (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            !is_output(outputs, e->d_name))
            status = pr_fail(err, PR_IO,
                             "%s: holds '%s', which is no part of an exported model; choose an "
                             "empty or a new directory",
                             directory, e->d_name);
    }
    closedir(dir);
    return status;
}

char *pr_hf_path(const char *directory, const char *name, pr_error *err) {
    size_t room = strlen(directory) + strlen(name) + 2;
    char *path = pr_alloc(room, 1);
    if (path)
        snprintf(path, room, "%s/%s", directory, name);
    else
        pr_fail_memory(err, directory, room);
    return path;
}

pr_status pr_hf_write_text(const char *path, const char *text, pr_error *err) {
    if (!text) return pr_fail_memory(err, path, 1);
    pr_file_writer *file = pr_file_writer_open(path, err);
    if (!file) return err ? err->code : PR_IO;
    pr_file_write_text(file, text);
    pr_file_write_text(file, "\n");
    return pr_file_commit(file, err);
}

pr_status pr_hf_write_directory(const char *directory, const pr_hf_output *outputs,
                                const void *context, pr_error *err) {
    bool made;
    pr_status status = enter_directory(directory, outputs, &made, err);
    for (const pr_hf_output *o = outputs; status == PR_OK && o->name; o++) {
        char *path = pr_hf_path(directory, o->name, err);
        status = path ? o->write(context, path, err) : PR_NO_MEMORY;
        pr_free(path);
    }
    if (!made || status == PR_OK) return status;
    for (const pr_hf_output *o = outputs; o->name; o++) {
        char *path = pr_hf_path(directory, o->name, NULL);
        if (path) unlink(path);
        pr_free(path);
    }
    rmdir(directory);
    return status;
}
