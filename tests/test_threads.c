/* The same seed gives the same bits with any number of threads: losses, parameters, moments, logits
 * and the file. CTest runs it a second time with OPENBLAS_CORETYPE=Haswell, whose kernels are more
 * sensitive to where a product is cut; the two runs need not agree with each other. */
#include <math.h>
#include <strings.h>

#include <cblas.h>

#include "backends/cpu.h"
#include "backends/philox.h"
#include "graph/memory.h"
#include "ops/ops.h"
#include "tests/scene.h"
#include "tests/scratch.h"
#include "tests/test.h"

enum { BATCH = 16, BATCHES = 2, STEPS = 3, MOST_THREADS = 4, PRIMED_STEPS = 2 };

/* Wide enough for products to be cut into several tiles, with a table that few tokens touch. */
static scene_options wide_options(const char *method, int threads) {
    scene_options o = scene_default(PR_BERT, method);
    o.config.width = 128;
    o.config.heads = 2;
    o.config.ffn = 512;
    o.config.vocab = 2000;
    o.config.positions = 128;
    o.threads = threads;
    o.clip = 0.01f; /* always clips */
    o.batch = BATCH;
    return o;
}

/* Batches of exactly so many tokens, of sentences as unequal as real ones. */
static pr_dataset *batches_of(size_t tokens, int32_t vocab) {
    size_t length[BATCH * BATCHES];
    for (size_t row = 0; row < BATCH * BATCHES; row++) {
        size_t i = row % BATCH, longer = i % 2 ? i : BATCH - 1 - i; /* 0 .. 15, once each */
        length[row] = tokens / BATCH - 7 + longer;
    }
    for (size_t batch = 0; batch < BATCHES; batch++) {
        size_t sum = 0;
        for (size_t i = 0; i < BATCH; i++)
            sum += length[batch * BATCH + i];
        length[batch * BATCH] += tokens - sum;
    }
    return toy_data_of(BATCH * BATCHES, length, vocab, 11);
}

/* Everything that a run leaves, end to end, and what each part is. */
typedef struct trace {
    unsigned char *bytes;
    size_t n, room;
    struct part {
        char name[64];
        size_t start;
    } part[2048];
    int parts;
} trace;

static void note(trace *t, const char *kind, const char *name, const void *bytes, size_t n) {
    assert_true(t->parts < (int)(sizeof t->part / sizeof *t->part));
    struct part *part = &t->part[t->parts++];
    snprintf(part->name, sizeof part->name, "%s %s", kind, name);
    part->start = t->n;
    assert_true(pr_grow((void **)&t->bytes, &t->room, t->n + n, 1));
    memcpy(t->bytes + t->n, bytes, n);
    t->n += n;
}

static void note_store(trace *t, const pr_store *store) {
    static const char *const kind[] = {"first moments of", "second moments of", "gradient of",
                                       "rows of"};
    for (int i = 0; i < pr_store_count(store); i++) {
        const pr_param *p = pr_store_param(store, i);
        note(t, "parameter", p->name, p->data, p->bytes);
        for (int k = 0; k < PR_STATE_SLOTS; k++) {
            if (p->state[k]) note(t, kind[k], p->name, p->state[k], p->state_bytes[k]);
        }
    }
}

static void note_file(trace *t, const pr_model *model) {
    pr_error err = {0};
    size_t size;
    pr_model_save(model, scratch_path("model.gguf"), false, &err);
    assert_string_equal(err.message, "");
    unsigned char *file = scratch_read(scratch_path("model.gguf"), &size);
    note(t, "the", "file", file, size);
    free(file);
}

/* Trains across a flip, if the method has one. */
static trace *train(const char *method, size_t tokens, int threads) {
    const scene_options o = wide_options(method, threads);
    trace *t = pr_alloc(1, sizeof *t);
    pr_error err = {0};
    pr_feed feeds[PR_BERT_FEEDS];
    float logits[BATCH * 2];
    scene s;
    scene_open(&s, &o, batches_of(tokens, o.config.vocab));
    for (size_t i = 0; i < STEPS; i++) {
        if (i == PRIMED_STEPS) scene_flip(&s);
        float loss = scene_step(&s, i);
        assert_int_equal(s.batch.extent.tokens, tokens);
        note(t, "a step's", "loss", &loss, sizeof loss);
    }
    note_store(t, s.model->store); /* embeddings as they are between steps */
    int n = scene_feed(&s, 0, feeds);
    pr_trainer_evaluate(s.trainer, s.bert.logits, s.batch.extent, feeds, n, logits, &err);
    pr_trainer_catch_up(s.trainer, &err);
    assert_string_equal(err.message, "");
    note(t, "the", "logits", logits, sizeof logits);
    note_file(t, s.model);
    scene_close(&s);
    return t;
}

static void free_trace(trace *t) {
    pr_free(t->bytes);
    pr_free(t);
}

static void assert_same(const trace *one, const trace *many, int threads, size_t tokens) {
    assert_int_equal(one->n, many->n);
    assert_int_equal(one->parts, many->parts);
    for (int i = 0; i < one->parts; i++) {
        size_t from = one->part[i].start;
        size_t to = i + 1 < one->parts ? one->part[i + 1].start : one->n;
        if (memcmp(one->bytes + from, many->bytes + from, to - from) == 0) continue;
        fail_msg("%zu tokens: %s differs between 1 and %d threads", tokens, one->part[i].name,
                 threads);
    }
}

static void threads_do_not_matter(const char *method) {
    static const size_t tokens[] = {184, 600, 1100};
    for (size_t k = 0; k < sizeof tokens / sizeof *tokens; k++) {
        trace *one = train(method, tokens[k], 1);
        for (int threads = 2; threads <= MOST_THREADS; threads++) {
            trace *many = train(method, tokens[k], threads);
            assert_same(one, many, threads, tokens[k]);
            free_trace(many);
        }
        free_trace(one);
    }
}

static void a_learner_has_the_same_bits(void **state) {
    (void)state;
    threads_do_not_matter("learner");
}

static void full_has_the_same_bits(void **state) {
    (void)state;
    threads_do_not_matter("full");
}

static void far_has_the_same_bits(void **state) {
    (void)state;
    threads_do_not_matter("far");
}

/* The norm of the gradients is summed in double; what its last bits do to a step is seldom seen. */
static double sum_squares(int threads, const float *x, int32_t n) {
    pr_error err = {0};
    double sum = 0.0;
    pr_backend *backend = pr_cpu_new(threads, &err);
    pr_store *store = pr_store_new(backend);
    pr_graph *g = pr_graph_new(store);
    pr_tid input = pr_graph_input(g, "x", PR_F32, pr_shape_1(n));
    pr_tid y = pr_sum_squares(g, input, 0);
    const pr_extent none = {0};
    pr_plan *plan =
        pr_plan_new(g, store, backend, &(pr_plan_options){.wanted = &y, .n_wanted = 1}, &err);
    assert_string_equal(err.message, "");
    size_t bytes = pr_plan_get_report(plan)->arena;
    void *arena = backend->alloc(backend, bytes);
    pr_plan_attach(plan, arena);
    pr_plan_feed(plan, input, none, x, &err);
    pr_plan_run(plan, none, &err);
    pr_plan_fetch(plan, y, none, &sum, &err);
    assert_string_equal(err.message, "");
    backend->free(backend, arena, bytes);
    pr_plan_free(plan);
    pr_graph_free(g);
    pr_store_free(store);
    pr_backend_free(backend);
    return sum;
}

static void the_norm_has_the_same_bits(void **state) {
    (void)state;
    enum { N = 1000003 };
    float *x = pr_alloc(N, sizeof *x);
    for (uint32_t i = 0; i < N; i++) {
        pr_philox words = pr_philox_draw(1, i, 0, 0, 0);
        x[i] = ldexpf(pr_philox_uniform(words.word[0]), (int)(words.word[1] % 16));
    }
    double one = sum_squares(1, x, N);
    assert_true(one > N);
    for (int threads = 2; threads <= MOST_THREADS; threads++) {
        double many = sum_squares(threads, x, N);
        assert_memory_equal(&one, &many, sizeof one);
    }
    pr_free(x);
}

/* OpenBLAS falls back to another core without an error: that would be the first run again. */
static void the_core_is_the_one_asked_for(void **state) {
    (void)state;
    const char *asked = getenv("OPENBLAS_CORETYPE"), *core = openblas_get_corename();
    print_message("OpenBLAS runs its kernels for %s\n", core);
    if (asked && strcasecmp(asked, core) != 0) {
        fail_msg("OPENBLAS_CORETYPE asked for %s: OpenBLAS must be built with DYNAMIC_ARCH", asked);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_core_is_the_one_asked_for),
        cmocka_unit_test(the_norm_has_the_same_bits),
        cmocka_unit_test_teardown(a_learner_has_the_same_bits, scratch_empty),
        cmocka_unit_test_teardown(full_has_the_same_bits, scratch_empty),
        cmocka_unit_test_teardown(far_has_the_same_bits, scratch_empty),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
