/* Checkpoints: all that comes back from one, what one is refused for, and broken ones. */
#include "tests/scene.h"
#include "tests/scratch.h"
#include "tests/test.h"
#include "tests/toy_run.h"
#include "train/checkpoint.h"

enum { STEPS = 5, STOP = 9, ROWS = 24 };

/* ---- what comes back ---- */

/* Embeddings that train by rows, and a matrix that begins after STEPS steps. */
static const char late[] = "blk.1.ffn_up.weight";

static void open_scene(scene *s) {
    const scene_options o = scene_default(PR_BERT, "full");
    pr_error err = {0};
    scene_open(s, &o, toy_data(ROWS, 3));
    pr_store_require_grad(s->model->store, late, false, &err);
    assert_string_equal(err.message, "");
}

static void begin_late(scene *s) {
    pr_error err = {0};
    pr_store_require_grad(s->model->store, late, true, &err);
    assert_string_equal(err.message, "");
}

static void everything_comes_back(void **state) {
    (void)state;
    scene s, t;
    pr_error err = {0};
    pr_finetune_options options = pr_finetune_default();
    const pr_checkpoint at = {2 * STEPS, 3, 0.1 + 0.2};
    pr_checkpoint found = {0};
    const char *path = scratch_path("checkpoint");
    open_scene(&s);
    pr_checkpoint_run run = {s.model, &options, 1000, 1, pr_checkpoint_fingerprint(s.model)};
    scene_steps(&s, STEPS);
    begin_late(&s);
    scene_steps(&s, STEPS);
    pr_trainer_catch_up(s.trainer, &err);
    pr_checkpoint_save(&run, &at, path, &err);
    open_scene(&t);
    begin_late(&t);
    run.model = t.model;
    pr_checkpoint_peek(&run, path, &found, &err);
    pr_store_settle(t.model->store, 0, &err);
    pr_checkpoint_load(t.model, path, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(found.step, at.step);
    assert_int_equal(found.epoch_steps, at.epoch_steps);
    assert_true(found.epoch_loss == at.epoch_loss);
    assert_int_equal(scene_param(&t, late)->since, STEPS);
    assert_same_scene(&s, &t);
    scene_close(&s);
    scene_close(&t);
}

/* ---- refusals ---- */

static const char *make_checkpoint(toy_run *run) {
    static char path[512];
    snprintf(path, sizeof path, "%s", scratch_path("checkpoint"));
    toy_run first = *run;
    first.options.max_steps = STOP;
    first.options.checkpoint = path;
    toy_result part = toy_run_through(&first);
    free(part.file);
    run->options.resume = path;
    return path;
}

/* steps: where the checkpoint says that the run stood, if it came to be read. */
static void assert_refused_at(const toy_run *run, int32_t steps, pr_status status,
                              const char *message) {
    toy_result result;
    pr_error err = {0};
    assert_int_equal(toy_run_make(run, &result, &err), status);
    assert_int_equal(err.code, status);
    assert_says(err.message, message);
    assert_int_equal(result.result.steps, steps);
    free(result.file);
}

static void assert_refused(const toy_run *run, pr_status status, const char *message) {
    assert_refused_at(run, 0, status, message);
}

static void another_run_is_refused(void **state) {
    (void)state;
    toy_run good = toy_run_default("learner", 1);
    good.model = toy_run_model(PR_BERT);
    make_checkpoint(&good);
    enum { CASES = 12 };
    static const char *const said[CASES] = {
        "made with seed 7; this run has 8",
        "made with batch size 4; this run has 2",
        "made with epochs 3; this run has 4",
        "made with learning rate 0.01; this run has 0.02",
        "made with weight decay 0.01; this run has 0",
        "made with warmup 0; this run has 0.5",
        "made with clip 1; this run has 2",
        "made with seed 7; this run has 9007199254740993",
        "made with another training set",
        "made with another model",
        "made with method learner; this run has full",
        "made with prime 1; this run has 2",
    };
    toy_run other[CASES];
    for (int i = 0; i < CASES; i++)
        other[i] = good;
    other[0].options.seed = 8;
    other[1].options.batch_size = 2;
    other[2].options.epochs = 4;
    other[3].options.learning_rate = 0.02;
    other[4].options.weight_decay = 0.0;
    other[5].options.warmup = 0.5;
    other[6].options.clip = 2.0;
    other[7].options.seed = 9007199254740993u;
    other[8].data_seed = 5; /* as many rows */
    other[9].model_seed = 1;
    other[10] = toy_run_default("full", 0);
    other[10].model = good.model;
    other[10].options.resume = good.options.resume;
    other[11].prime = 2;
    for (int i = 0; i < CASES; i++)
        assert_refused(&other[i], PR_BAD_ARGUMENT, said[i]);
    toy_result result = toy_run_through(&good);
    free(result.file);
}

static void a_data_set_is_told_by_all_of_it(void **state) {
    (void)state;
    pr_dataset *data = toy_data(ROWS, 3);
    uint64_t whole = pr_checkpoint_data(data);
    assert_true(whole != pr_checkpoint_data(&(pr_dataset){.start = (size_t[1]){0}}));
    data->ids[data->start[ROWS] - 1]++;
    assert_true(pr_checkpoint_data(data) != whole);
    data->ids[data->start[ROWS] - 1]--;
    data->label[ROWS - 1] ^= 1;
    assert_true(pr_checkpoint_data(data) != whole);
    data->label[ROWS - 1] ^= 1;
    data->start[ROWS - 1]--;
    assert_true(pr_checkpoint_data(data) != whole);
    data->start[ROWS - 1]++;
    assert_true(pr_checkpoint_data(data) == whole);
    float target[ROWS] = {0};
    data->target = target;
    uint64_t with_targets = pr_checkpoint_data(data);
    target[ROWS - 1] = 0.5f;
    assert_true(pr_checkpoint_data(data) != with_targets);
    data->target = NULL;
    pr_dataset_free(data);
}

static void a_tensor_of_another_shape_is_refused(void **state) {
    (void)state;
    scene s, t;
    pr_error err = {0};
    scene_options o = scene_default(PR_BERT, "full");
    pr_finetune_options options = pr_finetune_default();
    const char *path = scratch_path("checkpoint");
    scene_open(&s, &o, toy_data(ROWS, 3));
    const pr_checkpoint_run run = {s.model, &options, 1000, 1, 2};
    scene_steps(&s, 1);
    pr_trainer_catch_up(s.trainer, &err);
    pr_checkpoint_save(&run, &(pr_checkpoint){1, 1, 0.5}, path, &err);
    o.config.ffn /= 2;
    scene_open(&t, &o, toy_data(ROWS, 3));
    pr_store_settle(t.model->store, 0, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(pr_checkpoint_load(t.model, path, &err), PR_BAD_FILE);
    assert_says(err.message, "tensor 'blk.0.ffn_up.weight' has not the shape");
    scene_close(&s);
    scene_close(&t);
}

/* 2^53 and 2^53 + 1 are one number to a double. */
static void large_seeds_are_told_apart(void **state) {
    (void)state;
    toy_run run = toy_run_default("full", 0);
    run.model = toy_run_model(PR_BERT);
    run.options.seed = 9007199254740992u;
    make_checkpoint(&run);
    run.options.seed++;
    assert_refused(&run, PR_BAD_ARGUMENT,
                   "made with seed 9007199254740992; this run has 9007199254740993");
}

static void what_is_no_checkpoint_is_refused(void **state) {
    (void)state;
    toy_run run = toy_run_default("full", 0);
    run.model = toy_run_model(PR_BERT);
    run.options.resume = scratch_path("none");
    assert_refused(&run, PR_IO, "none");
    run.options.resume = scratch_folder();
    assert_refused(&run, PR_IO, scratch_folder());
    run.options.resume = run.model;
    assert_refused(&run, PR_BAD_FILE, "expected a checkpoint, found a file of architecture 'bert'");
    scratch_write(scratch_path("text"), "hello", 5);
    run.options.resume = scratch_path("text");
    assert_refused(&run, PR_BAD_FILE, "text");
}

static void a_step_outside_the_run_is_refused(void **state) {
    (void)state;
    scene s;
    pr_error err = {0};
    pr_finetune_options options = pr_finetune_default();
    pr_checkpoint found = {0};
    const char *path = scratch_path("checkpoint");
    open_scene(&s);
    const pr_checkpoint_run run = {s.model, &options, 33, 1, 2}; /* 5 epochs of 3 steps */
    pr_checkpoint_save(&run, &(pr_checkpoint){16, 1, 0.0}, path, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(pr_checkpoint_peek(&run, path, &found, &err), PR_BAD_FILE);
    assert_says(err.message, "'primer.checkpoint.step' is 16, expected 0 to 15");
    err = (pr_error){0};
    pr_checkpoint_save(&run, &(pr_checkpoint){15, 4, 0.0}, path, &err);
    assert_int_equal(pr_checkpoint_peek(&run, path, &found, &err), PR_BAD_FILE);
    assert_says(err.message, "'primer.checkpoint.epoch_steps' is 4, expected 0 to 3");
    scene_close(&s);
}

/* The order of nodes that FAR keeps: a step after its flip it is some layers' numbers, each once.
 */
static void a_corrupted_order_is_refused(void **state) {
    (void)state;
    static const char key[] = "primer.checkpoint.order";
    static const char said[] = "primer.checkpoint.order is no order of the model's nodes";
    enum { HEADER = 4 + 4 + 8 /* an array, of i32, how many */ };
    toy_run run = toy_run_default("far", STOP - 1);
    run.model = toy_run_model(PR_BERT);
    const int32_t ffn = toy_config(PR_BERT).ffn;
    const char *path = make_checkpoint(&run);
    size_t size, at = 0;
    unsigned char *bytes = scratch_read(path, &size);
    while (at < size && memcmp(bytes + at, key, strlen(key)) != 0)
        at++;
    int32_t good[2];
    unsigned char *place = bytes + at + strlen(key) + HEADER;
    assert_true(at + strlen(key) + HEADER + sizeof good < size);
    memcpy(good, place, sizeof good);
    assert_true(good[0] != good[1] && good[0] >= 0 && good[0] < ffn);
    const int32_t bad[][2] = {{good[1], good[1]}, {good[0], good[0]}, {ffn, good[1]},
                              {good[0], -1},      {INT32_MAX, 0},     {INT32_MIN, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(place, bad[i], sizeof good);
        scratch_write(path, bytes, size);
        assert_refused_at(&run, STOP, PR_BAD_FILE, said);
    }
    memcpy(place, good, sizeof good);
    bytes[at]++; /* another key */
    scratch_write(path, bytes, size);
    assert_refused_at(&run, STOP, PR_BAD_FILE, said);
    bytes[at]--;
    scratch_write(path, bytes, size);
    toy_result result = toy_run_through(&run);
    free(result.file);
    free(bytes);
}

/* What trained and is frozen now must come back too. */
static void a_frozen_tensor_that_is_missing_is_noticed(void **state) {
    (void)state;
    static const char name[] = "blk.1.attn_q.weight";
    toy_run run = toy_run_default("learner", 1);
    run.model = toy_run_model(PR_BERT);
    run.options.max_steps = 0;
    const char *path = scratch_path("checkpoint");
    toy_run first = run;
    first.options.max_steps = RUN_EPOCH_STEPS + 1; /* one after the flip */
    first.options.checkpoint = path;
    toy_result part = toy_run_through(&first);
    free(part.file);
    run.options.resume = path;
    size_t size, at = 0;
    unsigned char *bytes = scratch_read(path, &size);
    /* Before its name stands the length; a learner's name goes on. */
    const unsigned char length[8] = {sizeof name - 1};
    while (at + 8 + sizeof name < size && (memcmp(bytes + at, length, 8) != 0 ||
                                           memcmp(bytes + at + 8, name, sizeof name - 1) != 0))
        at++;
    assert_true(at + 8 + sizeof name < size);
    bytes[at + 8 + sizeof name - 2] = 'x';
    scratch_write(path, bytes, size);
    assert_refused_at(&run, RUN_EPOCH_STEPS + 1, PR_BAD_FILE, "a tensor is missing");
    free(bytes);
}

static void a_checkpoint_that_cannot_be_written_ends_the_run(void **state) {
    (void)state;
    toy_run run = toy_run_default("full", 0);
    toy_result result;
    pr_error err = {0};
    run.model = toy_run_model(PR_BERT);
    run.options.checkpoint = scratch_path("nowhere/checkpoint");
    run.options.save_every = 2;
    assert_int_equal(toy_run_make(&run, &result, &err), PR_IO);
    assert_says(err.message, "nowhere/checkpoint");
    assert_int_equal(result.result.steps, 2);
    free(result.file);
}

/* ---- broken ones ---- */

static toy_run broken_run;
static int refused, accepted;

/* Either refused with a message, or as good as any to go on from. */
static void go_on(const char *path) {
    toy_result result;
    pr_error err = {0};
    toy_run run = broken_run;
    run.options.resume = path;
    run.options.max_steps = STOP + 2;
    pr_status status = toy_run_make(&run, &result, &err);
    assert_int_equal(status, err.code);
    assert_int_equal(status == PR_OK, err.message[0] == 0);
    assert_true(status != PR_INTERNAL);
    *(status == PR_OK ? &accepted : &refused) += 1;
    free(result.file);
}

static void broken_checkpoints_do_no_harm(void **state) {
    (void)state;
    static const char *const methods[] = {"full", "learner", "far"};
    for (int m = 0; m < 3; m++) {
        broken_run = toy_run_default(methods[m], 1);
        broken_run.model = toy_run_model(PR_BERT);
        const char *path = make_checkpoint(&broken_run);
        size_t size, header = 6000;
        free(scratch_read(path, &size));
        refused = accepted = 0;
        scratch_mutate(path, 60, header, 150, go_on);
        assert_true(refused >= 60 && accepted > 0);
        unsigned char *bytes = scratch_read(path, &size);
        /* A cut into the last 31 bytes may take padding alone. */
        for (size_t cut = 32; cut < size; cut *= 2) {
            scratch_write(scratch_path("cut"), bytes, size - cut);
            refused = 0;
            go_on(scratch_path("cut"));
            assert_int_equal(refused, 1);
        }
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(everything_comes_back, scratch_empty),
        cmocka_unit_test_teardown(another_run_is_refused, scratch_empty),
        cmocka_unit_test(a_data_set_is_told_by_all_of_it),
        cmocka_unit_test_teardown(a_tensor_of_another_shape_is_refused, scratch_empty),
        cmocka_unit_test_teardown(large_seeds_are_told_apart, scratch_empty),
        cmocka_unit_test_teardown(what_is_no_checkpoint_is_refused, scratch_empty),
        cmocka_unit_test_teardown(a_step_outside_the_run_is_refused, scratch_empty),
        cmocka_unit_test_teardown(a_corrupted_order_is_refused, scratch_empty),
        cmocka_unit_test_teardown(a_frozen_tensor_that_is_missing_is_noticed, scratch_empty),
        cmocka_unit_test_teardown(a_checkpoint_that_cannot_be_written_ends_the_run, scratch_empty),
        cmocka_unit_test_teardown(broken_checkpoints_do_no_harm, scratch_empty),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
