/* Loops over a team: each item once, whatever the number of threads, tasks that come and go faster
 * than threads wake, teams without work. Built a second time under ThreadSanitizer. */
#include "tests/test.h"

#include <time.h>

#include "backends/parallel.h"

enum { MOST_ITEMS = 700, LOOPS = 4000 };

typedef struct tally {
    int items[MOST_ITEMS];
    int threads; /* how many there may be */
    bool stray;  /* a thread's number was out of range */
} tally;

static pr_backend open_team(int threads) {
    pr_error err = {.code = PR_OK};
    pr_backend backend = {.threads = threads, .context = pr_team_new(threads, &err)};
    assert_non_null(backend.context);
    return backend;
}

static void count_task(const void *context, int64_t task, int thread) {
    tally *t = *(tally *const *)context;
    t->items[task]++;
    if (thread < 0 || thread >= t->threads) t->stray = true;
}

static void count_range(const void *context, int64_t begin, int64_t end) {
    tally *t = *(tally *const *)context;
    for (int64_t i = begin; i < end; i++)
        t->items[i]++;
}

static void assert_each(const tally *t, int64_t n, int times) {
    for (int64_t i = 0; i < MOST_ITEMS; i++)
        assert_int_equal(t->items[i], i < n ? times : 0);
}

static void every_item_once(void **state) {
    (void)state;
    const int64_t sizes[] = {0, 1, 2, 3, 4, 5, 7, 64, MOST_ITEMS};
    for (int threads = 1; threads <= 5; threads++) {
        pr_backend backend = open_team(threads);
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            tally tasks = {.threads = threads}, *to = &tasks;
            pr_parallel_tasks(&backend, sizes[k], count_task, &to);
            assert_each(&tasks, sizes[k], 1);
            assert_false(tasks.stray);
            for (int64_t grain = 0; grain < 10; grain += 3) {
                tally ranges = {0};
                to = &ranges;
                pr_parallel_range(&backend, sizes[k], grain, count_range, &to);
                assert_each(&ranges, sizes[k], 1);
            }
        }
        pr_team_free(backend.context);
    }
}

/* Loops of few tasks end before a thread wakes; pauses let all of them fall asleep. */
static void loops_in_quick_succession(void **state) {
    (void)state;
    const struct timespec while_they_fall_asleep = {.tv_nsec = 500000};
    pr_backend backend = open_team(4);
    tally t = {.threads = 4}, *to = &t;
    for (int i = 0; i < LOOPS; i++) {
        pr_parallel_tasks(&backend, 2 + i % 3, count_task, &to);
        if (i % 100 == 0) nanosleep(&while_they_fall_asleep, NULL);
    }
    assert_int_equal(t.items[0], LOOPS);
    assert_int_equal(t.items[1], LOOPS);
    assert_int_equal(t.items[2] + t.items[3], LOOPS - (LOOPS + 2) / 3 + LOOPS / 3);
    assert_false(t.stray);
    pr_team_free(backend.context);
}

static void a_team_without_work_ends(void **state) {
    (void)state;
    for (int i = 0; i < 200; i++) {
        pr_backend backend = open_team(1 + i % 6);
        pr_team_free(backend.context);
    }
    pr_team_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_once),
        cmocka_unit_test(loops_in_quick_succession),
        cmocka_unit_test(a_team_without_work_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
