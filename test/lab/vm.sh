#!/bin/sh
# vm.sh COMMAND [ARGUMENT...]: runs a command as root in a virtual machine with a
# Debian kernel, for tests of what this machine's kernel may not have: device mapper,
# VLANs, Open vSwitch. The machine sees the files of this one; what it changes there
# is kept in its memory and gone afterwards. It has no network and needs no root.
#
# The exit status is the command's. KVM is not used: where it is nested it may hang.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
kernel=$("$here/kernel.sh")
work=$(mktemp -d /var/tmp/goned-vm.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

# Words of the kernel's command line cannot be quoted.
command=$({
    printf 'cd "%s" && exec' "$(pwd)"
    for word; do
        printf " '%s'" "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")"
    done
} | base64 -w 0)

"$here/initrd.sh" "$kernel" "$here/vm-init" virtio_pci 9pnet_virtio 9p overlay >"$work/initrd"

qemu-system-x86_64 -machine pc -accel tcg,thread=multi -smp 2 -m 1536 -nodefaults -display none -no-reboot \
    -kernel "$kernel/kernel" -initrd "$work/initrd" \
    -append "console=ttyS0 quiet loglevel=3 no_timer_check mitigations=off cryptomgr.notests panic=-1 lab.kernel=$kernel lab.command=$command" \
    -virtfs local,path=/,mount_tag=lab,security_model=none,readonly=on,multidevs=remap \
    -serial stdio </dev/null | stdbuf -o0 tr -d '\r' | tee "$work/output" | grep --line-buffered -v "^lab: status " || :

status=$(sed -n 's/^lab: status \([0-9]*\)$/\1/p' "$work/output")
[ -n "$status" ] || { echo "the laboratory has ended without a status" >&2; exit 1; }
exit "$status"
