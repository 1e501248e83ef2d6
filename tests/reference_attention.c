/* attention as the plain composition: for each sentence and head the product q k', a softmax,
 * dropout, the product with v; and its gradient by the chain rule through these. */
#include <math.h>
#include <stdlib.h>

#include "ops/table.h"
#include "tests/reference.h"

enum { Q, K, V, OFFSETS, RNG, Y, LSE, DY };

/* One head of one sentence. Its matrices are (queries, length), a row a query: all tokens ask, or
 * where q has a row a sentence the first one alone. */
typedef struct attended {
    int64_t first, length, first_query, queries, column, size, d;
    double *p;     /* softmax of the scores */
    double *error; /* of p, relative to it, in units */
    double *keep;  /* dropout: 0 or 1 / (1 - p) */
    double *lse, *lse_error;
    double scale;
} attended;

static const double *row_of(const reference_call *c, int k, const attended *h, int64_t token) {
    int64_t first = k == K || k == V ? h->first : h->first_query;
    return c->in[k].x + (first + token) * h->d + h->column;
}

/* The score of a query and a key, and how large its terms are. */
static double score(const reference_call *c, const attended *h, int64_t i, int64_t j,
                    double *terms) {
    const double *q = row_of(c, Q, h, i), *k = row_of(c, K, h, j);
    double sum = 0.0;
    *terms = 0.0;
    for (int64_t x = 0; x < h->size; x++) {
        sum += q[x] * k[x] * h->scale;
        *terms += fabs(q[x] * k[x]) * h->scale;
    }
    return sum;
}

/* Row i of p, its error and lse. An error of a score is one of its exponential, relative to that;
 * the largest score is taken off before, which rounds, and the sum of the row divided out. */
static void soften(const reference_call *c, attended *h, int64_t i) {
    double *p = h->p + i * h->length, *error = h->error + i * h->length;
    double most = -INFINITY, sum = 0.0, sum_error = 0.0;
    for (int64_t j = 0; j < h->length; j++) {
        p[j] = score(c, h, i, j, &error[j]);
        most = fmax(most, p[j]);
    }
    for (int64_t j = 0; j < h->length; j++) {
        error[j] += 1.0 + most - p[j];
        p[j] = exp(p[j] - most);
        sum += p[j];
        sum_error += p[j] * error[j];
    }
    for (int64_t j = 0; j < h->length; j++) {
        p[j] /= sum;
        error[j] += sum_error / sum;
    }
    h->lse[i] = most + log(sum);
    h->lse_error[i] = fabs(most) + fabs(log(sum)) + sum_error / sum;
}

static void draw_mask(const reference_call *c, attended *h, int64_t sentence, int64_t head) {
    double rate = c->training ? c->attr.f[0] : 0.0;
    for (int64_t i = 0; i < h->queries; i++) {
        for (int64_t j = 0; j < h->length; j++) {
            uint32_t place = (uint32_t)(head << 16 | i);
            bool keep = rate == 0.0 ||
                        reference_keeps(c->in[RNG].u, c->attr.site, rate, sentence, place, j);
            h->keep[i * h->length + j] = keep ? 1.0 / (1.0 - rate) : 0.0;
        }
    }
}

/* Calls use for each head of each sentence. */
static void each_head(const reference_call *c,
                      void (*use)(const reference_call *, const attended *, int64_t head)) {
    const int32_t *offset = c->in[OFFSETS].i;
    int64_t sentences = c->in[OFFSETS].shape.dim[0] - 1, heads = c->attr.i[0];
    for (int64_t s = 0; s < sentences; s++) {
        int64_t length = offset[s + 1] - offset[s];
        double *scratch = malloc((size_t)(3 * length * length + 2 * length) * sizeof *scratch);
        if (!scratch) abort();
        attended h = {.first = offset[s], .length = length, .d = c->in[Q].shape.dim[1]};
        bool one = c->in[Q].shape.dim[0] == sentences;
        h.first_query = one ? s : h.first;
        h.queries = one ? 1 : length;
        h.size = h.d / heads;
        h.scale = 1.0 / sqrt((double)h.size);
        h.p = scratch;
        h.error = h.p + length * length;
        h.keep = h.error + length * length;
        h.lse = h.keep + length * length;
        h.lse_error = h.lse + length;
        for (int64_t head = 0; head < heads; head++) {
            h.column = head * h.size;
            for (int64_t i = 0; i < h.queries; i++)
                soften(c, &h, i);
            draw_mask(c, &h, s, head);
            use(c, &h, head);
        }
        free(scratch);
    }
}

static void attend(const reference_call *c, const attended *h, int64_t head) {
    for (int64_t i = 0; i < h->queries; i++) {
        const double *p = h->p + i * h->length, *error = h->error + i * h->length;
        const double *keep = h->keep + i * h->length;
        for (int64_t x = 0; x < h->size; x++) {
            double sum = 0.0, scale = 0.0;
            for (int64_t j = 0; j < h->length; j++) {
                double term = p[j] * keep[j] * row_of(c, V, h, j)[x];
                sum += term;
                scale += fabs(term) * (1.0 + error[j]);
            }
            reference_set(c, 0, (h->first_query + i) * h->d + h->column + x, sum, scale);
        }
        int64_t at = (h->first_query + i) * c->attr.i[0] + head;
        reference_set(c, 1, at, h->lse[i], h->lse_error[i]);
    }
}

static void run_attention(const reference_call *c) {
    each_head(c, attend);
}

/* ---- the gradient ---- */

static void add(const reference_call *c, int k, const attended *h, int64_t token, int64_t x,
                double term, double scale) {
    int64_t at = ((k ? h->first : h->first_query) + token) * h->d + h->column + x;
    c->y[k][at] += term;
    c->scale[k][at] += scale;
}

/* What flows back into row i of the scores: ds = p (dp - sum of p dp), dp = keep (dy v'). The
 * kernel draws p again as exp(score - lse), lse being rounded to float, and takes the sum from y.
 */
static void back_to_scores(const reference_call *c, const attended *h, int64_t i, double *ds,
                           double *ds_scale) {
    const double *p = h->p + i * h->length, *keep = h->keep + i * h->length;
    const double *dy = row_of(c, DY, h, i);
    double delta = 0.0, delta_scale = 0.0;
    for (int64_t j = 0; j < h->length; j++) {
        const double *v = row_of(c, V, h, j);
        ds[j] = ds_scale[j] = 0.0;
        for (int64_t x = 0; x < h->size; x++) {
            ds[j] += keep[j] * dy[x] * v[x];
            ds_scale[j] += keep[j] * fabs(dy[x] * v[x]);
        }
        delta += p[j] * ds[j];
        delta_scale += p[j] * ds_scale[j];
    }
    for (int64_t j = 0; j < h->length; j++) {
        double error = 1.0 + h->error[i * h->length + j] + fabs(h->lse[i]);
        ds_scale[j] = p[j] * (ds_scale[j] + delta_scale + fabs(ds[j] - delta) * error);
        ds[j] = p[j] * (ds[j] - delta);
    }
}

static void attend_back(const reference_call *c, const attended *h, int64_t head) {
    (void)head;
    double *ds = malloc((size_t)(2 * h->length) * sizeof *ds), *ds_scale = ds + h->length;
    if (!ds) abort();
    for (int64_t i = 0; i < h->queries; i++) {
        const double *p = h->p + i * h->length, *keep = h->keep + i * h->length;
        const double *q = row_of(c, Q, h, i), *dy = row_of(c, DY, h, i);
        back_to_scores(c, h, i, ds, ds_scale);
        for (int64_t j = 0; j < h->length; j++) {
            const double *k = row_of(c, K, h, j);
            double error = 1.0 + h->error[i * h->length + j] + fabs(h->lse[i]);
            for (int64_t x = 0; x < h->size; x++) {
                double to_v = keep[j] * p[j] * dy[x];
                add(c, 0, h, i, x, ds[j] * k[x] * h->scale, ds_scale[j] * fabs(k[x]) * h->scale);
                add(c, 1, h, j, x, ds[j] * q[x] * h->scale, ds_scale[j] * fabs(q[x]) * h->scale);
                add(c, 2, h, j, x, to_v, fabs(to_v) * error);
            }
        }
    }
    free(ds);
}

static void run_attention_grad(const reference_call *c) {
    for (int k = 0; k < 3; k++) {
        for (int64_t i = 0; i < reference_count(c->shape[k]); i++)
            reference_set(c, k, i, 0.0, 0.0);
    }
    each_head(c, attend_back);
}

const reference reference_attention[] = {
    /* The scale counts every rounding on the way, which seldom all fall one way. */
    {&pr_op_attention, run_attention, 2, 0.6},
    {&pr_op_attention_grad, run_attention_grad, 2, 0.5},
    {0},
};
