/* What attention and its gradient share on a GPU. A block of four warps has one head of one
 * sentence and a tile of 16 of its rows, four a warp; the rows of the other side (keys where the
 * tile is of queries) come by in groups of 32, one a lane. All lie in shared memory, `stride`
 * floats apart. */
#ifndef PR_ATTENTION_CUH
#define PR_ATTENTION_CUH

#include "ops/offsets.cuh"

enum {
    PR_ROWS = 4,  /* of a tile, that a warp has; and keys of a draw */
    PR_WARPS = 4, /* of a block */
    PR_TILE = PR_ROWS * PR_WARPS,
    PR_ATTENTION_THREADS = PR_WARP * PR_WARPS,
    PR_MOST_COLUMNS = 8 /* that a lane has of a head: it may have 256 */
};

typedef pr_pack<PR_ROWS> pr_weights; /* of a warp's rows by one of the other side */

struct pr_heads {
    pr_sentences sentences;
    pr_fault_site too_long;
    int64_t d, longest;
    int32_t heads, size, stride;
    float scale; /* 1 / sqrt(size) */
    bool one;    /* q has a row a sentence */
};

/* What a block works on: rows `from` .. of a head. */
struct pr_block_head {
    int64_t first, length;        /* the sentence's tokens; 0 of a sentence that is none */
    int64_t first_query, queries; /* its rows of q */
    int64_t column, from;
    int32_t sentence, head;
    bool leads; /* of its head, the block that clears what no sentence has */
};

#define PR_SENTENCE_TOO_LONG(op)                                                                   \
    op " '%s': sentence %lld has %lld rows, and the longest is said to have %lld"

/* ---- on the host ---- */

/* Whether a head's rows can be read four columns at once. */
static inline bool pr_reads_by_four(int32_t size) {
    return size % 4 == 0 && size <= 2 * PR_WARP;
}

/* The first four inputs of attention and of its gradient are the same. */
static inline pr_heads pr_heads_of(const pr_call *c, pr_fault_site ends, pr_fault_site empty,
                                   pr_fault_site too_long) {
    enum { Q, OFFSETS = 3 };
    pr_heads h = {};
    h.sentences = {pr_integers(c->in[OFFSETS]), pr_live(c), ends, empty};
    h.too_long = too_long;
    h.d = c->in[Q].shape.dim[1];
    h.longest = c->extent.longest;
    h.heads = c->attr.i[0];
    h.size = (int32_t)(h.d / h.heads);
    /* Odd, in what is read at once: lanes then read their rows from all banks of the memory. */
    h.stride = pr_reads_by_four(h.size) ? (h.size / 4 | 1) * 4 : h.size | 1;
    h.scale = 1.0f / sqrtf((float)h.size);
    h.one = c->attr.i[1] != 0;
    return h;
}

/* Bytes of shared memory for so many tiles, two groups, and weights of so many kinds. */
static inline size_t pr_attention_shared(const pr_heads &h, int tiles, int kinds) {
    size_t rows = (size_t)tiles * PR_TILE + 2 * PR_WARP;
    return rows * (size_t)h.stride * sizeof(float) +
           (size_t)kinds * PR_ATTENTION_THREADS * sizeof(pr_weights);
}

/* Launches blocks for the heads of each sentence's only row, or of all tiles that sentences of N
 * tokens can make up; see pr_block_head_of. */
template <class... Parameters, class... Arguments>
static pr_status pr_launch_heads(const pr_call *c, void (*kernel)(Parameters...), const pr_heads &h,
                                 bool one, size_t shared, Arguments... arguments) {
    enum { UNASKED = 48 << 10 /* bytes of shared memory that a kernel has in any case */ };
    int64_t tokens = c->in[1].shape.dim[0], sentences = c->in[3].shape.dim[0] - 1;
    if (h.size > PR_WARP * PR_MOST_COLUMNS ||
        (shared > UNASKED &&
         cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              (int)shared) != cudaSuccess)) {
        (void)cudaGetLastError();
        return pr_fail(c->err, PR_UNSUPPORTED, "%s: the GPU has no room for heads of %d columns",
                       c->name, (int)h.size);
    }
    int64_t slots = one ? sentences : tokens / PR_TILE + sentences;
    return pr_launch_blocks(c, kernel, slots * h.heads, PR_ATTENTION_THREADS, shared, arguments...);
}

/* ---- on the device ---- */

/* As pr_check_offsets, and no sentence is longer than the longest. */
static __device__ inline void pr_check_sentences(const pr_heads &h) {
    if (blockIdx.x != 0 || threadIdx.x >= PR_WARP) return;
    pr_check_offsets(h.sentences);
    const int32_t *offset = h.sentences.offset;
    for (int from = 0; from < h.sentences.live[PR_LIVE_SENTENCES]; from += PR_WARP) {
        int s = from + (int)threadIdx.x;
        int64_t length =
            s < h.sentences.live[PR_LIVE_SENTENCES] ? (int64_t)offset[s + 1] - offset[s] : 0;
        unsigned lanes = __ballot_sync(0xffffffffu, length > h.longest);
        if (!lanes) continue;
        if ((int)threadIdx.x == __ffs((int)lanes) - 1) pr_report(h.too_long, s, length, h.longest);
        return;
    }
}

/* The number of a sentence's first slot. A slot is a tile's; a sentence has as many as it has
 * tiles, or one more, and its number is found without counting the tiles before. */
static __device__ inline int64_t pr_first_slot(const pr_heads &h, int sentence) {
    return h.sentences.offset[sentence] / PR_TILE + sentence;
}

/* The block's; one: each sentence has one row, and one slot. Whatever the offsets are, its rows are
 * live ones, or it has none. */
static __device__ inline pr_block_head pr_block_head_of(const pr_heads &h, bool one) {
    int64_t slot = blockIdx.x / h.heads;
    int low = 0, high = h.sentences.live[PR_LIVE_SENTENCES],
        tokens = h.sentences.live[PR_LIVE_TOKENS];
    while (!one && high - low > 1) {
        int middle = low + (high - low) / 2;
        if (pr_first_slot(h, middle) <= slot)
            low = middle;
        else
            high = middle;
    }
    pr_block_head b = {};
    b.head = (int32_t)blockIdx.x % h.heads;
    b.column = (int64_t)b.head * h.size;
    b.leads = slot == 0;
    b.sentence = one ? (int32_t)slot : low;
    if (b.sentence >= h.sentences.live[PR_LIVE_SENTENCES]) return b;
    int64_t first = h.sentences.offset[b.sentence], past = h.sentences.offset[b.sentence + 1];
    int64_t tile = one ? 0 : slot - pr_first_slot(h, b.sentence);
    if (first < 0 || past < first || past > tokens || tile < 0) return b;
    b.first = first;
    b.length = past - first;
    b.from = tile * PR_TILE;
    b.first_query = h.one ? b.sentence : first;
    b.queries = h.one && b.length > 0 ? 1 : b.length;
    return b;
}

#endif
