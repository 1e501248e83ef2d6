#include "graph/memory.h"
#include "graph/store_internal.h"

pr_store *pr_store_new(pr_backend *backend) {
    pr_store *store = pr_alloc(1, sizeof *store);
    pr_names *names = pr_names_new();
    if (!store || !names) {
        pr_free(store);
        pr_names_free(names);
        return NULL;
    }
    store->backend = backend;
    store->names = names;
    return store;
}

static void free_states(pr_store *store, pr_param *p) {
    for (int k = 0; k < PR_STATE_SLOTS; k++) {
        if (p->state[k]) store->backend->free(store->backend, p->state[k], p->state_bytes[k]);
        p->state[k] = NULL;
        p->state_bytes[k] = 0;
    }
}

static void free_memory(pr_store *store, pr_store_entry *e) {
    free_states(store, &e->p);
    pr_store_drop_half(store, e);
    if (e->p.owned && e->p.data) store->backend->free(store->backend, e->p.data, e->p.bytes);
}

void pr_store_free(pr_store *store) {
    if (!store) return;
    for (int i = 0; i < store->n; i++) {
        free_memory(store, &store->entry[i]);
        pr_free((char *)store->entry[i].p.name);
    }
    pr_free(store->entry);
    pr_names_free(store->names);
    pr_free(store);
}

pr_backend *pr_store_backend(const pr_store *store) {
    return store->backend;
}

static pr_status protect(const pr_store *store, pr_store_entry *e, bool read_only, pr_error *err) {
    if (e->protected == read_only) return PR_OK;
    pr_status status = store->backend->protect(store->backend, e->p.data, e->p.bytes, read_only);
    if (status != PR_OK) {
        return pr_fail(err, status, "parameter '%s' could not be made %s", e->p.name,
                       read_only ? "read-only" : "writable");
    }
    e->protected = read_only;
    return PR_OK;
}

/* Sets *copy to memory of the store's own that holds host's bytes, or zeros where host is NULL. */
static pr_status copy_in(pr_store *store, const char *name, size_t bytes, const float *host,
                         float **copy, pr_error *err) {
    pr_backend *backend = store->backend;
    float *block = backend->alloc(backend, bytes);
    if (!block) return pr_backend_no_memory(backend, name, bytes, NULL, err);
    pr_status status = host ? backend->upload(backend, block, host, bytes) : PR_OK;
    if (status != PR_OK) {
        backend->free(backend, block, bytes);
        return pr_fail(err, status, "parameter '%s' could not be copied", name);
    }
    *copy = block;
    return PR_OK;
}

/* The elements and bytes of a parameter's shape; PR_BAD_ARGUMENT when it can't be one. */
static pr_status measure(const char *name, pr_shape shape, size_t *count, size_t *bytes,
                         pr_error *err) {
    bool is_static = shape.n_dims >= 1 && shape.n_dims <= PR_MAX_DIMS;
    if (is_static && pr_shape_count(shape, count) && *count > 0 &&
        pr_shape_bytes(shape, PR_F32, bytes)) {
        return PR_OK;
    }
    char text[PR_SHAPE_TEXT] = "(too many dimensions)";
    if (shape.n_dims >= 0 && shape.n_dims <= PR_MAX_DIMS) pr_shape_text(shape, text);
    return pr_fail(err, PR_BAD_ARGUMENT,
                   "parameter '%s': expected 1 to %d fixed dimensions of one or more, found %s",
                   name, PR_MAX_DIMS, text);
}

/* A parameter that has no memory yet. */
static pr_param describe(pr_shape shape, size_t bytes) {
    return (pr_param){.shape = shape, .bytes = bytes, .decay = shape.n_dims >= 2, .since = -1};
}

/* Fills in *e but for its name; the store is unchanged. */
static pr_status make_entry(pr_store *store, const char *name, pr_shape shape, const float *data,
                            pr_store_entry *e, pr_error *err) {
    size_t count = 0, bytes = 0;
    pr_status status = measure(name, shape, &count, &bytes, err);
    if (status != PR_OK) return status;
    *e = (pr_store_entry){.p = describe(shape, bytes)};
    e->mapped = data;
    if (data && store->backend->host_visible) {
        e->p.data = (float *)data; /* never written while it is not owned */
        return PR_OK;
    }
    e->p.owned = true;
    status = copy_in(store, name, bytes, data, &e->p.data, err);
    if (data) pr_store_release_pages(store, data, bytes);
    return status;
}

/* Adds what make_entry makes of data, or where half is given a parameter of those values. */
static int add(pr_store *store, const char *name, pr_shape shape, const float *data,
               const uint16_t *half, pr_error *err) {
    size_t count = 0, bytes = 0, elements;
    if (pr_store_find(store, name) >= 0) {
        pr_fail(err, PR_BAD_ARGUMENT, "parameter '%s' is there twice", name);
        return -1;
    }
    if (measure(name, shape, &count, &bytes, err) != PR_OK) return -1;
    if (store->n == INT32_MAX || !pr_size_add(store->elements, count, &elements) ||
        !pr_grow((void **)&store->entry, &store->capacity, (size_t)store->n + 1,
                 sizeof *store->entry)) {
        pr_fail_memory(err, name, sizeof *store->entry);
        return -1;
    }
    pr_store_entry e;
    if (half) {
        e = (pr_store_entry){.p = describe(shape, bytes), .mapped_half = half};
        e.p.half = (uint16_t *)half; /* never written */
    } else if (make_entry(store, name, shape, data, &e, err) != PR_OK) {
        return -1;
    }
    char *copy = pr_copy_text(name);
    if (!copy || pr_names_put(store->names, name, store->n) != PR_OK) {
        pr_fail_memory(err, name, sizeof *store->entry);
        free_memory(store, &e);
        pr_free(copy);
        return -1;
    }
    e.p.name = copy;
    store->entry[store->n] = e;
    store->elements = elements;
    return store->n++;
}

int pr_store_add(pr_store *store, const char *name, pr_shape shape, const float *data,
                 pr_error *err) {
    return add(store, name, shape, data, NULL, err);
}

int pr_store_add_half(pr_store *store, const char *name, pr_shape shape, const uint16_t *half,
                      pr_error *err) {
    if (store->backend->host_visible) return add(store, name, shape, NULL, half, err);
    pr_fail(err, PR_UNSUPPORTED, "parameter '%s': bf16 is for backends that the CPU sees", name);
    return -1;
}

static bool has(const pr_store *store, int index) {
    return index >= 0 && index < store->n;
}

static pr_status no_such(int index, pr_error *err) {
    return pr_fail(err, PR_BAD_ARGUMENT, "there is no parameter number %d", index);
}

pr_status pr_store_renew(pr_store *store, int index, pr_shape shape, pr_error *err) {
    if (!has(store, index)) return no_such(index, err);
    pr_store_entry *old = &store->entry[index], e;
    size_t before = 0, after = 0, bytes = 0, elements;
    pr_status status = measure(old->p.name, shape, &after, &bytes, err);
    if (status != PR_OK) return status;
    pr_shape_count(old->p.shape, &before);
    if (!pr_size_add(store->elements - before, after, &elements)) {
        return pr_fail_memory(err, old->p.name, bytes);
    }
    status = make_entry(store, old->p.name, shape, NULL, &e, err);
    if (status != PR_OK) return status;
    e.p.name = old->p.name;
    free_memory(store, old);
    *old = e;
    store->elements = elements;
    return PR_OK;
}

pr_status pr_store_truncate(pr_store *store, int count, pr_error *err) {
    if (count < 0 || count > store->n) return no_such(count, err);
    while (store->n > count) {
        pr_param *p = &store->entry[store->n - 1].p;
        size_t elements = 0;
        pr_status status = pr_names_put(store->names, p->name, -1); /* as if it were not there */
        if (status != PR_OK) return pr_fail_memory(err, p->name, 1);
        pr_shape_count(p->shape, &elements);
        store->elements -= elements;
        free_memory(store, &store->entry[store->n - 1]);
        pr_free((char *)p->name);
        store->n--;
    }
    return PR_OK;
}

int pr_store_count(const pr_store *store) {
    return store->n;
}

int pr_store_find(const pr_store *store, const char *name) {
    return pr_names_get(store->names, name);
}

const pr_param *pr_store_param(const pr_store *store, int index) {
    return has(store, index) ? &store->entry[index].p : NULL;
}

/* Moves a parameter out of its mapping into f32 memory of its own. */
static pr_status own(pr_store *store, pr_store_entry *e, pr_error *err) {
    pr_status status = pr_store_widen(store, e, err);
    if (status != PR_OK) return status;
    const float *mapped = e->mapped;
    e->mapped = NULL;
    e->mapped_half = NULL;
    if (e->p.owned) return PR_OK;
    status = copy_in(store, e->p.name, e->p.bytes, mapped, &e->p.data, err);
    if (status != PR_OK) return status;
    e->p.owned = true;
    pr_store_release_pages(store, mapped, e->p.bytes);
    return PR_OK;
}

/* Copies `bytes` of the host to where `at` bytes of the parameter lie before them. */
static pr_status write_part(pr_store *store, pr_store_entry *e, size_t at, size_t bytes,
                            const float *host, pr_error *err) {
    bool was_protected = e->protected;
    pr_status status = own(store, e, err);
    if (status == PR_OK) status = protect(store, e, false, err);
    if (status != PR_OK) return status;
    status = store->backend->upload(store->backend, (char *)e->p.data + at, host, bytes);
    if (status != PR_OK) pr_fail(err, status, "parameter '%s' could not be written", e->p.name);
    pr_status closed = protect(store, e, was_protected, err);
    return status != PR_OK ? status : closed;
}

pr_status pr_store_write(pr_store *store, int index, const float *host, pr_error *err) {
    if (!has(store, index)) return no_such(index, err);
    pr_store_entry *e = &store->entry[index];
    return write_part(store, e, 0, e->p.bytes, host, err);
}

pr_status pr_store_write_rows(pr_store *store, int index, int64_t row, int64_t n, const float *host,
                              pr_error *err) {
    if (!has(store, index)) return no_such(index, err);
    pr_store_entry *e = &store->entry[index];
    int64_t rows = e->p.shape.dim[0];
    if (row < 0 || n < 0 || row > rows || n > rows - row) {
        return pr_fail(err, PR_BAD_ARGUMENT, "parameter '%s' has no %lld rows from %lld on",
                       e->p.name, (long long)n, (long long)row);
    }
    size_t bytes = e->p.bytes / (size_t)rows;
    return write_part(store, e, (size_t)row * bytes, (size_t)n * bytes, host, err);
}

pr_status pr_store_read(const pr_store *store, int index, float *host, pr_error *err) {
    if (!has(store, index)) return no_such(index, err);
    const pr_store_entry *e = &store->entry[index];
    pr_status status = pr_store_expand(store, e, host);
    if (status == PR_OK) return PR_OK;
    return pr_fail(err, status, "parameter '%s' could not be read", e->p.name);
}

void pr_store_on_release(pr_store *store, pr_store_release release, void *context) {
    store->release = release;
    store->context = context;
}

void pr_store_release_pages(const pr_store *store, const void *data, size_t bytes) {
    if (store->release) store->release(store->context, data, bytes);
}

void pr_store_reads_sparsely(pr_store *store, int index, bool sparse) {
    if (has(store, index)) store->entry[index].sparse = sparse;
}

void pr_store_release_sparse(const pr_store *store) {
    for (int i = 0; i < store->n; i++) {
        const pr_store_entry *e = &store->entry[i];
        if (!e->sparse) continue;
        if (e->mapped && e->p.data == e->mapped)
            pr_store_release_pages(store, e->mapped, e->p.bytes);
        if (e->mapped_half && e->p.half == e->mapped_half)
            pr_store_release_pages(store, e->mapped_half, e->p.bytes / 2);
    }
}

pr_status pr_store_require_grad(pr_store *store, const char *pattern, bool on, pr_error *err) {
    bool any = false, changed = false;
    for (int i = 0; i < store->n; i++) {
        pr_param *p = &store->entry[i].p;
        if (!pr_glob(pattern, p->name)) continue;
        any = true;
        changed |= p->require_grad != on;
        p->require_grad = on;
    }
    if (changed) store->version++;
    if (any) return PR_OK;
    return pr_fail(err, PR_BAD_ARGUMENT, "no parameter's name matches '%s'", pattern);
}

uint64_t pr_store_version(const pr_store *store) {
    return store->version;
}

static pr_status settle(pr_store *store, pr_store_entry *e, int32_t step, pr_error *err) {
    if (!e->p.require_grad) {
        free_states(store, &e->p);
        e->trains = false;
        pr_status status = pr_store_take_form(store, e, err);
        return status == PR_OK && e->p.owned && e->p.data ? protect(store, e, true, err) : status;
    }
    pr_status status = own(store, e, err);
    if (status == PR_OK) status = protect(store, e, false, err);
    if (status == PR_OK && !e->trains) {
        e->trains = true;
        e->p.since = step;
    }
    return status;
}

pr_status pr_store_settle(pr_store *store, int32_t step, pr_error *err) {
    for (int i = 0; i < store->n; i++) {
        pr_status status = settle(store, &store->entry[i], step, err);
        if (status != PR_OK) return status;
    }
    return PR_OK;
}

void pr_store_set_since(pr_store *store, int index, int32_t step) {
    if (has(store, index)) store->entry[index].p.since = step;
}

pr_status pr_store_make_state(pr_store *store, int index, pr_state_slot slot, size_t bytes,
                              pr_error *err) {
    if (!has(store, index)) return no_such(index, err);
    pr_param *p = &store->entry[index].p;
    if (!p->require_grad || !bytes) {
        return pr_fail(err, PR_BAD_ARGUMENT, "parameter '%s' %s", p->name,
                       bytes ? "does not train: it has no state" : "was asked for an empty state");
    }
    if (p->state[slot]) {
        if (p->state_bytes[slot] == bytes) return PR_OK;
        return pr_fail(err, PR_BAD_ARGUMENT, "parameter '%s': its state has %zu bytes, not %zu",
                       p->name, p->state_bytes[slot], bytes);
    }
    void *state = store->backend->alloc(store->backend, bytes);
    if (!state) return pr_backend_no_memory(store->backend, p->name, bytes, NULL, err);
    p->state[slot] = state;
    p->state_bytes[slot] = bytes;
    return PR_OK;
}

void pr_store_totals(const pr_store *store, size_t *all, size_t *trained) {
    *all = store->elements;
    *trained = 0;
    for (int i = 0; i < store->n; i++) {
        size_t count;
        const pr_param *p = &store->entry[i].p;
        if (p->require_grad && pr_shape_count(p->shape, &count)) *trained += count;
    }
}
