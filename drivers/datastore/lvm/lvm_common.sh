# Functions of the lvm datastore. Sourced, never run.
# shellcheck shell=sh disable=SC2034

# shellcheck source=drivers/datastore/lvm/lvm.conf
. "$(dirname "$0")/lvm.conf"

# lvm_request NAME=PATH...: request, and sets GROUP, the volume group. An image is
# HOST:GROUP.VOLUME.
lvm_request() {
    request BRIDGE_LIST=DATASTORE/TEMPLATE/BRIDGE_LIST GROUP=DATASTORE/TEMPLATE/VG_NAME "$@"
    GROUP=${GROUP:-$VG_NAME}
    is_safe_word "$GROUP" || fail "Not a volume group: $GROUP"
}

# new_volume: names the volume of the image ID; sets VOLUME and DEV.
new_volume() {
    is_safe_word "$ID" || fail "Not an image: $ID"
    VOLUME=lv-one-$ID
    DEV=/dev/$GROUP/$VOLUME
}
