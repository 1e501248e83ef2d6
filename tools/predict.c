/* predict: what a tuned model says of texts, or of a test set of GLUE's. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/memory.h"
#include "models/text.h"
#include "tools/answers.h"
#include "tools/cli.h"
#include "tools/data.h"
#include "tools/format.h"
#include "tools/processor.h"
#include "tools/report.h"
#include "tools/submit.h"
#include "train/finetune.h"

typedef struct settings {
    const char *model;
    const char *file;   /* "-": standard input */
    const char *text_b; /* goes with every text */
    submit_choice submit;
    int64_t max_length, batch_size;
    processor_choice processor;
    bool json;
} settings;

typedef struct texts {
    const char **text;
    size_t n, capacity;
    pr_text file; /* holds those that came from a file */
} texts;

static pr_status add_text(texts *t, const char *text, pr_error *err) {
    if (!pr_grow((void **)&t->text, &t->capacity, t->n + 1, sizeof *t->text)) {
        return pr_fail_memory(err, "the texts", t->n * sizeof *t->text);
    }
    t->text[t->n++] = text;
    return PR_OK;
}

/* The texts of the command line. */
static pr_status add_arguments(texts *t, char **argument, int n, pr_error *err) {
    pr_status status = PR_OK;
    for (int i = 0; i < n && status == PR_OK; i++) {
        char name[32];
        snprintf(name, sizeof name, "text %d", i + 1);
        status = pr_text_check(name, argument[i], strlen(argument[i]), err);
        if (status == PR_OK) status = add_text(t, argument[i], err);
    }
    return status;
}

static pr_status read_lines(texts *t, const char **path, pr_error *err) {
    if (strcmp(*path, "-") != 0) return pr_text_read(*path, &t->file, err);
    *path = "standard input";
    return pr_text_read_stream(stdin, *path, &t->file, err);
}

/* A text a line, of LF or CRLF; empty lines only at the end. */
static pr_status add_lines(texts *t, const char *path, pr_error *err) {
    pr_status status = read_lines(t, &path, err);
    if (status != PR_OK) return status;
    char *end = t->file.bytes + t->file.n;
    size_t number = 1, empty = 0, before = t->n;
    for (char *line = t->file.bytes; status == PR_OK && line < end; number++) {
        char *next = memchr(line, '\n', (size_t)(end - line));
        char *stop = next ? next : end;
        if (stop > line && stop[-1] == '\r') stop--;
        *stop = 0;
        if (stop == line) {
            empty = empty ? empty : number;
        } else if (empty) {
            return pr_fail(err, PR_BAD_FILE, "%s:%zu: an empty line; expected a text", path, empty);
        } else {
            status = add_text(t, line, err);
        }
        line = next ? next + 1 : end;
    }
    if (status != PR_OK || t->n > before) return status;
    return pr_fail(err, PR_BAD_FILE, "%s: empty lines alone; expected a text a line", path);
}

/* ---- answers ---- */

/* Logits to probabilities, in place. */
static void softmax(float *z, int32_t n) {
    float most = z[0], total = 0;
    for (int32_t i = 1; i < n; i++)
        most = z[i] > most ? z[i] : most;
    for (int32_t i = 0; i < n; i++)
        total += z[i] = expf(z[i] - most);
    for (int32_t i = 0; i < n; i++)
        z[i] /= total;
}

/* The label's name, or its number where the model has no names. */
static const char *label_name(const pr_model *model, int32_t label, char number[16]) {
    if (model->label) return model->label[label];
    snprintf(number, 16, "%d", (int)label);
    return number;
}

/* The columns of the longest of "label" and all labels' names. */
static int label_width(const pr_model *model) {
    int width = (int)strlen("label");
    char number[16];
    for (int32_t i = 0; i < model->config.labels; i++) {
        int n = format_columns(label_name(model, i, number));
        if (n > width) width = n;
    }
    return width;
}

/* The columns of a label's probabilities, "0.1234" under its name. */
static int probability_width(const char *name) {
    enum { NARROWEST = 6 };
    int n = format_columns(name);
    return n > NARROWEST ? n : NARROWEST;
}

static void print_heading(const pr_model *model) {
    char number[16];
    printf("%-*s", label_width(model), "label");
    for (int32_t i = 0; i < model->config.labels; i++) {
        const char *name = label_name(model, i, number);
        printf("  ");
        format_text(stdout, probability_width(name), name);
    }
    printf("  text\n");
}

static void print_row(const pr_model *model, const float *p, const char *text, const char *text_b) {
    char number[16];
    int32_t labels = model->config.labels;
    if (model->config.regression) {
        printf("%8.4f", (double)p[0]);
    } else {
        int32_t best = answers_largest(p, labels);
        format_text(stdout, -label_width(model), label_name(model, best, number));
        for (int32_t i = 0; i < labels; i++) {
            int width = probability_width(label_name(model, i, number));
            printf("  %*.4f", width, (double)p[i]);
        }
    }
    printf("  ");
    format_text(stdout, 0, text);
    if (text_b) printf(" | ");
    if (text_b) format_text(stdout, 0, text_b);
    putchar('\n');
}

static bool print_json_row(const pr_model *model, const float *p, const char *text,
                           const char *text_b) {
    char number[16];
    json_t *o = json_object();
    json_object_set_new(o, "text", json_string(text));
    if (text_b) json_object_set_new(o, "text_b", json_string(text_b));
    if (model->config.regression) {
        json_object_set_new(o, "value", json_real((double)p[0]));
        return report_print_json(o, stdout);
    }
    int32_t labels = model->config.labels;
    json_t *all = json_object();
    int32_t best = answers_largest(p, labels);
    json_object_set_new(o, "label", json_string(label_name(model, best, number)));
    for (int32_t i = 0; i < labels; i++) {
        json_object_set_new(all, label_name(model, i, number), json_real((double)p[i]));
    }
    json_object_set_new(o, "probabilities", all);
    return report_print_json(o, stdout);
}

static pr_status print_answers(const settings *s, const pr_model *model, const texts *t,
                               float *outputs, pr_error *err) {
    int32_t labels = model->config.labels;
    if (!s->json && !model->config.regression) print_heading(model);
    for (size_t i = 0; i < t->n; i++) {
        float *row = outputs + i * (size_t)labels;
        if (!model->config.regression) softmax(row, labels);
        if (!s->json) {
            print_row(model, row, t->text[i], s->text_b);
        } else if (!print_json_row(model, row, t->text[i], s->text_b)) {
            return pr_fail(err, PR_IO, "the JSON line can't be written");
        }
    }
    return PR_OK;
}

/* ---- */

static pr_dataset *tokenize(const settings *s, const pr_model *model, const texts *t,
                            pr_error *err) {
    const char **second = NULL;
    pr_wordpiece *wordpiece = data_tokenizer(model, s->model, err);
    if (!wordpiece) return NULL;
    pr_dataset *data = NULL;
    if (s->text_b) second = pr_alloc(t->n, sizeof *second);
    for (size_t i = 0; second && i < t->n; i++)
        second[i] = s->text_b;
    if (s->text_b && !second) {
        pr_fail_memory(err, "the texts", t->n * sizeof *second);
    } else {
        data = pr_dataset_of_texts(t->text, second, t->n, wordpiece, (size_t)s->max_length, err);
    }
    pr_free((void *)second);
    pr_wordpiece_free(wordpiece);
    return data;
}

static pr_status answer_texts(const settings *s, pr_model *model, pr_backend *backend,
                              const texts *t, pr_error *err) {
    pr_dataset *data = tokenize(s, model, t, err);
    if (!data) return err->code;
    float *outputs = NULL;
    pr_status status =
        pr_finetune_predict(model, backend, data, (int32_t)s->batch_size, NULL, &outputs, err);
    if (status == PR_OK) status = print_answers(s, model, t, outputs, err);
    if (status == PR_OK) {
        fflush(stdout);
        data_tell_truncated(stderr, data->truncated, s->max_length);
    }
    pr_free(outputs);
    pr_dataset_free(data);
    return status;
}

static pr_status answer(const settings *s, pr_model *model, pr_backend *backend, const texts *t,
                        pr_error *err) {
    if (!model->has_head) {
        return pr_fail(err, PR_BAD_FILE, "%s has no classification head: fine-tune it first",
                       s->model);
    }
    pr_status status = data_check_length(model, s->max_length, err);
    if (status != PR_OK) return status;
    if (!s->submit.folder) return answer_texts(s, model, backend, t, err);
    return submit(&s->submit, model, s->model, backend, s->max_length, s->batch_size, err);
}

static pr_status predict(const settings *s, char **arguments, int n, pr_error *err) {
    texts t = {0};
    pr_status status = add_arguments(&t, arguments, n, err);
    if (status == PR_OK && s->text_b) {
        status = pr_text_check("--text-b", s->text_b, strlen(s->text_b), err);
    }
    if (status == PR_OK && s->file) status = add_lines(&t, s->file, err);
    pr_backend *backend = status == PR_OK ? processor_open(&s->processor, stderr, err) : NULL;
    pr_model *model = backend ? pr_model_open(s->model, backend, err) : NULL;
    status = model ? answer(s, model, backend, &t, err) : err->code;
    pr_model_free(model);
    pr_backend_free(backend);
    pr_text_free(&t.file);
    pr_free((void *)t.text);
    return status;
}

static void add_options(cli_options *o, settings *s) {
    cli_group(o, "Texts");
    cli_text(o, "file", "FILE",
             "a text a line, after those of the command line; - is standard input", &s->file);
    cli_also(o, "input text-file");
    cli_text(o, "text-b", "T", "the second text of a pair, with every first one", &s->text_b);
    cli_also(o, "pair");
    cli_int(o, "max-length", "N", "tokens of a text at most; the rest is cut off", &s->max_length,
            8, 1 << 20);
    cli_also(o, "max_seq_length");
    submit_add_options(o, &s->submit);
    cli_group(o, "Running");
    cli_int(o, "batch-size", "N", "texts at a time", &s->batch_size, 1, 65536);
    processor_add_options(o, &s->processor);
    cli_flag(o, "json", "print a JSON object a line", &s->json);
}

static void check_use(const cli_program *program, settings *s, bool has_texts) {
    submit_check(program, &s->submit, s->model);
    const char *stray = has_texts   ? "the texts"
                        : s->file   ? "--file"
                        : s->text_b ? "--text-b"
                        : s->json   ? "--json"
                                    : NULL;
    if (s->submit.folder && stray) {
        cli_wrong_use(program, "--submit answers a test set and nothing else: leave out %s", stray);
    }
    if (!s->submit.folder && !has_texts && !s->file) {
        cli_wrong_use(program, "no text: name one after MODEL, or use --file FILE (- for standard "
                               "input)");
    }
}

int main(int argc, char **argv) {
    settings s = {.max_length = 128, .batch_size = 16};
    cli_options options = {.n = 0};
    add_options(&options, &s);
    const cli_program program = {
        .name = "predict",
        .usage = "MODEL [TEXT ...] [options]",
        .description = "Prints the label that a tuned MODEL, a GGUF file or a Hugging Face folder, "
                       "gives to each text, and the probability of every label; or writes its "
                       "answers to a test set of GLUE's, as GLUE's server takes them.",
        .examples = "  predict model-tuned.gguf \"The cat sat.\" \"Cat the sat.\"\n"
                    "  predict model-tuned.gguf --file texts.txt --json\n"
                    "  predict pairs.gguf \"A man sleeps.\" --text-b \"Somebody sleeps.\"\n"
                    "  predict rte.gguf --task RTE --data glue --submit answers\n",
        .options = &options,
        .least_arguments = 1,
        .most_arguments = -1,
    };
    int first = cli_parse(&program, argc, argv);
    s.model = argv[first++];
    check_use(&program, &s, first < argc);
    pr_error err = {.code = PR_OK};
    pr_status status = predict(&s, argv + first, argc - first, &err);
    return cli_end(&program, status, &err);
}
