/* Random numbers: Philox, its keys and dropout's counters against the published values and a second
 * writing of both; masks are as dense as they should be. */
#include "tests/test.h"

#include <math.h>

#include "backends/philox.h"
#include "ops/ops.h"
#include "tests/reference.h"

/* Random123's kat_vectors, philox4x32 with 10 rounds. */
static const struct {
    uint32_t counter[4], key[2], word[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void philox_gives_the_published_words(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const uint32_t *c = known[i].counter, *k = known[i].key;
        uint64_t key = (uint64_t)k[1] << 32 | k[0];
        pr_philox found = pr_philox_draw(key, c[0], c[1], c[2], c[3]);
        assert_memory_equal(found.word, known[i].word, sizeof found.word);
        reference_words again = reference_philox(c, k);
        assert_memory_equal(again.word, known[i].word, sizeof again.word);
    }
}

static void sites_are_fnv_1a(void **state) {
    (void)state;
    assert_true(pr_site("") == 0xcbf29ce484222325u);
    assert_true(pr_site("a") == 0xaf63dc4c8601ec8cu);
    assert_true(pr_site("foobar") == 0x85944171f73967e8u);
}

/* Whether the kernels' functions keep the column of a row. */
static bool keeps(const uint64_t rng[3], uint64_t site, float p, uint32_t sentence, uint32_t place,
                  uint32_t column) {
    pr_philox draw = pr_dropout_draw(pr_philox_key(rng[0], site), (uint32_t)rng[1],
                                     (uint32_t)rng[2] + sentence, place, column / 4);
    return draw.word[column % 4] >= pr_dropout_threshold(p);
}

static void masks_are_those_of_the_reference(void **state) {
    (void)state;
    uint64_t draw = 1;
    for (int i = 0; i < 20000; i++) {
        uint64_t word[6];
        for (int k = 0; k < 6; k++)
            word[k] = draw = draw * 6364136223846793005u + 1442695040888963407u;
        const uint64_t rng[3] = {word[0], word[1] >> 32, word[2] >> 40};
        float p = (float)(word[3] >> 40) * 0x1p-24f;
        uint32_t sentence = (uint32_t)i, place = (uint32_t)(word[4] >> 32);
        uint32_t column = (uint32_t)(word[5] >> 50);
        bool expected =
            reference_keeps(rng, word[3], (double)p, (int64_t)sentence, place, (int64_t)column);
        assert_int_equal(keeps(rng, word[3], p, sentence, place, column), expected);
    }
}

/* The share of dropped columns in a row, and of columns dropped in both of two rows that differ in
 * one counter, lie within five standard deviations of p and p^2. */
static void masks_are_dense_and_independent(void **state) {
    (void)state;
    enum { N = 100000 };
    const float rates[] = {0.1f, 0.5f, 0.9f};
    const uint64_t rng[3] = {5, 6, 7}, other_seed[3] = {6, 6, 7}, other_step[3] = {5, 7, 7};
    const uint64_t site = pr_site("blk.0.ffn"), other_site = pr_site("blk.1.ffn");
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
        float p = rates[r];
        int dropped = 0, both[5] = {0};
        for (uint32_t i = 0; i < N; i++) {
            if (keeps(rng, site, p, 1, 2, i)) continue;
            dropped++;
            both[0] += !keeps(other_seed, site, p, 1, 2, i);
            both[1] += !keeps(other_step, site, p, 1, 2, i);
            both[2] += !keeps(rng, other_site, p, 1, 2, i);
            both[3] += !keeps(rng, site, p, 2, 2, i);
            both[4] += !keeps(rng, site, p, 1, 1 << 16 | 2, i);
        }
        double share = (double)p, square = share * share;
        assert_true(fabs(dropped - N * share) < 5 * sqrt(N * share * (1 - share)));
        for (int k = 0; k < 5; k++)
            assert_true(fabs(both[k] - N * square) < 5 * sqrt(N * square * (1 - square)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_words),
        cmocka_unit_test(sites_are_fnv_1a),
        cmocka_unit_test(masks_are_those_of_the_reference),
        cmocka_unit_test(masks_are_dense_and_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
