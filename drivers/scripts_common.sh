# Functions for every driver script. Sourced, never run.
# shellcheck shell=sh disable=SC2034,SC2209
# (The tool names below are for the scripts that source this file.)
#
# The names without a comment of their own are those that scripts of sites and
# add-ons written for release 4.6 call; they keep their arguments and effects.

export LANG=C

# 4.6 puts /bin:/sbin:/usr/bin first. Only missing ones are added here, so that
# an administrator's own order of directories holds.
for dir in /usr/bin /sbin /bin; do
    case ":$PATH:" in
        *":$dir:"*) ;;
        *) PATH=$dir:$PATH ;;
    esac
done
export PATH

AWK=awk
BASH=bash
CUT=cut
DATE=date
DD=dd
DF=df
DU=du
GREP=grep
LN=ln
LVCREATE=lvcreate
LVREMOVE=lvremove
LVRENAME=lvrename
LVS=lvs
MD5SUM=md5sum
MKFS=mkfs
MKISOFS=genisoimage
MKSWAP=mkswap
QEMU_IMG=qemu-img
RADOS=rados
RBD=rbd
READLINK=readlink
RM=rm
SCP=scp
SED="sed -E"
SSH=ssh
SUDO=sudo
SYNC=sync
TAR=tar
TR=tr
VGDISPLAY=vgdisplay
VMKFSTOOLS=vmkfstools
WGET=wget

SCRIPT_NAME=$(basename -- "$0")

# REMOTES is the root of the driver scripts. Ours set it from their own place;
# a site's script that sources this file from lib/sh gets the standard one.
if [ -z "${REMOTES:-}" ]; then
    REMOTES=${ONE_LOCATION:+$ONE_LOCATION/var/remotes}
    REMOTES=${REMOTES:-/var/lib/one/remotes}
fi

# --- messages -----------------------------------------------------------------

log_function() {
    printf '%s: %s: %s\n' "$1" "$SCRIPT_NAME" "$2" >&2
}

log() { log_function INFO "$1"; }
log_info() { log_function INFO "$1"; }
log_error() { log_function ERROR "$1"; }
log_debug() { log_function DEBUG "$1"; }

# The block between the marks is what the user gets to see.
error_message() {
    printf '%s\n' "ERROR MESSAGE --8<------" "$1" "ERROR MESSAGE ------>8--" >&2
}

# fail MESSAGE [STATUS]: ends the script with MESSAGE for the user.
fail() {
    error_message "$1"
    exit "${2:-255}"
}

# error_cause TEXT: the telling part of a tool's stderr, on one line, because
# only the first line of an error message travels to the user.
error_cause() {
    printf '%s\n' "$1" | LC_ALL=C awk '
        { gsub(/[[:cntrl:]]/, " "); sub(/^ +/, ""); sub(/ +$/, "") }
        $0 == "" || seen[$0]++ || /^Parsing config/ || /^sudo: unable to resolve host/ { next }
        /^mux_client_|^ControlSocket .*disabling multiplexing/ { next } # ssh goes on with a connection of its own
        { last = $0 }
        kept < 3 && tolower($0) ~ /error|fail|cannot|could not|unable|denied|no such|not found|invalid|refused|no space|exist|is a directory|not match|unexpected|insufficient|closed|timed out|corrupt|must be|too small/ {
            cause = cause (kept++ ? "; " : "") $0
        }
        END { if (cause == "") cause = last; print substr(cause, 1, 500) }'
}

# with_cause MESSAGE STDERR: MESSAGE, followed by the cause when there is one.
with_cause() {
    cause=$(error_cause "$2")
    if [ -n "$cause" ]; then
        printf '%s\n' "${1%.}: $cause"
    else
        printf '%s\n' "$1"
    fi
}

# --- running commands ---------------------------------------------------------

# quote WORD...: the words as a shell command line. Words that need no quotes
# get none: they look in log files as they did in 4.6.
quote() {
    quote_line=
    for quote_word in "$@"; do
        case $quote_word in
            '' | *[!A-Za-z0-9_/.:,@%+=-]*)
                quote_rest=$quote_word
                quote_word=
                while :; do
                    case $quote_rest in
                        *\'*) quote_word=$quote_word${quote_rest%%\'*}"'\\''" quote_rest=${quote_rest#*\'} ;;
                        *) break ;;
                    esac
                done
                quote_word="'$quote_word$quote_rest'"
                ;;
        esac
        quote_line=$quote_line${quote_line:+ }$quote_word
    done
    printf '%s\n' "$quote_line"
}

# run_or_fail MESSAGE COMMAND [ARG...]: runs COMMAND, its stdout discarded. On
# failure ends the script with COMMAND's status; the user gets MESSAGE and the
# cause, or with an empty MESSAGE the command and its stderr. RUN_LABEL is the
# command to name in the log when COMMAND is a function.
run_or_fail() {
    run_message=$1
    shift
    run_error=$("$@" 2>&1 >/dev/null </dev/null) && return 0
    report_failure $? "${RUN_LABEL:-$*}" "$run_error" "$run_message"
}

# report_failure STATUS COMMAND STDERR MESSAGE: logs a failed command and ends.
report_failure() {
    log_error "Command \"$2\" failed: $3"
    if [ -n "$4" ]; then
        error_message "$(with_cause "$4" "$3")"
    else
        error_message "Error executing $2: $3"
    fi
    exit "$1"
}

exec_and_log() {
    # shellcheck disable=SC2086 # the contract: one string, split at blanks
    EXEC_LOG_ERR=$($1 2>&1 >/dev/null) && return 0
    EXEC_LOG_RC=$?
    report_failure "$EXEC_LOG_RC" "$1" "$EXEC_LOG_ERR" "${2:-}"
}

multiline_exec_and_log() {
    EXEC_LOG_ERR=$(printf 'export LANG=C\nexport LC_ALL=C\n%s\n' "$1" | sh -s 2>&1 >/dev/null) && return 0
    EXEC_LOG_RC=$?
    report_failure "$EXEC_LOG_RC" "$1" "$EXEC_LOG_ERR" "${2:-}"
}

exec_and_set_error() {
    ERROR=
    EXEC_LOG_ERR=$(sh -c "$1" 2>&1 >/dev/null) && { export ERROR; return 0; }
    EXEC_LOG_RC=$?
    log_error "Command \"$1\" failed: $EXEC_LOG_ERR"
    ERROR=${2:-"Error executing $1: $EXEC_LOG_ERR"}
    export ERROR
}

timeout_exec_and_log() {
    # shellcheck disable=SC2086 # as exec_and_log
    EXEC_LOG_ERR=$(timeout "$1" $2 2>&1 >/dev/null) && return 0
    EXEC_LOG_RC=$?
    if [ "$EXEC_LOG_RC" -eq 124 ]; then
        log_error "Timeout executing $2"
        fail "Timeout executing $2" 143
    fi
    report_failure "$EXEC_LOG_RC" "$2" "$EXEC_LOG_ERR" "${3:-}"
}

# retry TRIES FUNCTION: calls FUNCTION, a second apart, until it succeeds.
retry() {
    retry_count=1
    until $2 >/dev/null; do
        [ "$retry_count" -lt "$1" ] || return 1
        retry_count=$((retry_count + 1))
        sleep 1
    done
}

# force_shutdown ID COMMAND: to be called right after a shutdown that timed out.
# Destroys the domain when FORCE_DESTROY=yes, else ends the script.
force_shutdown() {
    # shellcheck disable=SC2181 # the status of whatever ran before the call
    [ $? -ne 0 ] || return 0
    if [ "${FORCE_DESTROY:-}" = yes ]; then
        log_error "Timeout shutting down $1. Destroying it"
        $2 >/dev/null
        sleep 2
        return 0
    fi
    fail "Timed out shutting down $1"
}

# --- other hosts --------------------------------------------------------------

# ONE_SSH_OPTIONS is how the driver processes have connections to a host shared.
# The functions are found by $SSH and $SCP, too; log lines name the plain programs.
if [ -n "${ONE_SSH_OPTIONS:-}" ]; then
    # shellcheck disable=SC2086 # a list of options
    ssh() { command ssh $ONE_SSH_OPTIONS "$@"; }
    # shellcheck disable=SC2086
    scp() { command scp $ONE_SSH_OPTIONS "$@"; }
fi

# is_local_host HOST: true for hosts named in ONE_LOCAL_HOSTS (an rc file or the
# environment of the daemon). On those, commands are run directly and not over
# ssh, for a cloud of one machine without sshd. Empty by default, as 4.6.
is_local_host() {
    case " ${ONE_LOCAL_HOSTS:-} " in
        *" $1 "*) return 0 ;;
    esac
    return 1
}

# on_host HOST COMMAND: one shell command line on HOST.
on_host() {
    case $1 in
        -* | '') log_error "Not a host name: $1"; return 255 ;;
    esac
    if is_local_host "$1"; then
        sh -c "$2"
    else
        $SSH "$1" "$2"
    fi
}

# shell_on_host HOST: a shell on HOST that reads its commands from stdin.
shell_on_host() {
    case $1 in
        -* | '') log_error "Not a host name: $1"; return 255 ;;
    esac
    if is_local_host "$1"; then
        sh -s
    else
        $SSH "$1" sh -s
    fi
}

# copy SOURCE DESTINATION: scp -r, or cp when neither side is another machine.
copy() {
    copy_from=$1
    copy_to=$2
    is_local_host "${copy_from%%:*}" && copy_from=${copy_from#*:}
    is_local_host "${copy_to%%:*}" && copy_to=${copy_to#*:}
    case $copy_from$copy_to in
        *:*) $SCP -r "$copy_from" "$copy_to" ;;
        *) cp -r "$copy_from" "$copy_to" ;;
    esac
}

ssh_exec_and_log() {
    SSH_EXEC_ERR=$(printf 'export LANG=C\nexport LC_ALL=C\n%s\n' "$2" | shell_on_host "$1" 2>&1 >/dev/null) && return 0
    SSH_EXEC_RC=$?
    report_failure "$SSH_EXEC_RC" "$2" "$SSH_EXEC_ERR" "${3:-}"
}

ssh_monitor_and_log() {
    SSH_EXEC_OUT=$(printf 'export LANG=C\nexport LC_ALL=C\n%s\n' "$2" | shell_on_host "$1" 2>/dev/null) || {
        SSH_EXEC_RC=$?
        log_error "Command \"$2\" failed: $SSH_EXEC_OUT"
        fail "Cannot monitor $1" "$SSH_EXEC_RC"
    }
    # shellcheck disable=SC2086 # the contract: one line, blanks squeezed
    echo $SSH_EXEC_OUT
}

# compat: a failure goes unnoticed, as in 4.6; the command that follows fails
# with its own message.
ssh_make_path() {
    make_path=$(quote "$2")
    printf 'if [ ! -d %s ]; then\n   mkdir -p %s\nfi\n' "$make_path" "$make_path" |
        shell_on_host "$1" >/dev/null 2>&1
    return 0
}

# lvcreate asks whether to wipe what an earlier volume has left there, and would take
# the rest of the script that it stands in for the answer.
WIPED_LVCREATE="echo y | $SUDO $LVCREATE"

# or_no_volume COMMAND GROUP/VOLUME: a line for a script on a host, where COMMAND
# fills a volume that was just made. If it fails the volume goes away, too.
or_no_volume() {
    # shellcheck disable=SC2016 # $status is the host's
    printf '%s || { status=$?; %s -f %s >&2; exit $status; }\n' "$1" "$SUDO $LVREMOVE" "$2"
}

# --- paths, file systems ------------------------------------------------------

fix_dir_slashes() {
    dirname -- "$1/file" | sed 's#//*#/#g'
}

# is_safe_word VALUE: true for a value that can stand in an option of a tool.
is_safe_word() {
    case $1 in
        '' | -* | *[!A-Za-z0-9_.+-]*) return 1 ;;
    esac
}

mkfs_command() {
    mkfs_dst=$(quote "$1")
    mkfs_size=${3:-0}
    mkfs_type=${2:-ext3}
    is_safe_word "$mkfs_type" || { log_error "Not a file system type: $mkfs_type"; echo false; return; }
    case $mkfs_type in
        ext2 | ext3 | ext4 | ntfs) mkfs_options=-F ;;
        reiserfs) mkfs_options="-f -q" ;;
        jfs) mkfs_options=-q ;;
        raw) echo; return ;;
        swap) echo "$MKSWAP -L swap $mkfs_dst"; return ;;
        qcow2) echo "$QEMU_IMG create -f qcow2 $mkfs_dst ${mkfs_size}M"; return ;;
        vmdk_*)
            # compat: 4.6 makes thin disks whatever kind is asked for.
            echo "$VMKFSTOOLS -U $mkfs_dst/disk.vmdk; rm -f $mkfs_dst/*; $VMKFSTOOLS -c ${mkfs_size}M -d thin $mkfs_dst/disk.vmdk"
            return
            ;;
        *) mkfs_options= ;;
    esac
    echo "$MKFS -t $mkfs_type $mkfs_options $mkfs_dst"
}

# --- XML ----------------------------------------------------------------------

xml_query() {
    XML_MODE=$1
    shift
    XML_QUERY=$(printf '%s\n' "$@")
    export XML_MODE XML_QUERY
    LC_ALL=C awk -f "$REMOTES/xml.awk"
}

# xml_vars NAME=PATH...: reads a document, prints assignments for eval; a path
# without a match gives an empty value. All values are quoted.
xml_vars() { xml_query vars "$@"; }

# xml_each FUNCTION PATH RELATIVE...: prints one call of FUNCTION for eval per
# element of PATH, its arguments the quoted texts of the RELATIVE paths.
xml_each() { xml_query each "$@"; }
