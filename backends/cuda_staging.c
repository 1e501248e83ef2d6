#include <string.h>

#include "backends/cuda_internal.h"

/* Of a half. What a step feeds is some kilobytes: a half is used up in hundreds of steps, and what
 * was put there first has long been copied when it is used again. */
enum { HALF = 4 << 20 };

pr_status pr_staging_open(pr_staging *s, pr_error *err) {
    void *bytes = NULL;
    cudaError_t e = cudaMallocHost(&bytes, (size_t)HALF * PR_STAGING_HALVES);
    s->bytes = (char *)bytes;
    for (int i = 0; i < PR_STAGING_HALVES && e == cudaSuccess; i++)
        e = cudaEventCreateWithFlags(&s->copied[i], cudaEventDisableTiming);
    return pr_cuda_status(e, "page-locked memory", err);
}

void pr_staging_close(pr_staging *s) {
    if (s->bytes) cudaFreeHost(s->bytes);
    for (int i = 0; i < PR_STAGING_HALVES; i++)
        if (s->copied[i]) cudaEventDestroy(s->copied[i]);
}

/* Turns to the other half, once all that was copied from it has arrived. */
static cudaError_t turn(pr_staging *s, cudaStream_t stream) {
    cudaError_t e = cudaEventRecord(s->copied[s->half], stream);
    s->half = (s->half + 1) % PR_STAGING_HALVES;
    s->used = 0;
    return e == cudaSuccess ? cudaEventSynchronize(s->copied[s->half]) : e;
}

static cudaError_t copy_piece(pr_staging *s, cudaStream_t stream, char *to, const char *host,
                              size_t bytes) {
    enum { LINE = 64 };
    if (bytes > HALF - s->used) {
        cudaError_t e = turn(s, stream);
        if (e != cudaSuccess) return e;
    }
    char *place = s->bytes + (size_t)s->half * HALF + s->used;
    memcpy(place, host, bytes);
    s->used += (bytes + LINE - 1) / LINE * LINE;
    return cudaMemcpyAsync(to, place, bytes, cudaMemcpyHostToDevice, stream);
}

pr_status pr_staging_upload(pr_staging *s, cudaStream_t stream, void *to, const void *host,
                            size_t bytes) {
    cudaError_t e = cudaSuccess;
    for (size_t done = 0; done < bytes && e == cudaSuccess;) {
        size_t piece = bytes - done < HALF ? bytes - done : HALF;
        e = copy_piece(s, stream, (char *)to + done, (const char *)host + done, piece);
        done += piece;
    }
    return pr_cuda_status(e, "a copy to the GPU", NULL);
}
