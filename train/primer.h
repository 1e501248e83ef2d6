/* All of Primer's public headers. */
#ifndef PR_PRIMER_H
#define PR_PRIMER_H

#define PR_VERSION_MAJOR 0
#define PR_VERSION_MINOR 1

#include "autograd/backward.h"
#include "backends/cpu.h"
#include "graph/plan.h"
#include "models/dense.h"
#include "models/draw.h"
#include "models/model.h"
#include "models/wordpiece.h"
#include "ops/ops.h"
#include "train/dataset.h"
#include "train/feed.h"
#include "train/finetune.h"
#include "train/schedule.h"
#include "train/trainer.h"

#endif
