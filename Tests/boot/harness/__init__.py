"""The generic half of the boot tests: kernels, initramfs images and QEMU machines. Knows nothing of pram."""

import os
import pathlib

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BOOT_BUILD", REPOSITORY / "build" / "boot"))


def image_path(name):
    """Where an image is built. Runners that work side by side have folders of their own (BOOT_WORKER)."""
    return BUILD / "images" / os.environ.get("BOOT_WORKER", "") / name
