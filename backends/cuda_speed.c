#include "backends/cuda_speed.h"

#include <float.h>
#include <math.h>

#include "backends/cuda_internal.h"

/* ---- the clock ---- */

enum { RUNS = 3, MOST_REPEATS = 20 };
static const double LEAST_SECONDS = 2e-3; /* of a run: its beginning and end then hardly count */

typedef struct stopwatch {
    cudaEvent_t begin, end;
} stopwatch;

typedef struct repeated {
    pr_cuda_work work;
    void *context;
    int times;
} repeated;

static pr_status repeat(void *context, pr_error *err) {
    const repeated *r = context;
    pr_status status = PR_OK;
    for (int i = 0; i < r->times && status == PR_OK; i++)
        status = r->work(r->context, err);
    return status;
}

static pr_status time_run(pr_backend *backend, void *recording, stopwatch c, double *seconds,
                          pr_error *err) {
    static const char what[] = "work that is timed";
    cudaStream_t stream = pr_cuda_of(backend)->stream;
    float milliseconds = 0;
    pr_status status = pr_cuda_status(cudaEventRecord(c.begin, stream), what, err);
    if (status == PR_OK) status = backend->replay(backend, recording, err);
    if (status != PR_OK) return status;
    cudaError_t e = cudaEventRecord(c.end, stream);
    if (e == cudaSuccess) e = cudaEventSynchronize(c.end);
    if (e == cudaSuccess) e = cudaEventElapsedTime(&milliseconds, c.begin, c.end);
    *seconds = 1e-3 * (double)milliseconds;
    return pr_cuda_status(e, what, err);
}

/* Of one piece of work, which is recorded `repeats` times: the fastest of some runs. */
static pr_status time_repeats(pr_backend *backend, pr_cuda_work work, void *context, int repeats,
                              int runs, stopwatch c, double *seconds, pr_error *err) {
    void *recording;
    repeated all_of_it = {work, context, repeats};
    pr_status status = pr_backend_record(backend, repeat, &all_of_it, &recording, err);
    *seconds = DBL_MAX;
    for (int i = 0; i < runs && status == PR_OK; i++) {
        double all = 0;
        status = time_run(backend, recording, c, &all, err);
        *seconds = fmin(*seconds, all / repeats);
    }
    if (recording) backend->forget(backend, recording);
    return status;
}

/* Once outside of a recording, where kernels can't be loaded nor algorithms be chosen; then a run
 * that tells how often one should repeat the work. */
static pr_status time_work(pr_backend *backend, pr_cuda_work work, void *context, stopwatch c,
                           double *seconds, pr_error *err) {
    pr_status status = work(context, err);
    if (status != PR_OK) return status;
    status = time_repeats(backend, work, context, 1, 1, c, seconds, err);
    double repeats = fmin(ceil(LEAST_SECONDS / fmax(*seconds, 1e-9)), MOST_REPEATS);
    if (status != PR_OK) return status;
    status = time_repeats(backend, work, context, (int)repeats, RUNS, c, seconds, err);
    return status == PR_OK ? backend->sync(backend, err) : status;
}

pr_status pr_cuda_time(pr_backend *backend, pr_cuda_work work, void *context, double *seconds,
                       pr_error *err) {
    stopwatch c = {NULL, NULL};
    cudaError_t e = cudaEventCreate(&c.begin);
    if (e == cudaSuccess) e = cudaEventCreate(&c.end);
    pr_status status = pr_cuda_status(e, "the GPU's clock", err);
    if (status == PR_OK) status = time_work(backend, work, context, c, seconds, err);
    if (c.begin) cudaEventDestroy(c.begin);
    if (c.end) cudaEventDestroy(c.end);
    return status;
}

/* ---- work ---- */

pr_status pr_cuda_copy(pr_backend *backend, void *to, const void *from, size_t bytes,
                       pr_error *err) {
    pr_cuda *cuda = pr_cuda_of(backend);
    cuda->busy = true;
    cudaError_t e = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda->stream);
    return pr_cuda_status(e, "a copy on the GPU", err);
}

pr_status pr_cuda_product(pr_backend *backend, const pr_gemm *product, pr_precision precision,
                          const void *const factors[2], int offer, void *workspace, pr_error *err) {
    static const pr_cublas_kind kind[] = {[PR_PRECISION_F32] = PR_CUBLAS_F32,
                                          [PR_PRECISION_TF32] = PR_CUBLAS_TF32,
                                          [PR_PRECISION_BF16] = PR_CUBLAS_BF16};
    const pr_cublas_wish wish = {PR_CUDA_PRODUCT_WORKSPACE, .any_sum = true, .offer = offer};
    pr_cuda *cuda = pr_cuda_of(backend);
    pr_gemm alone = *product;
    if (alone.bias && !pr_cublas_takes_bias(&alone)) {
        alone.bias = NULL;
        alone.onto = alone.c;
    }
    cuda->busy = true;
    if (offer == PR_CUDA_AS_IN_STEPS) {
        return pr_cublas_run(&cuda->blas, cuda->stream, &alone, kind[precision], factors, workspace,
                             err);
    }
    return pr_cublas_run_offer(&cuda->blas, cuda->stream, &alone, kind[precision], factors,
                               workspace, &wish, err);
}

pr_cuda_versions pr_cuda_versions_of(const pr_backend *backend) {
    pr_cuda_versions v = {.cublas = pr_cuda_of(backend)->blas.version()};
    cudaDriverGetVersion(&v.driver);
    cudaRuntimeGetVersion(&v.runtime);
    return v;
}
