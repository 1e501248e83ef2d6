/* Status codes and messages. The library never prints and never ends the process: what can fail
 * returns a status and writes one line of plain English for a person into a pr_error. */
#ifndef PR_STATUS_H
#define PR_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pr_status {
    PR_OK = 0,
    PR_NO_MEMORY,    /* an allocation failed */
    PR_BAD_ARGUMENT, /* the caller asked for something that has no meaning */
    PR_BAD_GRAPH,    /* shapes or types that do not fit; found while building or planning */
    PR_BAD_FILE,     /* a file's content is not what it should be */
    PR_IO,           /* a file could not be opened, read, written or renamed */
    PR_NOT_FINITE,   /* a loss or gradient is NaN or infinite */
    PR_CANCELLED,    /* a callback asked to stop */
    PR_UNSUPPORTED,  /* no kernel for this backend, or a feature that is not built in */
    PR_DEVICE,       /* a GPU or its driver failed, or there is none */
    PR_INTERNAL      /* one of Primer's own invariants is broken: a bug in Primer */
} pr_status;

typedef struct pr_error {
    pr_status code;
    char message[480]; /* one line, no newline at its end; cut, never overflowing */
} pr_error;

/* Records a fault and returns its code, so that `return pr_fail(err, PR_BAD_FILE, "...")` reads
 * well. The first fault sticks: a pr_error that already holds one is left as it is. err may be
 * NULL. */
pr_status pr_fail(pr_error *err, pr_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As pr_fail(err, PR_NO_MEMORY, ...): what names the thing there was no room for, bytes its size.
 */
pr_status pr_fail_memory(pr_error *err, const char *what, unsigned long long bytes);

/* Passes on a fault that a file's content led to, with "PATH: " before its message. What was asked
 * for because the file says so (PR_BAD_ARGUMENT) is the file's fault: PR_BAD_FILE. */
pr_status pr_fail_in_file(pr_error *err, const char *path, const pr_error *fault);

#ifdef __cplusplus
}
#endif
#endif
