/* A store of two parameters, a graph with one input and a plan of it: what the tests of plans start
 * from. The ops are toys (toy.h). */
#ifndef PR_PLAN_WORLD_H
#define PR_PLAN_WORLD_H

#include "graph/plan_internal.h"
#include "tests/test.h"

enum { BLOCK = 64 * 4 * sizeof(float) }; /* a (N, 4) at capacity */

static const pr_extent capacity = {64, 4, 64}, three = {3, 2, 2};

typedef struct world {
    pr_backend *backend;
    pr_store *store; /* "w" (4), which trains, and "frozen" (4) */
    pr_graph *g;
    pr_tid x; /* (N, 4) */
    pr_plan *plan;
    void *arena;
} world;

/* The set-up and tear-down of a test; *state is the world. */
int plan_set_up(void **state);
int plan_tear_down(void **state);
#define PLAN_CASE(f) cmocka_unit_test_setup_teardown(f, plan_set_up, plan_tear_down)

/* Gives the world a plan for one wanted output, with its arena, in place of the one it had. */
void plan_with(world *w, pr_tid wanted, pr_plan_options options);
void plan_for(world *w, pr_tid wanted, bool training);

/* Feeds 0, 1, ..., 11 as three tokens, runs, and fetches wanted into y. */
void run_3(world *w, pr_tid wanted, float *y);

#endif
