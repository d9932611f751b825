# Functions of the lvm transfer scripts. Sourced, never run.
# shellcheck shell=sh disable=SC2034

# An image is HOST:GROUP.VOLUME, the volume lv-one-<image>; the copy of one that
# is not persistent is lv-one-<image>-<vm>-<disk>.

# split_volume HOST:GROUP.VOLUME: sets GROUP and VOLUME.
split_volume() {
    volume_text=${1#*:}
    GROUP=${volume_text%%.*}
    VOLUME=${volume_text#*.}
    for volume_word in "$GROUP" "$VOLUME"; do
        is_safe_word "$volume_word" || fail "Not a volume: $1"
    done
}
