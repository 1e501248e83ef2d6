/* The only place where threads are started: two loops over a team of threads that the CPU backend
 * owns. What a loop computes must not depend on how its items fall to threads; sums go over blocks
 * fixed by the shape.
 *
 * The team is our own and not OpenMP's, since a fine-tuning step has hundreds of short loops and a
 * laptop has other things to do: a thread that waits spins for some microseconds only and then
 * sleeps, and a loop never waits for a thread that has not begun to help. OpenMP's threads spin
 * through the time slice that the one they wait for would need. */
#ifndef PR_PARALLEL_H
#define PR_PARALLEL_H

#include <stdint.h>

#include "graph/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_team pr_team;

/* Starts threads - 1 threads beside the caller's; they receive no signals. NULL with err set. */
pr_team *pr_team_new(int threads, pr_error *err);
/* Ends them; NULL is legal. No loop may be running. */
void pr_team_free(pr_team *team);

/* Calls body for consecutive ranges that make up 0 .. n - 1, one a thread; on the calling thread
 * alone where n is under grain (the fewest items worth a second thread). */
typedef void (*pr_range_body)(const void *context, int64_t begin, int64_t end);
void pr_parallel_range(const pr_backend *backend, int64_t n, int64_t grain, pr_range_body body,
                       const void *context);

/* Calls body once for each task 0 .. n - 1, threads taking the next as they come free. thread is
 * under backend->threads: for scratch memory of one's own. Bodies start no loops of their own, and
 * one thread at a time uses a backend. */
typedef void (*pr_task_body)(const void *context, int64_t task, int thread);
void pr_parallel_tasks(const pr_backend *backend, int64_t n, pr_task_body body,
                       const void *context);

#ifdef __cplusplus
}
#endif
#endif
