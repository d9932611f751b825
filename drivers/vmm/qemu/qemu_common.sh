# Functions for the qemu driver. Sourced, never run.
# shellcheck shell=sh disable=SC2034
# (SC2034: set for the scripts that source this file.)
#
# Two directories belong to a VM. The run directory ($QEMU_RUN_DIR/<id>) holds
# what lives as long as the process: pid, qmp.in, qmp.out, and vmdir, a link to
# the other. The VM directory, of the system datastore, goes with the VM:
#   qemu.args  the arguments of qemu, one a line, hot-plugged devices included:
#              a saved VM must find the same devices in the same places
#   qemu.nics  "<tap> <bridge>" of each NIC on a bridge
#   qemu.vnc   the console's password

REMOTES=$(dirname "$0")/../..
# shellcheck source=drivers/scripts_common.sh
. "$REMOTES/scripts_common.sh"
# shellcheck source=drivers/vmm/vmm_common.sh
. "$REMOTES/vmm/vmm_common.sh"
# shellcheck source=drivers/vmm/qemu/qemurc
. "$(dirname "$0")/qemurc"
PATH=$PATH:/usr/sbin

NEWLINE='
'

# use_domain ID: sets ID, RUN and, for a domain that was started, VMDIR.
use_domain() {
    case $1 in
        '' | .* | -* | *[!A-Za-z0-9_.-]*) fail "Not a domain name: $1" ;;
    esac
    ID=$1
    RUN=$QEMU_RUN_DIR/$ID
    VMDIR=$(readlink "$RUN/vmdir" 2>/dev/null)
}

# domain_pid: the pid of ID's process; fails when it does not run. The pid in the
# file may by now be that of any other process.
domain_pid() {
    domain_pid=$(cat "$RUN/pid" 2>/dev/null) || return 1
    [ -n "$domain_pid" ] && tr '\0' '\n' <"/proc/$domain_pid/cmdline" 2>/dev/null |
        grep -qx "guest=$ID" && echo "$domain_pid"
}

is_running() { domain_pid >/dev/null; }

# or_not_running MESSAGE: ends the script unless the domain runs.
or_not_running() {
    is_running || fail "$1: domain $ID is not running"
}

qmp() { "$(dirname "$0")/qmp" "$RUN" "${QMP_TIMEOUT:-30}" "$@"; }

# monitor_or_fail MESSAGE COMMAND [JSON]
monitor_or_fail() {
    monitor_message=$1
    shift
    RUN_LABEL="qmp $*" run_or_fail "$monitor_message" qmp "$@"
}

# domain_status: running, paused, shutdown, ...
domain_status() {
    qmp query-status | sed -n 's/.*"status": "\([a-z-]*\)".*/\1/p'
}

# json VALUE: as a JSON string.
json() {
    printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"
}

# has_control VALUE: true when a line break or the like is in VALUE.
has_control() {
    [ "$(printf '%s' "$1" | LC_ALL=C tr -d '\001-\037\177' | wc -c)" -ne "$(printf '%s' "$1" | wc -c)" ]
}

upper() { printf '%s' "$1" | tr '[:lower:]' '[:upper:]'; }
lower() { printf '%s' "$1" | tr '[:upper:]' '[:lower:]'; }
is_yes() { [ "$(upper "$1")" = YES ]; }

# --- the list of arguments ----------------------------------------------------

arguments() {
    for argument in "$@"; do
        has_control "$argument" && fail "A value of the VM has a control character in it: $argument"
        printf '%s\n' "$argument" >>"$VMDIR/qemu.args"
    done
}

# remove_device PATTERN: drops the devices whose description matches the regular
# expression.
remove_device() {
    PATTERN=$1 awk '
        held && option ~ /^-(device|blockdev|netdev)$/ && $0 ~ ENVIRON["PATTERN"] { held = 0; next }
        held { print option }
        { option = $0; held = 1 }
        END { if (held) print option }' "$VMDIR/qemu.args" >"$VMDIR/qemu.args.new" &&
        mv -f "$VMDIR/qemu.args.new" "$VMDIR/qemu.args"
}

# pci_slot: the lowest free slot. Every device names its own, so that one added
# or taken away while the VM runs does not move the others when it is restored.
pci_slot() {
    awk '
        { rest = $0
          while (match(rest, /addr=0x[0-9a-f]+/)) { used[substr(rest, RSTART + 5, RLENGTH - 5)]; rest = substr(rest, RSTART + RLENGTH) } }
        END {
            for (slot = 4; slot < 32; slot++)
                if (!(sprintf("0x%x", slot) in used)) { printf "0x%x\n", slot; exit }
            exit 1
        }' "$VMDIR/qemu.args" || fail "No free PCI slot for another device"
}

# --- disks --------------------------------------------------------------------

# split_target TARGET: sets BUS (ide, scsi, virtio, floppy), UNIT and NODE.
split_target() {
    target_text=$1
    TARGET=${1%:cdrom}
    case $TARGET in
        hd[a-z]) BUS=ide ;;
        sd[a-z] | sd[a-z][a-z]) BUS=scsi ;;
        vd[a-z] | xvd[a-z] | vd[a-z][a-z] | xvd[a-z][a-z]) BUS=virtio ;;
        fd[ab]) BUS=floppy ;;
        hd | sd | vd | xvd | fd)
            fail "Wrong target value in DISK: $target_text has no letter for the device, as in ${TARGET}a. To have one chosen use DEV_PREFIX" ;;
        *) fail "Wrong target value in DISK: \"$target_text\" is not hd, sd, vd, xvd or fd and a letter" ;;
    esac
    NODE=disk-$TARGET
    UNIT=$(printf '%s' "$TARGET" | sed 's/^x\{0,1\}[hsvf]d//' | awk '
        { letters = "abcdefghijklmnopqrstuvwxyz"
          for (i = 1; i <= length($0); i++) unit = unit * 26 + index(letters, substr($0, i, 1))
          print unit - 1 }')
}

# disk_format DRIVER FORMAT: what is in the file. The prefixes of Xen mean raw.
disk_format() {
    case ${1%:} in
        raw | qcow2 | qcow | qed | vmdk | vdi | vpc | vhdx) echo "${1%:}" ;;
        '') [ "$2" = qcow2 ] && echo qcow2 || echo raw ;;
        file | phy | aio | tap | tap:aio | tap2:aio | tap2:tapdisk:aio) echo raw ;;
        tap2:qcow2 | tap:qcow2) echo qcow2 ;;
        *) fail "Unknown disk driver $1, use raw or qcow2" ;;
    esac
}

# blockdev PATH FORMAT READONLY CACHE IO: the block device as JSON.
blockdev() {
    case $(lower "$4") in
        none | directsync) cache=',"cache":{"direct":true}' ;;
        unsafe) cache=',"cache":{"no-flush":true}' ;;
        '' | default | writeback | writethrough) cache= ;;
        *) fail "Unknown disk cache mode $4" ;;
    esac
    protocol='file'
    [ -b "$1" ] && protocol=host_device
    aio=
    if [ "$(lower "$5")" = native ] && [ -n "$cache" ] && [ "${cache#*direct}" != "$cache" ]; then
        aio=',"aio":"native"'
    fi
    read_only=false
    [ "$3" = yes ] && read_only=true
    printf '{"driver":"%s","node-name":"%s","read-only":%s%s,"file":{"driver":"%s","filename":%s%s}}\n' \
        "$2" "$NODE" "$read_only" "$cache" "$protocol" "$(json "$1")" "$aio"
}

# --- network ------------------------------------------------------------------

# privileged COMMAND...: as root, by sudo unless we are.
privileged() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# plug TAP BRIDGE: makes the tap and puts it into the bridge.
plug() {
    privileged ip link del "$1" 2>/dev/null
    privileged ip tuntap add dev "$1" mode tap user "$(id -u)" &&
        privileged ip link set "$1" up &&
        if [ -d "/sys/class/net/$2/bridge" ]; then
            privileged ip link set "$1" master "$2"
        else
            privileged ovs-vsctl -- --may-exist add-port "$2" "$1"
        fi
}

unplug() {
    [ -d "/sys/class/net/$2/bridge" ] || privileged ovs-vsctl -- --if-exists del-port "$2" "$1" 2>/dev/null
    privileged ip link del "$1" 2>/dev/null
}

# has_bridge NAME: a Linux bridge or an Open vSwitch one.
has_bridge() {
    case $1 in
        '' | -* | *[!A-Za-z0-9_.-]*) return 1 ;;
    esac
    [ -d "/sys/class/net/$1/bridge" ] && return 0
    [ -d "/sys/class/net/$1" ] && command -v ovs-vsctl >/dev/null 2>&1 && privileged ovs-vsctl br-exists "$1" 2>/dev/null
}

# user_network IP: options of a user-mode network in which the lease of the NIC
# is valid: the guest may set it itself or get it by DHCP.
user_network() {
    [ "$QEMU_USER_NET" = restrict ] && printf ',restrict=on'
    printf '%s\n' "$1" | awk -F. '
        NF != 4 { exit }
        { for (i = 1; i <= 4; i++) if ($i !~ /^[0-9]+$/ || $i > 255) exit
          net = $1 "." $2 "." $3 "."
          n = 0
          for (last = 2; n < 2; last++) if (last != $4 + 0) free[n++] = net last
          printf ",net=%s0/24,dhcpstart=%s,host=%s,dns=%s", net, $0, free[0], free[1] }'
}

# set_up_nic NIC_ID MAC BRIDGE MODEL IP: prepares the host's side and sets NETDEV
# and NICDEV, the values of -netdev and -device.
set_up_nic() {
    printf '%s\n' "$2" | grep -Eqx '([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}' || fail "Not a MAC address: $2"
    nic_node=nic-$(printf '%s' "$2" | tr -d ':' | tr 'A-F' 'a-f')
    nic_model=${4:-$QEMU_NIC_MODEL}
    [ "$nic_model" = virtio ] && nic_model=virtio-net-pci
    is_safe_word "$nic_model" || fail "Not a model of a NIC: $nic_model"
    if has_bridge "$3"; then
        nic_tap=$ID-$1
        nic_error=$(plug "$nic_tap" "$3" 2>&1) || fail "$(with_cause "Cannot connect NIC $1 to bridge $3" "$nic_error")"
        echo "$nic_tap $3" >>"$VMDIR/qemu.nics"
        NETDEV=tap,id=$nic_node,ifname=$nic_tap,script=no,downscript=no
    else
        [ "$QEMU_USER_NET" = no ] && fail "Cannot connect NIC $1: no bridge $3 on this host"
        log "No bridge $3 on this host, NIC $1 uses the user-mode network of qemu"
        NETDEV=user,id=$nic_node$(user_network "$5")
    fi
    nic_slot=$(pci_slot) || exit 255
    NICDEV=$nic_model,netdev=$nic_node,mac=$2,id=dev-$nic_node,addr=$nic_slot
}

# --- the process --------------------------------------------------------------

# make_run_dir: a fresh run directory. The one above may lie in a directory that
# everybody writes to: it must be ours.
make_run_dir() {
    mkdir -p "$QEMU_RUN_DIR" 2>/dev/null
    chmod 700 "$QEMU_RUN_DIR" 2>/dev/null
    [ -n "$(find "$QEMU_RUN_DIR" -prune -type d -user "$(id -u)" 2>/dev/null)" ] ||
        fail "$QEMU_RUN_DIR cannot be made or belongs to another user"
    rm -rf "$RUN"
    { mkdir "$RUN" && mkfifo "$RUN/qmp.in" "$RUN/qmp.out" && ln -s "$VMDIR" "$RUN/vmdir"; } ||
        fail "Cannot make $RUN"
}

plug_nics() {
    [ -f "$VMDIR/qemu.nics" ] || return 0
    while read -r tap bridge; do
        [ -d "/sys/class/net/$tap" ] || plug "$tap" "$bridge" </dev/null || return 1
    done <"$VMDIR/qemu.nics"
}

# kvm_works: whether this host can run a guest with KVM. On a host that is itself
# a guest /dev/kvm may be there and every qemu that uses it abort.
kvm_works() {
    [ -r /dev/kvm ] && [ -w /dev/kvm ] && echo quit | timeout -k 1 10 "$QEMU" \
        -accel kvm -cpu host -m 16 -nodefaults -display none -S -monitor stdio >/dev/null 2>&1
}

# start_qemu [ARG...]: the process, with the arguments of qemu.args and ARGs.
# Prints what qemu says when it cannot start.
start_qemu() {
    if [ -n "$QEMU_ACCEL" ]; then
        set -- -accel "$QEMU_ACCEL" "$@"
    elif kvm_works; then
        set -- -accel kvm -cpu host "$@"
    else
        set -- -accel tcg "$@"
    fi
    while IFS= read -r line; do
        set -- "$@" "$line"
    done <"$VMDIR/qemu.args"
    # In the run directory, so that no path needs to be written as an option. What
    # -incoming starts keeps stderr open: that must not be the caller's pipe.
    (cd "$RUN" && "$QEMU" -name "guest=$ID" "$@" \
        -chardev pipe,id=qmp,path=qmp -mon chardev=qmp,mode=control \
        -pidfile pid -daemonize) </dev/null >/dev/null 2>"$RUN/errors" && return 0
    cat "$RUN/errors"
    return 1
}

# set_vnc_password: qemu lets nobody in until it has one.
set_vnc_password() {
    [ -s "$VMDIR/qemu.vnc" ] || return 0
    qmp set_password "{\"protocol\": \"vnc\", \"password\": $(json "$(cat "$VMDIR/qemu.vnc")")}" >/dev/null
}

# clean_up: what is left on the host once the process is gone.
clean_up() {
    if [ -n "$VMDIR" ] && [ -f "$VMDIR/qemu.nics" ]; then
        while read -r tap bridge; do
            unplug "$tap" "$bridge" </dev/null
        done <"$VMDIR/qemu.nics"
    fi
    rm -rf "$RUN"
}

# destroy: ends the process, whatever state it is in.
destroy() {
    pid=$(domain_pid) || return 0
    QMP_TIMEOUT=5 qmp quit >/dev/null 2>&1 || kill -KILL "$pid" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        is_running || return 0
        sleep 0.5
    done
    kill -KILL "$pid" 2>/dev/null
    sleep 1
    ! is_running
}

# --- memory image -------------------------------------------------------------

# wait_for_migration: until the state is written, to wherever it goes.
wait_for_migration() {
    while :; do
        migration=$(qmp query-migrate | sed -n 's/.*"status": "\([a-z-]*\)".*/\1/p')
        case $migration in
            completed) return 0 ;;
            setup | active | device | pre-switchover | cancelling | wait-unplug) sleep 0.3 ;;
            *)
                echo "writing the state ended as ${migration:-unknown}"
                return 1
                ;;
        esac
    done
}

# write_memory FILE: writes the state of the VM, which stays stopped.
write_memory() {
    qmp stop >/dev/null || return 1
    # qemu gives the text after exec: to a shell.
    if ! qmp migrate "{\"uri\": $(json "exec:cat > $(quote "$1")")}" >/dev/null || ! wait_for_migration; then
        qmp cont >/dev/null
        return 1
    fi
}

# writable_disks: the paths of those that live in the VM directory.
writable_disks() {
    sed -n 's/.*"read-only":false.*"filename":"\([^"]*\/disk\.[0-9]*\)".*/\1/p' "$VMDIR/qemu.args"
}

# start_from_memory FILE: starts the process with a state written before.
start_from_memory() {
    start_qemu -incoming "exec:cat $(quote "$1")" || return 1
    while :; do
        case $(domain_status 2>/dev/null) in
            running) break ;;
            inmigrate | '') is_running || { echo "qemu ended while it read $1"; return 1; } ;;
            *) qmp cont >/dev/null || return 1 ;;
        esac
        sleep 0.3
    done
    set_vnc_password
}
