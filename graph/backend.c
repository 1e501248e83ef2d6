#include "graph/backend.h"

pr_status pr_backend_record(pr_backend *backend, pr_status (*work)(void *context, pr_error *err),
                            void *context, void **recording, pr_error *err) {
    *recording = NULL;
    pr_status status = backend->record(backend, err);
    if (status != PR_OK) return status;
    status = work(context, err);
    *recording = backend->recorded(backend, status == PR_OK ? err : NULL);
    if (status == PR_OK) return *recording ? PR_OK : err && err->code ? err->code : PR_DEVICE;
    if (*recording) backend->forget(backend, *recording);
    *recording = NULL;
    return status;
}

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
