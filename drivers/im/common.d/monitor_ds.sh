#!/bin/sh
# monitor_ds.sh HYPERVISOR DS_LOCATION: space of the datastores on this host, in
# MB. Where a datastore has a volume group, its images are counted there.

location=${2:-/var/lib/one/datastores}
group_prefix=vg-one-

[ -d "$location" ] || mkdir -p "$location" 2>/dev/null

# space PATH: "used total free" of its file system. Adding up the files instead
# takes minutes on a big datastore and is wrong for sparse ones.
space() {
    df -B1M -P "$1" 2>/dev/null | awk 'NR > 1 { used = $3; total = $2; free = $4 } END { print used + 0, total + 0, free + 0 }'
}

# group_space GROUP: the same for a volume group; nothing if there is none.
group_space() {
    command -v vgdisplay >/dev/null 2>&1 || [ -x /sbin/vgdisplay ] || return 0
    sudo vgdisplay --separator : --units m -o vg_size,vg_free --nosuffix --noheadings -C "$1" 2>/dev/null |
        awk -F: 'NF == 2 { print int($1) - int($2), int($1), int($2); exit }'
}

# print_space PREFIX EQUALS SEPARATOR USED TOTAL FREE [LAST_SEPARATOR]
print_space() {
    printf '%sUSED_MB%s%s%s\n%sTOTAL_MB%s%s%s\n%sFREE_MB%s%s%s\n' \
        "$1" "$2" "$4" "$3" "$1" "$2" "$5" "$3" "$1" "$2" "$6" "${7:-}"
}

# shellcheck disable=SC2046 # three numbers
print_space DS_LOCATION_ = "" $(space "$location")

for directory in "$location"/*; do
    id=${directory##*/}
    case $id in
        '' | *[!0-9]*) continue ;;
    esac
    files=$(space "$directory")
    group=$(group_space "$group_prefix$id")
    printf 'DS = [\n  ID = %s,\n' "$id"
    # shellcheck disable=SC2086 # three numbers each
    if [ -n "$group" ]; then
        print_space "  " " = " , $group ,
        print_space "  VOLATILE_" " = " , $files
    else
        print_space "  " " = " , $files
    fi
    echo "]"
done
