/* A toy model that drops, and what comes out of its sites: for tests of where and how it does. */
#ifndef PR_DROPOUT_SCENE_H
#define PR_DROPOUT_SCENE_H

#include "tests/toy_model.h"

enum { SCENE_ROWS = 160, SCENE_WIDTH = 16, SCENE_SITES = 10 };

/* The nodes that read the clock are all that can be random in a model. */
typedef struct dropout_scene {
    pr_backend *backend;
    pr_model *model;
    pr_graph *g;
    pr_bert bert;
    pr_dataset *data;
    pr_batch batch; /* the first SCENE_ROWS rows of data, until another is gathered */
    int n;
    int32_t node[SCENE_SITES];
} dropout_scene;

/* A scene's rates: of the model's body, of attention, of the head; told apart by their values. */
extern const float scene_body, scene_scores, scene_head;

void dropout_scene_open(dropout_scene *s, pr_bert_kind kind, const char *method,
                        const float rates[3]);
/* With the three rates above. */
void dropout_scene_open_dropping(dropout_scene *s, pr_bert_kind kind, const char *method);
void dropout_scene_close(dropout_scene *s);

bool scene_reads(const pr_node *node, pr_tid t);

/* Elements of what a site gives out: the head, the last, has a row a sentence, the rest one a
 * token. */
size_t scene_elements(const dropout_scene *s, int site);

/* Runs the batch; out[i], to be freed with pr_free, has room for (tokens, SCENE_WIDTH) and begins
 * with wanted[i]. */
void scene_run(const dropout_scene *s, bool training, const uint64_t clock[3], const pr_tid *wanted,
               int n, float **out);

/* What every site gives out in a training run. */
typedef struct drawn {
    float *out[SCENE_SITES];
    int n;
} drawn;

drawn scene_draw(const dropout_scene *s, uint64_t seed, uint64_t step, uint64_t first);
void scene_drop_drawn(drawn *d);

#endif
