/* Vocabularies as GGUF files hold them. */
#include <string.h>

#include "models/gguf.h"
#include "models/vocab.h"

pr_status pr_vocab_from_gguf(pr_vocab *vocab, const pr_gguf *file, pr_error *err) {
    const char *const *pieces = NULL;
    size_t n = 0;
    pr_error fault = {.code = PR_OK};
    pr_status status = pr_gguf_get_texts(file, "tokenizer.ggml.tokens", true, &pieces, &n, err);
    const pr_gguf_value *types = pr_gguf_value_of(file, "tokenizer.ggml.token_type");
    if (status == PR_OK && types && types->count != n) {
        return pr_fail(
            err, PR_BAD_FILE,
            "%s: tokenizer.ggml.token_type: expected one for each of %zu pieces, found %zu",
            pr_gguf_path(file), n, types->count);
    }
    for (size_t i = 0; i < n && status == PR_OK; i++) {
        int64_t type = PR_TOKEN_NORMAL;
        if (types && !pr_gguf_element_integer(types, i, &type)) {
            return pr_fail(err, PR_BAD_FILE, "%s: tokenizer.ggml.token_type: no integers",
                           pr_gguf_path(file));
        }
        status = pr_vocab_add_gguf(vocab, pieces[i], strlen(pieces[i]), (int32_t)type, &fault);
    }
    if (status == PR_OK) status = pr_vocab_finish(vocab, &fault);
    return fault.code == PR_OK ? status : pr_fail_in_file(err, pr_gguf_path(file), &fault);
}
