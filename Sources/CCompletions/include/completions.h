/* What completes calls of this program in each shell, byte for byte as it lies in completions/. */
#pragma once
#include <stddef.h>

struct pv_completion {
    const char *shell;
    const unsigned char *bytes;
    size_t count;
};

extern const struct pv_completion pv_completions[3];
