/* LoRA (Hu et al. 2021): a learner's branch beside every linear layer of the blocks,
 *     y = W x + b + (alpha / rank) P2 P1 x,
 * without priming: W is frozen from the first step on. Biases and norms train as a learner's do. */
#include "models/learner.h"

const pr_method pr_method_lora = {
    .name = "lora",
    .summary = "the same branch with the scale alpha / rank, and no priming",
    .takes = PR_TAKES_SIZE | PR_TAKES_ALPHA,
    .size_name = "rank",
    .defaults = {.size = 64, .scale = 1.0f},
    .add = pr_learner_add,
    .added = "blk.*.lora_{a,b}",
    .parts = {.linear = pr_learner_linear},
    .collapse = pr_learner_collapse,
    .peft = "LORA",
    .trained = pr_learner_trained,
};
