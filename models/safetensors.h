/* safetensors, Hugging Face's model file: a JSON header, then the tensors' bytes.
 * https://github.com/huggingface/safetensors: u64 header length, {"name": {"dtype": "F32",
 * "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {...}}, bytes; row-major. */
#ifndef PR_SAFETENSORS_H
#define PR_SAFETENSORS_H

#include "models/outgoing.h"
#include "models/stored.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pr_safetensors pr_safetensors;

/* Maps a file and checks all of its header: every tensor lies inside the file, takes as many bytes
 * as its shape and type say, and shares none with another. Integers and other types that are no
 * weights are listed too (PR_FORMAT_OTHER), for the caller to pass over by name. A scalar is of
 * shape (1). NULL with err set: PR_IO, PR_BAD_FILE, PR_NO_MEMORY. */
pr_safetensors *pr_safetensors_open(const char *path, pr_error *err);
/* Unmaps; the tensors are gone. NULL is legal. */
void pr_safetensors_close(pr_safetensors *file);

int pr_safetensors_count(const pr_safetensors *file);
/* 0 .. count - 1, in the order of their bytes. */
const pr_stored *pr_safetensors_tensor(const pr_safetensors *file, int index);
int pr_safetensors_find(const pr_safetensors *file, const char *name); /* its index, or -1 */

/* Writes the tensors of a list, all PR_FORMAT_F32 or PR_FORMAT_BF16, whole or not at all (file.h),
 * with the metadata {"format": "pt"} that transformers asks for. */
pr_status pr_safetensors_write(pr_outgoing *tensors, const char *path, pr_error *err);

#ifdef __cplusplus
}
#endif
#endif
