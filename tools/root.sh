# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# For the scripts that need root, at their beginning: `source root.sh` starts the script again by sudo where it is
# not root. So an ordinary user may call it. What root has built is the user's at the end.

if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
        echo "${0##*/}: needs root, for network namespaces; there is no sudo here: run it as root" >&2
        exit 1
    fi
    exec sudo ${REROUTE_BUILD:+"REROUTE_BUILD=$REROUTE_BUILD"} "$0" "$@"
fi

# Gives the build directories of this checkout to the owner of the checkout.
give_back()
{
    local root directory
    root=$(dirname "${BASH_SOURCE[0]}")/..
    for directory in "$root"/build "$root"/build-*; do
        [[ ! -d $directory || -L $directory ]] || chown -R --no-dereference --reference="$root" "$directory"
    done
}
