/* The entry point. Embedded Swift has no CommandLine, so the words of the call come in here. */
#include <clinux.h>

int pram_verify_main(int count, char **words);

int main(int count, char **words) {
    pv_fill_standard_descriptors();
    pv_traps_prepare();
    /* Nothing that happens here stops a boot. Taking the call apart needs memory, so it is too late then. */
    if (count > 1 && strcmp(words[1], "boot") == 0)
        pv_fail_with(0);
    return pram_verify_main(count, words);
}
