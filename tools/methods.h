/* The method of fine-tuning that a program trains a model with. */
#ifndef METHODS_H
#define METHODS_H

#include "models/model.h"
#include "tools/cli.h"
#include "train/dataset.h"

enum { MOST_METHODS = 16 };

/* Adds --method, which sets *name: one of all methods' names, which names is filled with, ended by
 * NULL. Unless it is given *name is the first. Both must live as long as the options. */
void methods_add_option(cli_options *o, const char **name, const char *names[MOST_METHODS + 1]);

/* Gives a model, as it was opened, a head for the data's labels and the method, both drawn from
 * options->seed. The faults of pr_model_set_labels and pr_model_set_method. */
pr_status methods_give(pr_model *model, const pr_dataset *data, const pr_method *method,
                       const pr_method_options *options, pr_error *err);

#endif
