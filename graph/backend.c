#include "graph/backend.h"

void pr_backend_free(pr_backend *backend) {
    if (backend) backend->release(backend);
}
