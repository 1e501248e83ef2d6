#include "tools/machine_report.h"

#include <string.h>

#include "backends/cuda.h"
#include "backends/cuda_speed.h"
#include "tools/format.h"
#include "tools/machine.h"
#include "tools/numbers.h"
#include "tools/product_speed.h"
#include "tools/report.h"

static pr_status print_json(json_t *object, pr_error *err) {
    if (report_print_json(object, stdout)) return PR_OK;
    return pr_fail(err, PR_IO, "the JSON line can't be written");
}

/* ---- the processor ---- */

static pr_status tell_processor(const pr_backend *backend, const machine_speed *speed, bool json,
                                pr_error *err) {
    char flops[FORMAT_SIZE], bf16[FORMAT_SIZE], bytes[FORMAT_SIZE];
    if (json) {
        json_t *o = json_object();
        json_object_set_new(o, "threads", json_integer(backend->threads));
        json_object_set_new(o, "flops", number_rounded(speed->flops, 0));
        json_object_set_new(o, "bf16_flops", number_rounded(speed->bf16_flops, 0));
        json_object_set_new(o, "bytes", number_rounded(speed->bytes, 0));
        json_object_set_new(o, "kernels", json_string(speed->kernels));
        return print_json(o, err);
    }
    printf("%d thread%s: products of matrices %s a second (OpenBLAS's kernels for %s)",
           backend->threads, backend->threads == 1 ? "" : "s", format_flops(flops, speed->flops),
           speed->kernels);
    if (speed->bf16_flops > 0)
        printf(", in bf16 %s a second", format_flops(bf16, speed->bf16_flops));
    printf(", memory %s a second\n", format_bytes(bytes, (size_t)speed->bytes));
    return PR_OK;
}

/* ---- a GPU ---- */

/* "13.0", of 13000. */
static const char *cuda_version(char out[FORMAT_SIZE], int version) {
    snprintf(out, FORMAT_SIZE, "%d.%d", version / 1000, version % 1000 / 10);
    return out;
}

/* "13.0.2", of 130002. */
static const char *cublas_version(char out[FORMAT_SIZE], size_t version) {
    snprintf(out, FORMAT_SIZE, "%zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100);
    return out;
}

static json_t *gpu_json(const processor_choice *choice, const pr_cuda_device *d,
                        const pr_cuda_versions *v, const machine_speed *speed) {
    char text[FORMAT_SIZE];
    json_t *o = json_object();
    json_object_set_new(o, "gpu", json_integer(choice->gpu));
    json_object_set_new(o, "name", json_string(d->name));
    snprintf(text, sizeof text, "%d.%d", d->major, d->minor);
    json_object_set_new(o, "capability", json_string(text));
    json_object_set_new(o, "multiprocessors", json_integer(d->multiprocessors));
    json_object_set_new(o, "memory_bytes", number_count(d->bytes));
    json_object_set_new(o, "driver_cuda", json_string(cuda_version(text, v->driver)));
    json_object_set_new(o, "cuda", json_string(cuda_version(text, v->runtime)));
    json_object_set_new(o, "cublaslt", json_string(cublas_version(text, v->cublas)));
    json_object_set_new(o, "flops", number_rounded(speed->flops, 0));
    json_object_set_new(o, "tf32_flops", number_rounded(speed->tf32_flops, 0));
    json_object_set_new(o, "bf16_flops", number_rounded(speed->bf16_flops, 0));
    json_object_set_new(o, "bytes", number_rounded(speed->bytes, 0));
    return o;
}

static void print_gpu(const processor_choice *choice, const pr_cuda_device *d,
                      const pr_cuda_versions *v, const machine_speed *speed) {
    char bytes[FORMAT_SIZE], driver[FORMAT_SIZE], cuda[FORMAT_SIZE], cublas[FORMAT_SIZE];
    char flops[FORMAT_SIZE], tf32[FORMAT_SIZE], bf16[FORMAT_SIZE], copied[FORMAT_SIZE];
    printf("GPU %d: %s, compute capability %d.%d, %d multiprocessors, %s; a driver for CUDA %s, "
           "Primer built with %s, cuBLASLt %s\n",
           (int)choice->gpu, d->name, d->major, d->minor, d->multiprocessors,
           format_bytes(bytes, d->bytes), cuda_version(driver, v->driver),
           cuda_version(cuda, v->runtime), cublas_version(cublas, v->cublas));
    printf("Products of matrices %s a second, in tf32 %s, in bf16 %s; memory %s a second, read "
           "and written\n",
           format_flops(flops, speed->flops), format_flops(tf32, speed->tf32_flops),
           format_flops(bf16, speed->bf16_flops), format_bytes(copied, (size_t)speed->bytes));
}

static pr_status tell_gpu(const processor_choice *choice, const pr_backend *backend,
                          const machine_speed *speed, bool json, pr_error *err) {
    pr_cuda_device device;
    const pr_cuda_versions versions = pr_cuda_versions_of(backend);
    pr_status status = pr_cuda_describe((int)choice->gpu, &device, err);
    if (status != PR_OK) return status;
    if (json) return print_json(gpu_json(choice, &device, &versions, speed), err);
    print_gpu(choice, &device, &versions, speed);
    return PR_OK;
}

pr_status machine_report(const processor_choice *choice, bool json, pr_error *err) {
    machine_speed speed;
    pr_backend *backend = processor_open(choice, NULL, err);
    if (!backend) return err->code;
    pr_status status = machine_measure(backend, &speed, err);
    if (status == PR_OK) {
        status = backend->kind == PR_CUDA ? tell_gpu(choice, backend, &speed, json, err)
                                          : tell_processor(backend, &speed, json, err);
    }
    pr_backend_free(backend);
    return status;
}

pr_status machine_report_devices(pr_error *err) {
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

/* ---- products ---- */

static json_t *product_json(const product *p, const product_speed *speed) {
    char text[PRODUCT_TEXT];
    json_t *o = json_object();
    json_object_set_new(o, "product", json_string(product_text(text, p)));
    json_object_set_new(o, "seconds", number_exact(speed->seconds));
    json_object_set_new(o, "kernel_s", number_exact(speed->kernel));
    json_object_set_new(o, "best_s", number_exact(speed->best));
    json_object_set_new(o, "tried", json_integer(speed->tried));
    return o;
}

static void print_heading(void) {
    printf("%-36s %9s %9s %9s %8s %10s\n", "product", "us", "kernel", "best", "of best", "GFLOP/s");
}

static void print_product(const product *p, const product_speed *speed) {
    char text[PRODUCT_TEXT];
    printf("%-36s %9.2f %9.2f %9.2f %6.0f %% %10.1f\n", product_text(text, p), 1e6 * speed->seconds,
           1e6 * speed->kernel, 1e6 * speed->best, 100 * speed->best / speed->kernel,
           product_flops(p) / speed->seconds / 1e9);
}

/* The next product of a list, which is moved behind it: false at its end, and for a fault. */
static bool next_product(const char **list, product *p, pr_error *err) {
    char word[PRODUCT_TEXT];
    *list += strspn(*list, " ");
    size_t length = strcspn(*list, " ");
    if (!length) return false;
    snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : 0), *list);
    *list += length;
    return product_parse(word, p, err) == PR_OK;
}

static pr_status check_list(const char *list, pr_error *err) {
    product p;
    int n = 0;
    while (next_product(&list, &p, err))
        n++;
    if (!n && err->code == PR_OK) pr_fail(err, PR_BAD_ARGUMENT, "--products: the list is empty");
    return err->code;
}

/* found: gets the figures; NULL: they are printed. */
static pr_status measure_list(pr_backend *backend, const char *list, json_t *found, pr_error *err) {
    pr_status status = PR_OK;
    product p;
    product_speed speed;
    if (!found) print_heading();
    while (status == PR_OK && next_product(&list, &p, err)) {
        status = product_measure(backend, &p, &speed, err);
        if (status == PR_OK && found) json_array_append_new(found, product_json(&p, &speed));
        if (status == PR_OK && !found) print_product(&p, &speed);
    }
    return status;
}

pr_status machine_report_products(const processor_choice *choice, const char *list, bool json,
                                  pr_error *err) {
    pr_status status = check_list(list, err);
    if (status != PR_OK) return status;
    pr_backend *backend = processor_open_named(choice, "cuda", NULL, err);
    if (!backend) return err->code;
    json_t *found = json ? json_array() : NULL;
    status = measure_list(backend, list, found, err);
    pr_backend_free(backend);
    if (json && status == PR_OK) return print_json(json_pack("{s:o}", "products", found), err);
    json_decref(found);
    return status;
}
