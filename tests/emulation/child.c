/* Trials that may end the process. */
#include "tests/emulation/emulation.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t read_all(int file, char *text, size_t size) {
    size_t n = 0;
    char rest[256];
    for (;;) {
        bool full = n + 1 >= size;
        ssize_t got = read(file, full ? rest : text + n, full ? sizeof rest : size - 1 - n);
        if (got <= 0) break;
        if (!full) n += (size_t)got;
    }
    return n;
}

int emulation_child(void (*body)(void *context), void *context, char *text, size_t size) {
    int ends[2];
    fflush(NULL);
    if (pipe(ends)) {
        perror("pipe");
        abort();
    }
    pid_t child = fork();
    if (!child) {
        const int ends_it[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
        for (size_t i = 0; i < sizeof ends_it / sizeof *ends_it; i++)
            signal(ends_it[i], SIG_DFL); /* a test framework would go on with its next test */
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        body(context);
        _exit(0);
    }
    close(ends[1]);
    size_t n = child > 0 ? read_all(ends[0], text, size) : 0;
    text[n] = '\0';
    close(ends[0]);
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("fork");
        abort();
    }
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
