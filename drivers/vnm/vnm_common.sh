# Functions of the network drivers. Sourced, never run.
# shellcheck shell=sh disable=SC2034
#
# Scripts get the VM as base64 and, once it runs, its domain: VM [DEPLOY_ID].

REMOTES=$(dirname "$0")/../..
# shellcheck source=drivers/scripts_common.sh
. "$REMOTES/scripts_common.sh"
PATH=$PATH:/bin:/sbin:/usr/bin:/usr/sbin

# The VLAN of a network without VLAN_ID is its number plus this.
START_VLAN=2

# read_vm BASE64 [DEPLOY_ID]: sets VM_XML, VM_ID and DEPLOY_ID.
read_vm() {
    VM_XML=$(printf '%s' "$1" | base64 -d 2>/dev/null)
    vm_vars=$(printf '%s' "$VM_XML" | xml_vars VM_ID=/VM/ID vm_deploy_id=/VM/DEPLOY_ID) ||
        fail "Cannot read the VM"
    eval "$vm_vars"
    DEPLOY_ID=${2:-}
    [ "$DEPLOY_ID" = - ] && DEPLOY_ID=
    # shellcheck disable=SC2154 # assigned by eval
    DEPLOY_ID=${DEPLOY_ID:-$vm_deploy_id}
    case $DEPLOY_ID in
        -*) fail "Not a domain name: $DEPLOY_ID" ;;
    esac
}

# each_nic FUNCTION: calls FUNCTION for every NIC, its attributes in the variables
# set by nic. While a NIC is attached or detached it is the only one: rules of the
# others must not go with it, nor be made twice.
each_nic() {
    nic_function=$1
    nic_path=/VM/TEMPLATE/NIC
    nic_attached=$(printf '%s' "$VM_XML" | xml_each : "${nic_path}[ATTACH='YES']" ATTACH)
    [ -z "$nic_attached" ] || nic_path="${nic_path}[ATTACH='YES']"
    nic_calls=$(printf '%s' "$VM_XML" | xml_each nic "$nic_path" NIC_ID NETWORK_ID BRIDGE PHYDEV MAC IP \
        VLAN VLAN_ID VLAN_TAGGED_ID ICMP WHITE_PORTS_TCP WHITE_PORTS_UDP BLACK_PORTS_TCP BLACK_PORTS_UDP)
    eval "$nic_calls"
}

nic() {
    NIC_ID=$1 NETWORK_ID=$2 BRIDGE=$3 PHYDEV=$4 MAC=$5 IP=$6
    VLAN=$7 VLAN_ID=$8 VLAN_TAGGED_ID=$9
    shift 9
    ICMP=$1 WHITE_PORTS_TCP=$2 WHITE_PORTS_UDP=$3 BLACK_PORTS_TCP=$4 BLACK_PORTS_UDP=$5
    for nic_word in "$BRIDGE" "$PHYDEV" "$NETWORK_ID" "$VLAN_ID" "$NIC_ID"; do
        [ -z "$nic_word" ] || is_safe_word "$nic_word" || fail "NIC $NIC_ID has an invalid attribute: $nic_word"
    done
    case $MAC$IP in
        *[!0-9A-Fa-f:.]*) fail "NIC $NIC_ID has an invalid address: $MAC $IP" ;;
    esac
    $nic_function
}

vlan() { echo "${VLAN_ID:-$((START_VLAN + ${NETWORK_ID:-0}))}"; }

# vnm_run COMMAND...: logs what was done; ends the script when it fails.
vnm_run() {
    vnm_error=$("$@" 2>&1 >/dev/null) && { log_info "Executed \"$*\"."; return 0; }
    vnm_status=$?
    log_error "Command \"$*\" failed."
    log_error "$vnm_error"
    fail "$vnm_error" "$vnm_status"
}

# lock NAME: one script at a time. The lock ends with the script.
lock() {
    command -v flock >/dev/null 2>&1 || return 0
    exec 9>"/tmp/onevnm-$1-lock" || return 0
    flock 9
}

# --- the tap of a NIC ---------------------------------------------------------

# hypervisor: kvm, xen or qemu. VNM_HYPERVISOR says so where it cannot be seen.
hypervisor() {
    if [ -n "${VNM_HYPERVISOR:-}" ]; then
        echo "$VNM_HYPERVISOR"
    elif [ -e /proc/xen/capabilities ]; then
        echo xen
    elif [ -n "$(qemu_arguments)" ]; then
        echo qemu
    elif lsmod 2>/dev/null | grep -q kvm || command -v virsh >/dev/null 2>&1; then
        # The kernel may have kvm built in, or the host may do without it.
        echo kvm
    fi
}

# qemu_arguments: the file of a domain of the qemu driver.
qemu_arguments() (
    [ -f "$REMOTES/vmm/qemu/qemurc" ] || return 0
    # shellcheck source=drivers/vmm/qemu/qemurc
    . "$REMOTES/vmm/qemu/qemurc"
    file=$QEMU_RUN_DIR/$DEPLOY_ID/vmdir/qemu.args
    if [ -f "$file" ]; then echo "$file"; fi
)

# xen_tool: xm, as 4.6 calls it, unless the host's tool stack is xl; XM_PATH says so
# where the host cannot tell.
xen_tool() {
    if [ -n "${XM_PATH:-}" ]; then
        basename "$XM_PATH"
    elif [ -x /usr/sbin/xl ]; then
        echo xl
    else
        echo xm
    fi
}

# tap: of the NIC at hand; nothing when there is none.
tap() {
    [ -n "$DEPLOY_ID" ] || return 0
    case $(hypervisor) in
        kvm)
            virsh -c qemu:///system dumpxml "$DEPLOY_ID" 2>/dev/null |
                xml_query first "/domain/devices/interface[@type='bridge'][mac/@address='$MAC']/target/@dev" 2>/dev/null |
                tr -d '\001'
            ;;
        xen)
            domid=$(sudo "$(xen_tool)" domid "$DEPLOY_ID" 2>/dev/null)
            [ -n "$domid" ] || return 0
            sudo "$(xen_tool)" network-list "$DEPLOY_ID" 2>/dev/null |
                awk -v mac="$MAC" -v domid="$domid" 'NR > 1 && tolower($3) == tolower(mac) { print "vif" domid "." $1; exit }'
            ;;
        qemu)
            sed -n "s/.*id=nic-$(printf '%s' "$MAC" | tr -d ':' | tr 'A-F' 'a-f'),ifname=\([^,]*\),.*/\1/p" "$(qemu_arguments)"
            ;;
    esac
}

# find_tap: sets device. A VM whose NIC cannot be found must not run without the
# rules it asks for (4.6 lets it, except for Open vSwitch).
find_tap() {
    device=$(tap)
    [ -n "$device" ] || fail "No tap device found for nic $NIC_ID" 1
}

# --- firewall -----------------------------------------------------------------

# ports LIST: without blanks; numbers and ranges a:b, separated by commas.
ports() {
    [ -n "$1" ] || return 0
    ports_list=$(printf '%s' "$1" | tr -d ' \t\n\r')
    printf '%s\n' "$ports_list" | grep -Exq '([0-9]+(:[0-9]+)?,)*[0-9]+(:[0-9]+)?' ||
        fail "NIC $NIC_ID: not a list of ports: $1"
    printf '%s\n' "$ports_list"
}

# rule ARGUMENT...: of iptables.
rule() { vnm_run sudo iptables "$@"; }

has_rules() {
    [ -n "$ICMP$WHITE_PORTS_TCP$WHITE_PORTS_UDP$BLACK_PORTS_TCP$BLACK_PORTS_UDP" ]
}

# drops_icmp: ICMP = no, or drop.
drops_icmp() {
    case $(printf '%s' "$ICMP" | tr '[:upper:]' '[:lower:]') in
        no | drop) return 0 ;;
    esac
    return 1
}

# protocol_rules PROTOCOL WHITE BLACK: the lists as ports prints them.
protocol_rules() {
    if [ -n "$2" ]; then
        rule -A "$chain" -p "$1" -m state --state ESTABLISHED -j ACCEPT
        rule -A "$chain" -p "$1" -m multiport --dports "$2" -j ACCEPT
        rule -A "$chain" -p "$1" -j DROP
    elif [ -n "$3" ]; then
        rule -A "$chain" -p "$1" -m multiport --dports "$3" -j DROP
    fi
}

# chain_exists, is_filtered: has chain been made, is device sent through it?
chain_exists() {
    sudo iptables -nL 2>/dev/null | awk -v chain="$chain" '$1 == "Chain" && $2 == chain { found = 1 } END { exit !found }'
}
is_filtered() {
    sudo iptables -S FORWARD 2>/dev/null | awk -v chain="$chain" -v device="$device" '
        { for (i = 1; i < NF; i++) if ($i == "--physdev-out" && $(i + 1) == device && $NF == chain) found = 1 }
        END { exit !found }'
}

filter_device() { rule -A FORWARD -m physdev --physdev-out "$device" -j "$chain"; }

nic_firewall_on() {
    has_rules || return 0
    if [ -z "$WHITE_PORTS_TCP$WHITE_PORTS_UDP$BLACK_PORTS_TCP$BLACK_PORTS_UDP" ] && ! drops_icmp; then
        return 0
    fi
    chain=one-$VM_ID-$NETWORK_ID
    if chain_exists; then
        # The chain is the network's: another NIC there shares it.
        find_tap
        is_filtered || filter_device
        return 0
    fi
    find_tap
    # All are read before the first rule is made: half a chain protects nothing.
    white_tcp=$(ports "$WHITE_PORTS_TCP") && black_tcp=$(ports "$BLACK_PORTS_TCP") &&
        white_udp=$(ports "$WHITE_PORTS_UDP") && black_udp=$(ports "$BLACK_PORTS_UDP") || exit 255
    rule -N "$chain"
    trap undo_firewall EXIT
    filter_device
    protocol_rules tcp "$white_tcp" "$black_tcp"
    protocol_rules udp "$white_udp" "$black_udp"
    if drops_icmp; then
        rule -A "$chain" -p icmp -m state --state ESTABLISHED -j ACCEPT
        rule -A "$chain" -p icmp -j DROP
    fi
    trap - EXIT
}

# undo_firewall: half a chain would pass for a whole one the next time.
undo_firewall() {
    sudo iptables -D FORWARD -m physdev --physdev-out "$device" -j "$chain"
    sudo iptables -F "$chain"
    sudo iptables -X "$chain"
} >/dev/null 2>&1

nic_firewall_off() {
    has_rules || return 0
    chain=one-$VM_ID-$NETWORK_ID
    jumps=$(sudo iptables -n -v --line-numbers -L FORWARD 2>/dev/null | awk -v chain="$chain" '
        { for (i = 2; i <= NF; i++) if ($i == chain) { device = "-"
              for (j = i; j < NF; j++) if ($j == "--physdev-out") device = $(j + 1)
              print $1, device; break } }' | sort -rn)
    [ -n "$jumps" ] || return 0
    keep=
    if [ -n "$nic_attached" ] && [ "$(printf '%s\n' "$jumps" | wc -l)" -gt 1 ]; then
        keep=yes # another NIC of the VM is on this network; the detached one has no device any more
    fi
    while read -r number device <&3; do
        if [ -n "$keep" ] && [ -e "/sys/class/net/$device" ]; then continue; fi
        rule -D FORWARD "$number"
    done 3<<EOT
$jumps
EOT
    if [ -z "$keep" ]; then
        rule -F "$chain"
        rule -X "$chain"
    fi
}

firewall_on() {
    lock opennebulafirewall
    each_nic nic_firewall_on
}

firewall_off() {
    lock opennebulafirewall
    each_nic nic_firewall_off
}
