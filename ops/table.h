/* The descriptors of all ops, for the table in ops.c and for tests. */
#ifndef PR_OPS_TABLE_H
#define PR_OPS_TABLE_H

#include "graph/op.h"

extern const pr_op pr_op_accumulate;
extern const pr_op pr_op_adamw, pr_op_adamw_catch_up;
extern const pr_op pr_op_add;
extern const pr_op pr_op_attention, pr_op_attention_grad;
extern const pr_op pr_op_clip_factor;
extern const pr_op pr_op_constant;
extern const pr_op pr_op_cross_entropy, pr_op_cross_entropy_grad;
extern const pr_op pr_op_densify;
extern const pr_op pr_op_dropout;
extern const pr_op pr_op_embed, pr_op_embed_grad;
extern const pr_op pr_op_first_token, pr_op_first_token_grad;
extern const pr_op pr_op_gelu, pr_op_gelu_grad;
extern const pr_op pr_op_layer_norm, pr_op_layer_norm_grad, pr_op_layer_norm_grad_gamma;
extern const pr_op pr_op_matmul;
extern const pr_op pr_op_mse, pr_op_mse_grad;
extern const pr_op pr_op_relu, pr_op_relu_grad;
extern const pr_op pr_op_residual_norm, pr_op_residual_norm_grad;
extern const pr_op pr_op_scale;
extern const pr_op pr_op_softmax, pr_op_softmax_grad;
extern const pr_op pr_op_sum_rows;
extern const pr_op pr_op_sum_squares;
extern const pr_op pr_op_tanh, pr_op_tanh_grad;

#endif
