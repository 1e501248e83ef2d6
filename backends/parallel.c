#include "backends/parallel.h"

#include <omp.h>

void pr_parallel_range(const pr_backend *backend, int64_t n, int64_t grain, pr_range_body body,
                       const void *context) {
    int threads = n < grain ? 1 : backend->threads;
    if (threads == 1) {
        if (n > 0) body(context, 0, n);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        int64_t team = omp_get_num_threads(), me = omp_get_thread_num();
        int64_t begin = n / team * me + (me < n % team ? me : n % team);
        int64_t end = begin + n / team + (me < n % team);
        if (begin < end) body(context, begin, end);
    }
}

void pr_parallel_tasks(const pr_backend *backend, int64_t n, pr_task_body body,
                       const void *context) {
    if (n <= 1 || backend->threads == 1) {
        for (int64_t task = 0; task < n; task++)
            body(context, task, 0);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(backend->threads)
    for (int64_t task = 0; task < n; task++)
        body(context, task, omp_get_thread_num());
}
