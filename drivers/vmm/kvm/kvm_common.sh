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

is_listed() { v --readonly dominfo "$ID" >/dev/null 2>&1; }
is_gone() { ! is_listed; }
