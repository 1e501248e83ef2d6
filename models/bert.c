#include "models/bert.h"

#include <stdio.h>

#include "ops/ops.h"

enum { STEM = 64, NAME = 80 }; /* of "blk.0.attn_q", and with ".weight" */

pr_status pr_bert_check(const pr_bert_config *c, pr_error *err) {
    const struct {
        const char *name;
        int64_t value, least, most;
    } fields[] = {
        {"layers", c->layers, 1, 1000},
        {"width", c->width, 1, 1 << 16},
        {"heads", c->heads, 1, 1 << 10},
        {"feed-forward width", c->ffn, 1, 1 << 20},
        {"vocabulary size", c->vocab, 1, 1 << 24},
        {"positions", c->positions, 1, 1 << 16},
        {"labels", c->labels, 1, 1 << 16},
        {"token types", c->token_types, c->kind == PR_BERT, c->kind == PR_BERT ? 1 << 10 : 0},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].value < fields[i].least || fields[i].value > fields[i].most) {
            return pr_fail(err, PR_BAD_ARGUMENT, "model: %s: expected %lld to %lld, found %lld",
                           fields[i].name, (long long)fields[i].least, (long long)fields[i].most,
                           (long long)fields[i].value);
        }
    }
    if (c->width % c->heads != 0) {
        return pr_fail(err, PR_BAD_ARGUMENT, "model: width %d is no multiple of its %d heads",
                       (int)c->width, (int)c->heads);
    }
    if (c->regression && c->labels != 1) {
        return pr_fail(err, PR_BAD_ARGUMENT, "model: regression has one output, found %d",
                       (int)c->labels);
    }
    const float rates[] = {c->dropout, c->attention_dropout, c->head_dropout};
    for (int i = 0; i < 3; i++) {
        if (!(rates[i] >= 0.0f && rates[i] < 1.0f)) {
            return pr_fail(err, PR_BAD_ARGUMENT, "model: dropout: expected 0 to under 1, found %g",
                           (double)rates[i]);
        }
    }
    if (!(c->epsilon > 0.0f && c->epsilon < 1.0f)) {
        return pr_fail(err, PR_BAD_ARGUMENT,
                       "model: layer norm epsilon: expected between 0 and 1, found %g",
                       (double)c->epsilon);
    }
    return PR_OK;
}

/* One visitor call at a time, passed over once one has failed. */
typedef struct listing {
    pr_bert_visit visit;
    void *context;
    pr_error *err;
    pr_status status;
} listing;

static void list(listing *l, const char *stem, const char *kind, pr_shape shape) {
    char name[NAME];
    if (l->status != PR_OK) return;
    snprintf(name, sizeof name, "%s.%s", stem, kind);
    l->status = l->visit(l->context, name, shape, l->err);
}

static void list_linear(listing *l, const char *stem, int64_t out, int64_t in) {
    list(l, stem, "weight", pr_shape_2(out, in));
    list(l, stem, "bias", pr_shape_1(out));
}

static void list_norm(listing *l, const char *stem, int64_t width) {
    list(l, stem, "weight", pr_shape_1(width));
    list(l, stem, "bias", pr_shape_1(width));
}

static const char *block_name(char name[STEM], int layer, const char *part) {
    snprintf(name, STEM, "blk.%d.%s", layer, part);
    return name;
}

pr_status pr_bert_parameters(const pr_bert_config *c, pr_bert_visit visit, void *context,
                             pr_error *err) {
    listing l = {visit, context, err, PR_OK};
    char name[STEM];
    list(&l, "token_embd", "weight", pr_shape_2(c->vocab, c->width));
    list(&l, "position_embd", "weight", pr_shape_2(c->positions, c->width));
    if (c->token_types) list(&l, "token_types", "weight", pr_shape_2(c->token_types, c->width));
    list_norm(&l, "token_embd_norm", c->width);
    for (int i = 0; i < c->layers; i++) {
        list_linear(&l, block_name(name, i, "attn_q"), c->width, c->width);
        list_linear(&l, block_name(name, i, "attn_k"), c->width, c->width);
        list_linear(&l, block_name(name, i, "attn_v"), c->width, c->width);
        list_linear(&l, block_name(name, i, "attn_output"), c->width, c->width);
        list_norm(&l, block_name(name, i, "attn_output_norm"), c->width);
        list_linear(&l, block_name(name, i, "ffn_up"), c->ffn, c->width);
        list_linear(&l, block_name(name, i, "ffn_down"), c->width, c->ffn);
        list_norm(&l, block_name(name, i, "layer_output_norm"), c->width);
    }
    list_linear(&l, "cls", c->width, c->width);
    list_linear(&l, "cls.output", c->labels, c->width);
    return l.status;
}

static pr_tid parameter(pr_graph *g, const char *stem, const char *kind) {
    char name[NAME];
    snprintf(name, sizeof name, "%s.%s", stem, kind);
    return pr_graph_param(g, name);
}

pr_tid pr_bert_linear(pr_graph *g, pr_tid x, const char *name) {
    pr_graph_scope(g, "%s", name);
    return pr_linear(g, x, parameter(g, name, "weight"), parameter(g, name, "bias"));
}

/* What the parts of one model share while it is built. */
typedef struct builder {
    pr_graph *g;
    const pr_bert_config *c;
    pr_bert_parts parts;
    const void *context;
    pr_bert io;
} builder;

static pr_tid norm(const builder *b, pr_tid x, const char *name) {
    pr_graph_scope(b->g, "%s", name);
    return pr_layer_norm(b->g, x, parameter(b->g, name, "weight"), parameter(b->g, name, "bias"),
                         b->c->epsilon);
}

static pr_tid drop(const builder *b, pr_tid x, float p, const char *site) {
    return pr_dropout(b->g, x, b->io.clock, b->io.offsets, p, site);
}

static pr_tid embeddings(const builder *b) {
    pr_graph *g = b->g;
    pr_graph_scope(g, "token_embd");
    pr_tid x = pr_embed(g, parameter(g, "token_embd", "weight"), b->io.ids);
    pr_graph_scope(g, "position_embd");
    x = pr_add(g, x, pr_embed(g, parameter(g, "position_embd", "weight"), b->io.positions));
    if (b->c->token_types) {
        pr_graph_scope(g, "token_types");
        x = pr_add(g, x, pr_embed(g, parameter(g, "token_types", "weight"), b->io.types));
    }
    return drop(b, norm(b, x, "token_embd_norm"), b->c->dropout, "token_embd_norm");
}

static pr_tid linear(const builder *b, const char *block, const char *part, pr_tid x) {
    char name[NAME];
    snprintf(name, sizeof name, "%s.%s", block, part);
    return b->parts.linear ? b->parts.linear(b->g, x, name, b->context)
                           : pr_bert_linear(b->g, x, name);
}

static pr_tid feed_forward(const builder *b, const char *block, pr_tid x) {
    return linear(b, block, "ffn_down", pr_gelu(b->g, linear(b, block, "ffn_up", x)));
}

pr_tid pr_bert_feed_forward(pr_graph *g, pr_tid x, const char *block) {
    const builder plain = {.g = g};
    return feed_forward(&plain, block, x);
}

/* norm(x + y): y is what a sublayer, "blk.N.attn" or "blk.N.ffn", made of x. */
static pr_tid residual(const builder *b, const char *sublayer, pr_tid y, pr_tid x,
                       const char *after) {
    if (b->parts.sublayer) y = b->parts.sublayer(b->g, y, sublayer, b->context);
    return norm(b, pr_add(b->g, y, x), after);
}

static pr_tid attention(const builder *b, int layer, pr_tid x) {
    char block[STEM], name[STEM];
    snprintf(block, sizeof block, "blk.%d", layer);
    pr_tid q = linear(b, block, "attn_q", x);
    pr_tid k = linear(b, block, "attn_k", x);
    pr_tid v = linear(b, block, "attn_v", x);
    pr_graph_scope(b->g, "%s", block_name(name, layer, "attention"));
    pr_tid a = pr_attention(b->g, q, k, v, b->io.offsets, b->io.clock, b->c->heads,
                            b->c->attention_dropout, name);
    a = linear(b, block, "attn_output", a);
    if (b->c->kind == PR_DISTILBERT) return a; /* it drops nothing here */
    return drop(b, a, b->c->dropout, block_name(name, layer, "attn_output"));
}

/* x = norm(x + attention(x)); x = norm(x + dropout(feed-forward(x))). */
static pr_tid block(const builder *b, int layer, pr_tid x) {
    char name[STEM], after[STEM];
    x = residual(b, block_name(name, layer, "attn"), attention(b, layer, x), x,
                 block_name(after, layer, "attn_output_norm"));
    snprintf(name, sizeof name, "blk.%d", layer);
    pr_tid f = b->parts.feed_forward ? b->parts.feed_forward(b->g, x, name, b->context)
                                     : feed_forward(b, name, x);
    f = drop(b, f, b->c->dropout, block_name(name, layer, "ffn_down"));
    return residual(b, block_name(name, layer, "ffn"), f, x,
                    block_name(after, layer, "layer_output_norm"));
}

/* On each sentence's first token: pooler and tanh (BERT) or pre_classifier and ReLU (DistilBERT),
 * dropout, classifier. */
static pr_tid head(const builder *b, pr_tid x) {
    pr_graph *g = b->g;
    pr_graph_scope(g, "cls");
    pr_tid h = pr_bert_linear(g, pr_first_token(g, x, b->io.offsets), "cls");
    h = b->c->kind == PR_BERT ? pr_tanh(g, h) : pr_relu(g, h);
    h = pr_dropout(g, h, b->io.clock, 0, b->c->head_dropout, "cls");
    return pr_bert_linear(g, h, "cls.output");
}

pr_bert pr_bert_build(pr_graph *g, const pr_bert_config *c, const pr_bert_parts *parts,
                      const void *context) {
    builder b = {.g = g, .c = c, .context = context};
    if (parts) b.parts = *parts;
    b.io.ids = pr_graph_input(g, "ids", PR_I32, pr_shape_1(PR_TOKENS));
    b.io.positions = pr_graph_input(g, "positions", PR_I32, pr_shape_1(PR_TOKENS));
    if (c->token_types) b.io.types = pr_graph_input(g, "types", PR_I32, pr_shape_1(PR_TOKENS));
    b.io.offsets = pr_graph_input(g, "offsets", PR_I32, pr_shape_1(PR_OFFSETS));
    b.io.clock = pr_graph_input(g, "clock", PR_U64, pr_shape_1(3));
    b.io.labels =
        pr_graph_input(g, "labels", c->regression ? PR_F32 : PR_I32, pr_shape_1(PR_SENTENCES));
    pr_tid x = embeddings(&b);
    for (int i = 0; i < c->layers; i++)
        x = block(&b, i, x);
    b.io.logits = head(&b, x);
    pr_graph_scope(g, "loss");
    b.io.loss = c->regression ? pr_mse(g, b.io.logits, b.io.labels)
                              : pr_cross_entropy(g, b.io.logits, b.io.labels);
    return b.io;
}
