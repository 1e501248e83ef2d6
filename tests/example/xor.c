#include <primer.h>
#include <stdio.h>

int main(void) {
    pr_error err = {0}; /* the first fault sticks: one look at the end is enough */
    pr_backend *cpu = pr_cpu_new(0, &err);
    pr_store *store = pr_store_new(cpu);
    pr_graph *g = pr_graph_new(store);
    pr_tid x = pr_graph_input(g, "x", PR_F32, pr_shape_2(PR_SENTENCES, 2)); /* any batch size */
    pr_tid y = pr_graph_input(g, "y", PR_I32, pr_shape_1(PR_SENTENCES));
    pr_tid hidden = pr_tanh(g, pr_dense(g, x, "hidden", 8, 0));
    pr_tid loss = pr_cross_entropy(g, pr_dense(g, hidden, "out", 2, 0), y);

    enum { STEPS = 100 };
    float rates[STEPS], value = 0;
    pr_schedule_linear(rates, STEPS, 10, 0.1);
    pr_trainer_options options = pr_trainer_default();
    options.rates = rates;
    options.steps = STEPS;
    pr_store_require_grad(store, "*", true, &err); /* "out.*" alone would train the last layer */
    pr_trainer *trainer = pr_trainer_new(g, cpu, loss, &options, &err);

    const pr_feed batch[] = {{x, (float[]){0, 0, 0, 1, 1, 0, 1, 1}}, {y, (int[]){0, 1, 1, 0}}};
    for (int step = 0; step < STEPS && err.code == PR_OK; step++) {
        pr_trainer_step(trainer, (pr_extent){.sentences = 4}, batch, 2, &value, &err);
        if (step % 20 == 19) printf("step %d: loss %.4f\n", step + 1, value);
    }
    if (err.code != PR_OK) fprintf(stderr, "%s\n", err.message);
    pr_trainer_free(trainer);
    pr_graph_free(g);
    pr_store_free(store);
    pr_backend_free(cpu);
    return err.code != PR_OK;
}
