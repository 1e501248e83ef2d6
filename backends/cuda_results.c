/* What comes back from the device, and waiting for it. */
#include <string.h>

#include "backends/cuda_internal.h"

pr_status pr_results_open(pr_results *r, pr_error *err) {
    void *bytes = NULL;
    cudaError_t e = cudaMallocHost(&bytes, PR_RESULT_BYTES);
    r->bytes = (char *)bytes;
    return pr_cuda_status(e, "page-locked memory", err);
}

void pr_results_close(pr_results *r) {
    if (r->bytes) cudaFreeHost(r->bytes);
}

/* Puts what has arrived where it belongs; after a failure nothing has. */
static void hand_out(pr_results *r, bool arrived) {
    for (int i = 0; i < r->n && arrived; i++)
        memcpy(r->waiting[i].host, r->bytes + r->waiting[i].from, r->waiting[i].bytes);
    r->used = 0;
    r->n = 0;
}

cudaError_t pr_cuda_wait(pr_cuda *cuda) {
    cudaError_t e = cudaMemcpyAsync(cuda->seen_fault, cuda->fault, sizeof *cuda->fault,
                                    cudaMemcpyDeviceToHost, cuda->stream);
    if (e == cudaSuccess) e = cudaStreamSynchronize(cuda->stream);
    cuda->busy = e != cudaSuccess;
    hand_out(&cuda->results, e == cudaSuccess);
    return e;
}

/* Begins a copy by way of the page-locked memory, which has room for it. */
static cudaError_t copy_later(pr_cuda *cuda, void *host, const void *from, size_t bytes) {
    enum { LINE = 64 };
    pr_results *r = &cuda->results;
    cudaError_t e =
        cudaMemcpyAsync(r->bytes + r->used, from, bytes, cudaMemcpyDeviceToHost, cuda->stream);
    if (e != cudaSuccess) return e;
    r->waiting[r->n].host = host;
    r->waiting[r->n].from = r->used;
    r->waiting[r->n++].bytes = bytes;
    r->used += (bytes + LINE - 1) / LINE * LINE;
    cuda->busy = true;
    return cudaSuccess;
}

static pr_status download(pr_cuda *cuda, void *host, const void *from, size_t bytes, bool later) {
    const pr_results *r = &cuda->results;
    cudaError_t e = cudaSuccess;
    if (!bytes) return PR_OK;
    if (bytes > PR_RESULT_BYTES - r->used || r->n == PR_MOST_RESULTS) e = pr_cuda_wait(cuda);
    bool small = bytes <= PR_RESULT_BYTES;
    if (e == cudaSuccess && small) e = copy_later(cuda, host, from, bytes);
    if (e == cudaSuccess && !small) {
        e = cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, cuda->stream);
    }
    if (e == cudaSuccess && !(small && later)) e = pr_cuda_wait(cuda);
    return pr_cuda_status(e, "a copy from the GPU", NULL);
}

pr_status pr_cuda_download(pr_backend *backend, void *host, const void *from, size_t bytes) {
    return download(pr_cuda_of(backend), host, from, bytes, false);
}

pr_status pr_cuda_download_later(pr_backend *backend, void *host, const void *from, size_t bytes) {
    return download(pr_cuda_of(backend), host, from, bytes, true);
}

/* The next run finds its own faults, and may update again. */
static cudaError_t forget_fault(pr_cuda *cuda) {
    cuda->seen_fault->taken = cuda->seen_fault->held = 0;
    cuda->busy = true;
    return cudaMemsetAsync(cuda->fault, 0, sizeof *cuda->fault, cuda->stream);
}

pr_status pr_cuda_sync(pr_backend *backend, pr_error *err) {
    pr_cuda *cuda = pr_cuda_of(backend);
    cudaError_t e = cuda->busy ? pr_cuda_wait(cuda) : cudaSuccess;
    const pr_fault f = *cuda->seen_fault;
    if (e == cudaSuccess && (f.taken || f.held)) e = forget_fault(cuda);
    if (e != cudaSuccess) {
        const char *what = backend->careful ? "the GPU" : "the GPU (PRIMER_SYNC=1 names the node)";
        return pr_cuda_status(e, what, err);
    }
    if (!f.taken) return PR_OK;
    return pr_fail(err, PR_BAD_ARGUMENT, f.format, f.name, f.number[0], f.number[1], f.number[2]);
}
