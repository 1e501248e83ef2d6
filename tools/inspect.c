/* inspect: what stands in a model file. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "backends/cpu.h"
#include "backends/cuda.h"
#include "models/gguf.h"
#include "models/model.h"
#include "tools/cli.h"
#include "tools/format.h"
#include "tools/machine.h"

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

/* What bounds a step of training here. */
static pr_status inspect_machine(bool json, int threads, pr_error *err) {
    machine_speed speed;
    char flops[FORMAT_SIZE], bf16[FORMAT_SIZE], bytes[FORMAT_SIZE];
    pr_backend *backend = pr_cpu_new(threads, err);
    if (!backend) return err->code;
    pr_status status = machine_measure(backend, &speed, err);
    if (status == PR_OK && json) {
        printf("{\"threads\": %d, \"flops\": %.4g, \"bf16_flops\": %.4g, \"bytes\": %.4g, "
               "\"kernels\": \"%s\"}\n",
               backend->threads, speed.flops, speed.bf16_flops, speed.bytes, speed.kernels);
    } else if (status == PR_OK) {
        printf("%d thread%s: products of matrices %s a second (OpenBLAS's kernels for %s)",
               backend->threads, backend->threads == 1 ? "" : "s", format_flops(flops, speed.flops),
               speed.kernels);
        if (speed.bf16_flops > 0)
            printf(", in bf16 %s a second", format_flops(bf16, speed.bf16_flops));
        printf(", memory %s a second\n", format_bytes(bytes, (size_t)speed.bytes));
    }
    pr_backend_free(backend);
    return status;
}

/* Every GPU, or why there is none; neither is a failure. */
static pr_status inspect_devices(pr_error *err) {
    pr_error why = {.code = PR_OK};
    int n = pr_cuda_count(&why);
    if (!n) printf("No GPU: %s\n", why.message);
    for (int i = 0; i < n; i++) {
        pr_cuda_device d;
        char all[FORMAT_SIZE], left[FORMAT_SIZE];
        pr_status status = pr_cuda_describe(i, &d, err);
        if (status != PR_OK) return status;
        printf("GPU %d: %s, compute capability %d.%d, %d multiprocessors, %s of memory, %s free\n",
               i, d.name, d.major, d.minor, d.multiprocessors, format_bytes(all, d.bytes),
               format_bytes(left, d.free_bytes));
    }
    return PR_OK;
}

static void check_use(const cli_program *program, int arguments, bool match, bool graph) {
    bool machine = cli_given(program, "machine"), devices = cli_given(program, "devices");
    if (graph && match) cli_wrong_use(program, "--match and --graph exclude each other");
    if (machine && devices) cli_wrong_use(program, "--machine and --devices exclude each other");
    if ((machine || devices) && (arguments || graph || match)) {
        cli_wrong_use(program, "--%s looks at no file: leave out FILE, --match and --graph",
                      machine ? "machine" : "devices");
    }
    if (!machine && !devices && !arguments) {
        cli_wrong_use(program, "too few arguments: usage is 'inspect %s'", program->usage);
    }
    for (int i = 0; i < 2; i++) {
        const char *needs = i ? "threads" : "json";
        if (cli_given(program, needs) && !machine) {
            cli_wrong_use(program, "--%s goes with --machine", needs);
        }
    }
}

int main(int argc, char **argv) {
    const char *match = NULL;
    bool graph = false, machine = false, devices = false, json = false;
    int64_t threads = 0;
    cli_options options = {.n = 0};
    cli_text(&options, "match", "GLOB", "list only tensors with such names", &match);
    cli_flag(&options, "graph", "write the model's graph for graphviz instead", &graph);
    cli_flag(&options, "machine", "measure what bounds a step of training here", &machine);
    cli_flag(&options, "devices", "list the GPUs that there are", &devices);
    cli_int(&options, "threads", "N", "threads to measure with", &threads, 1, PR_MAX_THREADS);
    cli_shown(&options, "all usable cores");
    cli_flag(&options, "json", "print the measured speeds as a JSON line", &json);
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
    check_use(&program, argc - first, match, graph);
    pr_error err = {.code = PR_OK};
    pr_status status = machine   ? inspect_machine(json, (int)threads, &err)
                       : devices ? inspect_devices(&err)
                                 : inspect(argv[first], match, graph, &err);
    return cli_end(&program, status, &err);
}
