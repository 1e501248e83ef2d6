/* BitFit (Ben Zaken et al. 2021): the biases of the blocks' linear layers and of all norms train,
 * the embedding's norm too. */
#include "models/method.h"

static const char *const trained[] = {"blk.*.bias", "token_embd_norm.bias", NULL};

const pr_method pr_method_bitfit = {
    .name = "bitfit",
    .summary = "the biases alone train",
    .trained = trained,
};
