# Functions of the kvm driver. Sourced, never run.
# shellcheck shell=sh disable=SC2034

REMOTES=$(dirname "$0")/../..
# shellcheck source=drivers/scripts_common.sh
. "$REMOTES/scripts_common.sh"
# shellcheck source=drivers/vmm/vmm_common.sh
. "$REMOTES/vmm/vmm_common.sh"
# shellcheck source=drivers/vmm/kvm/kvmrc
. "$(dirname "$0")/kvmrc"

v() { virsh --connect "$LIBVIRT_URI" "$@"; }

# v_or_fail MESSAGE ARGUMENT...: run_or_fail with virsh.
v_or_fail() {
    v_message=$1
    shift
    run_or_fail "$v_message" virsh --connect "$LIBVIRT_URI" "$@"
}

# use_domain ID: sets ID. An option would be a command of its own to virsh.
use_domain() {
    case $1 in
        '' | -*) fail "Not a domain name: $1" ;;
    esac
    ID=$1
}

# is_gone: a hypervisor that does not answer may still run the domain (4.6 takes that
# for its end).
is_gone() {
    v --readonly dominfo "$ID" >/dev/null 2>&1 && return 1
    listed=$(v --readonly list --all 2>/dev/null) || return 1
    printf '%s\n' "$listed" | awk -v id="$ID" 'NR > 2 && $2 == id { found = 1 } END { exit found }'
}
