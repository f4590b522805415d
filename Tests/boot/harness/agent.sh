#!/harness/busybox sh
# The guest's end of the line protocol: commands come in on the second serial port, one a line, and their results go
# out there. The console (first port) stays free for the kernel, so nothing can mix into a result.
#
#   host:  ID BASE64(command)
#   guest: READY BOOT-ID RELEASE            once, when this starts
#          BEGIN ID / base64 of stdout / ERRORS / base64 of stderr / END ID STATUS
#
# It uses its own busybox by full name: inside another initramfs the tools of the same name may differ or lack.

busybox=/harness/busybox
port=/dev/ttyS1
folder=/run/harness

$busybox mkdir -p $folder
$busybox stty raw -echo <$port
exec <$port >$port

echo "READY $($busybox cat /proc/sys/kernel/random/boot_id) $($busybox uname -r)"
while read -r id command; do
    printf %s "$command" | $busybox base64 -d >$folder/command
    $busybox sh $folder/command </dev/null >$folder/out 2>$folder/err
    status=$?
    echo "BEGIN $id"
    $busybox base64 $folder/out
    echo ERRORS
    $busybox base64 $folder/err
    echo "END $id $status"
done
