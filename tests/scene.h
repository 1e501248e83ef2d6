/* All that a test of training needs: a toy model with a method, data, a graph, a trainer. Every
 * function fails the test on a fault, but those that return a status. */
#ifndef PR_SCENE_H
#define PR_SCENE_H

#include "tests/toy_model.h"
#include "train/feed.h"

enum { SCENE_STEPS = 64 /* of the learning rate */ };

typedef struct scene_options {
    pr_bert_config config;
    const char *method; /* a learner's rank is 4; it primes for 2 epochs. FAR retains 25 % */
    int threads;
    float clip;
    size_t batch; /* sentences */
    int64_t micro_batch;
    bool recompute;
} scene_options;

/* The toy model of the kind, 2 threads, clipping at 1, batches of 8. */
scene_options scene_default(pr_bert_kind kind, const char *method);

typedef struct scene {
    pr_backend *backend;
    pr_model *model;
    pr_dataset *data;
    pr_graph *g;
    pr_bert bert;
    pr_trainer *trainer;
    pr_batch batch;
    size_t sentences; /* of a batch */
} scene;

/* Set as at the start of epoch 0. The data becomes the scene's. */
void scene_open(scene *s, const scene_options *options, pr_dataset *data);
void scene_close(scene *s);

/* The steps of scene_open, for tests that watch them fail: the model and its data; then the graph
 * and the trainer, which scene_close frees either way. */
void scene_open_model(scene *s, const scene_options *options, pr_dataset *data);
pr_status scene_open_trainer(scene *s, const scene_options *options, pr_error *err);

/* Gathers batch number i, counted around the data set, and fills in its feeds; returns how many. */
int scene_feed(scene *s, size_t i, pr_feed feeds[PR_BERT_FEEDS]);
const pr_param *scene_param(const scene *s, const char *name);

/* Bytes of a parameter or a state as the host can read them: test_host. */
const void *scene_host(const scene *s, const void *block, size_t bytes);

/* Fails unless the parameters and their states are the same, bit for bit. */
void assert_same_scene(const scene *a, const scene *b);

/* Trains on a batch, and returns its loss; on n of them. */
float scene_step(scene *s, size_t i);
void scene_steps(scene *s, size_t n);

/* Sets what trains in the epoch, and derives. */
void scene_epoch(scene *s, int32_t epoch);
/* Makes the method's flip, if it has one, and derives. */
void scene_flip(scene *s);

#endif
