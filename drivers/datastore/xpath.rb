#!/bin/sh
# xpath.rb -b BASE64 PATH... | xpath.rb --stdin PATH...
#
# Prints the text of the first match of each path, each followed by a NUL byte.
# The name is the one that scripts of sites and add-ons call; it is a shell
# script and needs no Ruby.

REMOTES=$(dirname "$0")/..
# shellcheck source=drivers/scripts_common.sh
. "$REMOTES/scripts_common.sh"

case ${1:-} in
    -b | --base64)
        document=$2
        shift 2
        printf '%s' "$document" | base64 -d
        ;;
    -s | --stdin)
        shift
        cat
        ;;
    *)
        echo "Usage: $SCRIPT_NAME -b <base64>|--stdin <xpath>..." >&2
        exit 1
        ;;
esac | {
    case ${1:-} in
        -b | --base64) shift 2 ;;
        *) shift ;;
    esac
    xml_query first "$@"
} | tr '\001' '\000'
