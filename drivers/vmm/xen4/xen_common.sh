# Functions of the xen drivers. Sourced, never run.
# shellcheck shell=sh disable=SC2034,SC2086
# (SC2086: the commands of xenrc are several words.)

REMOTES=$(dirname "$0")/../..
# shellcheck source=drivers/scripts_common.sh
. "$REMOTES/scripts_common.sh"
# shellcheck source=drivers/vmm/vmm_common.sh
. "$REMOTES/vmm/vmm_common.sh"
# shellcheck source=drivers/vmm/xen4/xenrc
. "$(dirname "$0")/xenrc"

# use_domain ID: sets ID.
use_domain() {
    case $1 in
        '' | -*) fail "Not a domain name: $1" ;;
    esac
    ID=$1
}

# request MESSAGE COMMAND...: has the guest ID do something. One without Xen's
# drivers does not hear of it: it gets the button of its machine instead.
request() {
    request_message=$1
    shift
    request_error=$("$@" "$ID" 2>&1 >/dev/null </dev/null) && return 0
    request_status=$?
    case $request_error in
        *"PV control interface not available"*) run_or_fail "$request_message" "$@" -F "$ID" ;;
        *) report_failure "$request_status" "$* $ID" "$request_error" "$request_message" ;;
    esac
}

is_listed() { $XM_LIST "$ID" >/dev/null 2>&1; }
is_gone() { ! is_listed; }

# --- which file a domain was made from ----------------------------------------
#
# The tool stacks forget it, and most calls name only the domain. It is needed to
# start a domain again and tells the directory of the VM.

# own_notes: makes the directory of the notes. It lies where everybody may write:
# false if it is not ours.
own_notes() {
    mkdir -p "$XEN_STATE_DIR" 2>/dev/null
    chmod 700 "$XEN_STATE_DIR" 2>/dev/null
    [ -n "$(find "$XEN_STATE_DIR" -prune -type d -user "$(id -u)" 2>/dev/null)" ]
}

# remember FILE: notes the deployment file of ID.
remember() {
    if own_notes; then printf '%s\n' "$1" >"$XEN_STATE_DIR/$ID" 2>/dev/null; fi
    return 0
}

forget() { rm -f "$XEN_STATE_DIR/$ID" "$XEN_STATE_DIR/$ID.still"; }

# stand_still: notes that ID is paused on purpose, until go_on.
stand_still() {
    if own_notes; then : >"$XEN_STATE_DIR/$ID.still"; fi
}

go_on() { rm -f "$XEN_STATE_DIR/$ID.still"; }

# standing_still: the names of these domains, blanks around each.
standing_still() {
    printf ' '
    for still in "$XEN_STATE_DIR"/*.still; do
        [ -e "$still" ] || continue
        still=${still##*/}
        printf '%s ' "${still%.still}"
    done
}

# newest_deployment DIRECTORY: the deployment file with the highest number.
newest_deployment() {
    find "$1" -maxdepth 1 -name 'deployment.*' 2>/dev/null | sort -t . -k 2,2n | tail -n 1
}

# domain_disk: a disk of the running domain, which lies in the directory of the VM.
domain_disk() {
    $XM_LIST -l "$ID" 2>/dev/null | sed -n "s/.*[\"' :]\(\/[^\"' )]*\/disk\.[0-9]*\)[\"')]*.*/\1/p" | head -n 1
}

# deployment_file: of ID, as it was noted; for a domain that came from elsewhere
# as its disks tell.
deployment_file() {
    deployment=$(cat "$XEN_STATE_DIR/$ID" 2>/dev/null)
    if [ ! -f "$deployment" ]; then
        deployment=$(domain_disk)
        [ -n "$deployment" ] && deployment=$(newest_deployment "$(dirname -- "$deployment")")
    fi
    [ -f "$deployment" ] && printf '%s\n' "$deployment"
}

# vm_dir: the directory of the VM ID. A local driver has the deployment file
# elsewhere: what the disks say comes first.
vm_dir() {
    vm_dir=$(domain_disk)
    if [ -n "$vm_dir" ]; then
        dirname -- "$vm_dir"
    elif vm_dir=$(deployment_file); then
        vm_disk=$(disk_lines "$vm_dir" | cut -f 2 | grep '/disk\.[0-9]*$' | head -n 1)
        [ -n "$vm_disk" ] && dirname -- "$vm_disk"
    else
        return 1
    fi
}

# disk_lines FILE: "prefix<TAB>path<TAB>target<TAB>mode" of each disk in a
# deployment file; the prefix is - when there is none.
disk_lines() {
    awk '
        /^disk = \[/ { inside = 1; next }
        inside && /^\]/ { exit }
        inside && match($0, /'\''.*'\''/) {
            line = substr($0, RSTART + 1, RLENGTH - 2)
            n = split(line, part, ",")
            if (n < 3) next
            path = part[1]
            for (i = 2; i <= n - 2; i++) path = path "," part[i]
            prefix = "-"
            at = index(path, "/")
            if (at > 1) { prefix = substr(path, 1, at - 1); path = substr(path, at) }
            printf "%s\t%s\t%s\t%s\n", prefix, path, part[n - 1], part[n]
        }' "$1"
}

# create FILE: starts the domain of a deployment file.
create() { $XM_CREATE "$1" </dev/null; }
