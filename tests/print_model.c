/* Writes what a model makes of a case, for comparison with PyTorch: print_model MODEL CASE OUT. OUT
 * is a safetensors file with logits.K for each batch, gradient.NAME for each parameter that trains
 * in the first step, and losses, the last two where the case has steps (tests/torch_model.py). */
#include <stdio.h>
#include <string.h>

#include "models/outgoing.h"
#include "tests/model_case.h"

/* What pr_outgoing hands back: a pointer to it, so that it may be changed. */
typedef struct source {
    model_case *c;
} source;

/* Called in the order of the list: the steps, which change the weights, come last. */
static pr_status fill(const void *context, const char *name, float *to, pr_error *err) {
    model_case *c = ((const source *)context)->c;
    static const char gradient[] = "gradient.";
    int batch;
    if (sscanf(name, "logits.%d", &batch) == 1) return model_case_logits(c, batch, to, err);
    if (strncmp(name, gradient, strlen(gradient)) == 0) {
        return model_case_gradient(c, name + strlen(gradient), to, err);
    }
    return model_case_train(c, to, err);
}

static pr_status add(pr_outgoing *list, const source *s, const char *name, pr_shape shape,
                     pr_error *err) {
    return pr_outgoing_add_filled(list, name, shape, PR_FORMAT_F32, fill, s, err);
}

static pr_status print(const source *s, pr_outgoing *list, const char *path, pr_error *err) {
    const model_case *c = s->c;
    const pr_store *store = c->model->store;
    char name[128];
    pr_status status = PR_OK;
    for (int32_t k = 0; k < c->n_batches && status == PR_OK; k++) {
        snprintf(name, sizeof name, "logits.%d", (int)k);
        pr_shape shape = pr_shape_2(c->batch[k].extent.sentences, c->model->config.labels);
        status = add(list, s, name, shape, err);
    }
    for (int i = 0; c->steps > 0 && i < pr_store_count(store) && status == PR_OK; i++) {
        const pr_param *p = pr_store_param(store, i);
        pr_shape shape;
        snprintf(name, sizeof name, "gradient.%s", p->name);
        bool whole = model_case_shape(c, i, &shape);
        if (whole && p->require_grad) status = add(list, s, name, shape, err);
    }
    if (c->steps > 0 && status == PR_OK) {
        status = add(list, s, "losses", pr_shape_1(c->steps), err);
    }
    return status == PR_OK ? pr_safetensors_write(list, path, err) : status;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: print_model MODEL CASE OUT\n");
        return 2;
    }
    pr_error err = {0};
    model_case c = {0};
    pr_outgoing list = {0};
    const source s = {&c};
    pr_status status = model_case_open(&c, argv[1], argv[2], 0, &err);
    if (status == PR_OK) status = print(&s, &list, argv[3], &err);
    if (status != PR_OK) fprintf(stderr, "print_model: %s\n", err.message);
    pr_outgoing_clear(&list);
    model_case_close(&c);
    return status != PR_OK;
}
