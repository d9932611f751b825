# Functions for the datastore scripts. Sourced, never run.
# shellcheck shell=sh disable=SC2034
# (SC2034: set for the scripts that source this file.)

if [ -z "${ONE_LOCATION:-}" ]; then
    VAR_LOCATION=/var/lib/one/
    ETC_LOCATION=/etc/one/
else
    VAR_LOCATION=$ONE_LOCATION/var/
    ETC_LOCATION=$ONE_LOCATION/etc/
fi
REMOTES=${REMOTES:-${VAR_LOCATION}remotes}

if [ -z "${SCRIPT_NAME:-}" ]; then
    # shellcheck source=drivers/scripts_common.sh
    . "$REMOTES/scripts_common.sh"
fi

# request NAME=PATH...: sets shell variables from the driver request (base64 in
# REQUEST); the paths are relative to its root element.
request() {
    for request_query in "$@"; do
        set -- "$@" "${request_query%%=*}=/DS_DRIVER_ACTION_DATA/${request_query#*=}"
        shift
    done
    request_vars=$(printf '%s' "$REQUEST" | base64 -d 2>/dev/null | xml_vars "$@") ||
        fail "Cannot read the driver request"
    eval "$request_vars"
}

set_up_datastore() {
    BASE_PATH=$1
    RESTRICTED_DIRS="$VAR_LOCATION $ETC_LOCATION $HOME/ $2"
    SAFE_DIRS=$3
    export BASE_PATH RESTRICTED_DIRS SAFE_DIRS
}

generate_image_hash() {
    if [ -z "${BASE_PATH:-}" ]; then
        log_error "Error generating the path in generate_image_path."
        exit 1
    fi
    printf '%s:%s\n' "$($DATE +%s)" "$ID" | $MD5SUM | cut -d ' ' -f 1
}

generate_image_path() {
    image_hash=$(generate_image_hash) || exit 1
    printf '%s/%s\n' "$BASE_PATH" "$image_hash"
}

is_yes() {
    case $1 in
        [yY][eE][sS]) return 0 ;;
    esac
    return 1
}

set_downloader_args() {
    downloader_args=
    [ -z "$1" ] || downloader_args="--md5 $1"
    [ -z "$2" ] || downloader_args="$downloader_args --sha1 $2"
    is_yes "$3" && downloader_args="$downloader_args --nodecomp"
    [ -z "$4" ] || downloader_args="$downloader_args --limit $4"
    echo "$downloader_args $5 $6"
}

# download FROM TO: downloader.sh with what the request says of MD5, SHA1,
# NO_DECOMPRESS and LIMIT_TRANSFER_BW, as one argument each.
download() {
    download_from=$1
    download_to=$2
    set --
    [ -z "${MD5:-}" ] || set -- "$@" --md5 "$MD5"
    [ -z "${SHA1:-}" ] || set -- "$@" --sha1 "$SHA1"
    is_yes "${NO_DECOMPRESS:-}" && set -- "$@" --nodecomp
    [ -z "${LIMIT_TRANSFER_BW:-}" ] || set -- "$@" --limit "$LIMIT_TRANSFER_BW"
    "$REMOTES/datastore/downloader.sh" "$@" "$download_from" "$download_to"
}

file_size() {
    stat -L -c %s -- "$*"
}

gzip_file_size() {
    gzip -l -- "$1" | awk 'END { print $2 }'
}

# magic FILE: its first six bytes in hexadecimal.
magic() {
    od -An -tx1 -N6 -- "$1" 2>/dev/null | tr -d ' \n'
}

# qcow_size FILE: the size the header promises, 8 bytes at offset 24, whatever
# else a hostile image may say.
qcow_size() {
    od -An -tu1 -j24 -N8 -- "$1" | awk '{ for (i = 1; i <= NF; i++) size = size * 256 + $i } END { printf "%.0f\n", size }'
}

# url_size URL: as the server announces it; the market place says how big the
# image is once unpacked.
url_size() {
    curl -LIk --max-time 60 "$1" 2>/dev/null | tr -d '\r' | awk -F: '
        tolower($1) == "opennebula-appmarket-size" { market = $2 }
        tolower($1) == "content-length" { size = $2 }
        END { print (market != "" ? market : size) + 0 }'
}

# fs_size PATH: MB, rounded up; 0 if it cannot be told.
fs_size() {
    size=
    case $1 in
        http://* | https://*) size=$(url_size "$1") ;;
        *)
            if [ -d "$1" ]; then
                size=$(du -sb -- "$1" | cut -f 1)
            else
                case $(magic "$1") in
                    1f8b*) size=$(gzip_file_size "$1") ;;
                    514649fb*) size=$(qcow_size "$1") ;;
                    fd377a585a00) size=$(xz --robot -l -- "$1" 2>/dev/null | awk '$1 == "totals" { print $5 }') ;;
                esac
                size=${size:-$(file_size "$1")}
            fi
            ;;
    esac
    awk -v size="${size:-0}" 'BEGIN { printf "%.0f\n", int((size + 1048575) / 1048576) }'
}

# check_restricted PATH: prints 1 when images must not be taken from there.
check_restricted() {
    case $1 in
        http://* | https://*) echo 0; return ;;
    esac
    resolved=$(readlink -f -- "$1") || resolved=$1
    for restricted_dir in $SAFE_DIRS; do
        case $resolved in
            "$restricted_dir"*) echo 0; return ;;
        esac
    done
    for restricted_dir in $RESTRICTED_DIRS; do
        # The directory itself may be behind a link, and is given with a slash.
        case $resolved/ in
            "$restricted_dir"* | "$(readlink -f -- "$restricted_dir")"/*) echo 1; return ;;
        esac
    done
    echo 0
}

# get_destination_host [NUMBER]: one of BRIDGE_LIST, the same for the same
# number, any without one.
get_destination_host() {
    # shellcheck disable=SC2086 # a list of names
    set -- "${1:-$(awk 'BEGIN { srand(); print int(rand() * 32768) }')}" $BRIDGE_LIST
    [ $# -gt 1 ] || return 1
    shift $(($1 % ($# - 1) + 1))
    printf '%s\n' "$1"
}

# use_bridge [NUMBER]: sets DST_HOST to the host of BRIDGE_LIST that does the work.
use_bridge() {
    DST_HOST=$(get_destination_host "${1:-}") ||
        fail "Datastore template missing 'BRIDGE_LIST' attribute."
}

# or_not_a_size SIZE
or_not_a_size() {
    case $1 in
        '' | *[!0-9]*) fail "Not a size in MB: $1" ;;
    esac
}

# check_source PATH: ends the script when images must not be taken from there.
check_source() {
    [ "$(check_restricted "$1")" = 1 ] || return 0
    log_error "Not allowed to copy images from $RESTRICTED_DIRS"
    fail "Not allowed to copy image file $1"
}

# log_copy PATH
log_copy() {
    case $1 in
        http://* | https://*) log "Downloading $1 to the image repository" ;;
        *) log "Copying local image $1 to the image repository" ;;
    esac
}

# download_to_host FROM COMMAND: the image into the stdin of COMMAND on DST_HOST.
# Fails when either side does: sh knows only the status of the last one.
download_to_host() {
    exec 4>&1
    download_status=$({ {
        download "$1" -
        echo $? >&3
    } | on_host "$DST_HOST" "$2" >&4; } 3>&1) || return 1
    [ "$download_status" = 0 ]
}
