/* What a graph is made of. Internal to graph/. */
#ifndef PR_GRAPH_INTERNAL_H
#define PR_GRAPH_INTERNAL_H

#include "graph/graph.h"
#include "graph/names.h"

typedef struct pr_entry {
    pr_tensor tensor;
    pr_tid gradient; /* beside the tensor, so that setting one cannot fail */
} pr_entry;

/* Where the lists ended at the mark. */
typedef struct pr_mark {
    bool set;
    int32_t tensors, nodes;
    size_t texts;
    pr_phase phase;
    bool sound; /* no fault stood then */
} pr_mark;

struct pr_graph {
    pr_store *store;
    pr_entry *entry; /* tensor t is entry[t - 1] */
    pr_node *node;
    char **text; /* all names; tensors and nodes point at them */
    int32_t tensors, nodes;
    size_t texts, entry_capacity, node_capacity, text_capacity;
    pr_names *names; /* tensors up to the mark, by name */
    pr_names *later; /* those after it: a rewind drops them all; NULL when there are none */
    char *scope;
    pr_phase phase;
    pr_mark mark;
    pr_error fault;
};

#endif
