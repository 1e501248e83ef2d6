#include "backends/gemm.h"

#include <cblas.h>
#include <limits.h>
#include <string.h>

#include "backends/parallel.h"

enum {
    ROW_TILE = 384, /* the most rows of a tile: what it reads of a then stays in the L2 cache */
    ROW_STEP = 8,   /* tiles' edges fall on multiples of what OpenBLAS's kernels work on */
    COLUMN_STEP = 64,
    ENOUGH_TILES = 8, /* for few threads to come out even */
};
/* A tile packs its part of a and b anew: many small ones cost up to a fifth of the speed. */
static const double large_tile = 40e6, small_tile = 2e6; /* floating-point operations */

typedef struct tiling {
    const pr_gemm *product;
    int64_t rows, columns; /* of a tile; fewer at the edges */
    int64_t row_tiles, column_tiles;
} tiling;

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* The extent of each of `parts` even parts of n, rounded up to a multiple of step. */
static int64_t part_of(int64_t n, int64_t parts, int64_t step) {
    return divide_up(divide_up(n, parts), step) * step;
}

/* Depends on the shape alone. Columns are cut first: a tile that spans the rows reads b once. */
static tiling cut(const pr_gemm *g) {
    int64_t row_parts = divide_up(g->m, ROW_TILE), column_parts = 1;
    double work = 2.0 * (double)g->m * (double)g->n * (double)g->k;
    for (;;) {
        int64_t tiles = row_parts * column_parts;
        double half = work / (double)tiles / 2;
        if (half < small_tile || (half < large_tile && tiles > 1) || tiles >= ENOUGH_TILES) break;
        if (g->n / column_parts >= 2 * COLUMN_STEP) {
            column_parts *= 2;
        } else if (g->m / row_parts >= 2 * ROW_STEP) {
            row_parts *= 2;
        } else {
            break;
        }
    }
    tiling t = {.product = g,
                .rows = part_of(g->m, row_parts, ROW_STEP),
                .columns = part_of(g->n, column_parts, COLUMN_STEP)};
    t.row_tiles = divide_up(g->m, t.rows);
    t.column_tiles = divide_up(g->n, t.columns);
    return t;
}

/* Lays what the product is added onto into the tile. */
static void begin_tile(const pr_gemm *g, int64_t row, int64_t column, int64_t rows,
                       int64_t columns) {
    for (int64_t i = row; i < row + rows; i++) {
        float *c = g->c + i * g->n + column;
        const float *onto = g->onto ? g->onto + i * g->n + column : NULL;
        const float *bias = g->bias ? g->bias + column : NULL;
        if (onto && bias) {
            for (int64_t j = 0; j < columns; j++)
                c[j] = onto[j] + bias[j];
        } else if (c != onto) {
            memcpy(c, onto ? onto : bias, (size_t)columns * sizeof *c);
        }
    }
}

static void run_tile(const void *context, int64_t task, int thread) {
    (void)thread;
    const tiling *t = context;
    const pr_gemm *g = t->product;
    int64_t row = task % t->row_tiles * t->rows, column = task / t->row_tiles * t->columns;
    int64_t rows = g->m - row < t->rows ? g->m - row : t->rows;
    int64_t columns = g->n - column < t->columns ? g->n - column : t->columns;
    bool add = g->bias || g->onto;
    if (add) begin_tile(g, row, column, rows, columns);
    int64_t lda = g->transpose_a ? g->m : g->k, ldb = g->transpose_b ? g->k : g->n;
    const float *a = g->a + (g->transpose_a ? row : row * lda);
    const float *b = g->b + (g->transpose_b ? column * ldb : column);
    cblas_sgemm(CblasRowMajor, g->transpose_a ? CblasTrans : CblasNoTrans,
                g->transpose_b ? CblasTrans : CblasNoTrans, (int)rows, (int)columns, (int)g->k,
                g->alpha, a, lda ? (int)lda : 1, b, ldb ? (int)ldb : 1, add ? 1.0f : 0.0f,
                g->c + row * g->n + column, (int)g->n);
}

pr_status pr_gemm_run(const pr_backend *backend, const pr_gemm *product, pr_error *err) {
    if (product->m > INT_MAX || product->n > INT_MAX || product->k > INT_MAX) {
        return pr_fail(err, PR_UNSUPPORTED,
                       "a product of (%lld, %lld) by (%lld, %lld) is too large",
                       (long long)product->m, (long long)product->k, (long long)product->k,
                       (long long)product->n);
    }
    if (product->m < 1 || product->n < 1) return PR_OK;
    tiling t = cut(product);
    pr_parallel_tasks(backend, t.row_tiles * t.column_tiles, run_tile, &t);
    return PR_OK;
}
