#include "graph/status.h"

#include <stdarg.h>
#include <stdio.h>

pr_status pr_fail(pr_error *err, pr_status code, const char *format, ...) {
    if (!err || err->code != PR_OK) return code;
    err->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return code;
}

pr_status pr_fail_memory(pr_error *err, const char *what, unsigned long long bytes) {
    return pr_fail(err, PR_NO_MEMORY, "out of memory: %s needs %llu bytes", what, bytes);
}

pr_status pr_fail_in_file(pr_error *err, const char *path, const pr_error *fault) {
    pr_status code = fault->code == PR_BAD_ARGUMENT ? PR_BAD_FILE : fault->code;
    return pr_fail(err, code, "%s: %s", path, fault->message);
}
