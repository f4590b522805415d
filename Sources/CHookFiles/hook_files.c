/* The only copies are the files themselves: the compiler takes them from where they lie. */
#include "hook_files.h"

static const unsigned char init_top_script[] = {
#embed "../../initramfs-hooks/scripts/init-top/pram-verify"
};
static const unsigned char init_top_order[] = {
#embed "../../initramfs-hooks/ORDER"
};
static const unsigned char dracut_script[] = {
#embed "../../dracut/50pram-verify/pram-verify.sh"
};
static const unsigned char systemd_unit[] = {
#embed "../../dracut/50pram-verify/pram-verify-boot.service"
};
static const unsigned char mkinitcpio_hook[] = {
#embed "../../mkinitcpio/hooks/pram-verify"
};
static const unsigned char udev_rules[] = {
#embed "../../initramfs-hooks/98-pram-verify.rules"
};

/* The one place where the version stands; the Makefile reads this line. */
#define VERSION "0.2.0"

/* The Makefile writes what it was built from into build/commit; `swift build` by itself does not know. */
#if __has_include("pram-verify-commit.h")
#include "pram-verify-commit.h"
#else
#define COMMIT ""
#endif
#if defined __x86_64__
#define ARCHITECTURE "x86_64"
#elif defined __aarch64__
#define ARCHITECTURE "aarch64"
#else
#error "a name for this architecture is missing"
#endif
static const unsigned char program_marker[] = "pram-verify-marker:" VERSION ":" ARCHITECTURE "\n";

const struct pv_embedded pv_init_top_script = {init_top_script, sizeof init_top_script};
const struct pv_embedded pv_init_top_order = {init_top_order, sizeof init_top_order};
const struct pv_embedded pv_dracut_script = {dracut_script, sizeof dracut_script};
const struct pv_embedded pv_systemd_unit = {systemd_unit, sizeof systemd_unit};
const struct pv_embedded pv_mkinitcpio_hook = {mkinitcpio_hook, sizeof mkinitcpio_hook};
const struct pv_embedded pv_udev_rules = {udev_rules, sizeof udev_rules};
/* Without the NUL. */
static const unsigned char commit[] = COMMIT;

const struct pv_embedded pv_commit = {commit, sizeof commit - 1};
const struct pv_embedded pv_program_marker = {program_marker, sizeof program_marker - 1};
