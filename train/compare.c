#include "train/compare.h"

#include "graph/memory.h"
#include "train/trainer_internal.h"

static pr_status copy_state(pr_store *from, pr_store *to, int i, int slot, pr_error *err) {
    const pr_param *p = pr_store_param(from, i), *q = pr_store_param(to, i);
    size_t bytes = p->state_bytes[slot];
    if (!p->state[slot]) return PR_OK;
    pr_status status = pr_store_make_state(to, i, (pr_state_slot)slot, bytes, err);
    void *room = status == PR_OK ? pr_alloc(bytes, 1) : NULL;
    if (status != PR_OK) return status;
    if (!room) return pr_fail_memory(err, p->name, bytes);
    pr_backend *a = pr_store_backend(from), *b = pr_store_backend(to);
    status = a->download(a, room, p->state[slot], bytes);
    if (status == PR_OK) status = b->upload(b, q->state[slot], room, bytes);
    pr_free(room);
    return status == PR_OK ? PR_OK : pr_fail(err, status, "'%s' could not be copied", p->name);
}

static pr_status copy_values(pr_store *from, pr_store *to, int i, pr_error *err) {
    const pr_param *p = pr_store_param(from, i);
    if (!p->require_grad) return PR_OK; /* both have it from one file */
    float *room = pr_alloc(p->bytes, 1);
    if (!room) return pr_fail_memory(err, p->name, p->bytes);
    pr_status status = pr_store_read(from, i, room, err);
    if (status == PR_OK) status = pr_store_write(to, i, room, err);
    pr_free(room);
    return status;
}

/* Gives the other store what the trainer's has: what trains, its values, its moments. */
static pr_status mirror(pr_trainer *t, pr_store *other, pr_error *err) {
    pr_store *own = t->store;
    if (pr_store_count(own) != pr_store_count(other)) {
        return pr_fail(err, PR_BAD_ARGUMENT, "the models to compare are not the same");
    }
    for (int i = 0; i < pr_store_count(own); i++) {
        const pr_param *p = pr_store_param(own, i);
        pr_status status = pr_store_require_grad(other, p->name, p->require_grad, err);
        if (status != PR_OK) return status;
    }
    /* The graph has each parameter in the form that the trainer's store has it in. */
    bool bf16 = pr_store_backend(own)->precision == PR_PRECISION_BF16;
    pr_status status = pr_graph_keep_in(t->g, other, bf16, err);
    if (status == PR_OK) status = pr_store_settle(other, t->steps, err);
    for (int i = 0; i < pr_store_count(own) && status == PR_OK; i++) {
        status = copy_values(own, other, i, err);
        for (int slot = 0; slot < PR_STATE_SLOTS && status == PR_OK; slot++)
            status = copy_state(own, other, i, slot, err);
    }
    return status;
}

static pr_status compare(pr_trainer *t, pr_plan *other, pr_extent extent, const pr_feed *feeds,
                         int n_feeds, const pr_comparison *c, float *loss, pr_error *err) {
    pr_status status = pr_trainer_feed_all(t, t->training, extent, feeds, n_feeds, err);
    if (status == PR_OK) status = pr_trainer_feed_all(t, other, extent, feeds, n_feeds, err);
    if (status == PR_OK) {
        status = pr_plan_compare(t->training, other, extent, c->report, c->context, err);
    }
    if (status == PR_OK) status = pr_plan_fetch(t->training, t->loss, extent, loss, err);
    if (status == PR_OK) t->steps++;
    return status;
}

pr_status pr_trainer_compare(pr_trainer *t, pr_extent extent, const pr_feed *feeds, int n_feeds,
                             const pr_comparison *c, float *loss, pr_error *err) {
    pr_backend *backend = pr_store_backend(c->store);
    if (t->parts.sentences) {
        return pr_fail(err, PR_UNSUPPORTED, "only whole batches can be compared");
    }
    pr_status status = pr_trainer_prepare(t, extent, err);
    if (status == PR_OK) status = mirror(t, c->store, err);
    if (status != PR_OK) return status;
    const pr_tid wanted[] = {t->loss, t->factor};
    const pr_plan_options options = {.capacity = pr_plan_capacity(t->training),
                                     .wanted = wanted,
                                     .n_wanted = 2,
                                     .training = true};
    pr_plan *other = pr_plan_new(t->g, c->store, backend, &options, err);
    if (!other) return err && err->code != PR_OK ? err->code : PR_NO_MEMORY;
    size_t bytes = pr_plan_get_report(other)->arena;
    void *arena = backend->alloc(backend, bytes);
    if (arena) {
        pr_plan_attach(other, arena);
        status = compare(t, other, extent, feeds, n_feeds, c, loss, err);
    } else {
        status = pr_backend_no_memory(backend, "the other plan's arena", bytes, NULL, err);
    }
    pr_plan_free(other);
    backend->free(backend, arena, bytes);
    return status;
}
