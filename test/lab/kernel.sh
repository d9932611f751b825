#!/bin/sh
# kernel.sh: prints the directory of an unpacked Debian kernel, with the modules'
# dependencies worked out. It is downloaded once, into GONED_LAB (~/.cache/goned-lab),
# and never installed: guests and laboratories boot it, not this machine.

set -eu

# unpack BZIMAGE KERNEL: without KVM a guest needs as long to unpack its kernel as for
# the rest of its start, so it gets one that is. A kernel in another packing stays as it is.
unpack() {
    # shellcheck disable=SC2013 # the words are numbers, and return has to leave the function
    for offset in $(LC_ALL=C grep -obUaP '\xfd7zXZ\x00' "$1" | cut -d : -f 1); do
        tail -c +$((offset + 1)) "$1" | xz -dc --single-stream >"$2" 2>/dev/null || :
        if [ "$(head -c 4 "$2" | tail -c 3)" = ELF ]; then return; fi
    done
    cp "$1" "$2"
}

cache=${GONED_LAB:-${XDG_CACHE_HOME:-$HOME/.cache}/goned-lab}
tree=$cache/kernel
if [ ! -e "$tree/kernel" ]; then
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/kernel.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    package=$(apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" { print $2; exit }')
    [ -n "$package" ] || { echo "apt does not know linux-image-amd64" >&2; exit 1; }
    # APT::Sandbox::User: root's own directory is closed to the user _apt.
    (cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$package" >&2)
    dpkg -x "$work"/*.deb "$work/tree"
    version=$(ls "$work/tree/lib/modules")
    depmod -b "$work/tree" "$version"
    unpack "$work/tree/boot/vmlinuz-$version" "$work/vmlinux"
    mv "$work/vmlinux" "$work/tree/kernel"
    rm -rf "$tree"
    mv "$work/tree" "$tree"
fi
echo "$tree"
