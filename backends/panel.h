/* Small matrix products inside one thread, for where OpenBLAS's calls cost more than the sums: c =
 * a b with b packed into panels of 16 columns. The order of the sums is fixed. To be called from
 * PR_VECTOR functions, into which it is inlined. */
#ifndef PR_PANEL_H
#define PR_PANEL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "backends/simd.h"

enum { PR_LANES = 16, PR_PANEL_ROWS = 6 };

/* One vector of AVX-512, two of AVX2, four of SSE; at any address. */
typedef float pr_lanes __attribute__((vector_size(64), aligned(4), may_alias));

/* n rounded up to whole panels. */
static inline int64_t pr_panel_width(int64_t n) {
    return (n + PR_LANES - 1) / PR_LANES * PR_LANES;
}

/* Packs b (k, n), b[x][j] = from[x * x_step + j * j_step], into panels (width / 16, k, 16); the
 * columns past n are zeros. */
PR_INLINE void pr_panel_pack(int64_t k, int64_t n, const float *from, int64_t x_step,
                             int64_t j_step, float *panels) {
    for (int64_t j = 0; j < n; j += PR_LANES) {
        int64_t some = n - j < PR_LANES ? n - j : PR_LANES;
        for (int64_t x = 0; x < k; x++) {
            const float *row = from + x * x_step + j * j_step;
            if (some == PR_LANES && j_step == 1) {
                memcpy(panels, row, PR_LANES * sizeof *panels);
            } else {
                for (int64_t l = 0; l < PR_LANES; l++)
                    panels[l] = l < some ? row[l * j_step] : 0.0f;
            }
            panels += PR_LANES;
        }
    }
}

/* `rows` rows by one panel; c is (rows, 16) of a matrix with rows c_step apart. */
PR_INLINE void pr_panel_tile(int rows, int64_t k, const float *a, int64_t a_row, int64_t a_column,
                             const float *panel, float *c, int64_t c_step, bool add) {
    pr_lanes sum[PR_PANEL_ROWS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
        sum[r] = add ? *(const pr_lanes *)(c + r * c_step) : (pr_lanes){0};
    for (int64_t x = 0; x < k; x++) {
        pr_lanes b = *(const pr_lanes *)(panel + x * PR_LANES);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++)
            sum[r] += a[r * a_row + x * a_column] * b;
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
        *(pr_lanes *)(c + r * c_step) = sum[r];
}

/* As pr_panel_tile, for any number of rows up to PR_PANEL_ROWS: each its own unrolled loop. */
PR_INLINE void pr_panel_some(int64_t rows, int64_t k, const float *a, int64_t a_row,
                             int64_t a_column, const float *panel, float *c, int64_t c_step,
                             bool add) {
    switch (rows) {
    case 1:
        pr_panel_tile(1, k, a, a_row, a_column, panel, c, c_step, add);
        break;
    case 2:
        pr_panel_tile(2, k, a, a_row, a_column, panel, c, c_step, add);
        break;
    case 3:
        pr_panel_tile(3, k, a, a_row, a_column, panel, c, c_step, add);
        break;
    case 4:
        pr_panel_tile(4, k, a, a_row, a_column, panel, c, c_step, add);
        break;
    case 5:
        pr_panel_tile(5, k, a, a_row, a_column, panel, c, c_step, add);
        break;
    default:
        pr_panel_tile(6, k, a, a_row, a_column, panel, c, c_step, add);
    }
}

/* c (m, n) = a b, or c + a b where add. a[i][x] = a[i * a_row + x * a_column]; panels of b lie
 * panel_step floats apart; rows of c c_step. */
PR_INLINE void pr_panel_product(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row,
                                int64_t a_column, const float *panels, int64_t panel_step, float *c,
                                int64_t c_step, bool add) {
    for (int64_t j = 0; j < n; j += PR_LANES, panels += panel_step) {
        int64_t some = n - j < PR_LANES ? n - j : PR_LANES;
        for (int64_t i = 0; i < m; i += PR_PANEL_ROWS) {
            int64_t rows = m - i < PR_PANEL_ROWS ? m - i : PR_PANEL_ROWS;
            const float *from = a + i * a_row;
            float *to = c + i * c_step + j;
            if (some == PR_LANES) {
                pr_panel_some(rows, k, from, a_row, a_column, panels, to, c_step, add);
                continue;
            }
            float edge[PR_PANEL_ROWS * PR_LANES] = {0};
            for (int64_t r = 0; add && r < rows; r++)
                memcpy(edge + r * PR_LANES, to + r * c_step, (size_t)some * sizeof *edge);
            pr_panel_some(rows, k, from, a_row, a_column, panels, edge, PR_LANES, add);
            for (int64_t r = 0; r < rows; r++)
                memcpy(to + r * c_step, edge + r * PR_LANES, (size_t)some * sizeof *edge);
        }
    }
}

#endif
