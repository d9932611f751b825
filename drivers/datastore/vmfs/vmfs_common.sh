# Functions of the vmfs datastore. Sourced, never run. A disk is a directory with
# a disk.vmdk in it, a CD-ROM is a file.
# shellcheck shell=sh disable=SC2034

# shellcheck source=drivers/datastore/vmfs/vmfs.conf
. "$(dirname "$0")/vmfs.conf"

# is_cdrom: after a request that set IMAGE_TYPE.
is_cdrom() { [ "$IMAGE_TYPE" = 1 ]; }
