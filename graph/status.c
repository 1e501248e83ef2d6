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
