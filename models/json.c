#include "models/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "graph/memory.h"
#include "models/file.h"

json_t *pr_json_parse(const void *text, size_t n, const char *what, pr_error *err) {
    json_error_t fault;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &fault);
    if (json_is_object(root)) return root;
    if (root)
        pr_fail(err, PR_BAD_FILE, "%s: is JSON, but no object", what);
    else if (json_error_code(&fault) == json_error_out_of_memory)
        pr_fail_memory(err, what, n);
    else
        pr_fail(err, PR_BAD_FILE, "%s: no valid JSON in line %d, column %d: %s", what, fault.line,
                fault.column, fault.text);
    json_decref(root);
    return NULL;
}

json_t *pr_json_read(const char *path, pr_error *err) {
    pr_file file;
    if (pr_file_map(path, &file, err) != PR_OK) return NULL;
    json_t *root = pr_json_parse(file.bytes, file.size, path, err);
    pr_file_unmap(&file);
    return root;
}

char *pr_json_text(const json_t *value, size_t flags) {
    size_t n = json_dumpb(value, NULL, 0, flags);
    char *text = n ? pr_alloc(n + 1, 1) : NULL;
    if (!text || json_dumpb(value, text, n, flags) == n) return text;
    pr_free(text);
    return NULL;
}

double pr_json_shortest(float value, int n) {
    enum { EXACT = 17 };
    double times = (double)value * n;
    for (int digits = 1; digits < EXACT; digits++) {
        char text[32];
        snprintf(text, sizeof text, "%.*g", digits, times);
        double d = strtod(text, NULL);
        if ((float)(d / n) == value) return d;
    }
    return times;
}
