/* A small graph whose gradients are found twice: in float by pr_backward and a plan, and as central
 * differences of the same graph evaluated in double, node by node, with the references. Its loss is
 * the sum of an output's elements, each weighed by a random number, so that every element counts
 * and no two errors make up for each other. */
#ifndef PR_NET_H
#define PR_NET_H

#include "graph/graph.h"

enum { NET_LEAVES = 16 };

typedef struct net_leaf {
    pr_tid t;
    pr_shape shape; /* no dynamic dimension */
    pr_dtype dtype;
    bool is_param;
    const void *data; /* the caller's */
} net_leaf;

typedef struct net {
    pr_backend *backend;
    pr_store *store;
    pr_graph *g;
    pr_extent extent;
    bool training;
    net_leaf leaf[NET_LEAVES];
    int n_leaves;
    float *weights; /* of the loss */
    pr_tid loss;
} net;

void net_open(net *n, pr_extent extent, bool training);
void net_close(net *n);

/* A leaf, numbered by n_leaves from 0. A parameter's shape has no dynamic dimension. */
pr_tid net_param(net *n, pr_shape shape, const float *data);
pr_tid net_input(net *n, pr_dtype dtype, pr_shape shape, const void *data);

/* The same elements with another leading dimension: what makes a parameter as long as a batch. */
pr_tid net_lead(net *n, pr_tid t, int64_t lead);

/* (a + b + 2 c) w', (N, D), by an op whose rule uses one product for the gradients of a, b and c; w
 * (D, D) is an input. */
pr_tid net_mix(net *n, pr_tid a, pr_tid b, pr_tid c, pr_tid w);

/* Ends the forward part: the loss is a weighed sum of y's elements. */
void net_end(net *n, pr_tid y);

/* Derives, plans and runs for the parameters among the leaves whose bits are set in `trained`;
 * *gradient[i] are those of leaf i, to be freed; NULL where the bit is not set. Asserts that
 * nothing is computed but what those need, and no gradient made that was not asked for. */
void net_gradients(net *n, unsigned trained, float *gradient[NET_LEAVES]);
void net_free_gradients(float *gradient[NET_LEAVES]);

/* Fails, with the label, unless the gradients agree with central differences: at all elements of a
 * leaf, or at `samples` of many, and along three directions. tolerance: relative to the leaf's
 * largest. */
void net_check(const net *n, const char *label, float *const gradient[NET_LEAVES], int samples,
               double tolerance);

#endif
