/* A backend: where bytes live and how they get there. It has no op code: kernels sit in their op's
 * descriptor (op.h), in the slot of the backend's kind. A graph runs whole on one backend. */
#ifndef PR_BACKEND_H
#define PR_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pr_backend_kind { PR_CPU, PR_CUDA, PR_BACKEND_KINDS } pr_backend_kind;

/* Of products with weights that do not train. */
typedef enum pr_precision {
    PR_PRECISION_F32,
    PR_PRECISION_BF16, /* such weights are kept in bf16 too; sums, and all else, are f32 */
    PR_PRECISION_TF32  /* of a GPU: factors lose 13 bits on the way into any product */
} pr_precision;

typedef struct pr_backend pr_backend;

/* A run's own extent, as kernels read it where its views are rounded up. */
enum { PR_LIVE_TOKENS, PR_LIVE_SENTENCES, PR_LIVE_LONGEST, PR_LIVE };

struct pr_backend {
    const char *name;
    pr_backend_kind kind;
    int threads;       /* that kernels may use at once; 1 on a GPU */
    size_t alignment;  /* of every block placed in an arena, in bytes; a power of two */
    bool host_visible; /* the CPU may read and write its memory through the pointers it gives */
    bool fast_bf16;    /* products in bf16 take less time than in f32 */
    bool careful;      /* a run waits after every node, so that a fault is told of the right one */
    pr_precision precision; /* f32 unless its owner sets it, before the first trainer is made */
    void *context;          /* the backend's own */

    /* Runs of nearly the same size as one: tokens are rounded up to a multiple of this many, and
     * sentences and the longest are those of the capacity. What a run feeds is zero past its own
     * extent; kernels keep rows past it finite, and zero in gradients, so that they add nothing.
     * 0: kernels see exact extents. */
    int64_t token_step;
    int32_t *live; /* then i32 (PR_LIVE), on the backend: the extent of the run at hand */

    /* Zeroed memory, aligned to a page; untouched pages cost nothing. NULL when there is none. */
    void *(*alloc)(pr_backend *backend, size_t bytes);
    void (*free)(pr_backend *backend, void *block, size_t bytes);
    /* Gives back the physical pages that lie wholly in the range, whose content is then lost. */
    void (*discard)(pr_backend *backend, void *block, size_t bytes);
    /* Makes a whole block from alloc read-only, or writable again, where the backend can. */
    pr_status (*protect)(pr_backend *backend, void *block, size_t bytes, bool read_only);
    pr_status (*upload)(pr_backend *backend, void *to, const void *host, size_t bytes);
    pr_status (*download)(pr_backend *backend, void *host, const void *from, size_t bytes);
    /* As download, but the host's bytes are there only after the next sync; they must stay until
     * then. NULL where a run has ended when its call returns. */
    pr_status (*download_later)(pr_backend *backend, void *host, const void *from, size_t bytes);
    pr_status (*fill)(pr_backend *backend, void *block, int byte, size_t bytes);
    /* Waits for all that was begun, and tells of what failed in it. Where the host goes ahead of
     * runs, one that updates nothing, since its clip_factor is NaN, holds back all updates of those
     * behind it until this is called. */
    pr_status (*sync)(pr_backend *backend, pr_error *err);

    /* NULL where kernels are only ever called; for a backend with a token_step. What is called
     * between record and recorded does not run, but is kept; replay runs it again and again, on
     * what then lies at the addresses it was called with. recorded returns NULL with err set where
     * something in it failed; nothing is being recorded then. The plan forgets what it was given.
     */
    pr_status (*record)(pr_backend *backend, pr_error *err);
    void *(*recorded)(pr_backend *backend, pr_error *err);
    pr_status (*replay)(pr_backend *backend, void *recording, pr_error *err);
    void (*forget)(pr_backend *backend, void *recording);

    size_t (*available)(pr_backend *backend); /* bytes that alloc could give now; NULL: unknown */
    void (*release)(pr_backend *backend);     /* frees the backend itself */
};

/* Records what work calls, for a backend that records; *recording is the caller's to forget, and
 * NULL where the work or the recording failed. */
pr_status pr_backend_record(pr_backend *backend, pr_status (*work)(void *context, pr_error *err),
                            void *context, void **recording, pr_error *err);

/* What to return where alloc gave nothing for what needs so many bytes: what is wrong with the
 * backend if more than memory is; else PR_NO_MEMORY, with the bytes that are left where that is
 * known, and what would help unless it is NULL. */
pr_status pr_backend_no_memory(pr_backend *backend, const char *what, size_t bytes,
                               const char *remedy, pr_error *err);

/* Frees a backend of any kind; NULL is legal. */
void pr_backend_free(pr_backend *backend);

#ifdef __cplusplus
}
#endif
#endif
