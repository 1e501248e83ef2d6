/* inspect: what stands in a model file. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "backends/cpu.h"
#include "models/gguf.h"
#include "models/model.h"
#include "tools/cli.h"
#include "tools/format.h"
#include "tools/machine_report.h"

typedef struct totals {
    size_t listed, elements, bytes;
} totals;

/* ---- keys ---- */

/* Cut to a line's worth. */
static void print_text(const char *text) {
    enum { MOST = 60 };
    format_quoted(stdout, text, MOST);
}

static void print_element(const pr_gguf_value *value, size_t i) {
    int64_t integer;
    double number;
    if (value->texts)
        print_text(value->texts[i]);
    else if (value->type == PR_GGUF_BOOL)
        fputs(value->data[i] ? "true" : "false", stdout);
    else if (pr_gguf_element_integer(value, i, &integer))
        printf("%" PRId64, integer);
    else if (pr_gguf_element_number(value, i, &number))
        printf(value->type == PR_GGUF_F32 ? "%.7g" : "%.16g", number);
    else
        fputs("above 2^63", stdout);
}

static void print_keys(const pr_gguf *file) {
    enum { SHOWN = 4 }; /* of an array */
    putchar('\n');
    for (int i = 0; i < pr_gguf_keys(file); i++) {
        const pr_gguf_value *value = pr_gguf_key(file, i);
        char type[48];
        if (value->is_array)
            snprintf(type, sizeof type, "%s[%zu]", pr_gguf_type_name(value->type), value->count);
        else
            snprintf(type, sizeof type, "%s", pr_gguf_type_name(value->type));
        printf("%-42s %-12s ", value->key, type);
        for (size_t k = 0; k < value->count && k < SHOWN; k++) {
            fputs(k ? ", " : "", stdout);
            print_element(value, k);
        }
        puts(value->count > SHOWN ? ", ..." : value->count ? "" : "(none)");
    }
}

/* "tuned with --method learner, rank 64", of a file that has a method Primer knows. */
static void print_method(const pr_gguf *file) {
    const char *name = NULL;
    int64_t size = 0;
    pr_error none = {.code = PR_OK}; /* of whatever file: what is no text is no method */
    pr_gguf_get_text(file, "primer.method", false, &name, &none);
    pr_gguf_get_integer(file, "primer.size", false, 0, INT32_MAX, &size, &none);
    const pr_method *method = name ? pr_method_find(name) : NULL;
    if (!method) return;
    printf("tuned with --method %s", name);
    if (method->takes & PR_TAKES_SIZE) printf(", %s %" PRId64, method->size_name, size);
    putchar('\n');
}

/* ---- tensors ---- */

static void print_heading(void) {
    printf("\n%-34s %-6s %-16s %13s %9s\n", "tensor", "type", "shape", "elements", "bytes");
}

static void print_tensor(totals *t, const char *match, const pr_stored *tensor) {
    char shape[PR_SHAPE_TEXT], count[FORMAT_SIZE], bytes[FORMAT_SIZE];
    if (match && !pr_glob(match, tensor->name)) return;
    t->listed++;
    t->elements += tensor->count;
    t->bytes += tensor->bytes;
    printf("%-34s %-6s %-16s %13s %9s\n", tensor->name, tensor->type_name,
           pr_shape_text(tensor->shape, shape), format_count(count, tensor->count),
           format_bytes(bytes, tensor->bytes));
}

static pr_status print_totals(const totals *t, const char *match, pr_error *err) {
    char elements[FORMAT_SIZE], bytes[FORMAT_SIZE];
    if (match && t->listed == 0)
        return pr_fail(err, PR_BAD_ARGUMENT, "no tensor's name matches '%s'", match);
    printf("%zu tensors, %s parameters, %s\n", t->listed, format_count(elements, t->elements),
           format_bytes(bytes, t->bytes));
    return PR_OK;
}

/* ---- what can be inspected ---- */

static pr_status inspect_gguf(const char *path, const char *match, pr_error *err) {
    pr_gguf *file = pr_gguf_open(path, err);
    if (!file) return err->code;
    printf("%s: GGUF version %d, %d keys, %d tensors\n", path, pr_gguf_version(file),
           pr_gguf_keys(file), pr_gguf_tensors(file));
    if (!match) print_method(file);
    if (!match) print_keys(file);
    print_heading();
    totals t = {0};
    for (int i = 0; i < pr_gguf_tensors(file); i++)
        print_tensor(&t, match, pr_gguf_tensor(file, i));
    pr_status status = print_totals(&t, match, err);
    pr_gguf_close(file);
    return status;
}

static void print_config(const char *path, const pr_model *model) {
    const pr_bert_config *c = &model->config;
    printf("%s: %s, %d layers, width %d, %d heads, feed-forward %d, %d positions, %d pieces\n",
           path, c->kind == PR_BERT ? "BERT" : "DistilBERT", (int)c->layers, (int)c->width,
           (int)c->heads, (int)c->ffn, (int)c->positions, (int)c->vocab);
    if (model->has_head) printf("head with %d outputs", (int)c->labels);
    for (int32_t i = 0; model->label && i < c->labels; i++) {
        fputs(i ? ", " : ": ", stdout);
        print_text(model->label[i]);
    }
    if (model->has_head) putchar('\n');
}

/* A folder's tensors under the names that they have inside Primer, which patterns match. */
static pr_status inspect_folder(const char *path, const char *match, pr_model *model,
                                pr_error *err) {
    print_config(path, model);
    print_heading();
    totals t = {0};
    for (int i = 0; i < pr_store_count(model->store); i++) {
        const pr_param *p = pr_store_param(model->store, i);
        pr_stored row = {p->name, "f32", PR_FORMAT_F32, p->shape, p->bytes / 4, p->bytes, p->data};
        if (p->half) {
            row.type_name = "bf16";
            row.format = PR_FORMAT_BF16;
            row.bytes = p->bytes / 2;
            row.data = p->half;
        }
        print_tensor(&t, match, &row);
    }
    return print_totals(&t, match, err);
}

/* A model without a head gets one of two outputs, as it would to be tuned. */
static pr_status print_graph(pr_model *model, pr_error *err) {
    static const char *const labels[] = {"0", "1"};
    bool made;
    pr_status status = PR_OK;
    if (!model->has_head) status = pr_model_set_labels(model, labels, 2, 0, &made, err);
    if (status != PR_OK) return status;
    pr_graph *g = pr_graph_new(model->store);
    if (!g) return pr_fail_memory(err, "the graph", 1);
    pr_model_build(model, g);
    status = pr_graph_check(g, err);
    if (status == PR_OK) (void)pr_graph_dot(g, stdout); /* cli_end tells of a fault */
    pr_graph_free(g);
    return status;
}

static pr_status inspect(const char *path, const char *match, bool graph, pr_error *err) {
    struct stat info;
    bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    if (!folder && !graph) return inspect_gguf(path, match, err);
    pr_backend *backend = pr_cpu_new(0, err);
    pr_model *model = backend ? pr_model_open(path, backend, err) : NULL;
    pr_status status = err->code;
    if (model) status = graph ? print_graph(model, err) : inspect_folder(path, match, model, err);
    pr_model_free(model);
    pr_backend_free(backend);
    return status;
}

/* ---- the command line ---- */

typedef struct choices {
    const char *match, *products;
    bool graph, machine, devices, json;
    processor_choice place;
} choices;

/* The option that asks about the machine rather than a file; NULL: none. */
static const char *about_machine(const cli_program *program) {
    static const char *const names[] = {"machine", "devices", "products"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!cli_given(program, names[i])) continue;
        if (found) cli_wrong_use(program, "--%s and --%s exclude each other", found, names[i]);
        found = names[i];
    }
    return found;
}

static void check_use(const cli_program *program, int arguments, const choices *c) {
    const struct {
        const char *name;
        bool fits;
    } places[] = {{"threads", c->machine},
                  {"backend", c->machine},
                  {"gpu", c->machine || c->products},
                  {"json", c->machine || c->products}};
    const char *machine = about_machine(program);
    if (c->graph && c->match) cli_wrong_use(program, "--match and --graph exclude each other");
    if (machine && (arguments || c->graph || c->match)) {
        cli_wrong_use(program, "--%s looks at no file: leave out FILE, --match and --graph",
                      machine);
    }
    if (!machine && !arguments) {
        cli_wrong_use(program, "too few arguments: usage is 'inspect %s'", program->usage);
    }
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (cli_given(program, places[i].name) && !places[i].fits)
            cli_wrong_use(program, "--%s goes with --machine", places[i].name);
    }
}

static void add_options(cli_options *o, choices *c) {
    cli_text(o, "match", "GLOB", "list only tensors with such names", &c->match);
    cli_flag(o, "graph", "write the model's graph for graphviz instead", &c->graph);
    cli_group(o, "Of the machine");
    cli_flag(o, "machine", "measure what bounds a step of training here", &c->machine);
    cli_flag(o, "devices", "list the GPUs that there are", &c->devices);
    cli_text(o, "products", "LIST",
             "time products of matrices on a GPU, beside the best that cuBLASLt can: those that "
             "'finetune --profile --json' lists, separated by spaces",
             &c->products);
    processor_add_place(o, &c->place);
    cli_flag(o, "json", "print what is measured as a JSON line", &c->json);
}

int main(int argc, char **argv) {
    choices c = {.match = NULL};
    cli_options options = {.n = 0};
    add_options(&options, &c);
    const cli_program program = {
        .name = "inspect",
        .usage = "FILE [options]",
        .description =
            "Lists what stands in a GGUF file or a Hugging Face folder: keys, tensors, parameter "
            "counts. Patterns of other programs match the names that it prints.",
        .examples = "  inspect model.gguf\n"
                    "  inspect model.gguf --match 'blk.*.attn_{q,k,v,output}.weight'\n"
                    "  inspect model.gguf --graph | dot -Tsvg > graph.svg\n",
        .options = &options,
        .least_arguments = 0,
        .most_arguments = 1,
    };
    int first = cli_parse(&program, argc, argv);
    check_use(&program, argc - first, &c);
    pr_error err = {.code = PR_OK};
    pr_status status = c.machine    ? machine_report(&c.place, c.json, &err)
                       : c.devices  ? machine_report_devices(&err)
                       : c.products ? machine_report_products(&c.place, c.products, c.json, &err)
                                    : inspect(argv[first], c.match, c.graph, &err);
    return cli_end(&program, status, &err);
}
