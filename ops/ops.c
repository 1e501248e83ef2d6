#include "ops/ops.h"

#include "ops/table.h"

const pr_op *const pr_ops[] = {
    &pr_op_add,
    &pr_op_clip_factor,
    &pr_op_constant,
    &pr_op_cross_entropy,
    &pr_op_cross_entropy_grad,
    &pr_op_densify,
    &pr_op_dropout,
    &pr_op_embed,
    &pr_op_embed_grad,
    &pr_op_first_token,
    &pr_op_first_token_grad,
    &pr_op_gelu,
    &pr_op_gelu_grad,
    &pr_op_layer_norm,
    &pr_op_layer_norm_grad,
    &pr_op_layer_norm_grad_gamma,
    &pr_op_mse,
    &pr_op_mse_grad,
    &pr_op_relu,
    &pr_op_relu_grad,
    &pr_op_scale,
    &pr_op_softmax,
    &pr_op_softmax_grad,
    &pr_op_sum_rows,
    &pr_op_sum_squares,
    &pr_op_tanh,
    &pr_op_tanh_grad,
    NULL,
};
