/* The entry point. Embedded Swift has no CommandLine, so the words of the call come in here. */
#include <clinux.h>

int pram_verify_main(int count, char **words);

int main(int count, char **words) {
    pv_traps_prepare();
    return pram_verify_main(count, words);
}
