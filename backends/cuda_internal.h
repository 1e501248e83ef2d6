/* What the CUDA backend's files and the ops' kernels (.cu) share. */
#ifndef PR_CUDA_INTERNAL_H
#define PR_CUDA_INTERNAL_H

#include <cuda_runtime_api.h>

#include "backends/cublas.h"
#include "backends/cuda.h"
#include "graph/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The first fault that a kernel found in the values it was given, on the device. format and name
 * are the host's: the message is format with name and the three numbers. */
typedef struct pr_fault {
    int32_t taken;
    const char *format, *name;
    long long number[3];
    int32_t held; /* a step updated nothing, and so must those behind it until the host waits */
} pr_fault;

enum { PR_STAGING_HALVES = 2, PR_RESULT_BYTES = 1 << 16, PR_MOST_RESULTS = 64 };

/* Page-locked memory that what is copied to the device is put into first. */
typedef struct pr_staging {
    char *bytes;
    size_t used; /* of the half in use */
    int half;
    cudaEvent_t copied[PR_STAGING_HALVES]; /* all that was put into a half */
} pr_staging;

/* What is copied from the device: through page-locked memory, so that the host goes on at once, or
 * waits but once. */
typedef struct pr_results {
    char *bytes; /* page-locked, PR_RESULT_BYTES */
    size_t used;
    struct {
        void *host;
        size_t from, bytes;
    } waiting[PR_MOST_RESULTS]; /* to be put where they belong, after a wait */
    int n;
} pr_results;

typedef struct pr_cuda {
    int number;
    cudaStream_t stream;
    pr_staging staging;
    pr_fault *fault, *seen_fault; /* on the device; page-locked, as it was when last waited for */
    pr_results results;
    bool busy; /* something was begun since the last wait */
    pr_cublas blas;
    pr_cuda_memory memory;
} pr_cuda;

static inline pr_cuda *pr_cuda_of(const pr_backend *backend) {
    return (pr_cuda *)backend->context;
}

/* PR_OK, or PR_DEVICE with what CUDA says; what: what was being done. */
pr_status pr_cuda_status(cudaError_t e, const char *what, pr_error *err);

/* What a kernel's launch came to, as a kernel returns it. */
pr_status pr_cuda_launched(const pr_call *call, cudaError_t e);

/* ---- parts of the backend ---- */

/* PR_DEVICE where the GPU is too old for the kernels. */
pr_status pr_cuda_check_age(int number, const pr_cuda_device *device, pr_error *err);

pr_status pr_staging_open(pr_staging *s, pr_error *err);
void pr_staging_close(pr_staging *s);
/* Copies to the device in the stream's order; the host's bytes may change once it returns. */
pr_status pr_staging_upload(pr_staging *s, cudaStream_t stream, void *to, const void *host,
                            size_t bytes);

pr_status pr_results_open(pr_results *r, pr_error *err);
void pr_results_close(pr_results *r);
/* Waits for all of the stream, for what was to be copied, and for word of a fault. */
cudaError_t pr_cuda_wait(pr_cuda *cuda);
/* backend->download and its sisters. */
pr_status pr_cuda_download(pr_backend *backend, void *host, const void *from, size_t bytes);
pr_status pr_cuda_download_later(pr_backend *backend, void *host, const void *from, size_t bytes);
pr_status pr_cuda_sync(pr_backend *backend, pr_error *err);

/* backend->record and its sisters. */
pr_status pr_cuda_record(pr_backend *backend, pr_error *err);
void *pr_cuda_recorded(pr_backend *backend, pr_error *err);
pr_status pr_cuda_replay(pr_backend *backend, void *recording, pr_error *err);
void pr_cuda_forget(pr_backend *backend, void *recording);

#ifdef __cplusplus
}
#endif
#endif
