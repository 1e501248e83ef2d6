#include "models/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph/memory.h"

static pr_status map_descriptor(int fd, const char *path, pr_file *file, pr_error *err) {
    struct stat info;
    if (fstat(fd, &info) != 0) return pr_fail(err, PR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return pr_fail(err, PR_IO, "%s: is %s, not a regular file", path,
                       S_ISDIR(info.st_mode) ? "a directory" : "a device or pipe");
    if (info.st_size <= 0) return pr_fail(err, PR_IO, "%s: the file is empty", path);
    if ((uintmax_t)info.st_size > SIZE_MAX)
        return pr_fail(err, PR_IO, "%s: too large for this machine's addresses", path);
    size_t size = (size_t)info.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return pr_fail(err, PR_IO, "%s: can't map %zu bytes: %s", path, size, strerror(errno));
    file->bytes = bytes;
    file->size = size;
    return PR_OK;
}

pr_status pr_file_map(const char *path, pr_file *file, pr_error *err) {
    *file = (pr_file){0};
    /* O_NONBLOCK: opening a pipe that nobody writes must not wait; regular files ignore it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return pr_fail(err, PR_IO, "%s: %s", path, strerror(errno));
    pr_status status = map_descriptor(fd, path, file, err);
    close(fd);
    return status;
}

void pr_file_unmap(pr_file *file) {
    if (file->bytes) munmap((void *)(uintptr_t)file->bytes, file->size);
    *file = (pr_file){0};
}

void pr_file_release(const void *bytes, size_t size) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)bytes + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)bytes + size) / page * page;
    if (first < end) /* advice only: when it fails, memory stays as it is */
        (void)madvise((void *)first, end - first, MADV_DONTNEED);
}

enum { BUFFER = 1 << 16 };

struct pr_file_writer {
    int fd;
    char *name;      /* the target as it was given, for messages */
    char *path;      /* symbolic links resolved */
    char *temporary; /* beside it */
    uint64_t position;
    size_t held; /* bytes in buffer, not yet written */
    pr_error fault;
    unsigned char buffer[BUFFER];
};

/* The file that a link leads to, or a copy of the path where there is none yet. */
static char *resolve(const char *path) {
    char real[PATH_MAX];
    return pr_copy_text(realpath(path, real) ? real : path);
}

/* Creates path.part-PID-N for the first N that is free. O_EXCL and mode 0666 rather than mkstemp,
 * whose 0600 would need the umask, which can't be read without changing it. */
static int create_beside(pr_file_writer *writer) {
    size_t room = strlen(writer->path) + 48;
    writer->temporary = pr_alloc(room, 1);
    if (!writer->temporary) {
        errno = ENOMEM;
        return -1;
    }
    int fd = -1;
    for (int n = 0; n < 1000; n++) {
        snprintf(writer->temporary, room, "%s.part-%ld-%d", writer->path, (long)getpid(), n);
        fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) break;
    }
    return fd;
}

static void free_writer(pr_file_writer *writer) {
    pr_free(writer->name);
    pr_free(writer->path);
    pr_free(writer->temporary);
    pr_free(writer);
}

pr_file_writer *pr_file_writer_open(const char *path, pr_error *err) {
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        pr_fail(err, PR_IO, "%s: is %s, can't be replaced by a file", path,
                S_ISDIR(info.st_mode) ? "a directory" : "a device or pipe");
        return NULL;
    }
    pr_file_writer *writer = pr_alloc(1, sizeof *writer);
    if (writer) {
        writer->name = pr_copy_text(path);
        writer->path = resolve(path);
    }
    if (!writer || !writer->name || !writer->path) {
        if (writer) free_writer(writer);
        pr_fail_memory(err, path, sizeof *writer);
        return NULL;
    }
    writer->fd = create_beside(writer);
    if (writer->fd < 0) {
        pr_fail(err, errno == ENOMEM ? PR_NO_MEMORY : PR_IO, "%s: can't be created: %s", path,
                strerror(errno));
        free_writer(writer);
        return NULL;
    }
    return writer;
}

static pr_status fault(pr_file_writer *writer, const char *doing, int code) {
    return pr_fail(&writer->fault, PR_IO, "%s: %s: %s", writer->name, doing, strerror(code));
}

static pr_status write_all(pr_file_writer *writer, const unsigned char *bytes, size_t size) {
    while (size > 0 && writer->fault.code == PR_OK) {
        ssize_t n = write(writer->fd, bytes, size);
        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        } else if (n == 0) {
            fault(writer, "can't be written", ENOSPC);
        } else if (errno != EINTR) {
            fault(writer, "can't be written", errno);
        }
    }
    return writer->fault.code;
}

static pr_status flush(pr_file_writer *writer) {
    size_t held = writer->held;
    writer->held = 0;
    return write_all(writer, writer->buffer, held);
}

pr_status pr_file_write(pr_file_writer *writer, const void *bytes, size_t size) {
    writer->position += size;
    if (size > sizeof writer->buffer - writer->held) flush(writer);
    if (size >= sizeof writer->buffer) return write_all(writer, bytes, size);
    if (size > 0) memcpy(writer->buffer + writer->held, bytes, size);
    writer->held += size;
    return writer->fault.code;
}

pr_status pr_file_write_zeros(pr_file_writer *writer, size_t size) {
    static const unsigned char zeros[256];
    for (; size > sizeof zeros; size -= sizeof zeros)
        pr_file_write(writer, zeros, sizeof zeros);
    return pr_file_write(writer, zeros, size);
}

pr_status pr_file_write_text(pr_file_writer *writer, const char *text) {
    return pr_file_write(writer, text, strlen(text));
}

uint64_t pr_file_position(const pr_file_writer *writer) {
    return writer->position;
}

pr_status pr_file_settle(pr_file_writer *writer, pr_error *err) {
    flush(writer);
    if (writer->fault.code == PR_OK && fsync(writer->fd) != 0)
        fault(writer, "can't be brought to disk", errno);
    pr_status status = writer->fault.code;
    return status == PR_OK ? PR_OK : pr_fail(err, status, "%s", writer->fault.message);
}

pr_status pr_file_commit(pr_file_writer *writer, pr_error *err) {
    /* Data before name: after a power cut there is the old file or the whole new one. */
    pr_file_settle(writer, NULL);
    if (close(writer->fd) != 0) fault(writer, "can't be closed", errno);
    writer->fd = -1;
    if (writer->fault.code == PR_OK && rename(writer->temporary, writer->path) != 0)
        fault(writer, "can't be renamed to its place", errno);
    pr_status status = writer->fault.code;
    if (status != PR_OK) {
        pr_fail(err, status, "%s", writer->fault.message);
        unlink(writer->temporary);
    }
    free_writer(writer);
    return status;
}

void pr_file_abandon(pr_file_writer *writer) {
    if (!writer) return;
    close(writer->fd);
    unlink(writer->temporary);
    free_writer(writer);
}
