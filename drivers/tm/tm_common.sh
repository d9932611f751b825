# Functions for the transfer scripts. Sourced, never run.
# shellcheck shell=sh disable=SC2034
# (SC2034: set for the scripts that source this file.)

if [ -z "${ONE_LOCATION:-}" ]; then
    ONE_LOCAL_VAR=/var/lib/one
    ONE_LIB=/usr/lib/one
else
    ONE_LOCAL_VAR=$ONE_LOCATION/var
    ONE_LIB=$ONE_LOCATION/lib
fi
DS_DIR=$ONE_LOCAL_VAR/datastores
ONE_SH=$ONE_LIB/sh
REMOTES=${REMOTES:-$ONE_LOCAL_VAR/remotes}

# shellcheck source=drivers/scripts_common.sh
. "$REMOTES/scripts_common.sh"
# shellcheck source=drivers/one_api.sh
. "$REMOTES/one_api.sh"

# arg_host HOST:PATH
arg_host() {
    printf '%s\n' "${1%%:*}"
}

# arg_path HOST:PATH, or a path alone.
arg_path() {
    fix_dir_slashes "${1#*:}"
}

# or_not_removable PATH: ends the script unless PATH may be removed with all that
# is in it. An argument without a path must not become the root directory.
or_not_removable() {
    case $1 in
        *..*) ;;
        /*/*) return ;;
    esac
    fail "Not a path to remove: $1"
}

# is_disk PATH: prints 1 for a VM disk, 0 for anything else.
is_disk() {
    case $1 in
        */disk.[0-9]*) echo 1 ;;
        *) echo 0 ;;
    esac
}

# make_relative PATH BASE
make_relative() {
    relative_base=$2
    relative_dots=
    until [ "${1#"$relative_base"}" != "$1" ]; do
        relative_base=$(dirname -- "$relative_base")
        relative_dots=../$relative_dots
    done
    printf '%s\n' "$relative_dots${1#"$relative_base"/}"
}

# rebase IMAGE DISK: IMAGE as the host of DISK sees it. Both lie in a datastores
# directory, two levels below it an image, three a disk; it may be mounted
# elsewhere on the host than on the front-end.
rebase() {
    rebase_store=$(dirname -- "$1")
    printf '%s/%s/%s\n' \
        "$(dirname -- "$(dirname -- "$(dirname -- "$2")")")" \
        "$(basename -- "$rebase_store")" "$(basename -- "$1")"
}

# disk_type: TYPE of the disk DST_PATH of the VM VMID, asked from the daemon.
disk_type() {
    disk_vars=$(vm_document "$VMID" |
        xml_vars DISK_TYPE="/VM/TEMPLATE/DISK[DISK_ID=${DST_PATH##*.}]/TYPE") || return 1
    eval "$disk_vars"
    printf '%s\n' "$DISK_TYPE"
}
