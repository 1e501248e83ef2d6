#include "graph/backend.h"

pr_status pr_backend_no_memory(pr_backend *backend, const char *what, size_t bytes,
                               const char *remedy, pr_error *err) {
    pr_status status = backend->sync(backend, err);
    if (status != PR_OK) return status;
    if (!backend->available) return pr_fail_memory(err, what, bytes);
    return pr_fail(err, PR_NO_MEMORY,
                   "out of memory: %s needs %zu bytes, and '%s' has %zu left%s%s", what, bytes,
                   backend->name, backend->available(backend), remedy ? ": " : "",
                   remedy ? remedy : "");
}

void pr_backend_free(pr_backend *backend) {
    if (backend) backend->release(backend);
}
