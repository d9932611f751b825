#!/bin/sh
# downloader.sh [--md5 HASH] [--sha1 HASH] [--nodecomp] [--limit RATE] FROM TO
#
# Copies a file or URL to the file TO or, with TO -, to stdout. gzip, bzip2 and
# xz are unpacked on the way; hashes are those of what came in. A tar or zip
# archive ends as a directory named TO.

REMOTES=$(dirname "$0")/..
# shellcheck source=drivers/scripts_common.sh
. "$REMOTES/scripts_common.sh"

stop() {
    echo "$1" >&2
    exit 255
}

md5=
sha1=
decompress=yes
limit=
while :; do
    case ${1:-} in
        --md5) md5=$2; shift 2 || stop "Arguments error" ;;
        --sha1) sha1=$2; shift 2 || stop "Arguments error" ;;
        --limit) limit=$2; shift 2 || stop "Arguments error" ;;
        --nodecomp) decompress=no; shift ;;
        --) shift; break ;;
        --*) stop "Arguments error" ;;
        *) break ;;
    esac
done
[ $# -eq 2 ] || stop "Arguments error"
from=$1
to=$2
if [ -z "$from" ] || [ -z "$to" ]; then stop "Arguments error"; fi
[ -z "$limit" ] || is_safe_word "$limit" || stop "Arguments error"

work=$(mktemp -d "${TMPDIR:-/tmp}/one-download.XXXXXX") || stop "Error copying"
trap 'rm -rf "$work"' EXIT
trap 'exit 255' HUP INT TERM

# Told apart before anything is started that would wait for data.
if [ "$to" != - ]; then
    { true >"$to"; } 2>/dev/null || stop "Error copying: cannot write $to"
fi

fetch() {
    case $from in
        http://* | https://*) curl -f -sS -k -L ${limit:+--limit-rate "$limit"} "$from" ;;
        *)
            if [ -d "$from" ]; then
                echo "$from is a directory" >&2
                return 1
            fi
            cat -- "$from"
            ;;
    esac
}

# unpack: stdin to stdout, unpacked according to its first bytes. dd with blocks
# of one byte takes no more than those from the pipe.
unpack() {
    dd bs=1 count=6 of="$work/head" 2>/dev/null
    case $decompress$(od -An -tx1 -N6 "$work/head" | tr -d ' \n') in
        yes1f8b*) set -- gzip -dc ;;
        yes425a68*) set -- bzip2 -dc ;;
        yesfd377a585a00) set -- xz -dc ;;
        *) set -- cat ;;
    esac
    { cat "$work/head"; cat; } | "$@"
}

# start_hash NAME: an openssl process that reads a pipe named after the hash.
start_hash() {
    mkfifo "$work/$1.pipe"
    openssl dgst "-$1" <"$work/$1.pipe" >"$work/$1" &
}

set --
for hash in ${md5:+md5} ${sha1:+sha1}; do
    start_hash "$hash"
    set -- "$@" "$work/$hash.pipe"
done

transfer() {
    {
        fetch
        echo $? >"$work/fetched"
    } | if [ $# -gt 0 ]; then tee "$@"; else cat; fi | unpack
    # The status is that of unpack, the last one.
}

if [ "$to" = - ]; then
    transfer "$@"
else
    transfer "$@" >"$to"
fi
written=$?
wait

[ "$(cat "$work/fetched" 2>/dev/null)" = 0 ] || stop "Cannot read from $from"
[ "$written" = 0 ] || stop "Error copying"

check_hash() {
    [ -z "$2" ] || [ "$(sed 's/.*= *//' "$work/$1")" = "$(printf '%s' "$2" | tr 'A-F' 'a-f')" ] ||
        stop "Hash does not match"
}
check_hash md5 "$md5"
check_hash sha1 "$sha1"

[ "$to" = - ] && exit 0

# archive_of FILE: tar, zip or nothing.
archive_of() {
    if [ "$(dd if="$1" bs=1 skip=257 count=5 2>/dev/null | tr -d '\0')" = ustar ]; then
        echo tar
    elif [ "$(od -An -tx1 -N4 "$1" | tr -d ' \n')" = 504b0304 ]; then
        echo zip
    fi
}

archive=$(archive_of "$to")
[ -n "$archive" ] || exit 0

{ mv -f "$to" "$to.archive" && mkdir "$to"; } || stop "Error uncompressing archive"
case $archive in
    tar) tar -C "$to" -xf "$to.archive" ;;
    zip) unzip -q -d "$to" "$to.archive" >&2 ;;
esac || {
    rm -rf "$to.archive" "$to"
    stop "Error uncompressing archive"
}
rm -f "$to.archive"
# A link in there could make any file of this machine part of the image.
find "$to" -type l -exec rm -f {} +
