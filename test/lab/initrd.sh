#!/bin/sh
# initrd.sh KERNEL INIT [MODULE...]: prints an initial RAM disk with busybox, the
# script INIT as /init, and the modules with all they need, for modprobe. KERNEL is
# the directory that kernel.sh prints.

set -eu

kernel=$1
init=$2
shift 2

work=$(mktemp -d "${TMPDIR:-/tmp}/goned-initrd.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/dev" "$work/proc" "$work/sys" "$work/mnt"
cp "$(command -v busybox)" "$work/bin/busybox"
cp "$init" "$work/init"
chmod 755 "$work/init"

version=$(ls "$kernel/lib/modules")
modules=lib/modules/$version
mkdir -p "$work/$modules"
for module; do
    # A file of modules.dep, and what stands behind its colon.
    files=$(awk -v name="$module" '
        { file = $1; sub(/:$/, "", file); base = file; sub(/.*\//, "", base); sub(/\.ko.*/, "", base); gsub(/-/, "_", base) }
        base == name { $1 = file; print; exit }' "$kernel/$modules/modules.dep")
    [ -n "$files" ] || grep -q "/$module.ko" "$kernel/$modules/modules.builtin" || {
        echo "the kernel has no module $module" >&2
        exit 1
    }
    [ -n "$files" ] || continue
    # A line for each, no more: modprobe reads all of it every time.
    for file in $files; do
        grep "^$file:" "$kernel/$modules/modules.dep" >>"$work/$modules/modules.dep"
        mkdir -p "$work/$modules/$(dirname "$file")"
        cp "$kernel/$modules/$file" "$work/$modules/$file"
    done
done
(cd "$work" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1)
