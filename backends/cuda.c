#include "backends/cuda.h"

#include <stdlib.h>
#include <string.h>

#include "backends/cuda_internal.h"
#include "graph/memory.h"

enum { ALIGNMENT = 256, TOKEN_STEP = 64 };

pr_status pr_cuda_status(cudaError_t e, const char *what, pr_error *err) {
    if (e == cudaSuccess) return PR_OK;
    (void)cudaGetLastError(); /* told here: the next call begins anew */
    return pr_fail(err, e == cudaErrorMemoryAllocation ? PR_NO_MEMORY : PR_DEVICE, "%s: CUDA: %s",
                   what, cudaGetErrorString(e));
}

pr_status pr_cuda_launched(const pr_call *call, cudaError_t e) {
    pr_cuda_of(call->backend)->busy = true;
    return pr_cuda_status(e, call->name, call->err);
}

/* ---- memory ---- */

static void *cuda_alloc(pr_backend *backend, size_t bytes) {
    pr_cuda *cuda = pr_cuda_of(backend);
    void *block = NULL;
    if (!bytes) bytes = 1;
    cuda->busy = true; /* the next sync finds out whether more than memory is missing */
    if (cudaMalloc(&block, bytes) != cudaSuccess) {
        (void)cudaGetLastError();
        return NULL;
    }
    if (cudaMemsetAsync(block, 0, bytes, cuda->stream) != cudaSuccess) {
        cudaFree(block);
        return NULL;
    }
    pr_cuda_memory *m = &cuda->memory;
    m->allocated += bytes;
    if (m->allocated > m->peak) m->peak = m->allocated;
    return block;
}

static void cuda_free(pr_backend *backend, void *block, size_t bytes) {
    pr_cuda *cuda = pr_cuda_of(backend);
    if (!block) return;
    cudaStreamSynchronize(cuda->stream); /* what still runs may use it */
    cudaFree(block);
    cuda->memory.allocated -= bytes ? bytes : 1;
}

/* A GPU's memory has no pages that come and go. */
static void cuda_discard(pr_backend *backend, void *block, size_t bytes) {
    (void)backend;
    (void)block;
    (void)bytes;
}

/* Nor can it be protected; the plan has checked that nothing writes there. */
static pr_status cuda_protect(pr_backend *backend, void *block, size_t bytes, bool read_only) {
    (void)backend;
    (void)block;
    (void)bytes;
    (void)read_only;
    return PR_OK;
}

static pr_status cuda_upload(pr_backend *backend, void *to, const void *host, size_t bytes) {
    pr_cuda *cuda = pr_cuda_of(backend);
    cuda->busy = true;
    return pr_staging_upload(&cuda->staging, cuda->stream, to, host, bytes);
}

static pr_status cuda_fill(pr_backend *backend, void *block, int byte, size_t bytes) {
    pr_cuda *cuda = pr_cuda_of(backend);
    if (!bytes) return PR_OK;
    cuda->busy = true;
    cudaError_t e = cudaMemsetAsync(block, byte, bytes, cuda->stream);
    return pr_cuda_status(e, "filling the GPU's memory", NULL);
}

/* ---- the backend ---- */

static void cuda_release(pr_backend *backend) {
    pr_cuda *cuda = pr_cuda_of(backend);
    if (cuda->stream) cudaStreamSynchronize(cuda->stream);
    pr_cublas_close(&cuda->blas);
    pr_staging_close(&cuda->staging);
    if (cuda->seen_fault) cudaFreeHost(cuda->seen_fault);
    pr_results_close(&cuda->results);
    if (cuda->fault) cudaFree(cuda->fault);
    if (backend->live) cudaFree(backend->live);
    if (cuda->stream) cudaStreamDestroy(cuda->stream);
    pr_free(cuda);
    pr_free(backend);
}

/* All that the backend has on the device. */
static pr_status open_parts(pr_backend *backend, pr_error *err) {
    pr_cuda *cuda = pr_cuda_of(backend);
    void *fault = NULL, *seen = NULL, *live = NULL;
    cudaError_t e = cudaSetDevice(cuda->number);
    if (e == cudaSuccess) e = cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking);
    if (e == cudaSuccess) e = cudaMalloc(&fault, sizeof(pr_fault));
    cuda->fault = (pr_fault *)fault;
    if (e == cudaSuccess) e = cudaMemsetAsync(fault, 0, sizeof(pr_fault), cuda->stream);
    if (e == cudaSuccess) e = cudaMallocHost(&seen, sizeof(pr_fault));
    cuda->seen_fault = (pr_fault *)seen;
    if (e == cudaSuccess) *cuda->seen_fault = (pr_fault){.taken = 0};
    if (e == cudaSuccess) e = cudaMalloc(&live, PR_LIVE * sizeof *backend->live);
    backend->live = (int32_t *)live;
    pr_status status = pr_cuda_status(e, "the GPU could not be opened", err);
    if (status == PR_OK) status = pr_staging_open(&cuda->staging, err);
    if (status == PR_OK) status = pr_results_open(&cuda->results, err);
    return status == PR_OK ? pr_cublas_open(&cuda->blas, err) : status;
}

static size_t cuda_available(pr_backend *backend) {
    (void)backend;
    size_t left = 0, all = 0;
    return cudaMemGetInfo(&left, &all) == cudaSuccess ? left : 0;
}

static bool is_set(const char *variable) {
    const char *value = getenv(variable);
    return value && *value && strcmp(value, "0") != 0;
}

static pr_backend *describe(pr_cuda *cuda) {
    pr_backend *backend = pr_alloc(1, sizeof *backend);
    if (!backend) return NULL;
    *backend = (pr_backend){
        .name = "cuda",
        .kind = PR_CUDA,
        .threads = 1,
        .alignment = ALIGNMENT,
        .fast_bf16 = true,
        .careful = is_set("PRIMER_SYNC"),
        .token_step = TOKEN_STEP,
        .context = cuda,
        .alloc = cuda_alloc,
        .free = cuda_free,
        .discard = cuda_discard,
        .protect = cuda_protect,
        .upload = cuda_upload,
        .download = pr_cuda_download,
        .download_later = pr_cuda_download_later,
        .fill = cuda_fill,
        .sync = pr_cuda_sync,
        .record = pr_cuda_record,
        .recorded = pr_cuda_recorded,
        .replay = pr_cuda_replay,
        .forget = pr_cuda_forget,
        .available = cuda_available,
        .release = cuda_release,
    };
    return backend;
}

pr_backend *pr_cuda_new(int number, pr_error *err) {
    pr_cuda_device device;
    if (pr_cuda_describe(number, &device, err) != PR_OK) return NULL;
    if (pr_cuda_check_age(number, &device, err) != PR_OK) return NULL;
    pr_cuda *cuda = pr_alloc(1, sizeof *cuda);
    pr_backend *backend = cuda ? describe(cuda) : NULL;
    if (!backend) {
        pr_free(cuda);
        pr_fail_memory(err, "the CUDA backend", sizeof *cuda);
        return NULL;
    }
    cuda->number = number;
    if (open_parts(backend, err) == PR_OK) return backend;
    cuda_release(backend);
    return NULL;
}

pr_cuda_memory pr_cuda_memory_of(const pr_backend *backend) {
    pr_cuda_memory m = pr_cuda_of(backend)->memory;
    size_t left = 0, all = 0;
    if (cudaMemGetInfo(&left, &all) != cudaSuccess) return m;
    size_t used = all - left;
    m.beside = used > m.allocated ? used - m.allocated : 0;
    return m;
}
