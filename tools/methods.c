#include "tools/methods.h"

#include <stdlib.h>

void methods_add_option(cli_options *o, const char **name, const char *names[MOST_METHODS + 1]) {
    int n = 0;
    for (; pr_methods[n]; n++) {
        if (n == MOST_METHODS) abort(); /* the list of methods is fixed when it is written */
        names[n] = pr_methods[n]->name;
    }
    names[n] = NULL;
    *name = names[0];
    cli_choice(o, "method", "NAME", "what trains", name, names);
}

pr_status methods_give(pr_model *model, const pr_dataset *data, const pr_method *method,
                       const pr_method_options *options, pr_error *err) {
    bool made;
    pr_status status = pr_model_set_labels(model, (const char *const *)data->label_name,
                                           data->n_labels, options->seed, &made, err);
    return status == PR_OK ? pr_model_set_method(model, method, options, err) : status;
}
