/* Learners: beside each of a block's six linear layers a low-rank branch,
 *     y = W x + b + s P2 P1 x,    P1 (rank, in), P2 (out, rank),
 * with W frozen. P1 starts Kaiming uniform with a = sqrt 5, that is U(-1/sqrt in, 1/sqrt in), and
 * P2 at zero: the model starts as it was, and P2's gradient is not zero (were both zero, neither
 * would ever move). Priming trains the attention's weights W too, for the first epochs. After
 * training W + s P2 P1 is one plain weight again. P1 and P2 are saved as <weight>.lora_a and
 * <weight>.lora_b. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>

#include "graph/memory.h"
#include "models/draw.h"
#include "models/learner.h"
#include "ops/ops.h"

enum { STEM = 64, NAME = 80 }; /* of "blk.0.attn_q", and with ".weight.lora_a" */

static const char *full_name(char name[NAME], const char *linear, const char *kind) {
    snprintf(name, NAME, "%s.%s", linear, kind);
    return name;
}

static pr_status add_to_linear(pr_store *store, const char *linear,
                               const pr_method_options *options, bool draw, pr_error *err) {
    char name[NAME];
    int w = pr_store_find(store, full_name(name, linear, "weight"));
    if (w < 0) return pr_fail(err, PR_BAD_ARGUMENT, "the model has no tensor '%s'", name);
    pr_shape shape = pr_store_param(store, w)->shape; /* (out, in) */
    if (options->size < 1 || options->size > shape.dim[0] + shape.dim[1]) {
        return pr_fail(err, PR_BAD_ARGUMENT, "learner: expected a rank of 1 to %lld, found %d",
                       (long long)shape.dim[0] + shape.dim[1], (int)options->size);
    }
    int down = pr_store_add(store, full_name(name, linear, "weight.lora_a"),
                            pr_shape_2(options->size, shape.dim[1]), NULL, err);
    if (down < 0) return err ? err->code : PR_NO_MEMORY;
    int up = pr_store_add(store, full_name(name, linear, "weight.lora_b"),
                          pr_shape_2(shape.dim[0], options->size), NULL, err);
    if (up < 0) return err ? err->code : PR_NO_MEMORY;
    if (!draw) return PR_OK;
    return pr_draw_uniform(store, down, 1.0f / sqrtf((float)shape.dim[1]), options->seed, err);
}

pr_status pr_learner_add(pr_store *store, const pr_bert_config *config,
                         const pr_method_options *options, bool draw, pr_error *err) {
    pr_status status = PR_OK;
    for (int layer = 0; layer < config->layers; layer++) {
        for (const char *const *part = pr_method_linears; *part && status == PR_OK; part++) {
            char name[STEM];
            snprintf(name, sizeof name, "blk.%d.%s", layer, *part);
            status = add_to_linear(store, name, options, draw, err);
        }
    }
    return status;
}

pr_tid pr_learner_linear(pr_graph *g, pr_tid x, const char *linear, const void *context) {
    const pr_method_options *options = context;
    char name[NAME];
    pr_tid y = pr_bert_linear(g, x, linear);
    pr_graph_scope(g, "%s.learner", linear);
    pr_tid down = pr_graph_param(g, full_name(name, linear, "weight.lora_a"));
    pr_tid up = pr_graph_param(g, full_name(name, linear, "weight.lora_b"));
    pr_tid u = pr_linear(g, x, down, 0); /* (N, rank) */
    return pr_matmul(g, u, up, PR_TRANSPOSE_B, options->scale, 0, y);
}

pr_status pr_learner_collapse(const pr_store *store, const char *linear,
                              const pr_method_options *options, float *weight, pr_error *err) {
    char name[NAME];
    int down = pr_store_find(store, full_name(name, linear, "weight.lora_a"));
    int up = pr_store_find(store, full_name(name, linear, "weight.lora_b"));
    if (down < 0 || up < 0) {
        return pr_fail(err, PR_BAD_FILE, "'%s' has no learner to collapse", linear);
    }
    const pr_param *p1 = pr_store_param(store, down), *p2 = pr_store_param(store, up);
    float *a = pr_alloc(p1->bytes, 1), *b = pr_alloc(p2->bytes, 1);
    pr_status status = PR_OK;
    if (!a || !b) status = pr_fail_memory(err, "collapsing a learner", p1->bytes + p2->bytes);
    if (status == PR_OK) status = pr_store_read(store, down, a, err);
    if (status == PR_OK) status = pr_store_read(store, up, b, err);
    if (status == PR_OK) {
        int rank = (int)p1->shape.dim[0], in = (int)p1->shape.dim[1], out = (int)p2->shape.dim[0];
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, out, in, rank, options->scale, b,
                    rank, a, in, 1.0f, weight, in);
    }
    pr_free(a);
    pr_free(b);
    return status;
}

const char *const pr_learner_trained[] = {
    "blk.*.lora_{a,b}",
    "blk.*.{attn_q,attn_k,attn_v,attn_output,ffn_up,ffn_down}.bias",
    "blk.*_norm.{weight,bias}",
    NULL,
};
static const char *const primed[] = {"blk.*.attn_{q,k,v,output}.weight", NULL};

const pr_method pr_method_learner = {
    .name = "learner",
    .summary = "a low-rank branch beside every linear layer; attention trains first (priming)",
    .takes = PR_TAKES_SIZE | PR_TAKES_SCALE | PR_TAKES_PRIME,
    .size_name = "rank",
    .defaults = {.size = 64, .scale = 1.0f, .prime = 2},
    .add = pr_learner_add,
    .added = "blk.*.lora_{a,b}",
    .parts = {.linear = pr_learner_linear},
    .collapse = pr_learner_collapse,
    .peft = "LORA",
    .trained = pr_learner_trained,
    .primed = primed,
};
