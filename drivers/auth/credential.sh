# Sourced by the authenticate scripts whose check needs more than a shell.
# shellcheck shell=sh

# credential DRIVER USER PASSWORD SECRET: leaves the check to the program that is
# the stock drivers, and ends with its status.
credential() {
    credential_program=${ONE_LOCATION:+$ONE_LOCATION/lib}
    credential_program=${credential_program:-/usr/lib/one}/mads/onemad
    if [ ! -x "$credential_program" ]; then
        printf '%s\n' "ERROR MESSAGE --8<------" "$credential_program is not installed" "ERROR MESSAGE ------>8--" >&2
        exit 255
    fi
    exec "$credential_program" authenticate "$@"
}
