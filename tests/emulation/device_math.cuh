/* The intrinsics of CUDA that kernels use: conversions, bits, rounding, loads, integer atomics. */
#ifndef PR_EMULATION_DEVICE_MATH_CUH
#define PR_EMULATION_DEVICE_MATH_CUH

#include "tests/emulation/emulation.h"

/* The C library declares functions of these names, and has none. */
#define __expf expf
#define __logf logf

static inline unsigned __float_as_uint(float x) {
    unsigned bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float __uint_as_float(unsigned bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

/* Of a NaN and a number, fmaxf and fminf have the number, and so would hide memory that nobody has
 * written. These do not: it is signalling. */
namespace emulation {

static inline bool is_signalling(float x) {
    unsigned bits = __float_as_uint(x) & 0x7FFFFFFF;
    return bits > 0x7F800000 && bits < 0x7FC00000;
}

static inline float largest(float a, float b) {
    return is_signalling(a) || is_signalling(b) ? NAN : fmaxf(a, b);
}

static inline float least(float a, float b) {
    return is_signalling(a) || is_signalling(b) ? NAN : fminf(a, b);
}

} // namespace emulation

#define fmaxf(a, b) emulation::largest(a, b)
#define fminf(a, b) emulation::least(a, b)

static inline float max(float a, float b) {
    return fmaxf(a, b);
}

static inline float min(float a, float b) {
    return fminf(a, b);
}

template <class T> static inline std::enable_if_t<!std::is_same_v<T, float>, T> max(T a, T b) {
    return a > b ? a : b;
}

template <class T> static inline std::enable_if_t<!std::is_same_v<T, float>, T> min(T a, T b) {
    return a < b ? a : b;
}

#if !__GLIBC_PREREQ(2, 41)
static inline float rsqrtf(float x) {
    return 1.0f / sqrtf(x);
}
#endif

static inline float __fmaf_rn(float a, float b, float c) {
    return fmaf(a, b, c);
}

static inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32);
}

static inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}

static inline int __ffs(int x) {
    return __builtin_ffs(x);
}

static inline int __clz(int x) {
    return x ? __builtin_clz(static_cast<unsigned>(x)) : 32;
}

/* A load with a wish for how it is cached. */
template <class T> static inline T __ldg(const T *at) {
    return *at;
}

namespace emulation {

template <class T>
constexpr bool has_atomics =
    std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>;

/* Applies change to *at, and returns what was there. */
template <class T, class Change> static inline T atomic(T *at, Change change) {
    static_assert(has_atomics<T>, "atomic operations are those on int, unsigned and unsigned long "
                                  "long: sums of floats by them depend on the order of threads");
    emulation_atomic();
    T before = *at;
    *at = change(before);
    return before;
}

template <class T> using same = std::common_type_t<T>; /* the second argument is converted */

} // namespace emulation

template <class T> static inline T atomicAdd(T *at, emulation::same<T> x) {
    return emulation::atomic(at, [x](T before) {
        T sum;
        __builtin_add_overflow(before, x, &sum); /* it wraps */
        return sum;
    });
}

template <class T> static inline T atomicMax(T *at, emulation::same<T> x) {
    return emulation::atomic(at, [x](T before) { return before > x ? before : x; });
}

template <class T> static inline T atomicMin(T *at, emulation::same<T> x) {
    return emulation::atomic(at, [x](T before) { return before < x ? before : x; });
}

template <class T>
static inline T atomicCAS(T *at, emulation::same<T> expected, emulation::same<T> x) {
    return emulation::atomic(at,
                             [expected, x](T before) { return before == expected ? x : before; });
}

#endif
