#include <primer.h>
#include <stdio.h>

int main(void) {
    pr_error err = {0}; /* the first fault sticks: one look at the end is enough */
    pr_backend *cpu = pr_cpu_new(0, &err);
    pr_store *store = pr_store_new(cpu);
    const char *names[] = {"hidden.weight", "hidden.bias", "out.weight", "out.bias"};
    const pr_shape shapes[] = {pr_shape_2(8, 2), pr_shape_1(8), pr_shape_2(2, 8), pr_shape_1(2)};
    for (int i = 0; i < 4; i++) {
        pr_store_add(store, names[i], shapes[i], NULL, &err);
        pr_draw_normal(store, i, 0.5f, 0, &err);
    }

    pr_graph *g = pr_graph_new(store);
    pr_tid x = pr_graph_input(g, "x", PR_F32, pr_shape_2(PR_SENTENCES, 2));
    pr_tid y = pr_graph_input(g, "y", PR_I32, pr_shape_1(PR_SENTENCES));
    pr_tid w = pr_graph_param(g, "hidden.weight"), b = pr_graph_param(g, "hidden.bias");
    pr_tid v = pr_graph_param(g, "out.weight"), c = pr_graph_param(g, "out.bias");
    pr_tid logits = pr_linear(g, pr_tanh(g, pr_linear(g, x, w, b)), v, c);
    pr_tid loss = pr_cross_entropy(g, logits, y);

    enum { STEPS = 300 };
    float rates[STEPS], value = 0;
    pr_schedule_linear(rates, STEPS, 10, 0.1);
    pr_trainer_options options = pr_trainer_default();
    options.rates = rates;
    options.steps = STEPS;
    pr_store_require_grad(store, "*", true, &err); /* "out.*" alone would train the last layer */
    pr_trainer *trainer = pr_trainer_new(g, cpu, loss, &options, &err);

    const float inputs[] = {0, 0, 0, 1, 1, 0, 1, 1};
    const int labels[] = {0, 1, 1, 0};
    const pr_feed feeds[] = {{x, inputs}, {y, labels}};
    for (int step = 0; step < STEPS && err.code == PR_OK; step++) {
        pr_trainer_step(trainer, (pr_extent){.sentences = 4}, feeds, 2, &value, &err);
        if (step % 100 == 99) printf("step %d: loss %.4f\n", step + 1, value);
    }
    if (err.code != PR_OK) fprintf(stderr, "%s\n", err.message);
    pr_trainer_free(trainer);
    pr_graph_free(g);
    pr_store_free(store);
    pr_backend_free(cpu);
    return err.code != PR_OK;
}
