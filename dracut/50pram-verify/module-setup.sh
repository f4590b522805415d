#!/bin/bash
# Puts pram-verify and the pmem drivers into an image. What is missing is said, and never fails the image.
# shellcheck disable=SC2154 # dracut sets the variables

check() { return 0; }

depends() { return 0; }

installkernel() { hostonly='' instmods nd_e820 nd_pmem; }

install() {
    local program=/usr/sbin/pram-verify rules=/usr/share/pram-verify/98-pram-verify.rules
    if [[ -x $program ]] && inst_simple "$program" /usr/sbin/pram-verify; then
        inst_simple "$rules" /etc/udev/rules.d/98-pram-verify.rules || dwarn "pram-verify: $rules is missing"
    else
        dwarn "pram-verify: $program is missing; nothing will be verified at boot"
    fi
    inst_multiple -o cat modprobe halt
    if dracut_module_included systemd; then
        inst_simple "$moddir/pram-verify.sh" /usr/lib/pram-verify/boot.sh
        inst_simple "$moddir/pram-verify-boot.service" "$systemdsystemunitdir/pram-verify-boot.service"
        $SYSTEMCTL -q --root "$initdir" add-wants initrd.target pram-verify-boot.service
    else
        inst_hook cmdline 00 "$moddir/pram-verify.sh"
    fi
    return 0
}
