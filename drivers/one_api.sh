# Calls of the XML-RPC API, for scripts that run on the front-end. Sourced after
# scripts_common.sh, never run.
# shellcheck shell=sh

# xml_escape: stdin as the text of an XML element.
xml_escape() { sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g'; }

# api_session: user:password, from where the command line tools take it.
api_session() {
    for auth_file in "${ONE_AUTH:-}" "${HOME:-}/.one/one_auth" "${ONE_LOCATION:-/var/lib/one}${ONE_LOCATION:+/var}/.one/one_auth"; do
        [ -n "$auth_file" ] && [ -r "$auth_file" ] && { head -n 1 "$auth_file"; return; }
    done
    echo "no one_auth file to read" >&2
    return 1
}

# api_call METHOD [TYPE:VALUE...]: prints the result. With an error its text goes
# to stderr, status 1. TYPE is int, string or boolean. The session goes to curl
# by stdin: arguments can be seen by every user.
api_call() {
    api_method=$1
    shift
    api_secret=$(api_session) || return 1
    api_reply=$({
        printf '<?xml version="1.0"?><methodCall><methodName>%s</methodName><params>' "$api_method"
        printf '<param><value><string>%s</string></value></param>' "$(printf '%s' "$api_secret" | xml_escape)"
        for api_argument in "$@"; do
            printf '<param><value><%s>%s</%s></value></param>' "${api_argument%%:*}" \
                "$(printf '%s' "${api_argument#*:}" | xml_escape)" "${api_argument%%:*}"
        done
        printf '</params></methodCall>'
    } | curl -sS --max-time 120 -H 'Content-Type: text/xml' --data-binary @- \
        "${ONE_XMLRPC:-http://localhost:2633/RPC2}") || return 1

    api_value=/methodResponse/params/param/value/array/data/value
    api_vars=$(printf '%s' "$api_reply" | xml_vars "api_success=${api_value}[1]/boolean" \
        "api_text=${api_value}[2]/string" "api_i4=${api_value}[2]/i4" "api_int=${api_value}[2]/int" \
        "api_fault=/methodResponse/fault/value/struct/member[name='faultString']/value/string") || return 1
    eval "$api_vars"
    # shellcheck disable=SC2154 # assigned by eval
    if [ "$api_success" = 1 ]; then
        printf '%s\n' "$api_text$api_i4$api_int"
    else
        printf '%s\n' "${api_text:-$api_fault}" >&2
        return 1
    fi
}

# vm_document VMID: the VM as XML; by the command line tool where there is one,
# as 4.6 does.
vm_document() {
    if command -v onevm >/dev/null 2>&1; then
        onevm show -x "$1"
    else
        api_call one.vm.info "int:$1"
    fi
}
