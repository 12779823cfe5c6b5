#!/bin/sh
# Every script that OpenNebula calls for its XCP hosts is a link to this file, or, on a host, a copy of it:
# OpenNebula follows links when it copies. Its own path tells the program which script it stands for and,
# whatever the depth, where the program is. Shell builtins only: a probe runs every few seconds.
case $0 in
*/*) dir=${0%/*} ;;
*) dir=. ;;
esac
# From vmm/xcp, from im/xcp.d and the like, from im/xcp-probes.d/KIND/KIND.
for program in one-xcp ../../vmm/xcp/one-xcp ../../../../vmm/xcp/one-xcp; do
    if [ -e "$dir/$program" ]; then
        exec "$dir/$program" link "$0" "$@"
    fi
done
printf '%s\n' "${0##*/}: there is no vmm/xcp/one-xcp above $dir: run onehost sync, or install.sh again." >&2
exit 1
