/* The CPU backend: pages from mmap, and a team of threads of its own (parallel.h). OpenBLAS's
 * threads are turned off: every product is cut into tiles fixed by its shape, each one
 * single-threaded call, so that results do not depend on the number of threads. */
#ifndef PR_CPU_H
#define PR_CPU_H

#include "graph/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PR_MAX_THREADS = 256 };

/* threads: 1 .. PR_MAX_THREADS; 0 means as many as the process may run on. NULL with err set. */
pr_backend *pr_cpu_new(int threads, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
