/* CUDA's language for the host's compiler, to run on the emulation: what backends/device.cuh has of
 * the toolkit where PR_EMULATED is not set. Arithmetic is the processor's: what a device computes
 * approximately (__expf) is exact to rounding here. Atomic operations are those on integers alone;
 * sums of floats by atomics would depend on the order of threads. */
#ifndef PR_EMULATION_DEVICE_CUH
#define PR_EMULATION_DEVICE_CUH

#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "tests/emulation/launch.h"

/* clang puts shared variables where symbols.c looks for them, and between what AddressSanitizer
 * guards them with; gcc ignores sections in templates. */
#undef __shared__
#ifdef __clang__
#define __shared__ static __attribute__((section(".pr_shared")))
#else
#define __shared__ static
#endif
#define __launch_bounds__(...)
#ifndef __noinline__
#define __noinline__ __attribute__((noinline))
#endif

extern "C" {
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
}
constexpr int warpSize = 32;

/* The block's dynamic shared memory, of as many elements as the launch gave bytes for. */
template <class T> static inline T *pr_shared() {
    return static_cast<T *>(emulation_shared());
}

#include "tests/emulation/device_math.cuh"

/* Barriers tell the line that they stand in. */
static inline void __syncthreads(int line = __builtin_LINE()) {
    emulation_barrier(line);
}

namespace emulation {

/* A value of up to 8 bytes on its way to another lane. */
template <class T>
static inline T shuffle(emulation_exchange exchange, unsigned mask, T value, int lane, int width) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(uint64_t),
                  "lanes exchange values of up to 8 bytes");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = emulation_warp(exchange, mask, bits, lane, width);
    std::memcpy(static_cast<void *>(&value), &bits, sizeof value);
    return value;
}

static inline unsigned vote(unsigned mask, int predicate) {
    return static_cast<unsigned>(
        emulation_warp(EMULATION_BALLOT, mask, predicate != 0, 0, warpSize));
}

static inline unsigned reduce(emulation_exchange exchange, unsigned mask, unsigned value) {
    return static_cast<unsigned>(emulation_warp(exchange, mask, value, 0, warpSize));
}

} // namespace emulation

static inline void __syncwarp(unsigned mask = 0xFFFFFFFF) {
    emulation_warp(EMULATION_SYNC, mask, 0, 0, warpSize);
}

template <class T>
static inline T __shfl_sync(unsigned mask, T value, int lane, int width = warpSize) {
    return emulation::shuffle(EMULATION_SHUFFLE, mask, value, lane, width);
}

template <class T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = warpSize) {
    return emulation::shuffle(EMULATION_UP, mask, value, static_cast<int>(lanes), width);
}

template <class T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = warpSize) {
    return emulation::shuffle(EMULATION_DOWN, mask, value, static_cast<int>(lanes), width);
}

template <class T>
static inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = warpSize) {
    return emulation::shuffle(EMULATION_XOR, mask, value, lanes, width);
}

static inline unsigned __ballot_sync(unsigned mask, int predicate) {
    return emulation::vote(mask, predicate);
}

static inline int __any_sync(unsigned mask, int predicate) {
    return emulation::vote(mask, predicate) != 0;
}

static inline int __all_sync(unsigned mask, int predicate) {
    return emulation::vote(mask, !predicate) == 0;
}

static inline unsigned __reduce_add_sync(unsigned mask, unsigned value) {
    return emulation::reduce(EMULATION_ADD, mask, value);
}

static inline int __reduce_add_sync(unsigned mask, int value) {
    return static_cast<int>(emulation::reduce(EMULATION_ADD, mask, static_cast<unsigned>(value)));
}

static inline unsigned __reduce_max_sync(unsigned mask, unsigned value) {
    return emulation::reduce(EMULATION_MAX, mask, value);
}

static inline int __reduce_max_sync(unsigned mask, int value) {
    return static_cast<int>(
        emulation::reduce(EMULATION_MAX_SIGNED, mask, static_cast<unsigned>(value)));
}

namespace emulation {

/* A launch's arguments as the kernel takes them, in one block of bytes. */
template <class... Parameters> struct call_of {
    static_assert((std::is_trivially_copyable_v<Parameters> && ...),
                  "a kernel's arguments are copied byte by byte");
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> arguments;

    static void run(const void *bytes) {
        const call_of *call = static_cast<const call_of *>(bytes);
        std::apply(call->kernel, call->arguments);
    }
};

template <class T> static inline void keep_pointer(const void **pointers, int &n, T argument) {
    if constexpr (std::is_pointer_v<T>)
        pointers[n++] = argument;
    else
        (void)argument, (void)pointers, (void)n;
}

} // namespace emulation

/* See backends/launch.cuh. */
template <class... Parameters, class... Arguments>
static inline cudaError_t pr_launch(void (*kernel)(Parameters...), dim3 grid, dim3 block,
                                    size_t shared_bytes, cudaStream_t stream,
                                    Arguments... arguments) {
    using call_type = emulation::call_of<Parameters...>;
    static_assert(alignof(call_type) <= 16, "arguments are kept at multiples of 16 bytes");
    call_type call{kernel, {static_cast<Parameters>(arguments)...}};
    const void *pointers[sizeof...(Parameters) + 1];
    int n = 0;
    std::apply([&](auto... each) { (emulation::keep_pointer(pointers, n, each), ...); },
               call.arguments);
    emulation_launch launch{};
    launch.kernel = reinterpret_cast<const void *>(kernel);
    launch.call = call_type::run;
    launch.arguments = &call;
    launch.bytes = sizeof call;
    launch.pointers = pointers;
    launch.n_pointers = n;
    launch.grid = grid;
    launch.block = block;
    launch.shared = shared_bytes;
    launch.stream = stream;
    return emulation_launch_kernel(&launch);
}

#endif
