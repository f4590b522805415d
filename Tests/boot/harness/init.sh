#!/harness/busybox sh
# PID 1 of the harness's own initramfs: mounts what every tool expects, then hands over to the agent.
busybox=/harness/busybox
$busybox mkdir -p /proc /sys /dev /run /tmp /bin
$busybox mount -t proc none /proc
$busybox mount -t sysfs none /sys
$busybox mount -t devtmpfs none /dev
$busybox mount -t tmpfs none /run
$busybox mount -t tmpfs none /tmp
$busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/
# An agent that ends would end PID 1, which panics the machine: exactly what the host should see then.
exec $busybox sh /harness/agent
