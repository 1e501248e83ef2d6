/* The ops' kernels on a GPU, each in the .cu file beside its op; NULL in a build without CUDA.
 * Where a run's tokens are rounded up (backend.h) they keep what that asks for: rows past the run's
 * own extent are finite, and zero in gradients. */
#ifndef PR_OPS_CUDA_H
#define PR_OPS_CUDA_H

#include "graph/op.h"

#ifdef PR_WITH_CUDA
#define PR_ON_CUDA(kernel) kernel
#else
#define PR_ON_CUDA(kernel) NULL
#endif

#ifdef __cplusplus
extern "C" {
#endif

pr_status pr_accumulate_cuda(const pr_call *c);
pr_status pr_adamw_cuda(const pr_call *c);
pr_status pr_adamw_catch_up_cuda(const pr_call *c);
pr_status pr_add_cuda(const pr_call *c);
pr_status pr_attention_cuda(const pr_call *c);
pr_status pr_attention_grad_cuda(const pr_call *c);
pr_status pr_clip_factor_cuda(const pr_call *c);
pr_status pr_constant_cuda(const pr_call *c);
pr_status pr_cross_entropy_cuda(const pr_call *c);
pr_status pr_cross_entropy_grad_cuda(const pr_call *c);
pr_status pr_densify_cuda(const pr_call *c);
pr_status pr_dropout_cuda(const pr_call *c);
pr_status pr_embed_cuda(const pr_call *c);
pr_status pr_embed_grad_cuda(const pr_call *c);
pr_status pr_first_token_cuda(const pr_call *c);
pr_status pr_first_token_grad_cuda(const pr_call *c);
pr_status pr_gelu_cuda(const pr_call *c);
pr_status pr_gelu_grad_cuda(const pr_call *c);
pr_status pr_layer_norm_cuda(const pr_call *c);
pr_status pr_layer_norm_grad_cuda(const pr_call *c);
pr_status pr_layer_norm_grad_gamma_cuda(const pr_call *c);
pr_status pr_matmul_cuda(const pr_call *c);
pr_status pr_mse_cuda(const pr_call *c);
pr_status pr_mse_grad_cuda(const pr_call *c);
pr_status pr_relu_cuda(const pr_call *c);
pr_status pr_relu_grad_cuda(const pr_call *c);
pr_status pr_residual_norm_cuda(const pr_call *c);
pr_status pr_residual_norm_grad_cuda(const pr_call *c);
pr_status pr_scale_cuda(const pr_call *c);
pr_status pr_softmax_cuda(const pr_call *c);
pr_status pr_softmax_grad_cuda(const pr_call *c);
pr_status pr_sum_rows_cuda(const pr_call *c);
pr_status pr_sum_squares_cuda(const pr_call *c);
pr_status pr_tanh_cuda(const pr_call *c);
pr_status pr_tanh_grad_cuda(const pr_call *c);

pr_status pr_adamw_cuda_many(const pr_call *const *calls, int n);
pr_status pr_sum_squares_cuda_many(const pr_call *const *calls, int n);

/* Scratch of kernels that need another than the CPU's. */
size_t pr_attention_grad_cuda_workspace(const pr_call *c);
size_t pr_matmul_cuda_workspace(const pr_call *c);
size_t pr_embed_grad_cuda_workspace(const pr_call *c);
size_t pr_sum_squares_cuda_workspace(const pr_call *c);

#ifdef __cplusplus
}
#endif
#endif
