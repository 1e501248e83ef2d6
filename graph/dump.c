#include "graph/graph.h"

/* A name as the inside of a DOT string. */
static void write_text(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
}

static void write_leaf(const pr_graph *g, pr_tid t, FILE *out) {
    static const char *const outlines[] = {
        [PR_ROLE_INPUT] = "invhouse", [PR_ROLE_PARAM] = "cylinder", [PR_ROLE_STATE] = "note"};
    const pr_tensor *tensor = pr_graph_tensor(g, t);
    if (tensor->role == PR_ROLE_VALUE) return;
    char shape[PR_SHAPE_TEXT];
    fprintf(out, "  t%d [shape=%s, label=\"", (int)t, outlines[tensor->role]);
    write_text(out, tensor->name);
    bool trains = tensor->role == PR_ROLE_PARAM &&
                  pr_store_param(pr_graph_store(g), tensor->param)->require_grad;
    fprintf(out, "\\n%s %s\"%s];\n", pr_dtype_name(tensor->dtype),
            pr_shape_text(tensor->shape, shape), trains ? ", style=bold" : "");
}

static void write_phase(const pr_graph *g, pr_phase phase, FILE *out) {
    static const char *const names[] = {[PR_PROLOGUE] = "prologue",
                                        [PR_FORWARD] = "forward",
                                        [PR_BACKWARD] = "backward",
                                        [PR_GATHER] = "gather",
                                        [PR_UPDATE] = "update"};
    fprintf(out, "  subgraph cluster_%s {\n    label=\"%s\";\n", names[phase], names[phase]);
    for (int32_t i = 0; i < pr_graph_nodes(g); i++) {
        const pr_node *n = pr_graph_get(g, i);
        if (n->phase != phase) continue;
        fprintf(out, "    n%d [label=\"", (int)i);
        write_text(out, n->name);
        fprintf(out, "\"];\n");
    }
    fprintf(out, "  }\n");
}

static void write_edges(const pr_graph *g, int32_t node, FILE *out) {
    const pr_node *n = pr_graph_get(g, node);
    for (int k = 0; k < n->op->n_in; k++) {
        if (!n->in[k]) continue;
        const pr_tensor *t = pr_graph_tensor(g, n->in[k]);
        char shape[PR_SHAPE_TEXT];
        const char *kind = t->node < 0 ? "t" : "n";
        fprintf(out, "  %s%d -> n%d [label=\"%s\"%s];\n", kind,
                (int)(t->node < 0 ? n->in[k] : t->node), (int)node, pr_shape_text(t->shape, shape),
                n->op->writes >> k & 1u ? ", dir=both" : "");
    }
}

pr_status pr_graph_dot(const pr_graph *g, FILE *out) {
    fprintf(out, "digraph primer {\n  node [shape=box, fontname=\"sans-serif\"];\n");
    for (pr_tid t = 1; t <= pr_graph_tensors(g); t++)
        write_leaf(g, t, out);
    for (int phase = PR_PROLOGUE; phase <= PR_UPDATE; phase++)
        write_phase(g, (pr_phase)phase, out);
    for (int32_t i = 0; i < pr_graph_nodes(g); i++)
        write_edges(g, i, out);
    fprintf(out, "}\n");
    return ferror(out) || fflush(out) ? PR_IO : PR_OK;
}
