"""The generic half of the boot tests: kernels, initramfs images and QEMU machines. Knows nothing of pram."""

import os
import pathlib

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BOOT_BUILD", REPOSITORY / "build" / "boot"))
