/* The intrinsics of CUDA that kernels use: conversions, bits, rounding, loads, integer atomics. */
#ifndef PR_EMULATION_DEVICE_MATH_CUH
#define PR_EMULATION_DEVICE_MATH_CUH

#include "tests/emulation/emulation.h"

/* The C library declares functions of these names, and has none. */
#define __expf expf
#define __logf logf
#define __log2f log2f
#define __log10f log10f
#define __exp10f exp10f
#define __powf powf
#define __sinf sinf
#define __cosf cosf
#define __tanf tanf

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

static inline int __float_as_int(float x) {
    return static_cast<int>(__float_as_uint(x));
}

static inline float __int_as_float(int bits) {
    return __uint_as_float(static_cast<unsigned>(bits));
}

static inline long long __double_as_longlong(double x) {
    long long bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double __longlong_as_double(long long bits) {
    double x;
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

static inline float __frsqrt_rn(float x) {
    return 1.0f / sqrtf(x);
}

static inline float __fsqrt_rn(float x) {
    return sqrtf(x);
}

static inline float __frcp_rn(float x) {
    return 1.0f / x;
}

static inline float __fdividef(float a, float b) {
    return a / b;
}

static inline float __fdiv_rn(float a, float b) {
    return a / b;
}

static inline float __fmaf_rn(float a, float b, float c) {
    return fmaf(a, b, c);
}

/* These are never fused with what their result goes into. */
static inline float __fadd_rn(float a, float b) {
    volatile float sum = a + b;
    return sum;
}

static inline float __fsub_rn(float a, float b) {
    volatile float difference = a - b;
    return difference;
}

static inline float __fmul_rn(float a, float b) {
    volatile float product = a * b;
    return product;
}

static inline double __dadd_rn(double a, double b) {
    volatile double sum = a + b;
    return sum;
}

static inline double __dmul_rn(double a, double b) {
    volatile double product = a * b;
    return product;
}

static inline float __saturatef(float x) {
    return x >= 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f;
}

static inline int __float2int_rn(float x) {
    return static_cast<int>(rintf(x));
}

static inline int __float2int_rz(float x) {
    return static_cast<int>(x);
}

static inline float __int2float_rn(int x) {
    return static_cast<float>(x);
}

static inline float __uint2float_rn(unsigned x) {
    return static_cast<float>(x);
}

static inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32);
}

static inline int __mulhi(int a, int b) {
    return static_cast<int>((static_cast<int64_t>(a) * b) >> 32);
}

static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}

static inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}

static inline int __popcll(unsigned long long x) {
    return __builtin_popcountll(x);
}

static inline int __ffs(int x) {
    return __builtin_ffs(x);
}

static inline int __clz(int x) {
    return x ? __builtin_clz(static_cast<unsigned>(x)) : 32;
}

static inline int __clzll(long long x) {
    return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64;
}

/* Loads and stores with a wish for how they are cached. */
template <class T> static inline T __ldg(const T *at) {
    return *at;
}

template <class T> static inline T __ldcs(const T *at) {
    return *at;
}

template <class T> static inline T __ldcg(const T *at) {
    return *at;
}

template <class T> static inline void __stcs(T *at, T value) {
    *at = value;
}

template <class T> static inline void __stcg(T *at, T value) {
    *at = value;
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

template <class T> static inline T atomicExch(T *at, emulation::same<T> x) {
    return emulation::atomic(at, [x](T) { return x; });
}

template <class T>
static inline T atomicCAS(T *at, emulation::same<T> expected, emulation::same<T> x) {
    return emulation::atomic(at,
                             [expected, x](T before) { return before == expected ? x : before; });
}

template <class T> static inline T atomicOr(T *at, emulation::same<T> x) {
    return emulation::atomic(at, [x](T before) { return before | x; });
}

template <class T> static inline T atomicAnd(T *at, emulation::same<T> x) {
    return emulation::atomic(at, [x](T before) { return before & x; });
}

template <class T> static inline T atomicXor(T *at, emulation::same<T> x) {
    return emulation::atomic(at, [x](T before) { return before ^ x; });
}

static inline unsigned atomicInc(unsigned *at, unsigned last) {
    return emulation::atomic(at,
                             [last](unsigned before) { return before >= last ? 0 : before + 1; });
}

#endif
