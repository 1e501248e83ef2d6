/* convert: models between GGUF files and Hugging Face folders, and new ones with random weights. */
#include <math.h>
#include <string.h>

#include "backends/cpu.h"
#include "models/model.h"
#include "models/text.h"
#include "tools/cli.h"
#include "tools/data.h"
#include "tools/describe.h"
#include "tools/paths.h"

typedef struct settings {
    const char *random; /* NULL: IN is read */
    const char *vocab;
    int64_t seed;
    bool peft;
    const char *base; /* for PEFT; NULL: not named */
} settings;

/* The sizes of --random; the vocabulary gives its own, and two labels are the usual. */
typedef struct preset {
    const char *name;
    pr_bert_config config;
} preset;

static const preset presets[] = {
    {"distilbert", {.kind = PR_DISTILBERT, .layers = 6, .width = 768, .heads = 12, .ffn = 3072}},
    {"minilm",
     {.kind = PR_BERT, .layers = 6, .width = 384, .heads = 12, .ffn = 1536, .token_types = 2}},
    {"tiny",
     {.kind = PR_BERT, .layers = 2, .width = 128, .heads = 2, .ffn = 512, .token_types = 2}},
};
static const char *const preset_names[] = {"distilbert", "minilm", "tiny", NULL};

static pr_model *make_random(const settings *s, pr_backend *backend, pr_error *err) {
    pr_vocab *vocab = pr_vocab_read(s->vocab, err);
    if (!vocab) return NULL;
    const preset *p = presets;
    while (strcmp(p->name, s->random) != 0) /* cli_parse let only these names through */
        p++;
    pr_bert_config config = p->config;
    config.vocab = vocab->n;
    config.positions = 512;
    config.labels = 2;
    config.epsilon = 1e-12f;
    config.dropout = config.attention_dropout = 0.1f;
    config.head_dropout = config.kind == PR_DISTILBERT ? 0.2f : 0.1f;
    return pr_model_random(&config, vocab, backend, (uint64_t)s->seed, err);
}

static bool is_gguf(const char *path) {
    size_t n = strlen(path);
    return n >= 5 && strcmp(path + n - 5, ".gguf") == 0;
}

/* What is no adapter may be a plain model, or nothing but a GGUF file. */
static pr_status fail_peft(const char *in, const char *out, const pr_model *model,
                           const pr_error *reason, pr_error *err) {
    if (pr_model_check_folds(model, NULL) == PR_OK) {
        return pr_fail(err, reason->code,
                       "%s can't be a PEFT adapter: %s; 'convert %s %s' writes the %s model", in,
                       reason->message, in, out, model->method->add ? "collapsed" : "whole");
    }
    return pr_fail(err, reason->code, "%s can't be a PEFT adapter: %s; nor can it be collapsed: %s",
                   in, reason->message, model->method->why_not);
}

static pr_status write_peft(const settings *s, const char *in, const char *out,
                            const pr_model *model, pr_error *err) {
    pr_error reason = {.code = PR_OK};
    if (pr_model_check_peft(model, &reason) != PR_OK)
        return fail_peft(in, out, model, &reason, err);
    pr_status status = PR_OK;
    if (s->base) status = pr_text_check("--base", s->base, strlen(s->base), err);
    if (status == PR_OK) status = pr_model_export_peft(model, s->base, out, err);
    if (status == PR_OK) describe_peft(out, model, s->base);
    return status;
}

/* in is NULL for a random model. */
static pr_status write_model(const char *in, const char *out, const pr_model *model,
                             pr_error *err) {
    bool folder = !is_gguf(out);
    pr_status status = folder && in ? describe_if_unfoldable(in, model, err) : PR_OK;
    if (status != PR_OK) return status;
    status = folder ? pr_model_export(model, out, err) : pr_model_save(model, out, false, err);
    if (status == PR_OK) describe_written(out, model, folder);
    return status;
}

/* in is NULL for a random model. */
static pr_status convert(const settings *s, const char *in, const char *out, pr_error *err) {
    pr_backend *backend = pr_cpu_new(0, err);
    pr_model *model = NULL;
    if (backend) model = in ? pr_model_open(in, backend, err) : make_random(s, backend, err);
    pr_wordpiece *tokenizer = model ? data_tokenizer(model, in ? in : s->vocab, err) : NULL;
    pr_status status = err->code;
    if (tokenizer) {
        status = s->peft ? write_peft(s, in, out, model, err) : write_model(in, out, model, err);
    }
    pr_wordpiece_free(tokenizer);
    pr_model_free(model);
    pr_backend_free(backend);
    return status;
}

static void check_peft(const cli_program *program, const settings *s, const char *out) {
    if (s->base && !s->peft) cli_wrong_use(program, "--base goes with --peft");
    if (s->peft && s->random)
        cli_wrong_use(program, "--peft and --random exclude each other: tune the model first");
    if (s->peft && is_gguf(out))
        cli_wrong_use(program, "--peft writes a folder: name one that does not end in .gguf");
}

static void check_use(const cli_program *program, const settings *s, int arguments) {
    if (s->random && arguments != 1)
        cli_wrong_use(program, "--random makes a model: give OUT alone, no IN");
    if (s->random && !s->vocab)
        cli_wrong_use(program, "--random needs a vocabulary: --vocab vocab.txt");
    if (!s->random && arguments != 2)
        cli_wrong_use(program, "too few arguments: usage is 'convert IN OUT'");
    const char *stray = s->vocab ? "vocab" : cli_given(program, "seed") ? "seed" : NULL;
    if (!s->random && stray) cli_wrong_use(program, "--%s goes with --random", stray);
}

int main(int argc, char **argv) {
    settings s = {0};
    cli_options options = {.n = 0};
    cli_group(&options, "For Hugging Face's PEFT");
    cli_flag(&options, "peft", "write what was tuned alone, as an adapter of its base", &s.peft);
    cli_text(&options, "base", "NAME", "what the adapter calls its base: a folder, or a name there",
             &s.base);
    cli_shown(&options, "none");
    cli_group(&options, "A model with random weights");
    cli_choice(&options, "random", "KIND", "make a model of this size", &s.random, preset_names);
    cli_text(&options, "vocab", "FILE", "its vocabulary: vocab.txt, tokenizer.json or GGUF",
             &s.vocab);
    cli_int(&options, "seed", "N", "of its weights", &s.seed, 0, INFINITY);
    const cli_program program = {
        .name = "convert",
        .usage = "IN OUT, or --random KIND --vocab FILE OUT",
        .description = "Converts a model. IN is a GGUF file or a Hugging Face folder; OUT is a "
                       "GGUF file where it ends in .gguf, else a folder (config.json, "
                       "model.safetensors, vocab.txt), with learners folded into the weights. "
                       "With --peft it is an adapter directory of PEFT.",
        .examples = "  convert all-MiniLM-L6-v2/ model.gguf\n"
                    "  convert model-tuned.gguf tuned-model/\n"
                    "  convert --peft model-tuned.gguf adapter/\n"
                    "  convert --random tiny --vocab vocab.txt tiny.gguf\n",
        .options = &options,
        .least_arguments = 1,
        .most_arguments = 2,
    };
    int first = cli_parse(&program, argc, argv);
    check_use(&program, &s, argc - first);
    const char *in = s.random ? NULL : argv[first], *out = argv[argc - 1];
    check_peft(&program, &s, out);
    if (path_is_of_model(out, in ? in : s.vocab))
        cli_wrong_use(&program, "OUT '%s' is the input itself: name another file or folder", out);
    pr_error err = {.code = PR_OK};
    pr_status status = convert(&s, in, out, &err);
    return cli_end(&program, status, &err);
}
