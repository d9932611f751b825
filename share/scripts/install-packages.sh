#!/bin/sh
# install-packages.sh COMMAND=PACKAGE...: installs the Debian packages of the
# commands that are missing, with apt-get, as root or by sudo without a password.
# Exit status 1: something is still missing, which has been said.
#
# APT_UPDATED, if set, is a file that tells that the lists of packages are fresh.

missing=
commands=
for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null 2>&1 && continue
    commands="$commands ${pair%%=*}"
    case " $missing " in
        *" ${pair#*=} "*) ;;
        *) missing="$missing${missing:+ }${pair#*=}" ;;
    esac
done
[ -n "$missing" ] || exit 0

give_up() {
    echo "Not installed:$commands. $1 Packages: $missing" >&2
    exit 1
}

command -v apt-get >/dev/null 2>&1 || give_up "There is no apt-get here."
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    give_up "Only root may install packages."
fi

# apt ARGUMENT...: never asks, tries a busy mirror again.
apt() {
    # shellcheck disable=SC2086 # two words or none
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

echo "Installing $missing"
if [ -z "${APT_UPDATED:-}" ] || [ ! -e "$APT_UPDATED" ]; then
    apt update >/dev/null || give_up "apt-get update failed."
    [ -z "${APT_UPDATED:-}" ] || : >"$APT_UPDATED"
fi
# shellcheck disable=SC2086 # a list of packages
apt install -y --no-install-recommends $missing >/dev/null || give_up "apt-get install failed."
