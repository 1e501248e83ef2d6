/* The only place where threads are started: two loops over one OpenMP team. What a loop computes
 * must not depend on how its items fall to threads; sums go over blocks fixed by the shape. */
#ifndef PR_PARALLEL_H
#define PR_PARALLEL_H

#include <stdint.h>

#include "graph/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Calls body for consecutive ranges that make up 0 .. n - 1, one a thread; on the calling thread
 * alone where n is under grain (the fewest items worth a second thread). */
typedef void (*pr_range_body)(const void *context, int64_t begin, int64_t end);
void pr_parallel_range(const pr_backend *backend, int64_t n, int64_t grain, pr_range_body body,
                       const void *context);

/* Calls body once for each task 0 .. n - 1, threads taking the next as they come free. thread is
 * under backend->threads: for scratch memory of one's own. */
typedef void (*pr_task_body)(const void *context, int64_t task, int thread);
void pr_parallel_tasks(const pr_backend *backend, int64_t n, pr_task_body body,
                       const void *context);

#ifdef __cplusplus
}
#endif
#endif
