# Functions that the hypervisor drivers share. Sourced after scripts_common.sh,
# never run.
# shellcheck shell=sh disable=SC2034

# store_deployment FILE: the deployment file comes on stdin and is stored in FILE.
# A local call may have it in FILE already, and nothing on stdin.
store_deployment() {
    mkdir -p "$(dirname -- "$1")" || fail "Cannot make the directory of $1"
    cat >"$1.new" || fail "Cannot write $1"
    if [ -s "$1.new" ]; then
        mv -f "$1.new" "$1"
    else
        rm -f "$1.new"
    fi
    [ -s "$1" ] || fail "Cannot read the deployment file $1"
}

# keep_old_checkpoint FILE: a state file that is in the way gets another name.
keep_old_checkpoint() {
    [ -f "$1" ] || return 0
    log "Moving old checkpoint file $1"
    old_checkpoint=$1.$(date +%s)
    run_or_fail "Could not move $1 to $old_checkpoint" mv "$1" "$old_checkpoint"
}

# attached_disk REQUEST NAME=ELEMENT...: sets shell variables from the DISK that
# the driver request (base64) is about.
attached_disk() {
    attached_request=$1
    shift
    for attached_query in "$@"; do
        set -- "$@" "${attached_query%%=*}=/VMM_DRIVER_ACTION_DATA/VM/TEMPLATE/DISK[ATTACH='YES']/${attached_query#*=}"
        shift
    done
    attached_vars=$(printf '%s' "$attached_request" | base64 -d 2>/dev/null | xml_vars "$@") ||
        fail "Cannot read the driver request"
    eval "$attached_vars"
}

# xml_attribute VALUE: for an attribute in single quotes.
xml_attribute() {
    printf '%s' "$1" | sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e "s/'/\\&apos;/g"
}

# --- snapshots by copy --------------------------------------------------------
#
# A snapshot is a directory snapshot.<number> of the VM directory, with the state
# of the VM in "memory" and a copy of every disk that can be written. It goes
# where the VM goes.

# with_access FILE COMMAND...: as the owner, or by sudo for a block device that is
# not ours.
with_access() {
    access_path=$1
    shift
    if [ -r "$access_path" ] && [ -w "$access_path" ]; then "$@"; else $SUDO "$@"; fi
}

# copy_disk FROM TO: contents only; a link or device TO stays what it is.
copy_disk() {
    if [ -b "$1" ] || [ -b "$2" ]; then
        copy_device=$1
        [ -b "$1" ] || copy_device=$2
        with_access "$copy_device" dd if="$1" of="$2" bs=1M conv=sparse 2>&1
    else
        cp -L --reflink=auto --sparse=always -- "$1" "$2"
    fi
}

# restore_disk FROM TO: a device is not written sparsely, what was there would stay.
restore_disk() {
    if [ -b "$2" ]; then
        with_access "$2" dd if="$1" of="$2" bs=1M 2>&1
    else
        copy_disk "$1" "$(readlink -f -- "$2")"
    fi
}

# copy_disks DIRECTORY: disk paths, one a line on stdin, into the snapshot.
copy_disks() {
    while IFS= read -r copied_disk; do
        copy_disk "$copied_disk" "$1/$(basename -- "$copied_disk")" </dev/null || return 1
    done
}

# restore_disks DIRECTORY: the copies of a snapshot back to the VM directory.
restore_disks() {
    for copied_disk in "$1"/disk.*; do
        [ -e "$copied_disk" ] || continue
        restore_disk "$copied_disk" "$(dirname -- "$1")/$(basename -- "$copied_disk")" || return 1
    done
}

# or_not_a_snapshot NAME: for a name that a directory is made of.
or_not_a_snapshot() {
    case $1 in
        snapshot.*[!0-9]* | snapshot.) ;;
        snapshot.*) return ;;
    esac
    fail "Not a snapshot: $1"
}
