#!/bin/sh
# Puts one-xcp into OpenNebula's remotes on the front-end, and into Sunstone, and takes it back. See
# docs/install.md and docs/sunstone.md.
set -fu
umask 022
unset CDPATH
LC_ALL=C
export LC_ALL

usage() {
    cat <<'TEXT'
Usage: install.sh [--binary FILE] [--remotes DIR] [--configure] [--etc DIR] [--frontend] [--dry-run]
       install.sh --sunstone [--fireedge DIR] [--etc DIR] [--dry-run]
       install.sh --check [--fireedge DIR] [--etc DIR]
       install.sh --uninstall [--remotes DIR] [--configure] [--sunstone] [--etc DIR] [--dry-run]

Installs OpenNebula's drivers for XCP-ng and XenServer into the remotes of this front-end.

  --binary FILE  the program (default: target/dist/one-xcp, target/release/one-xcp or one-xcp beside
                 install.sh, the first that exists)
  --remotes DIR  default: $ONE_LOCATION/var/remotes, or /var/lib/one/remotes
  --configure    add the drivers to oned.conf, monitord.conf and vmm_exec/vmm_execrc instead of printing what
                 to add
  --etc DIR      where these are (default: $ONE_LOCATION/etc, or /etc/one)
  --frontend     drivers that run on the front-end and reach the hosts with xe -s (also: --local)
  --sunstone     teach Sunstone (FireEdge) the VMs of XCP hosts; with --configure, the drivers as well
  --fireedge DIR default: $ONE_LOCATION/lib/fireedge, or /usr/lib/one/fireedge
  --check        tell whether Sunstone has XCP, and what to do if not: after upgrades of OpenNebula
  --uninstall    remove what install.sh put there and in Sunstone; with --configure, from these files as
                 well; with --sunstone alone, only from Sunstone
  --dry-run      print each change, make none
TEXT
}

fail() {
    printf 'install.sh: %s\n' "$(printf '%s' "$*" | tr '\n' ' ')" >&2
    exit 1
}

refuse_usage() {
    printf 'install.sh: %s\n' "$1" >&2
    usage >&2
    exit 2
}

# try DOING COMMAND…: the command; its failure becomes the one line the user sees.
try() {
    doing=$1
    shift
    said=$("$@" 2>&1) || fail "cannot $doing: $said"
}

note() { printf '%s\n' "$@"; }

# will CHANGE: announces a change. False in a dry run, so that `will … && try …` is all a change needs.
will() {
    changes=$((changes + 1))
    if [ "$dry_run" ]; then
        note "would $*"
        return 1
    fi
    note "$*"
}

exists() { [ -e "$1" ] || [ -L "$1" ]; }

checksum() {
    sum=$(sha256sum <"$1") || return 1
    printf '%s\n' "${sum%% *}"
}

# Undoes what an interrupted or failed installation has begun. Everything is staged before the first file
# of the installation is replaced; until then this leaves the tree as it was.
clean_up() {
    [ -z "$stage" ] || rm -rf -- "$stage"
    [ -z "$half_written" ] || rm -f -- "$half_written"
    for dir in $made_dirs; do
        rmdir -- "$remotes/$dir" 2>/dev/null
    done
}

# ---- what is installed, and what is there ----------------------------------------------------------

program=vmm/xcp/one-xcp
stub=vmm/xcp/one-xcp.sh
rc=etc/vmm/xcp/xcprc
manifest=vmm/xcp/.one-xcp-manifest
# OpenNebula lists every one of these; one that is missing stops the monitoring of the host.
im_dirs='im/xcp.d im/xcp-probes.d/host/beacon im/xcp-probes.d/host/system im/xcp-probes.d/host/monitor
    im/xcp-probes.d/vm/status im/xcp-probes.d/vm/monitor im/xcp-probes.d/vm/snapshot
    im/xcp-probes.d/vm/execution'
nl='
'

# True for a path below remotes that needs no quoting and stays there.
is_plain_path() {
    case $1 in
    *[!A-Za-z0-9._/-]* | *..* | *//* | */./* | */ | -*) return 1 ;;
    esac
    case ${1%%/*} in
    vmm | im | tm | datastore | vnm | etc) ;;
    *) return 1 ;;
    esac
}

# The manifest has a line `KIND VALUE PATH` for each thing we put: `dir - …`, `link TARGET …`, and
# `file SHA256 …` with the checksum of what we shipped.
read_manifest() {
    recorded=
    [ -e "$remotes/$manifest" ] || return 0
    recorded=$(cat -- "$remotes/$manifest") || fail "cannot read $remotes/$manifest"
    while read -r kind value path; do
        [ -z "$kind" ] || is_plain_path "$path" || fail "$remotes/$manifest is damaged: $kind $value $path"
    done <<TEXT
$recorded
TEXT
}

# in_list LIST TEXT: whether a line of LIST ends in TEXT, or is it.
in_list() {
    case $1$nl in
    *"$2$nl"*) return 0 ;;
    *) return 1 ;;
    esac
}

# is_ours KIND VALUE PATH: whether the thing there is still the one we put.
is_ours() {
    case $1 in
    link) [ -L "$remotes/$3" ] && [ "$(readlink -- "$remotes/$3")" = "$2" ] ;;
    file) [ -f "$remotes/$3" ] && [ ! -L "$remotes/$3" ] && [ "$(checksum "$remotes/$3")" = "$2" ] ;;
    dir) [ -d "$remotes/$3" ] && [ ! -L "$remotes/$3" ] ;;
    *) return 1 ;;
    esac
}

# take_back LIST: removes what the manifest lines of LIST name, files first, then folders from the deepest.
# What the administrator changed stays and is named.
take_back() {
    folders=
    while read -r kind value path; do
        case $kind in
        '') ;;
        dir) folders="$path $folders" ;;
        *)
            if is_ours "$kind" "$value" "$path"; then
                will "remove $path" && try "remove $path" rm -f -- "$remotes/$path"
            elif exists "$remotes/$path"; then
                note "keep $path: it was changed since the installation"
            fi
            ;;
        esac
    done <<TEXT
$1
TEXT
    if [ "$action" = uninstall ] && [ -e "$remotes/$manifest" ]; then
        will "remove $manifest" && try "remove $manifest" rm -f -- "$remotes/$manifest"
    fi
    for dir in $folders; do
        is_ours dir - "$dir" || continue
        if [ "$dry_run" ]; then
            note "would remove $dir, if it is empty then"
        elif [ -n "$(ls -A -- "$remotes/$dir")" ]; then
            note "keep $dir: it is not empty"
        else
            will "remove $dir" && try "remove $dir" rmdir -- "$remotes/$dir"
        fi
    done
}

# ---- install ---------------------------------------------------------------------------------------

find_binary() {
    if [ -z "$binary" ]; then
        for binary in "$here/target/dist/one-xcp" "$here/target/release/one-xcp" "$here/one-xcp" ''; do
            [ ! -f "$binary" ] || break
        done
        [ "$binary" ] || fail "there is no one-xcp beside install.sh: build it as docs/install.md says, and give --binary FILE"
    fi
    case $binary in
    /*) ;;
    *) binary=./$binary ;;
    esac
    [ -f "$binary" ] || fail "$binary is not a file"
    [ -x "$binary" ] || fail "$binary is not executable"
    version=$("$binary" --version 2>/dev/null </dev/null) || version=
    case $version in
    'one-xcp '[0-9]*) ;;
    *) fail "$binary is not one-xcp, or does not run on this machine: it does not answer --version" ;;
    esac
    links=$("$binary" links 2>/dev/null </dev/null) || fail "$binary does not answer links"
    [ "$links" ] || fail "$binary names no scripts"
    for path in $links; do
        case $path in
        */*/*) is_plain_path "$path" ;;
        *) false ;;
        esac || fail "$binary names a script that is no path below remotes: $path"
    done
}

# Drivers that run in dom0 need no newer glibc than it has: XCP-ng 8 and XenServer 8 have 2.17.
tell_age() {
    [ -z "$frontend" ] || return 0
    needed=$(grep -aoE 'GLIBC_2[.][0-9]+' -- "$binary" | sort -u -t. -k2n | tail -n 1)
    needed=${needed#GLIBC_2.}
    [ "${needed:-0}" -le 17 ] || note "It needs glibc 2.$needed and does not start in a dom0 of XCP-ng 8, which has" \
        "2.17: for such hosts build it as docs/install.md says, and install it with --binary FILE."
}

# What drivers on the front-end can only ask the hosts over TLS.
tell_lacks() {
    [ "$frontend" ] || return 0
    case " $("$binary" features 2>/dev/null </dev/null) " in
    *' tls '*) ;;
    *) note "$binary was built without TLS: from here it gets neither consoles nor the use of CPUs, networks and disks." \
        "Build one with: cargo build --profile dist --no-default-features --features tls" ;;
    esac
}

# add_dir DIR: into $dirs, after the folders it is in.
add_dir() {
    case " $dirs " in
    *" $1 "*) return ;;
    esac
    case $1 in
    */*) add_dir "${1%/*}" ;;
    esac
    dirs="$dirs $1"
}

# Sets $target, where the link of a script leads: up to remotes, and down to the stub.
link_target() {
    target=$stub
    above=${1%/*}
    while :; do
        target=../$target
        case $above in
        */*) above=${above%/*} ;;
        *) break ;;
        esac
    done
    [ "${1%/*}" != vmm/xcp ] || target=${stub##*/}
}

# Refuses, before anything is changed, what would go wrong on the way.
check_tree() {
    for dir in $dirs; do
        case $dir in
        # Only read, by name: a link to elsewhere does no harm there.
        etc | etc/*) ;;
        *)
            [ ! -L "$remotes/$dir" ] ||
                fail "$remotes/$dir is a link: OpenNebula copies no linked folders to its hosts; make it a folder"
            ;;
        esac
        if [ -d "$remotes/$dir" ]; then
            [ -w "$remotes/$dir" ] || fail "cannot write to $remotes/$dir: run install.sh as root or oneadmin"
        elif exists "$remotes/$dir"; then
            fail "$remotes/$dir is not a folder"
        fi
    done
    [ -w "$remotes" ] || fail "cannot write to $remotes: run install.sh as root or oneadmin"
    foreign=
    for path in $links; do
        link_target "$path"
        if exists "$remotes/$path" && ! is_ours link "$target" "$path" && ! in_list "$recorded" " $path"; then
            foreign="$foreign $path"
        fi
    done
    for path in "$program" "$stub" "$rc" "$rc.new" "$manifest"; do
        [ ! -d "$remotes/$path" ] || foreign="$foreign $path"
    done
    [ -z "$foreign" ] || fail "in $remotes there are files of another driver, move them away first:$foreign"
    ! exists "$stage_dir" || fail "another install.sh is at work, or one was killed: then remove $stage_dir"
}

# stage_file SOURCE PATH MODE: puts it on the list of what to place, under a number in the stage.
stage_file() {
    staged=$((staged + 1))
    placing="$placing$staged $2$nl"
    will "install $2" || return 0
    try "copy $2" cp -- "$1" "$stage/$staged"
    try "copy $2" chmod "$3" "$stage/$staged"
}

stage_link() {
    staged=$((staged + 1))
    placing="$placing$staged $1$nl"
    will "link $1" || return 0
    try "link $1" ln -s -- "$target" "$stage/$staged"
}

put() { new="$new$1 $2 $3$nl"; }

plan_dirs() {
    for dir in $dirs; do
        if [ ! -d "$remotes/$dir" ]; then
            missing_dirs="$missing_dirs $dir"
            put dir - "$dir"
        elif in_list "$nl$recorded" "${nl}dir - $dir"; then
            put dir - "$dir"
        fi
    done
}

plan_program() {
    for pair in "$program" "$stub"; do
        source=$here/remotes/$pair
        [ "$pair" = "$stub" ] || source=$binary
        value=$(checksum "$source") || fail "cannot read $source"
        put file "$value" "$pair"
        if ! is_ours file "$value" "$pair" || [ ! -x "$remotes/$pair" ]; then
            stage_file "$source" "$pair" 755
        fi
    done
}

plan_links() {
    for path in $links; do
        link_target "$path"
        put link "$target" "$path"
        if ! exists "$remotes/$path"; then
            stage_link "$path"
        elif ! is_ours link "$target" "$path"; then
            note "keep $path: it was changed since the installation"
        fi
    done
}

plan_rc() {
    source=$here/remotes/$rc
    value=$(checksum "$source") || fail "cannot read $source"
    put file "$value" "$rc"
    is_ours file "$value" "$rc" && return
    if exists "$remotes/$rc"; then
        current=$(checksum "$remotes/$rc") || current=unreadable
        if [ -L "$remotes/$rc" ] || ! in_list "$nl$recorded" "${nl}file $current $rc"; then
            note "keep $rc: it was changed; the one of this version is $rc.new"
            put file "$value" "$rc.new"
            is_ours file "$value" "$rc.new" || stage_file "$source" "$rc.new" 644
            return
        fi
    fi
    stage_file "$source" "$rc" 644
}

make_dirs() {
    for dir in $missing_dirs; do
        will "make $dir" || continue
        try "make $dir" mkdir -- "$remotes/$dir"
        made_dirs="$dir $made_dirs"
        [ -z "$owner" ] || try "give $dir to $owner" chown "$owner" "$remotes/$dir"
    done
}

# write_manifest TEXT NUMBER
write_manifest() {
    [ -z "$dry_run" ] || return 0
    printf '%s' "$1" >"$stage/$2" || fail "cannot write $stage/$2"
    chmod 644 "$stage/$2" || fail "cannot write $stage/$2"
}

place() {
    try "place $2" mv -f -- "$stage/$1" "$remotes/$2"
}

install_all() {
    for file in "$stub" "$rc"; do
        [ -f "$here/remotes/$file" ] || fail "$here/remotes/$file is missing: unpack the whole release"
    done
    find_binary
    tell_lacks
    dirs=
    for dir in vmm/xcp etc/vmm/xcp $im_dirs; do
        add_dir "$dir"
    done
    for path in $links; do
        add_dir "${path%/*}"
    done
    check_tree

    new='' placing='' missing_dirs='' staged=0
    if [ -z "$dry_run" ]; then
        try "write to $remotes" mkdir -- "$stage_dir"
        stage=$stage_dir
    fi
    plan_dirs
    make_dirs
    plan_program
    plan_links
    plan_rc
    # What only the older version put. It stays in the manifest until it is gone.
    stale=
    while read -r kind value path; do
        [ -z "$kind" ] || in_list "$nl$new" " $path" || stale="$stale$kind $value $path$nl"
    done <<TEXT
$recorded
TEXT
    if [ "$changes$stale" = 0 ] && [ "$new" = "$recorded$nl" ]; then
        note "$version is installed in $remotes already"
        return
    fi
    write_manifest "$new$stale" transient
    write_manifest "$new" final
    [ -z "$dry_run" ] && [ "$owner" ] && try "give the files to $owner" chown -hR "$owner" "$stage"
    if [ -z "$dry_run" ]; then
        made_dirs=
        place transient "$manifest"
        while read -r number path; do
            [ -z "$number" ] || place "$number" "$path"
        done <<TEXT
$placing
TEXT
    fi
    take_back "$stale"
    [ "$dry_run" ] && return
    place final "$manifest"
    note "$version is installed in $remotes, from $binary"
    tell_age
}

uninstall_all() {
    if [ ! -e "$remotes/$manifest" ]; then
        note "one-xcp is not installed in $remotes"
        return
    fi
    while read -r kind value path; do
        dir=$remotes/${path%/*}
        [ ! -d "$dir" ] || [ -w "$dir" ] || fail "cannot write to $dir: run install.sh as root or oneadmin"
    done <<TEXT
$recorded
TEXT
    take_back "$recorded"
}

# ---- oned.conf and monitord.conf -------------------------------------------------------------------

begin_mark='# >>> one-xcp: from here to its end written by install.sh >>>'
end_mark='# <<< one-xcp <<<'
export begin_mark end_mark

# Sets $release to the first two numbers of the front-end's release, 5.10 as 5010. The remotes have a VERSION since 4.4,
# and there is a monitord.conf since 5.12.
read_release() {
    major='' minor=''
    # There need not be an end of its line.
    [ ! -r "$remotes/VERSION" ] || IFS=. read -r major minor _ <"$remotes/VERSION" || :
    case $major,$minor in
    ,* | *, | *[!0-9,]*)
        release=7000
        if [ -f "$etc/oned.conf" ] && [ ! -e "$etc/monitord.conf" ]; then release=4000; fi
        ;;
    *) release=$((major * 1000 + minor)) ;;
    esac
}

# Up to 5.10 oned asks the hosts itself, and its own file has the drivers that do.
has_monitord() { [ "$release" -ge 5012 ]; }

# A driver that is given an option it does not know does not start (getoptlong in one_vmm_exec.rb, one_im_exec.rb).
vm_mad() {
    parallel=' -p'
    [ "$release" -ge 4010 ] || parallel=
    cat <<TEXT
VM_MAD = [
    NAME                 = "xcp",
    SUNSTONE_NAME        = "XCP",
    EXECUTABLE           = "$vmm_executable",
    ARGUMENTS            = "-t 15 -r 0 xcp$parallel",
    TYPE                 = "xml",
    KEEP_SNAPSHOTS       = "yes",
    LIVE_RESIZE          = "yes",
    SUPPORT_SHAREABLE    = "yes",
    COLD_NIC_ATTACH      = "yes",
    IMPORTED_VMS_ACTIONS = "terminate, terminate-hard, hold, release, poweroff,
        poweroff-hard, delete, resched, unresched"
]
TEXT
}

# What datastores on an SR need besides.
tm_mad_conf() {
    cat <<'TEXT'
TM_MAD_CONF = [
    NAME = "xcp", LN_TARGET = "NONE", CLONE_TARGET = "SELF", SHARED = "YES", DS_MIGRATE = "NO",
    ALLOW_ORPHANS = "YES", DRIVER = "raw", DISK_TYPE = "BLOCK"
]
TEXT
}

ds_mad_conf() {
    cat <<'TEXT'
DS_MAD_CONF = [
    NAME = "xcp", REQUIRED_ATTRS = "", PERSISTENT_ONLY = "NO"
]
TEXT
}

# The network driver; of bridge types OpenNebula takes the first where a virtual network names none.
vn_mad_conf() {
    cat <<'TEXT'
VN_MAD_CONF = [
    NAME = "xcp", BRIDGE_TYPE = "openvswitch,linux"
]
TEXT
}

im_mad() {
    limit='-w 90 ' threads=",$nl    THREADS       = 0"
    [ "$release" -ge 5002 ] || limit=
    has_monitord || threads=
    cat <<TEXT
IM_MAD = [
    NAME          = "xcp",
    SUNSTONE_NAME = "XCP",
    EXECUTABLE    = "$im_executable",
    ARGUMENTS     = "-r 3 -t 15 ${limit}xcp"$threads
]
TEXT
}

# has_entry MAD [ATTRIBUTE]: whether the configuration on standard input has a MAD of the name xcp, with that
# attribute. Comments are dropped and brackets in strings blanked first, as OpenNebula reads it.
has_entry() {
    awk -v mad="$1" -v attribute="${2:-NAME}" '
        {
            line = ""
            for (i = 1; i <= length($0); i++) {
                c = substr($0, i, 1)
                if (quoted && c == "\\") { i++; continue }
                if (c == "\"") quoted = !quoted
                else if (quoted && (c == "[" || c == "]")) c = " "
                else if (!quoted && c == "#") break
                line = line c
            }
            text = text line " "
        }
        END {
            n = split(text, part, "(^|[^A-Za-z_0-9])" mad "[ \t\r]*=[ \t\r]*\\[")
            for (i = 2; i <= n; i++) {
                sub(/\].*/, "", part[i])
                if ((" " part[i]) ~ /[^A-Za-z_0-9][Nn][Aa][Mm][Ee][ \t\r]*=[ \t\r]*"xcp"/ &&
                    (" " toupper(part[i])) ~ ("[^A-Z_0-9]" attribute "[ \t\r]*=[ \t\r]*\"[^\"]")) exit 0
            }
            exit 1
        }'
}

# with_block TEXT: standard input with our block replaced by TEXT, or without it if there is none.
with_block() {
    block=$1 awk '
        function put() { if (block != "" && !done) print begin "\n" block "\n" end; done = 1 }
        BEGIN { begin = ENVIRON["begin_mark"]; end = ENVIRON["end_mark"]; block = ENVIRON["block"] }
        $0 == begin && !inside { inside = 1; put(); next }
        $0 == end && inside { inside = 0; next }
        !inside { print }
        END { if (inside) exit 3; put() }'
}

# with_lists add|remove: standard input with xcp in the lists of TM_MAD and DATASTORE_MAD, or without.
with_lists() {
    awk -v how="$1" '
        function edit(line, option,    list) {
            if (!match(line, "[ \t\"]" option " +[A-Za-z0-9_,-]+")) return line
            list = substr(line, RSTART, RLENGTH)
            if (how == "remove") { if (!sub(/,xcp,/, ",", list)) sub(/,xcp$/, "", list) }
            else if (list !~ /[ ,]xcp(,|$)/) list = list ",xcp"
            return substr(line, 1, RSTART - 1) list substr(line, RSTART + RLENGTH)
        }
        /^[ \t]*(TM_MAD|DATASTORE_MAD)[ \t]*=[ \t]*\[/ { inside = 1 }
        # Up to 4.14 oned.conf has them in small letters.
        inside && !/^[ \t]*#/ && toupper($0) ~ /ARGUMENTS[ \t]*=/ { $0 = edit(edit($0, "-d"), "-s") }
        inside && /\]/ { inside = 0 }
        { print }'
}

# with_live_snapshots add|remove: the same for LIVE_DISK_SNAPSHOTS of vmm_execrc.
with_live_snapshots() {
    if [ "$1" = add ]; then
        sed '/^LIVE_DISK_SNAPSHOTS="/{/[" ]xcp-xcp[" ]/!s/"[ \t]*$/ xcp-xcp"/;}'
    else
        sed '/^LIVE_DISK_SNAPSHOTS="/s/ xcp-xcp\([" ]\)/\1/'
    fi
}

edited_live_snapshots() { with_live_snapshots "$2" <"$1"; }

# live_snapshots add|remove: OpenNebula asks for disk snapshots of a running VM only where this names the drivers.
live_snapshots() {
    execrc=$etc/vmm_exec/vmm_execrc
    [ -f "$execrc" ] || return 0
    [ ! -L "$execrc" ] || execrc=$(readlink -f -- "$execrc") || fail "cannot follow the link to vmm_execrc"
    edited_live_snapshots "$execrc" "$1" | cmp -s - "$execrc" && return
    backup=$execrc.one-xcp-backup
    if [ "$1" = add ]; then
        will "add xcp-xcp in LIVE_DISK_SNAPSHOTS of $execrc, the old file is $backup" || return 0
        keep_backup "$execrc"
        replace "$execrc" edited_live_snapshots "$execrc" add
    else
        will "remove xcp-xcp in LIVE_DISK_SNAPSHOTS of $execrc" || return 0
        replace "$execrc" edited_live_snapshots "$execrc" remove
        [ -f "$backup" ] || return 0
        if cmp -s -- "$backup" "$execrc"; then try "remove $backup" rm -f -- "$backup"
        else note "keep $backup: more was changed since"; fi
    fi
}

# replace CONF COMMAND…: what the command prints becomes the file, at once, with owner and mode as they were.
replace() {
    conf=$1
    shift
    half_written=$conf.one-xcp-new
    try "write $half_written" cp -p -- "$conf" "$half_written"
    said=$( { "$@" >"$half_written"; } 2>&1) || fail "cannot write $half_written: $said"
    try "replace $conf" mv -f -- "$half_written" "$conf"
    half_written=
}

# keep_backup CONF: beside it, as it is now.
keep_backup() {
    half_written=$1.one-xcp-backup-new
    try "write $half_written" cp -p -- "$1" "$half_written"
    try "write $1.one-xcp-backup" mv -f -- "$half_written" "$1.one-xcp-backup"
    half_written=
}

# Only oned.conf has lists: the other file stays as it is.
new_conf() {
    if [ "$entry" ]; then with_block "$entry" <"$1" | with_lists add; else with_block '' <"$1" | with_lists remove; fi
}

has_block() { grep -qxF -e "$begin_mark" -- "$1"; }

# check_conf FILE: before anything is changed. Sets $conf, behind any links, which stay as they are.
check_conf() {
    conf=$etc/$1
    [ -f "$conf" ] || fail "there is no $conf: give --etc DIR"
    [ ! -L "$conf" ] || conf=$(readlink -f -- "$conf") || fail "cannot follow the link $etc/$1"
    if [ ! -r "$conf" ] || [ ! -w "${conf%/*}" ]; then
        fail "cannot change $conf: run install.sh as root"
    fi
    with_block '' <"$conf" >/dev/null ||
        fail "$conf has a line \"$begin_mark\" and no end of it: mend it by hand"
}

# put_block WHAT: $entry, between our marks, into $conf. What it was before the first time is kept.
put_block() {
    if has_block "$conf"; then
        new_conf "$conf" | cmp -s - "$conf" && return
        will "change $1 in $conf" || return 0
    else
        will "add $1 to $conf, the old file is $conf.one-xcp-backup" || return 0
        keep_backup "$conf"
    fi
    replace "$conf" new_conf "$conf"
}

# take_block: out of $conf, and the backup with it, if nothing else was changed since.
take_block() {
    has_block "$conf" || return 0
    entry=
    will "remove the part of one-xcp from $conf" || return 0
    backup=$conf.one-xcp-backup
    # Through awk both, as the original may have had no line end at its end.
    if [ -f "$backup" ] && [ "$(new_conf "$backup" | sha256sum)" = "$(new_conf "$conf" | sha256sum)" ]; then
        replace "$conf" cat -- "$backup"
        try "remove $backup" rm -f -- "$backup"
    else
        replace "$conf" new_conf "$conf"
        [ ! -e "$backup" ] || note "keep $backup: more was changed since"
    fi
}

# add_entries FILE MAD TEXT [MAD TEXT]: each but those whose MAD has one of the name xcp that is not ours.
add_entries() {
    check_conf "$1"
    shift
    entry='' added=''
    while [ $# -gt 0 ]; do
        if with_block '' <"$conf" | has_entry "$1"; then
            note "keep $conf: its $1 of the name xcp is not from install.sh"
            case $1 in *_CONF) false ;; esac && ! with_block '' <"$conf" | has_entry "$1" SUNSTONE_NAME &&
                note "Without a SUNSTONE_NAME in it Sunstone does not offer XCP for new hosts"
        else
            entry="${entry:+$entry$nl$nl}$2" added="${added:+$added and }$1"
        fi
        shift 2
    done
    case $added in *TM_MAD_CONF*) added="$added of the name xcp, and xcp in the lists of TM_MAD and DATASTORE_MAD," ;; *) added="$added of the name xcp" ;; esac
    if [ "$entry" ]; then put_block "$added"; else take_block; fi
}

remove_entry() {
    check_conf "$1"
    take_block
}

# ---- the command line ------------------------------------------------------------------------------

# choose MODE: only one.
choose() {
    case $action in
    install | "$1") action=$1 ;;
    *) refuse_usage "--$action and --$1 exclude each other" ;;
    esac
}

action=install
binary='' configure='' sunstone='' dry_run='' frontend='' fireedge_named='' vmm_executable=one_vmm_exec im_executable=one_im_ssh
remotes=${ONE_LOCATION:+$ONE_LOCATION/var}
remotes=${remotes:-/var/lib/one}/remotes
etc=${ONE_LOCATION:+$ONE_LOCATION/etc}
etc=${etc:-/etc/one}
fireedge=${ONE_LOCATION:+$ONE_LOCATION/lib}
fireedge=${fireedge:-/usr/lib/one}/fireedge
while [ $# -gt 0 ]; do
    case $1 in
    --binary | --remotes | --etc | --fireedge)
        [ "${2-}" ] || refuse_usage "$1 needs a value"
        case $1 in
        --binary) binary=$2 ;;
        --remotes) remotes=$2 ;;
        --etc) etc=$2 ;;
        --fireedge) fireedge=$2 fireedge_named=yes ;;
        esac
        shift
        ;;
    --configure) configure=yes ;;
    --sunstone) sunstone=yes ;;
    --check) choose check ;;
    --frontend | --local) frontend=yes vmm_executable=one_vmm_sh im_executable=one_im_sh ;;
    --uninstall) choose uninstall ;;
    --dry-run) dry_run=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) refuse_usage "unknown option $1" ;;
    esac
    shift
done

changes=0 stage='' half_written='' made_dirs=''
here=$(cd -- "$(dirname -- "$0")" && pwd -P) || fail "cannot enter the folder of $0"
command -v sha256sum >/dev/null || fail "sha256sum is missing on this machine"
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
[ -f "$here/sunstone/sunstone.sh" ] || fail "$here/sunstone/sunstone.sh is missing: unpack the whole release"
# shellcheck source=sunstone/sunstone.sh
. "$here/sunstone/sunstone.sh"

# Sunstone alone: it may be on another machine than OpenNebula, without remotes.
case $action,$sunstone,$configure in
check,*)
    check_sunstone
    exit 0
    ;;
install,yes,)
    install_sunstone
    exit 0
    ;;
uninstall,yes,)
    uninstall_sunstone
    exit 0
    ;;
esac
[ -d "$remotes" ] || fail "there are no OpenNebula remotes in $remotes: give --remotes DIR"
remotes=$(cd -- "$remotes" && pwd -P) || fail "cannot enter $remotes"
stage_dir=$remotes/.one-xcp-install
if [ "$configure" ]; then
    [ -d "$etc" ] || fail "there is no OpenNebula configuration in $etc: give --etc DIR"
    etc=$(cd -- "$etc" && pwd -P) || fail "cannot enter $etc"
    check_conf oned.conf
fi
read_release
if [ "$configure" ] && { has_monitord || [ -e "$etc/monitord.conf" ]; }; then
    check_conf monitord.conf
fi
# Run by root, files belong to whom the remotes belong to: oneadmin has to read and update them.
owner=
if [ "$(id -u)" = 0 ]; then
    read -r _ _ user group _ <<TEXT
$(ls -ldn -- "$remotes")
TEXT
    owner=$user:$group
fi

read_manifest
if [ "$action" = uninstall ]; then
    uninstall_sunstone
    uninstall_all
    if [ "$configure" ]; then
        remove_entry oned.conf
        [ ! -e "$etc/monitord.conf" ] || remove_entry monitord.conf
        live_snapshots remove
    elif [ -r "$etc/oned.conf" ] && has_block "$etc/oned.conf"; then
        note "$etc/oned.conf still names the driver: install.sh --uninstall --configure removes it there"
    fi
    exit 0
fi

[ -z "$sunstone" ] || find_fireedge
install_all
# Up to 4.14 a host's network driver is named as well.
network=' -n dummy'
[ "$release" -lt 5000 ] || network=

if [ "$configure" ]; then
    if has_monitord; then
        add_entries oned.conf VM_MAD "$(vm_mad)" TM_MAD_CONF "$(tm_mad_conf)" DS_MAD_CONF "$(ds_mad_conf)" \
            VN_MAD_CONF "$(vn_mad_conf)"
        add_entries monitord.conf IM_MAD "$(im_mad)"
    else
        add_entries oned.conf VM_MAD "$(vm_mad)" TM_MAD_CONF "$(tm_mad_conf)" DS_MAD_CONF "$(ds_mad_conf)" \
            VN_MAD_CONF "$(vn_mad_conf)" IM_MAD "$(im_mad)"
    fi
    live_snapshots add
    [ -z "$sunstone" ] || install_sunstone
    note "Restart OpenNebula, then: onehost create NAME -i xcp -v xcp$network" \
        "(hosts that OpenNebula has already get the drivers with onehost sync --force, as oneadmin)"
else
    note "" "Add to $etc/oned.conf (or run install.sh --configure):" ""
    vm_mad && echo && tm_mad_conf && echo && ds_mad_conf && echo && vn_mad_conf
    note "" "For datastores on an SR also add xcp to the lists in ARGUMENTS of TM_MAD (-d) and DATASTORE_MAD (-d, -s)" \
        "in $etc/oned.conf, and xcp-xcp to LIVE_DISK_SNAPSHOTS in $etc/vmm_exec/vmm_execrc."
    if has_monitord; then
        note "" "Add to $etc/monitord.conf:" ""
    else
        note "" "Add to $etc/oned.conf, too:" ""
    fi
    im_mad
    note "" "Then restart OpenNebula, and: onehost create NAME -i xcp -v xcp$network"
fi
