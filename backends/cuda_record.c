/* Recordings: a run's launches as one CUDA graph. */
#include "backends/cuda_internal.h"

/* What failed before says more, where something did: it is told by the next call, whatever that is.
 */
static pr_status told(pr_backend *backend, cudaError_t e, const char *what, pr_error *err) {
    pr_cuda_of(backend)->busy = true;
    if (e != cudaSuccess) pr_cuda_sync(backend, err);
    return pr_cuda_status(e, what, err);
}

pr_status pr_cuda_record(pr_backend *backend, pr_error *err) {
    /* Thread-local: what other threads of the program do with CUDA is no concern of ours. */
    cudaError_t e =
        cudaStreamBeginCapture(pr_cuda_of(backend)->stream, cudaStreamCaptureModeThreadLocal);
    return told(backend, e, "a recording could not begin", err);
}

void *pr_cuda_recorded(pr_backend *backend, pr_error *err) {
    cudaGraph_t graph = NULL;
    cudaGraphExec_t recording = NULL;
    cudaError_t e = cudaStreamEndCapture(pr_cuda_of(backend)->stream, &graph);
    if (e == cudaSuccess) e = cudaGraphInstantiate(&recording, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    if (pr_cuda_status(e, "a recording could not be made", err) != PR_OK) return NULL;
    return recording;
}

pr_status pr_cuda_replay(pr_backend *backend, void *recording, pr_error *err) {
    cudaError_t e = cudaGraphLaunch((cudaGraphExec_t)recording, pr_cuda_of(backend)->stream);
    return told(backend, e, "a recorded run could not start", err);
}

void pr_cuda_forget(pr_backend *backend, void *recording) {
    (void)backend;
    cudaGraphExecDestroy((cudaGraphExec_t)recording);
}
