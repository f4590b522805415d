# shellcheck shell=sh
# Verifies the chain before anything is mounted. What to do is said on the kernel command line: see pram-verify(8).
# dracut's init sources this file, and goes on after it: it neither exits nor leaves anything behind.
case $(cat /proc/cmdline) in *memmap=*!*) modprobe -a -q nd_e820 nd_pmem ;; esac
[ ! -x /usr/sbin/pram-verify ] || /usr/sbin/pram-verify boot
case $(cat /run/pram-verify/action 2>/dev/null) in
    shell) emergency_shell -n pram-verify "pram-verify: the chain is damaged; exit goes on with the boot" ;;
    halt) halt -f -f || echo o >/proc/sysrq-trigger ;;
esac
:
