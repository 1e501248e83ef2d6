#include "train/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/memory.h"
#include "models/gguf.h"
#include "ops/ops.h"

enum { SAMPLE = 4096, TEXT = 64, PIECE = 4096 };

static const char architecture[] = "primer-checkpoint";
static const char step_key[] = "primer.checkpoint.step";
static const char order_key[] = "primer.checkpoint.order"; /* of a method that rearranges */
static const char *const first_suffix = ".first", *const second_suffix = ".second";

static const uint64_t fnv_start = 14695981039346656037u, fnv_prime = 1099511628211u;

/* FNV-1a. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t n) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * fnv_prime;
    return hash;
}

uint64_t pr_checkpoint_fingerprint(const pr_model *model) {
    uint64_t hash = fnv_start;
    for (int i = 0; i < pr_store_count(model->store); i++) {
        const pr_param *p = pr_store_param(model->store, i);
        unsigned char sample[SAMPLE];
        const void *data = p->data ? (const void *)p->data : p->half;
        size_t bytes = p->data ? p->bytes : p->bytes / 2, n = bytes < SAMPLE ? bytes : SAMPLE;
        pr_backend *backend = pr_store_backend(model->store);
        if (backend->download(backend, sample, data, n) != PR_OK) n = 0;
        hash = hash_bytes(hash ^ (pr_site(p->name) + p->bytes), sample, n);
    }
    return hash;
}

/* By words: a large set has many. */
static uint64_t hash_words(uint64_t hash, const void *words, size_t n) {
    for (size_t i = 0; words && i < n; i++) {
        uint32_t word;
        memcpy(&word, (const char *)words + i * sizeof word, sizeof word);
        hash = (hash ^ word) * fnv_prime;
    }
    return hash;
}

uint64_t pr_checkpoint_data(const pr_dataset *data) {
    size_t tokens = data->start[data->n];
    uint64_t hash = hash_words(fnv_start, data->ids, tokens);
    hash = hash_words(hash, data->types, tokens);
    for (size_t row = 0; row < data->n; row++)
        hash = (hash ^ data->start[row]) * fnv_prime;
    hash = hash_words(hash, data->label, data->n);
    hash = hash_words(hash, data->target, data->n);
    for (int32_t i = 0; data->label_name && i < data->n_labels; i++)
        hash = hash_bytes(hash, data->label_name[i], strlen(data->label_name[i]) + 1);
    return hash;
}

/* ---- the settings that a checkpoint belongs to ---- */

typedef enum setting_kind { WORD, NUMBER, FINGERPRINT } setting_kind;

typedef struct setting {
    const char *key;
    setting_kind kind;
    char value[TEXT];
} setting;

enum { SETTINGS = 22 };

static void set_number(setting *s, const char *key, double value) {
    *s = (setting){.key = key, .kind = NUMBER};
    snprintf(s->value, TEXT, "%.17g", value);
}

static void set_fingerprint(setting *s, const char *key, uint64_t value) {
    *s = (setting){.key = key, .kind = FINGERPRINT};
    snprintf(s->value, TEXT, "%016" PRIx64, value);
}

static uint64_t hash_patterns(const pr_finetune_options *o) {
    uint64_t hash = fnv_start;
    for (const char *const *p = o->train; p && *p; p++)
        hash = hash_bytes(hash, *p, strlen(*p) + 1);
    hash = hash_bytes(hash, "", 1); /* between the two lists */
    for (const char *const *p = o->freeze; p && *p; p++)
        hash = hash_bytes(hash, *p, strlen(*p) + 1);
    return hash;
}

/* What an option says comes first: the model's new parts are drawn from some of them. */
static void list_settings(const pr_checkpoint_run *run, setting s[SETTINGS]) {
    const pr_finetune_options *o = run->options;
    const pr_model *m = run->model;
    int n = 0;
    s[n] = (setting){.key = "method", .kind = WORD};
    snprintf(s[n++].value, TEXT, "%s", m->method->name);
    set_number(&s[n++], "size", (double)m->options.size);
    set_number(&s[n++], "scale", (double)m->options.scale);
    set_number(&s[n++], "prime", (double)m->options.prime);
    set_number(&s[n++], "prime_steps", m->options.prime_steps);
    set_number(&s[n++], "retain", m->options.retain);
    s[n] = (setting){.key = "seed", .kind = WORD}; /* a double does not hold every one */
    snprintf(s[n++].value, TEXT, "%" PRIu64, o->seed);
    set_number(&s[n++], "epochs", o->epochs);
    set_number(&s[n++], "batch_size", o->batch_size);
    set_number(&s[n++], "micro_batch", pr_finetune_part(o));
    set_number(&s[n++], "learning_rate", o->learning_rate);
    set_number(&s[n++], "weight_decay", o->weight_decay);
    set_number(&s[n++], "warmup", o->warmup);
    set_number(&s[n++], "clip", o->clip);
    set_number(&s[n++], "dropout", (double)m->config.dropout);
    set_number(&s[n++], "attention_dropout", (double)m->config.attention_dropout);
    set_number(&s[n++], "head_dropout", (double)m->config.head_dropout);
    set_fingerprint(&s[n++], "choice_of_what_trains", hash_patterns(o));
    s[n] = (setting){.key = "precision", .kind = WORD};
    bool bf16 = pr_store_backend(m->store)->precision == PR_PRECISION_BF16;
    snprintf(s[n++].value, TEXT, "%s", bf16 ? "bf16" : "f32");
    set_number(&s[n++], "rows", (double)run->rows);
    set_fingerprint(&s[n++], "training_set", run->data);
    set_fingerprint(&s[n++], "model", run->fingerprint);
}

static const char *setting_key(char key[TEXT], const char *name) {
    snprintf(key, TEXT, "primer.checkpoint.%s", name);
    return key;
}

static pr_status fail_setting(const pr_gguf *file, const setting *s, const char *found,
                              pr_error *err) {
    const char *path = pr_gguf_path(file);
    char words[TEXT]; /* "batch size" of "batch_size" */
    snprintf(words, sizeof words, "%s", s->key);
    for (char *c = words; (c = strchr(c, '_'));)
        *c = ' ';
    if (s->kind == FINGERPRINT) {
        return pr_fail(err, PR_BAD_ARGUMENT, "%s: made with another %s", path, words);
    }
    double was, is;
    if (s->kind == NUMBER && sscanf(found, "%lf", &was) == 1 && sscanf(s->value, "%lf", &is) == 1) {
        return pr_fail(err, PR_BAD_ARGUMENT, "%s: made with %s %.9g; this run has %.9g", path,
                       words, was, is);
    }
    return pr_fail(err, PR_BAD_ARGUMENT, "%s: made with %s %.40s; this run has %s", path, words,
                   found, s->value);
}

static pr_status check_settings(const pr_checkpoint_run *run, const pr_gguf *file, pr_error *err) {
    setting s[SETTINGS];
    char key[TEXT];
    list_settings(run, s);
    for (int i = 0; i < SETTINGS; i++) {
        const char *value = NULL;
        pr_status status = pr_gguf_get_text(file, setting_key(key, s[i].key), true, &value, err);
        if (status != PR_OK) return status;
        if (strcmp(value, s[i].value) != 0) return fail_setting(file, &s[i], value, err);
    }
    return PR_OK;
}

/* ---- saving ---- */

static const struct {
    pr_state_slot slot;
    const char *suffix; /* behind the parameter's name */
} moments[] = {{PR_STATE_FIRST, first_suffix}, {PR_STATE_SECOND, second_suffix}};

enum { MOMENTS = sizeof moments / sizeof *moments, BLOCK_NAME = 160 };

/* For pr_gguf_put_filled. */
static pr_status read_parameter(const void *context, const char *name, float *to, pr_error *err) {
    const pr_store *store = context;
    return pr_store_read(store, pr_store_find(store, name), to, err);
}

/* The same of a moment, under its name in the file. */
static pr_status read_moment(const void *context, const char *name, float *to, pr_error *err) {
    const pr_store *store = context;
    for (int i = 0; i < MOMENTS; i++) {
        size_t length = strlen(name), suffix = strlen(moments[i].suffix);
        char own[BLOCK_NAME];
        if (length < suffix || strcmp(name + length - suffix, moments[i].suffix) != 0) continue;
        snprintf(own, sizeof own, "%.*s", (int)(length - suffix), name);
        const pr_param *p = pr_store_param(store, pr_store_find(store, own));
        pr_backend *backend = pr_store_backend(store);
        pr_status status = backend->download(backend, to, p->state[moments[i].slot], p->bytes);
        return status == PR_OK ? PR_OK : pr_fail(err, status, "'%s' could not be read", name);
    }
    return pr_fail(err, PR_INTERNAL, "'%s' is no moment", name);
}

/* Written from where they lie, if the host sees them there. */
static void put_values(pr_gguf_writer *w, const pr_store *store, const pr_param *p) {
    if (pr_store_backend(store)->host_visible && p->data)
        pr_gguf_put_tensor(w, p->name, p->shape, PR_FORMAT_F32, p->data);
    else
        pr_gguf_put_filled(w, p->name, p->shape, PR_FORMAT_F32, read_parameter, store);
}

static void put_moments(pr_gguf_writer *w, const pr_store *store, const pr_param *p) {
    for (int i = 0; i < MOMENTS; i++) {
        char name[BLOCK_NAME];
        const float *state = p->state[moments[i].slot];
        if (!state) continue;
        snprintf(name, sizeof name, "%s%s", p->name, moments[i].suffix);
        if (pr_store_backend(store)->host_visible)
            pr_gguf_put_tensor(w, name, p->shape, PR_FORMAT_F32, state);
        else
            pr_gguf_put_filled(w, name, p->shape, PR_FORMAT_F32, read_moment, store);
    }
}

static void put_parameters(pr_gguf_writer *w, const pr_store *store, int32_t *since) {
    size_t n = 0;
    for (int i = 0; i < pr_store_count(store); i++) {
        const pr_param *p = pr_store_param(store, i);
        if (!p->owned) continue;
        since[n++] = p->since;
        put_values(w, store, p);
        put_moments(w, store, p);
    }
    pr_gguf_put_i32s(w, "primer.checkpoint.since", since, n);
}

/* Which parameters are updated row by row. */
static void put_sparse(pr_gguf_writer *w, const pr_store *store, const char **names) {
    size_t n = 0;
    for (int i = 0; i < pr_store_count(store); i++) {
        const pr_param *p = pr_store_param(store, i);
        if (p->state[PR_STATE_ROWS]) names[n++] = p->name;
    }
    pr_gguf_put_texts(w, "primer.checkpoint.sparse", names, n);
}

static void put_order(pr_gguf_writer *w, const pr_model *model) {
    size_t n = 0;
    if (!model->state) return;
    const int32_t *order = model->method->order(model->state, &n);
    pr_gguf_put_i32s(w, order_key, order, n);
}

/* What the checkpoint belongs to, and where it stands. */
static void put_run(pr_gguf_writer *w, const pr_checkpoint_run *run, const pr_checkpoint *at) {
    setting s[SETTINGS];
    char text[TEXT], key[TEXT];
    pr_gguf_put_text(w, "general.architecture", architecture);
    list_settings(run, s);
    for (int i = 0; i < SETTINGS; i++) {
        pr_gguf_put_text(w, setting_key(key, s[i].key), s[i].value);
    }
    pr_gguf_put_u32(w, step_key, (uint32_t)at->step);
    pr_gguf_put_u32(w, "primer.checkpoint.epoch_steps", (uint32_t)at->epoch_steps);
    snprintf(text, sizeof text, "%a", at->epoch_loss); /* exact */
    pr_gguf_put_text(w, "primer.checkpoint.epoch_loss", text);
}

static pr_status write_all(pr_gguf_writer *w, const pr_checkpoint_run *run, const pr_checkpoint *at,
                           const char *path, pr_error *err) {
    size_t n = (size_t)pr_store_count(run->model->store);
    int32_t *since = pr_alloc(n, sizeof *since);
    const char **names = pr_alloc(n, sizeof *names);
    pr_status status = PR_NO_MEMORY;
    if (since && names) {
        put_run(w, run, at);
        put_parameters(w, run->model->store, since);
        put_sparse(w, run->model->store, names);
        put_order(w, run->model);
        status = pr_gguf_write(w, path, err);
    } else {
        pr_fail_memory(err, "a checkpoint", n * sizeof *names);
    }
    pr_free(since);
    pr_free(names);
    return status;
}

pr_status pr_checkpoint_save(const pr_checkpoint_run *run, const pr_checkpoint *at,
                             const char *path, pr_error *err) {
    pr_gguf_writer *w = pr_gguf_writer_new();
    if (!w) return pr_fail_memory(err, "a checkpoint", 1);
    pr_status status = write_all(w, run, at, path, err);
    pr_gguf_writer_free(w);
    return status;
}

/* ---- loading ---- */

static pr_status check_architecture(const pr_gguf *file, pr_error *err) {
    const char *found = NULL;
    pr_status status = pr_gguf_get_text(file, "general.architecture", true, &found, err);
    if (status != PR_OK || strcmp(found, architecture) == 0) return status;
    return pr_fail(err, PR_BAD_FILE, "%s: expected a checkpoint, found a file of architecture '%s'",
                   pr_gguf_path(file), found);
}

static pr_status read_loss(const pr_gguf *file, double *loss, pr_error *err) {
    const char *text = NULL;
    pr_status status = pr_gguf_get_text(file, "primer.checkpoint.epoch_loss", true, &text, err);
    if (status != PR_OK) return status;
    if (sscanf(text, "%la", loss) == 1 && isfinite(*loss)) return PR_OK;
    return pr_fail(err, PR_BAD_FILE,
                   "%s: primer.checkpoint.epoch_loss: expected a finite number, found '%.40s'",
                   pr_gguf_path(file), text);
}

static pr_status peek(const pr_checkpoint_run *run, const pr_gguf *file, pr_checkpoint *at,
                      pr_error *err) {
    int64_t step = 0, epoch_steps = 0;
    int64_t per_epoch = ((int64_t)run->rows - 1) / run->options->batch_size + 1;
    *at = (pr_checkpoint){0};
    pr_status status = check_architecture(file, err);
    if (status == PR_OK) status = check_settings(run, file, err);
    if (status == PR_OK) {
        status = pr_gguf_get_integer(file, step_key, true, 0, per_epoch * run->options->epochs,
                                     &step, err);
    }
    if (status == PR_OK) {
        status = pr_gguf_get_integer(file, "primer.checkpoint.epoch_steps", true, 0,
                                     step < per_epoch ? step : per_epoch, &epoch_steps, err);
    }
    if (status == PR_OK) status = read_loss(file, &at->epoch_loss, err);
    at->step = (int32_t)step;
    at->epoch_steps = (int32_t)epoch_steps;
    return status;
}

pr_status pr_checkpoint_peek(const pr_checkpoint_run *run, const char *path, pr_checkpoint *at,
                             pr_error *err) {
    pr_gguf *file = pr_gguf_open(path, err);
    if (!file) return err && err->code != PR_OK ? err->code : PR_BAD_FILE;
    pr_status status = peek(run, file, at, err);
    pr_gguf_close(file);
    return status;
}

/* The block of a parameter's shape, aligned f32 as the writer made it. *block is NULL where the
 * file has none and none is required. */
static pr_status find_block(const pr_gguf *file, const pr_param *p, const char *suffix,
                            bool required, const float **block, pr_error *err) {
    char name[160];
    snprintf(name, sizeof name, "%s%s", p->name, suffix);
    const char *path = pr_gguf_path(file);
    *block = NULL;
    int index = pr_gguf_find(file, name);
    if (index < 0 && !required) return PR_OK;
    if (index < 0) return pr_fail(err, PR_BAD_FILE, "%s: tensor '%s' is missing", path, name);
    const pr_stored *t = pr_gguf_tensor(file, index);
    if (!pr_shape_equal(t->shape, p->shape) || !pr_stored_direct(t)) {
        return pr_fail(err, PR_BAD_FILE,
                       "%s: tensor '%s' has not the shape or type of its parameter", path, name);
    }
    pr_error fault = {.code = PR_OK};
    if (pr_stored_check_finite(t, &fault) != PR_OK) return pr_fail_in_file(err, path, &fault);
    *block = pr_stored_direct(t);
    return PR_OK;
}

static bool all_zero(const char *bytes, size_t n) {
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

/* Only what is not zero is copied: the pages of rows that never had a gradient stay untouched. */
static pr_status load_state(pr_store *store, int index, pr_state_slot slot, const float *from,
                            pr_error *err) {
    const pr_param *p = pr_store_param(store, index);
    pr_backend *backend = pr_store_backend(store);
    pr_status status = pr_store_make_state(store, index, slot, p->bytes, err);
    const char *bytes = (const char *)from;
    for (size_t at = 0; at < p->bytes && status == PR_OK; at += PIECE) {
        size_t n = p->bytes - at < PIECE ? p->bytes - at : PIECE;
        if (all_zero(bytes + at, n)) continue;
        status = backend->upload(backend, (char *)p->state[slot] + at, bytes + at, n);
    }
    return status;
}

static pr_status load_parameter(const pr_gguf *file, pr_store *store, int index, pr_error *err) {
    const pr_param *p = pr_store_param(store, index);
    const float *data, *first = NULL, *second = NULL;
    pr_status status = find_block(file, p, "", p->require_grad, &data, err);
    if (status != PR_OK || !data) return status;
    status = pr_store_write(store, index, data, err);
    if (status != PR_OK || !p->require_grad) return status;
    status = find_block(file, p, first_suffix, true, &first, err);
    if (status == PR_OK) status = find_block(file, p, second_suffix, true, &second, err);
    if (status != PR_OK || !first || !second) return status;
    status = load_state(store, index, PR_STATE_FIRST, first, err);
    return status == PR_OK ? load_state(store, index, PR_STATE_SECOND, second, err) : status;
}

/* The step at which each stored parameter last began to train, in their order in the file; -1 for
 * one that is stored because it is no plain f32 in the model's file. *more: there are more of them
 * than tensors. */
static pr_status load_since(const pr_gguf *file, pr_store *store, int64_t made, bool *more,
                            pr_error *err) {
    const pr_gguf_value *since = pr_gguf_value_of(file, "primer.checkpoint.since");
    size_t n = 0, expected = since ? since->count : 0;
    bool fits = true;
    for (int i = 0; i < pr_gguf_tensors(file) && fits; i++) {
        int index = pr_store_find(store, pr_gguf_tensor(file, i)->name);
        if (index < 0) continue; /* a moment */
        int64_t step, least = pr_store_param(store, index)->require_grad ? 0 : -1;
        fits = n < expected && pr_gguf_element_integer(since, n++, &step) && step >= least &&
               step <= made;
        if (fits) pr_store_set_since(store, index, (int32_t)step);
    }
    *more = n < expected;
    if (fits) return PR_OK;
    return pr_fail(err, PR_BAD_FILE, "%s: primer.checkpoint.since does not fit the tensors",
                   pr_gguf_path(file));
}

static pr_status load_sparse(const pr_gguf *file, pr_store *store, int64_t made, pr_error *err) {
    const char *const *names = NULL;
    size_t n = 0;
    pr_status status = pr_gguf_get_texts(file, "primer.checkpoint.sparse", true, &names, &n, err);
    for (size_t i = 0; i < n && status == PR_OK; i++) {
        int index = pr_store_find(store, names[i]);
        if (index < 0) {
            return pr_fail(err, PR_BAD_FILE, "%s: '%s' is no parameter of the model",
                           pr_gguf_path(file), names[i]);
        }
        status = pr_adamw_restore_rows(store, index, (int32_t)made, err);
    }
    return status;
}

/* Any numbers may stand in a file, but the method will use them as places: those of a layer, each
 * once. seen (n) is zero. */
static bool read_order(const pr_gguf_value *value, size_t n, int32_t ffn, int32_t *order,
                       bool *seen) {
    if (!value || value->count != n) return false;
    for (size_t i = 0; i < n; i++) {
        int64_t node;
        size_t layer = i / (size_t)ffn * (size_t)ffn;
        if (!pr_gguf_element_integer(value, i, &node) || node < 0 || node >= ffn) return false;
        if (seen[layer + (size_t)node]) return false;
        seen[layer + (size_t)node] = true;
        order[i] = (int32_t)node;
    }
    return true;
}

static pr_status load_order(const pr_gguf *file, pr_model *model, pr_error *err) {
    size_t n = 0;
    if (!model->state) return PR_OK;
    int32_t *order = model->method->order(model->state, &n);
    bool *seen = pr_alloc(n, sizeof *seen);
    if (!seen) return pr_fail_memory(err, order_key, n);
    bool fits = read_order(pr_gguf_value_of(file, order_key), n, model->config.ffn, order, seen);
    pr_free(seen);
    if (fits) return PR_OK;
    return pr_fail(err, PR_BAD_FILE, "%s: %s is no order of the model's nodes", pr_gguf_path(file),
                   order_key);
}

pr_status pr_checkpoint_load(pr_model *model, const char *path, pr_error *err) {
    pr_gguf *file = pr_gguf_open(path, err);
    if (!file) return err && err->code != PR_OK ? err->code : PR_BAD_FILE;
    int64_t made = 0; /* updates */
    bool more = false;
    pr_status status = pr_gguf_get_integer(file, step_key, true, 0, INT32_MAX / 2, &made, err);
    if (status == PR_OK) status = load_since(file, model->store, made, &more, err);
    for (int i = 0; i < pr_store_count(model->store) && status == PR_OK; i++) {
        status = load_parameter(file, model->store, i, err);
    }
    if (status == PR_OK) status = load_sparse(file, model->store, made, err);
    if (status == PR_OK) status = load_order(file, model, err);
    if (status == PR_OK && more) { /* of a parameter that has frozen: the others would be missed */
        status = pr_fail(err, PR_BAD_FILE, "%s: a tensor is missing", path);
    }
    pr_gguf_close(file);
    return status;
}
