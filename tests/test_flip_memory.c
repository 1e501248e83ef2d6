/* What a flip gives back is gone from the process's resident memory in the epoch after. */
#include <unistd.h>

#include "tests/scene.h"
#include "tests/test.h"

enum { ROWS = 24 };

/* The weights of attention take 17 MB, their moments twice that. */
static scene_options large_options(void) {
    scene_options o = scene_default(PR_BERT, "learner");
    o.config.layers = 4;
    o.config.width = 512;
    o.config.heads = 8;
    o.config.ffn = 512;
    return o;
}

static size_t resident(void) {
    size_t total, pages;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu %zu", &total, &pages), 2);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t planned(const scene *s) {
    const pr_plan_report *r = pr_trainer_report(s->trainer);
    return r->moments + r->arena;
}

static void a_flip_gives_memory_back(void **state) {
    (void)state;
    const scene_options o = large_options();
    scene s;
    scene_open(&s, &o, toy_data(ROWS, 3));
    scene_steps(&s, 2);
    size_t before = resident(), planned_before = planned(&s);
    scene_epoch(&s, 2);
    scene_steps(&s, 2);
    size_t after = resident(), planned_after = planned(&s);
    print_message("resident: %zu bytes less, of %zu that were planned\n", before - after,
                  planned_before - planned_after);
    assert_true(planned_before > planned_after + 45u * 1000 * 1000);
    assert_true(before > after);
    /* Within a tenth: the arena ends on a page, and the library's own lists grow and shrink. */
    assert_true(before - after > (planned_before - planned_after) / 10 * 9);
    scene_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flip_gives_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
