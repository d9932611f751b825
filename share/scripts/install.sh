#!/bin/sh
# install.sh BINARIES [ONE_LOCATION]: puts the programs in the directory
# BINARIES, the drivers and the configuration where oned looks for them: below
# ONE_LOCATION, or without it in the directories of a system-wide installation,
# which the variable DESTDIR moves below another root (for packages).
#
# Files of the configuration that exist are kept; where they differ, ours is put
# beside as NAME.new, unless KEEP_CONFIGURATION is set. Everything else is
# replaced, and other files are left alone.

set -eu

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "Usage: $0 <directory of the programs> [<ONE_LOCATION>]" >&2
    exit 2
fi
binaries=$(cd "$1" && pwd)
source=$(cd "$(dirname "$0")/../.." && pwd)

if [ -n "${2:-}" ]; then
    mkdir -p "$2"
    root=$(cd "$2" && pwd)
    bin=$root/bin lib=$root/lib etc=$root/etc var=$root/var share=$root/share
    logs="" run="" lock="" units=""
else
    root=${DESTDIR:-}
    bin=$root/usr/bin lib=$root/usr/lib/one etc=$root/etc/one var=$root/var/lib/one share=$root/usr/share/one
    logs=$root/var/log/one run=$root/var/run/one lock=$root/var/lock/one units=$root/usr/lib/systemd/system
fi

# The names by which oned.conf calls the stock drivers; one program is all of them.
drivers="one_vmm_exec one_vmm_ssh one_vmm_sh one_vmm_dummy one_im_exec one_im_ssh one_im_sh one_im_dummy collectd
    one_tm one_datastore one_hm one_auth_mad"

# put FILE TARGET MODE: a program that runs is replaced by a new file.
put() {
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.installing"
    chmod "$3" "$2.installing"
    mv -f "$2.installing" "$2"
}

# put_configuration NAME
put_configuration() {
    if [ ! -e "$etc/$1" ]; then
        put "$source/share/etc/$1" "$etc/$1" 640
    elif [ -z "${KEEP_CONFIGURATION:-}" ] && ! cmp -s "$source/share/etc/$1" "$etc/$1"; then
        put "$source/share/etc/$1" "$etc/$1.new" 640
        echo "kept $etc/$1; the new one is $etc/$1.new"
    fi
}

for program in oned mm_sched onevnc; do
    put "$binaries/$program" "$bin/$program" 755
done
for script in one novnc-server; do
    put "$source/share/scripts/$script" "$bin/$script" 755
done

put "$binaries/onemad" "$lib/mads/onemad" 755
for name in $drivers; do
    ln -sfn onemad "$lib/mads/$name"
done
# Where scripts written for 4.6 look for them.
put "$source/drivers/scripts_common.sh" "$lib/sh/scripts_common.sh" 644

(cd "$source/share/etc" && find . -type f | sed 's,^\./,,') | while IFS= read -r name; do
    put_configuration "$name"
done

# oned makes the last level of vms/ID and datastores/ID only.
mkdir -p "$var/vms" "$var/datastores" "$etc/auth/certificates"
chmod 750 "$var"
"$source/drivers/install-remotes" "$var/remotes"

for directory in "$source"/share/*/; do
    name=$(basename "$directory")
    case $name in
        etc | scripts | systemd) continue ;;
    esac
    (cd "$directory" && find . -type f ! -name '*.go' | sed 's,^\./,,') | while IFS= read -r file; do
        mode=644
        [ ! -x "$directory$file" ] || mode=755
        put "$directory$file" "$share/$name/$file" "$mode"
    done
done

if [ -n "$units" ]; then
    mkdir -p "$logs" "$run" "$lock"
    for unit in "$source"/share/systemd/*; do
        put "$unit" "$units/$(basename "$unit")" 644
    done
fi
