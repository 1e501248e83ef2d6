/* The CUDA backend of a build without CUDA: it says so. */
#include "backends/cuda.h"

#include "backends/cuda_speed.h"

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

pr_status pr_cuda_time(pr_backend *backend, pr_cuda_work work, void *context, double *seconds,
                       pr_error *err) {
    (void)backend;
    (void)work;
    (void)context;
    (void)seconds;
    return tell(err);
}

pr_status pr_cuda_copy(pr_backend *backend, void *to, const void *from, size_t bytes,
                       pr_error *err) {
    (void)backend;
    (void)to;
    (void)from;
    (void)bytes;
    return tell(err);
}

pr_status pr_cuda_product(pr_backend *backend, const pr_gemm *product, pr_precision precision,
                          const void *const factors[2], int offer, void *workspace, pr_error *err) {
    (void)backend;
    (void)product;
    (void)precision;
    (void)factors;
    (void)offer;
    (void)workspace;
    return tell(err);
}

pr_cuda_versions pr_cuda_versions_of(const pr_backend *backend) {
    (void)backend;
    return (pr_cuda_versions){0};
}
