/* The offsets of sentences in a packed batch, for kernels on a GPU. They are a batch's own: read,
 * checked and reported where the kernels run. */
#ifndef PR_OFFSETS_CUH
#define PR_OFFSETS_CUH

#include "backends/kernel.cuh"

/* What kernel.c says of offsets that do not fit; op is a string constant. */
#define PR_OFFSETS_ENDS(op) op " '%s': offsets must run from 0 to the %lld rows of x"
#define PR_OFFSETS_EMPTY(op) op " '%s': sentence %lld has no rows: its offsets are %lld and %lld"

/* offset i32 (B + 1), live as pr_live. */
struct pr_sentences {
    const int32_t *offset, *live;
    pr_fault_site ends, empty; /* reported by pr_check_offsets */
};

/* As pr_offsets_fit: reports the first thing that is wrong with the offsets of the live sentences
 * and tokens, if any. A whole warp calls it, of one block of a kernel. */
static __device__ inline void pr_check_offsets(const pr_sentences &s) {
    int lane = threadIdx.x % PR_WARP, sentences = s.live[PR_LIVE_SENTENCES];
    if (s.offset[0] != 0 || s.offset[sentences] != s.live[PR_LIVE_TOKENS]) {
        if (lane == 0) pr_report(s.ends, s.live[PR_LIVE_TOKENS]);
        return;
    }
    for (int from = 0; from < sentences; from += PR_WARP) {
        int b = from + lane;
        bool bad = b < sentences && s.offset[b] >= s.offset[b + 1];
        unsigned lanes = __ballot_sync(0xffffffffu, bad);
        if (!lanes) continue;
        if (lane == __ffs((int)lanes) - 1) pr_report(s.empty, b, s.offset[b], s.offset[b + 1]);
        return;
    }
}

/* The live sentence that holds the row: the last to start at or before it. Whatever the offsets
 * are, it is one of 0 .. live[PR_LIVE_SENTENCES] - 1, or 0. */
static __device__ inline int pr_sentence_of(const pr_sentences &s, int64_t row) {
    return pr_find_last(s.live[PR_LIVE_SENTENCES], [&](int i) { return s.offset[i] <= row; });
}

#endif
