#include "backends/gemm_bf16.h"

#include <string.h>

#include "backends/panel.h"
#include "backends/parallel.h"
#include "graph/bf16.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define FAST __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#endif

/* Two neighbours along k stand in one word, the first in its lower half: what one instruction
 * multiplies and adds for each lane. */
enum {
    COLUMNS = 2 * PR_LANES, /* of a tile: two panels */
    ROWS = 12,              /* that are summed at once: with COLUMNS they fill the registers */
    ROW_TILE = 384,         /* the most rows of a task, which packs b for them */
    LINE = 64,              /* bytes that come from memory at once */
    CHUNK = 8               /* pairs between two looks ahead */
};

/* The part of b that a thread will pack next, fetched from memory while it multiplies. */
typedef struct ahead {
    const char *line; /* the next one to fetch */
    int64_t stride;   /* bytes from one to the next */
    int64_t lines;    /* still to fetch */
    int64_t at_once;  /* of them, every CHUNK pairs */
} ahead;

typedef struct job {
    const pr_gemm *g;
    uint32_t *a;      /* (m, pairs): g->a in bf16 */
    uint32_t *panels; /* a thread's: (2, pairs, PR_LANES) */
    int64_t pairs;    /* of k, the last one's second half 0 where k is odd */
    int64_t row_tiles;
    int threads;
    bool fast;
} job;

bool pr_gemm_bf16_is_fast(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

static size_t panel_words(int64_t pairs) {
    return (size_t)pairs * COLUMNS;
}

size_t pr_gemm_bf16_workspace(const pr_backend *backend, int64_t m, int64_t k) {
    int64_t pairs = (k + 1) / 2;
    size_t of_a = (size_t)pr_panel_width(m * pairs);
    size_t words = of_a + panel_words(pairs) * (size_t)backend->threads;
    return (words ? words : 1) * sizeof(uint32_t); /* there is no counting on from nowhere */
}

/* ---- factors into words ---- */

PR_VECTOR static void round_rows(const void *context, int64_t begin, int64_t end) {
    const job *j = context;
    int64_t k = j->g->k, whole = k / 2;
    for (int64_t row = begin; row < end; row++) {
        const float *from = j->g->a + row * k;
        uint32_t *to = j->a + row * j->pairs;
#pragma omp simd
        for (int64_t x = 0; x < whole; x++) {
            to[x] =
                (uint32_t)pr_bf16_from_f32(from[2 * x + 1]) << 16 | pr_bf16_from_f32(from[2 * x]);
        }
        if (whole < j->pairs) to[whole] = pr_bf16_from_f32(from[k - 1]);
    }
}

/* Both panels of b (k, n): lane l of panel p is column `column` + 16 p + l, zero past n. */
PR_VECTOR static void pack_columns(const job *j, int64_t column, uint32_t *panels) {
    static const uint16_t zeros[COLUMNS] = {0};
    const pr_gemm *g = j->g;
    int64_t some = g->n - column < COLUMNS ? g->n - column : COLUMNS;
    uint16_t edge[2][COLUMNS] = {{0}, {0}};
    for (int64_t x = 0; x < j->pairs; x++) {
        const uint16_t *upper = g->half + 2 * x * g->n + column;
        const uint16_t *lower = 2 * x + 1 < g->k ? upper + g->n : zeros;
        if (some < COLUMNS) {
            memcpy(edge[0], upper, (size_t)some * sizeof *upper);
            memcpy(edge[1], lower, (size_t)some * sizeof *lower);
            upper = edge[0];
            lower = edge[1];
        }
        uint32_t *first = panels + x * PR_LANES, *second = first + j->pairs * PR_LANES;
        for (int l = 0; l < PR_LANES; l++)
            first[l] = upper[l] | (uint32_t)lower[l] << 16;
        for (int l = 0; l < PR_LANES; l++)
            second[l] = upper[PR_LANES + l] | (uint32_t)lower[PR_LANES + l] << 16;
    }
}

/* Pair x of a row of b (n, k). */
static inline uint32_t pair_of(const pr_gemm *g, int64_t row, int64_t x) {
    const uint16_t *from = g->half + row * g->k + 2 * x;
    return from[0] | (2 * x + 1 < g->k ? (uint32_t)from[1] << 16 : 0);
}

/* One panel of b (n, k): lane l is row `row` + l, zero past n; pairs from number `from` on. */
static void pack_rows(const job *j, int64_t row, int64_t from, uint32_t *panel) {
    for (int64_t x = from; x < j->pairs; x++) {
        for (int64_t l = 0; l < PR_LANES; l++)
            panel[x * PR_LANES + l] = row + l < j->g->n ? pair_of(j->g, row + l, x) : 0;
    }
}

/* ---- tiles ---- */

/* What is left to do with a row of sums, (some) of them. */
PR_INLINE void finish_row(const pr_gemm *g, int64_t row, int64_t column, int64_t some,
                          const float *sum) {
    float *c = g->c + row * g->n + column;
    const float *onto = g->onto ? g->onto + row * g->n + column : NULL;
    for (int64_t l = 0; l < some; l++) {
        float value = g->alpha * sum[l];
        if (g->bias) value += g->bias[column + l];
        c[l] = onto ? value + onto[l] : value;
    }
}

PR_INLINE void finish_tile(const pr_gemm *g, int64_t row, int rows, int64_t column,
                           const float (*sum)[COLUMNS]) {
    int64_t some = g->n - column < COLUMNS ? g->n - column : COLUMNS;
    for (int r = 0; r < rows; r++) {
        if (some == COLUMNS)
            finish_row(g, row + r, column, COLUMNS, sum[r]);
        else
            finish_row(g, row + r, column, some, sum[r]);
    }
}

/* Sums of `rows` rows from `row` on by both panels, in f32 products. */
PR_INLINE void sum_plain(const job *j, int64_t row, int rows, const uint32_t *panels,
                         float (*sum)[COLUMNS]) {
    memset(sum, 0, (size_t)rows * sizeof *sum);
    for (int r = 0; r < rows; r++) {
        const uint32_t *a = j->a + (row + r) * j->pairs;
        for (int p = 0; p < 2; p++) {
            const uint32_t *panel = panels + (size_t)p * (size_t)j->pairs * PR_LANES;
            for (int64_t x = 0; x < j->pairs; x++) {
                float first = pr_bits_float(a[x] << 16);
                float second = pr_bits_float(a[x] & 0xffff0000u);
                for (int l = 0; l < PR_LANES; l++) {
                    uint32_t b = panel[x * PR_LANES + l];
                    sum[r][p * PR_LANES + l] +=
                        first * pr_bits_float(b << 16) + second * pr_bits_float(b & 0xffff0000u);
                }
            }
        }
    }
}

PR_VECTOR static void multiply_plain(const job *j, int64_t row, int64_t rows, int64_t column,
                                     const uint32_t *panels) {
    float sum[ROWS][COLUMNS];
    for (int64_t i = 0; i < rows; i += ROWS) {
        int some = rows - i < ROWS ? (int)(rows - i) : ROWS;
        sum_plain(j, row + i, some, panels, sum);
        finish_tile(j->g, row + i, some, column, (const float(*)[COLUMNS])sum);
    }
}

#if defined(__x86_64__)
/* Sixteen rows of sixteen words become columns. */
FAST static inline void transpose(__m512i r[16]) {
    __m512i t[16];
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) {
        r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

/* As pack_rows, for the whole blocks of 16 pairs; returns how many pairs those are. */
FAST static int64_t pack_rows_fast(const job *j, int64_t row, uint32_t *panel) {
    const pr_gemm *g = j->g;
    int64_t whole = row + PR_LANES <= g->n ? g->k / 2 / PR_LANES * PR_LANES : 0;
    for (int64_t x = 0; x < whole; x += PR_LANES) {
        __m512i r[16];
        for (int l = 0; l < 16; l++)
            r[l] = _mm512_loadu_si512(g->half + (row + l) * g->k + 2 * x);
        transpose(r);
        for (int l = 0; l < 16; l++)
            _mm512_storeu_si512(panel + (x + l) * PR_LANES, r[l]);
    }
    return whole;
}

PR_INLINE void fetch(ahead *next) {
    for (int64_t i = 0; i < next->at_once && next->lines > 0; i++, next->lines--) {
        __builtin_prefetch(next->line);
        __builtin_prefetch(next->line + LINE - 1); /* the same one, or where b is not aligned two */
        next->line += next->stride;
    }
}

FAST static inline __attribute__((always_inline)) void
sum_fast(int rows, int64_t pairs, const uint32_t *a, const uint32_t *panels, float (*sum)[COLUMNS],
         ahead *next) {
    const uint32_t *second = panels + pairs * PR_LANES;
    __m512 s[ROWS][2];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        s[r][0] = s[r][1] = _mm512_setzero_ps();
    for (int64_t x = 0; x < pairs; x++) {
        if (x % CHUNK == 0) fetch(next);
        __m512bh b0 = (__m512bh)_mm512_loadu_si512(panels + x * PR_LANES);
        __m512bh b1 = (__m512bh)_mm512_loadu_si512(second + x * PR_LANES);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            __m512bh both = (__m512bh)_mm512_set1_epi32((int)a[r * pairs + x]);
            s[r][0] = _mm512_dpbf16_ps(s[r][0], both, b0);
            s[r][1] = _mm512_dpbf16_ps(s[r][1], both, b1);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        _mm512_storeu_ps(sum[r], s[r][0]);
        _mm512_storeu_ps(sum[r] + PR_LANES, s[r][1]);
    }
}

/* Each number of rows its own unrolled loop. */
FAST static void sum_some_fast(int rows, int64_t pairs, const uint32_t *a, const uint32_t *panels,
                               float (*sum)[COLUMNS], ahead *next) {
    switch (rows) {
    case 1:
        sum_fast(1, pairs, a, panels, sum, next);
        break;
    case 2:
        sum_fast(2, pairs, a, panels, sum, next);
        break;
    case 3:
        sum_fast(3, pairs, a, panels, sum, next);
        break;
    case 4:
        sum_fast(4, pairs, a, panels, sum, next);
        break;
    case 5:
        sum_fast(5, pairs, a, panels, sum, next);
        break;
    case 6:
        sum_fast(6, pairs, a, panels, sum, next);
        break;
    case 7:
        sum_fast(7, pairs, a, panels, sum, next);
        break;
    case 8:
        sum_fast(8, pairs, a, panels, sum, next);
        break;
    case 9:
        sum_fast(9, pairs, a, panels, sum, next);
        break;
    case 10:
        sum_fast(10, pairs, a, panels, sum, next);
        break;
    case 11:
        sum_fast(11, pairs, a, panels, sum, next);
        break;
    default:
        sum_fast(ROWS, pairs, a, panels, sum, next);
    }
}

FAST static void multiply_fast(const job *j, int64_t row, int64_t rows, int64_t column,
                               const uint32_t *panels, ahead *next) {
    float sum[ROWS][COLUMNS];
    for (int64_t i = 0; i < rows; i += ROWS) {
        int some = rows - i < ROWS ? (int)(rows - i) : ROWS;
        sum_some_fast(some, j->pairs, j->a + (row + i) * j->pairs, panels, sum, next);
        finish_tile(j->g, row + i, some, column, (const float(*)[COLUMNS])sum);
    }
}
#else
static int64_t pack_rows_fast(const job *j, int64_t row, uint32_t *panel) {
    (void)j, (void)row, (void)panel;
    return 0;
}

static void multiply_fast(const job *j, int64_t row, int64_t rows, int64_t column,
                          const uint32_t *panels, ahead *next) {
    (void)next;
    multiply_plain(j, row, rows, column, panels);
}
#endif

/* ---- the product ---- */

static void pack(const job *j, int64_t column, uint32_t *panels) {
    if (!j->g->transpose_b) {
        pack_columns(j, column, panels);
        return;
    }
    for (int p = 0; p < 2; p++, column += PR_LANES, panels += j->pairs * PR_LANES)
        pack_rows(j, column, j->fast ? pack_rows_fast(j, column, panels) : 0, panels);
}

/* What to fetch while `rows` rows are multiplied by columns from `column` - COLUMNS * threads on.
 */
static ahead look_ahead(const job *j, int64_t column, int64_t rows) {
    const pr_gemm *g = j->g;
    if (column + COLUMNS > g->n) return (ahead){0};
    int64_t chunks = (rows + ROWS - 1) / ROWS * ((j->pairs + CHUNK - 1) / CHUNK);
    ahead next = {.lines = g->k, .at_once = (g->k + chunks - 1) / chunks};
    next.line = (const char *)(g->half + (g->transpose_b ? column * g->k : column));
    next.stride = g->transpose_b ? LINE : g->n * (int64_t)sizeof *g->half;
    return next;
}

static void run_tile(const void *context, int64_t task, int thread) {
    const job *j = context;
    uint32_t *panels = j->panels + panel_words(j->pairs) * (size_t)thread;
    int64_t row = task % j->row_tiles * ROW_TILE, column = task / j->row_tiles * COLUMNS;
    int64_t rows = j->g->m - row < ROW_TILE ? j->g->m - row : ROW_TILE;
    ahead next = look_ahead(j, (task + j->threads) / j->row_tiles * COLUMNS, rows);
    pack(j, column, panels);
    if (j->fast)
        multiply_fast(j, row, rows, column, panels, &next);
    else
        multiply_plain(j, row, rows, column, panels);
}

void pr_gemm_bf16_run(const pr_backend *backend, const pr_gemm *g, void *workspace) {
    job j = {.g = g,
             .a = workspace,
             .pairs = (g->k + 1) / 2,
             .threads = backend->threads,
             .fast = backend->fast_bf16};
    j.panels = j.a + pr_panel_width(g->m * j.pairs);
    j.row_tiles = (g->m + ROW_TILE - 1) / ROW_TILE;
    enum { GRAIN = 1 << 14 }; /* pairs to round that are worth a second thread */
    pr_parallel_range(backend, g->m, j.pairs ? GRAIN / j.pairs + 1 : 1, round_rows, &j);
    pr_parallel_tasks(backend, j.row_tiles * ((g->n + COLUMNS - 1) / COLUMNS), run_tile, &j);
}
