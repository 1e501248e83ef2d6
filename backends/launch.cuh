/* How kernels are launched:
 *
 *     cudaError_t error = pr_launch(kernel, grid, block, shared_bytes, stream, arguments ...);
 *
 * grid and block are dim3 or a number of blocks and threads; shared_bytes the size of pr_shared's
 * memory. Arguments are converted to the kernel's parameters, which are trivially copyable and
 * taken by value. The error is the launch's own; what goes wrong while the kernel runs is told by a
 * later call that synchronises. */
#ifndef PR_LAUNCH_CUH
#define PR_LAUNCH_CUH

#include "backends/device.cuh"

#ifndef PR_EMULATED
template <class... Parameters, class... Arguments>
static inline cudaError_t pr_launch(void (*kernel)(Parameters...), dim3 grid, dim3 block,
                                    size_t shared_bytes, cudaStream_t stream,
                                    Arguments... arguments) {
    cudaLaunchConfig_t launch{};
    launch.gridDim = grid;
    launch.blockDim = block;
    launch.dynamicSmemBytes = shared_bytes;
    launch.stream = stream;
    return cudaLaunchKernelEx(&launch, kernel, static_cast<Parameters>(arguments)...);
}
#endif
#endif
