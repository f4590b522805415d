/* The files that the hooks put into an initramfs, byte for byte as they lie in initramfs-hooks/, dracut/ and mkinitcpio/, and the
 * text by which this program is found in an image. */
#pragma once
#include <stddef.h>

struct pv_embedded {
    const unsigned char *bytes;
    size_t count;
};

/* initramfs-tools */
extern const struct pv_embedded pv_init_top_script;
extern const struct pv_embedded pv_init_top_order;
/* dracut, and what has systemd in it */
extern const struct pv_embedded pv_dracut_script;
extern const struct pv_embedded pv_systemd_unit;
/* mkinitcpio with busybox */
extern const struct pv_embedded pv_mkinitcpio_hook;
/* all of them */
extern const struct pv_embedded pv_udev_rules;

/* "pram-verify-marker:VERSION:ARCHITECTURE\n" */
extern const struct pv_embedded pv_program_marker;
/* The commit that the program was built from, empty where that is not known. */
extern const struct pv_embedded pv_commit;
