/* The only copies are the files themselves: the compiler takes them from where they lie. */
#include "completions.h"

static const unsigned char bash[] = {
#embed "../../completions/pram-verify.bash"
};
static const unsigned char zsh[] = {
#embed "../../completions/pram-verify.zsh"
};
static const unsigned char fish[] = {
#embed "../../completions/pram-verify.fish"
};

const struct pv_completion pv_completions[3] = {
    {"bash", bash, sizeof bash}, {"zsh", zsh, sizeof zsh}, {"fish", fish, sizeof fish}};
