#include "backends/parallel.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "graph/memory.h"

/* A loop is offered by raising the round; threads join it while it is open and are counted. Round,
 * openness and count share one word, so that a thread that comes late joins this loop or none. */
static const uint64_t COUNT = 0xffff, OPEN = 0x10000, ROUND = 0x20000;

/* Looks at a word before a thread goes to sleep: about 20 microseconds, longer than the serial part
 * between most loops, far shorter than a time slice. */
enum { LOOKS = 1000 };

struct pr_team {
    int n; /* threads that were started */
    pthread_t *thread;
    pthread_mutex_t lock;
    pthread_cond_t offered, left;
    _Atomic uint64_t state; /* round, openness, threads at work beside the caller's */
    _Atomic int asleep;     /* threads waiting for `offered` */
    _Atomic bool stop;
    pr_task_body body; /* the loop that is offered */
    const void *context;
    int64_t n_tasks;
    _Atomic int64_t next;
    _Atomic int names; /* handed out to threads as they start */
};

static inline void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void work(pr_team *team, int name) {
    for (;;) {
        int64_t task = atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed);
        if (task >= team->n_tasks) return;
        team->body(team->context, task, name);
    }
}

/* Joins the loop that is open, if it is not the one of the round that was seen last. */
static bool join(pr_team *team, uint64_t *seen) {
    uint64_t state = atomic_load(&team->state);
    while ((state & OPEN) && state / ROUND != *seen) {
        if (!atomic_compare_exchange_weak(&team->state, &state, state + 1)) continue;
        *seen = state / ROUND;
        return true;
    }
    return false;
}

static void leave(pr_team *team) {
    uint64_t state = atomic_fetch_sub(&team->state, 1) - 1;
    if (state & (COUNT | OPEN)) return;
    pthread_mutex_lock(&team->lock); /* the caller is asleep or has yet to look */
    pthread_cond_signal(&team->left);
    pthread_mutex_unlock(&team->lock);
}

static bool wait_for_loop(pr_team *team, uint64_t *seen) {
    for (int look = 0; look < LOOKS; look++) {
        if (join(team, seen)) return true;
        if (atomic_load(&team->stop)) return false;
        pause_briefly();
    }
    bool joined = false;
    pthread_mutex_lock(&team->lock);
    atomic_fetch_add(&team->asleep, 1);
    while (!(joined = join(team, seen)) && !atomic_load(&team->stop))
        pthread_cond_wait(&team->offered, &team->lock);
    atomic_fetch_sub(&team->asleep, 1);
    pthread_mutex_unlock(&team->lock);
    return joined;
}

static void *run_thread(void *argument) {
    pr_team *team = argument;
    int name = atomic_fetch_add(&team->names, 1) + 1; /* 0 is the caller */
    uint64_t seen = 0;
    while (wait_for_loop(team, &seen)) {
        work(team, name);
        leave(team);
    }
    return NULL;
}

static void offer(pr_team *team, int64_t n, pr_task_body body, const void *context) {
    team->body = body;
    team->context = context;
    team->n_tasks = n;
    atomic_store(&team->next, 0);
    uint64_t round = atomic_load(&team->state) / ROUND + 1;
    atomic_store(&team->state, round * ROUND | OPEN);
    if (!atomic_load(&team->asleep)) return;
    pthread_mutex_lock(&team->lock);
    pthread_cond_broadcast(&team->offered);
    pthread_mutex_unlock(&team->lock);
}

/* Closes the loop and waits for those who joined it. */
static void withdraw(pr_team *team) {
    uint64_t state = atomic_fetch_and(&team->state, ~OPEN);
    for (int look = 0; look < LOOKS && (state & COUNT); look++) {
        pause_briefly();
        state = atomic_load(&team->state);
    }
    if (!(state & COUNT)) return;
    pthread_mutex_lock(&team->lock);
    while (atomic_load(&team->state) & COUNT)
        pthread_cond_wait(&team->left, &team->lock);
    pthread_mutex_unlock(&team->lock);
}

/* ---- the team ---- */

/* Signals are for the threads of the program that uses us. */
static bool start_threads(pr_team *team, int n) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (team->n < n && pthread_create(&team->thread[team->n], NULL, run_thread, team) == 0)
        team->n++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return team->n == n;
}

pr_team *pr_team_new(int threads, pr_error *err) {
    pr_team *team = pr_alloc(1, sizeof *team);
    pthread_t *thread = pr_alloc((size_t)threads, sizeof *thread);
    if (!team || !thread) {
        pr_free(team);
        pr_free(thread);
        pr_fail_memory(err, "threads", (size_t)threads * sizeof *thread);
        return NULL;
    }
    team->thread = thread;
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->offered, NULL);
    pthread_cond_init(&team->left, NULL);
    if (start_threads(team, threads - 1)) return team;
    pr_fail(err, PR_NO_MEMORY, "the system lets us start %d of %d threads", team->n + 1, threads);
    pr_team_free(team);
    return NULL;
}

void pr_team_free(pr_team *team) {
    if (!team) return;
    pthread_mutex_lock(&team->lock);
    atomic_store(&team->stop, true);
    pthread_cond_broadcast(&team->offered);
    pthread_mutex_unlock(&team->lock);
    for (int i = 0; i < team->n; i++)
        pthread_join(team->thread[i], NULL);
    pthread_mutex_destroy(&team->lock);
    pthread_cond_destroy(&team->offered);
    pthread_cond_destroy(&team->left);
    pr_free(team->thread);
    pr_free(team);
}

/* ---- loops ---- */

void pr_parallel_tasks(const pr_backend *backend, int64_t n, pr_task_body body,
                       const void *context) {
    pr_team *team = backend->context;
    if (n <= 1 || !team->n) {
        for (int64_t task = 0; task < n; task++)
            body(context, task, 0);
        return;
    }
    offer(team, n, body, context);
    work(team, 0);
    withdraw(team);
}

typedef struct ranges {
    int64_t n, parts;
    pr_range_body body;
    const void *context;
} ranges;

static void run_range(const void *context, int64_t part, int thread) {
    (void)thread;
    const ranges *r = context;
    int64_t more = r->n % r->parts; /* parts with an item more than the rest */
    int64_t begin = r->n / r->parts * part + (part < more ? part : more);
    int64_t end = begin + r->n / r->parts + (part < more);
    r->body(r->context, begin, end);
}

void pr_parallel_range(const pr_backend *backend, int64_t n, int64_t grain, pr_range_body body,
                       const void *context) {
    int64_t parts = n < grain ? 1 : backend->threads;
    if (parts > n) parts = n;
    if (parts < 1) return;
    const ranges all = {.n = n, .parts = parts, .body = body, .context = context};
    pr_parallel_tasks(backend, parts, run_range, &all);
}
