#!/bin/sh
# host_error.rb HOST_ID [-r|-d] [-f] [-p N]: the hook for a host in ERROR. Deletes
# the VMs that ran there; with -r (the default) they are created anew elsewhere.
# -f takes suspended VMs, too. With -p the host may come back within N monitoring
# intervals.
#
# The name is the one in 4.6's configuration; it is a shell script and needs no
# Ruby.

REMOTES=$(dirname "$0")/../..
# shellcheck source=drivers/scripts_common.sh
. "$REMOTES/scripts_common.sh"
# shellcheck source=drivers/one_api.sh
. "$REMOTES/one_api.sh"

HOST_ERROR=3
VM_ACTIVE=3
VM_SUSPENDED=5

host_id=${1:-}
case $host_id in
    '' | *[!0-9]*) fail "Usage: $SCRIPT_NAME <host id> [-r|-d] [-f] [-p <n>]" ;;
esac
shift

action=delete-recreate
force=no
intervals=
while [ $# -gt 0 ]; do
    case $1 in
        -r) action=delete-recreate ;;
        -d) action=delete ;;
        -f) force=yes ;;
        -p)
            intervals=${2:-}
            case $intervals in
                '' | *[!0-9]*) fail "Not a number of intervals: $intervals" ;;
            esac
            shift
            ;;
        *) fail "Unknown option: $1" ;;
    esac
    shift
done

# read_host: sets host_name and host_state.
read_host() {
    host=$(api_call one.host.info "int:$host_id") || fail "Cannot get the host $host_id"
    host_vars=$(printf '%s' "$host" | xml_vars host_name=/HOST/NAME host_state=/HOST/STATE) ||
        fail "Cannot read the host $host_id"
    eval "$host_vars"
}
read_host

if [ -n "$intervals" ]; then
    seconds=$(sed -n 's/^MONITORING_INTERVAL=//p' "${ONE_LOCATION:-/var/lib/one}${ONE_LOCATION:+/var}/config" 2>/dev/null)
    sleep $((intervals * ${seconds:-60}))
    read_host
    # shellcheck disable=SC2154 # assigned by eval
    [ "$host_state" = "$HOST_ERROR" ] || exit 0
fi

# VMs of all users in every state but DONE.
pool=$(api_call one.vmpool.info int:-2 int:-1 int:-1 int:-1) || fail "Cannot get the VMs"
calls=$(printf '%s' "$pool" | xml_each vm /VM_POOL/VM ID STATE 'HISTORY_RECORDS/HISTORY[last()]/HOSTNAME') ||
    fail "Cannot read the VMs"

status=0
# vm ID STATE HOSTNAME
# shellcheck disable=SC2317 # called by eval
vm() {
    # shellcheck disable=SC2154
    [ "$3" = "$host_name" ] || return 0
    if [ "$2" = "$VM_ACTIVE" ] || { [ "$force" = yes ] && [ "$2" = "$VM_SUSPENDED" ]; }; then
        error=$(api_call one.vm.action "string:$action" "int:$1" 2>&1 >/dev/null) || {
            log_error "VM $1: $error"
            status=1
        }
    fi
}
eval "$calls"
exit "$status"
