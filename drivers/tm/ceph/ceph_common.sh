# Functions of the ceph transfer scripts. Sourced, never run.
# shellcheck shell=sh disable=SC2034

# disk_of_vm VMID PATH: sets DISK_ID and, as the daemon knows them, SOURCE, CLONE
# and RBD_FORMAT of a VM's disk.
disk_of_vm() {
    DISK_ID=${2##*.}
    case $1$DISK_ID in
        '' | *[!0-9]*) fail "Not a disk of a VM: $2" ;;
    esac
    disk="/VM/TEMPLATE/DISK[DISK_ID=$DISK_ID]"
    disk_vars=$(vm_document "$1" | xml_vars "SOURCE=$disk/SOURCE" "CLONE=$disk/CLONE" "RBD_FORMAT=$disk/RBD_FORMAT") ||
        fail "Cannot get the disk $DISK_ID of VM $1"
    eval "$disk_vars"
}

# is_own_copy: false for the disk that is the image itself. The image being
# persistent does not tell: it may have become so after the VM got its copy.
is_own_copy() {
    case $CLONE in
        [nN][oO]) return 1 ;;
    esac
}
