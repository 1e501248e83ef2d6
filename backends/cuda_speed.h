/* How long a GPU takes for a piece of work, by its own clock; and the pieces of work that tell what
 * it can: copies, and products by cuBLASLt alone. For measuring, which no run of a model needs. */
#ifndef PR_CUDA_SPEED_H
#define PR_CUDA_SPEED_H

#include "backends/gemm.h"
#include "graph/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Puts work into the backend's stream, and waits for none of it. */
typedef pr_status (*pr_cuda_work)(void *context, pr_error *err);

/* Seconds that the work takes. It is recorded several times over and run as one, as a step's nodes
 * are: what the host takes to launch it does not count. The fastest of several runs. The backends
 * of these functions are pr_cuda_new's; PR_UNSUPPORTED in a build without CUDA. */
pr_status pr_cuda_time(pr_backend *backend, pr_cuda_work work, void *context, double *seconds,
                       pr_error *err);

/* From one place of the backend's memory to another. */
pr_status pr_cuda_copy(pr_backend *backend, void *to, const void *from, size_t bytes,
                       pr_error *err);

enum { PR_CUDA_PRODUCT_WORKSPACE = 32 << 20 }; /* bytes that the product is given */
enum { PR_CUDA_AS_IN_STEPS = -1 };

/* c = alpha op(a) op(b) + bias + onto (gemm.h) by one of the algorithms that cuBLASLt has for it,
 * those too that give other bits every time: offer 0 is what it thinks fastest, 1 the next, and so
 * on; PR_CUDA_AS_IN_STEPS is what a step's products run. factors: a and b, in bf16 where that is
 * the precision, in place of the product's own. A bias that cuBLASLt does not take is left to the
 * op that lays it down before. PR_UNSUPPORTED where no further one is offered. */
pr_status pr_cuda_product(pr_backend *backend, const pr_gemm *product, pr_precision precision,
                          const void *const factors[2], int offer, void *workspace, pr_error *err);

/* What the backend stands on, as CUDA counts: the CUDA that the driver serves and that Primer was
 * built with, 1000 major + 10 minor, and cuBLASLt, 10000 major + 100 minor + patch. */
typedef struct pr_cuda_versions {
    int driver, runtime;
    size_t cublas;
} pr_cuda_versions;
pr_cuda_versions pr_cuda_versions_of(const pr_backend *backend);

#ifdef __cplusplus
}
#endif
#endif
