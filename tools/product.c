#include "tools/product.h"

#include <stdio.h>
#include <string.h>

#include "ops/ops.h"

enum { A, B, BIAS, ONTO }; /* a matmul's inputs */

static pr_precision precision_of(const pr_call *call) {
    if (call->in[B].dtype == PR_BF16) return PR_PRECISION_BF16;
    /* A processor rounds for such weights alone. */
    return call->backend->kind == PR_CUDA ? call->backend->precision : PR_PRECISION_F32;
}

product product_of(const pr_call *call) {
    bool ta = call->attr.i[0] & PR_TRANSPOSE_A, tb = call->attr.i[0] & PR_TRANSPOSE_B;
    return (product){.m = call->in[A].shape.dim[ta],
                     .n = call->in[B].shape.dim[1 - tb],
                     .k = call->in[A].shape.dim[1 - ta],
                     .transpose_a = ta,
                     .transpose_b = tb,
                     .bias = call->in[BIAS].data != NULL,
                     .onto = call->in[ONTO].data != NULL,
                     .half = call->in[B].dtype == PR_BF16,
                     .precision = precision_of(call)};
}

bool product_equal(const product *a, const product *b) {
    return a->m == b->m && a->n == b->n && a->k == b->k && a->transpose_a == b->transpose_a &&
           a->transpose_b == b->transpose_b && a->bias == b->bias && a->onto == b->onto &&
           a->half == b->half && a->precision == b->precision;
}

double product_flops(const product *p) {
    return 2.0 * (double)p->m * (double)p->n * (double)p->k;
}

const char *product_text(char text[PRODUCT_TEXT], const product *p) {
    static const char *const precision[] = {
        [PR_PRECISION_F32] = "", [PR_PRECISION_BF16] = ",bf16", [PR_PRECISION_TF32] = ",tf32"};
    snprintf(text, PRODUCT_TEXT, "%lldx%lldx%lld%s%s%s%s%s%s", (long long)p->m, (long long)p->n,
             (long long)p->k, p->transpose_a ? ",ta" : "", p->transpose_b ? ",tb" : "",
             p->bias ? ",bias" : "", p->onto ? ",onto" : "", p->half ? ",half" : "",
             precision[p->precision]);
    return text;
}

/* What one word behind the sizes says; false for one that says nothing. */
static bool take_word(product *p, const char *word) {
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"ta", &p->transpose_a},
                 {"tb", &p->transpose_b},
                 {"bias", &p->bias},
                 {"onto", &p->onto},
                 {"half", &p->half}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (strcmp(word, flags[i].name) != 0) continue;
        *flags[i].flag = true;
        return true;
    }
    bool bf16 = strcmp(word, "bf16") == 0, tf32 = strcmp(word, "tf32") == 0;
    if (bf16) p->precision = PR_PRECISION_BF16;
    if (tf32) p->precision = PR_PRECISION_TF32;
    return bf16 || tf32;
}

static bool parse(const char *text, product *p) {
    char words[PRODUCT_TEXT], *rest = words;
    long long m, n, k;
    int end = 0;
    *p = (product){.m = 0};
    if (strlen(text) >= sizeof words) return false;
    if (sscanf(text, "%7lldx%7lldx%7lld%n", &m, &n, &k, &end) != 3) return false;
    if (m < 1 || n < 1 || k < 1) return false;
    p->m = m;
    p->n = n;
    p->k = k;
    if (text[end] == '\0') return true;
    if (text[end] != ',') return false;
    memcpy(words, text + end + 1, strlen(text + end + 1) + 1);
    for (char *word; (word = strsep(&rest, ",")) != NULL;) {
        if (!take_word(p, word)) return false;
    }
    return !p->half || p->precision == PR_PRECISION_BF16;
}

pr_status product_parse(const char *text, product *p, pr_error *err) {
    if (parse(text, p)) return PR_OK;
    return pr_fail(err, PR_BAD_ARGUMENT,
                   "'%s' is no product: expected one as --profile lists them, 4096x768x3072,tb "
                   "with ta, tb, bias, onto, half, bf16 or tf32 behind it",
                   text);
}
