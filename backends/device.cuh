/* CUDA's language for kernels, whoever compiles them: nvcc for a device, or the host's compiler for
 * an emulation, whose header the build names in PR_EMULATED. Kernels include this file and nothing
 * of CUDA's. They use no atomic operations on floats, whose sums would depend on the order of
 * threads, and are static or in unnamed namespaces. */
#ifndef PR_DEVICE_CUH
#define PR_DEVICE_CUH

#ifdef PR_EMULATED
#include PR_EMULATED
#else
#include <cuda_bf16.h>
#include <cuda_runtime.h>

/* The block's dynamic shared memory, of as many elements as the launch gave bytes for; aligned to
 * 16 bytes. All T begin at the same byte. */
template <class T> static __device__ inline T *pr_shared() {
    extern __shared__ __align__(16) unsigned char pr_dynamic_shared[];
    return reinterpret_cast<T *>(pr_dynamic_shared);
}
#endif
#endif
