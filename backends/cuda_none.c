/* The CUDA backend of a build without CUDA: it says so. */
#include "backends/cuda.h"

static pr_status tell(pr_error *err) {
    return pr_fail(err, PR_UNSUPPORTED,
                   "this build has no CUDA backend: it was made without the "
                   "CUDA toolkit, or with -DPR_CUDA=OFF");
}

bool pr_cuda_is_built(void) {
    return false;
}

int pr_cuda_count(pr_error *err) {
    tell(err);
    return 0;
}

pr_status pr_cuda_describe(int number, pr_cuda_device *device, pr_error *err) {
    (void)number;
    (void)device;
    return tell(err);
}

pr_backend *pr_cuda_new(int number, pr_error *err) {
    (void)number;
    tell(err);
    return NULL;
}

pr_cuda_memory pr_cuda_memory_of(const pr_backend *backend) {
    (void)backend;
    return (pr_cuda_memory){0};
}
