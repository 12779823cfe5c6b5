# shellcheck shell=sh
# What install.sh does to FireEdge, which is OpenNebula's Sunstone since 6.x: a part of it. See docs/sunstone.md.
#
# FireEdge 7 loads modules that remotes-config.yaml names: it gets one of ours, and no file of it changes.
# FireEdge 6 is one bundle: two places in it are changed, if they are what we know.

module_source=$here/sunstone/XcpModule/remoteEntry.js
modules_conf=fireedge/sunstone/remotes-config.yaml

# Sets where things are in $fireedge.
place_fireedge() {
    module=$fireedge/dist/modules/XcpModule/remoteEntry.js
    bundle=$fireedge/dist/client/bundle.sunstone.js
    pristine=$bundle.one-xcp-orig
}
place_fireedge

# Sets $kind: module (FireEdge 7) or bundle (FireEdge 6).
find_fireedge() {
    if [ -f "$fireedge/dist/modules/ConstantsModule/remoteEntry.js" ]; then
        kind=module
    elif [ -f "$bundle" ]; then
        kind=bundle
    else
        fail "there is no FireEdge in $fireedge: give --fireedge DIR if it is elsewhere, or leave --sunstone out: Sunstone without FireEdge needs nothing but oned.conf"
    fi
}

# check_writable DIR
check_writable() { [ -w "$1" ] || fail "cannot write to $1: run install.sh as root"; }

# ---- FireEdge 7: a module beside the others ---------------------------------------------------------

# The comment is for --uninstall, which need not be told again where FireEdge is.
module_entry() {
    cat <<TEXT
# Its file is in the FireEdge in $fireedge
XcpModule:
  name: XcpModule
  entry: __HOST__/fireedge/modules/XcpModule/remoteEntry.js
TEXT
}

# Says what is wrong with the modules on standard input; nothing, if they are in a form we can add to: a name
# at the begin of a line for each, with a name and an entry below it or in braces.
modules_fault() {
    awk '
        function fault(what) { if (!told) print what; told = 1 }
        function finish() { if (module != "" && !(named && entered)) fault("its " module " has no name or no entry") }
        function take(text) {
            if (text ~ /(^|[ {,])name: *[^ ]/) named = 1
            if (text ~ /(^|[ {,])entry: *[^ ]+[.]js/) entered = 1
        }
        { sub(/\r$/, "") }
        /^ *(#.*)?$/ { next }
        /^--- *$/ && module == "" { next }
        /^["\47]?[A-Za-z_][A-Za-z0-9_]*["\47]?: *([{].*[}] *)?(#.*)?$/ {
            finish()
            module = $0
            sub(/:.*/, "", module)
            gsub(/["\47]/, "", module)
            if (seen[module]++) fault("it has " module " twice")
            named = entered = 0
            take($0)
            next
        }
        /^ +[^ ]/ && module != "" { take($0); next }
        { fault("line " NR " is not of the form we know") }
        END {
            finish()
            if (!seen["ConstantsModule"]) fault("it names no ConstantsModule")
            if (seen["XcpModule"]) fault("it has an XcpModule that install.sh did not write")
        }'
}

# Before anything is changed.
check_modules() {
    check_conf "$modules_conf"
    fault=$(with_block '' <"$conf" | modules_fault)
    [ -z "$fault" ] || fail "$conf is left alone: $fault"
    check_writable "${module%/*/*}"
    [ ! -d "${module%/*}" ] || check_writable "${module%/*}"
    if exists "$module" && ! is_our_module; then
        fail "$module is not of one-xcp: move it away first"
    fi
}

is_our_module() { [ -f "$module" ] && grep -qF 'one-xcp for OpenNebula Sunstone' -- "$module"; }

# The file before the entry: FireEdge shows nothing at all if an entry has no file.
install_module() {
    check_modules
    if ! cmp -s -- "$module_source" "$module"; then
        if will "install $module"; then
            [ -d "${module%/*}" ] || try "make ${module%/*}" mkdir -- "${module%/*}"
            half_written=$module.one-xcp-new
            try "write $half_written" cp -- "$module_source" "$half_written"
            try "write $half_written" chmod 644 "$half_written"
            try "replace $module" mv -f -- "$half_written" "$module"
            half_written=
        fi
    fi
    entry=$(module_entry)
    put_block XcpModule
    remove_pristine
}

# The entry before the file, for the same reason.
uninstall_module() {
    if [ -f "$etc/$modules_conf" ] && has_block "$etc/$modules_conf"; then
        check_conf "$modules_conf"
        ! is_our_module || check_writable "${module%/*}"
        take_block
    fi
    is_our_module || return 0
    check_writable "${module%/*}"
    check_writable "${module%/*/*}"
    will "remove $module" || return 0
    try "remove $module" rm -f -- "$module"
    rmdir -- "${module%/*}" 2>/dev/null || note "keep ${module%/*}: it is not empty"
}

# ---- FireEdge 6: two places in the bundle -----------------------------------------------------------

bundle_mark='/*one-xcp>*/'
bundle_end='/*<one-xcp*/'
export bundle_mark bundle_end

is_patched() { grep -qF -e "$bundle_mark" -- "$1"; }

# The bundle on standard input with XCP in the list of hypervisors and in the table of actions, as releases
# 6.4.3 to 6.10 have them. If not both are there exactly once, it says so on standard error and exits with 3.
with_xcp() {
    xcp_actions=$(sed -n '/>>> xcpActions/,/<<< xcpActions/p' "$module_source" | sed '1d;$d' | tr -s ' \n' ' ')
    xcp_actions=$xcp_actions awk '
        BEGIN {
            id = "[A-Za-z_$][A-Za-z0-9_$]*"
            key = "[[]" id "[.]"
            list = id "=[{]kvm:\"kvm\",(vcenter:\"vcenter\",firecracker:\"firecracker\",)?lxc:\"lxc\",dummy:\"dummy\"" \
                "(,qemu:\"qemu\")?[}]"
            table = "[{]undefined:" id "," key "dummy[]]:" id "," key "kvm[]]:" id "(," key "vcenter[]]:" id \
                "," key "firecracker[]]:" id ")?," key "lxc[]]:" id "(," key "qemu[]]:" id ")?[}]"
        }
        # How often the pattern is in line NR; sets found, and where its last character is.
        function count(pattern,    rest, at, n) {
            rest = $0
            at = 0
            while (match(rest, pattern)) {
                n++
                found = substr(rest, RSTART, RLENGTH)
                at += RSTART + RLENGTH - 1
                where = at
                rest = substr(rest, RSTART + RLENGTH)
            }
            return n
        }
        {
            line[NR] = $0
            if (n = count(list)) { lists += n; list_line = NR; list_end = where; hypervisors = found }
            if (n = count(table)) { tables += n; table_line = NR; table_end = where; actions = found }
        }
        # Puts the text before the character at the place, between our marks.
        function insert(number, place, text) {
            line[number] = substr(line[number], 1, place - 1) ENVIRON["bundle_mark"] "," text \
                ENVIRON["bundle_end"] substr(line[number], place)
        }
        END {
            sub(/=.*/, "", hypervisors)
            kvm = actions
            n = split(actions, keys, "[[]")
            for (i = 2; i <= n; i++) if (index(keys[i], hypervisors ".") != 1) strange = 1
            if (list_line == table_line && list_end > table_end) strange = 1
            if (lists != 1 || tables != 1 || strange) {
                printf "hypervisors %d times, actions %d times%s\n", lists, tables, strange ? ", of another list" : "" \
                    >"/dev/stderr"
                exit 3
            }
            sub(/.*[.]kvm[]]:/, "", kvm)
            sub(/[^A-Za-z0-9_$].*/, "", kvm)
            # The later place first: the two may be in one line.
            insert(table_line, table_end, "[" hypervisors ".xcp]:(" ENVIRON["xcp_actions"] ")(" kvm ")")
            insert(list_line, list_end, "xcp:\"xcp\"")
            for (i = 1; i <= NR; i++) print line[i]
        }'
}

# Standard input without what with_xcp put.
without_xcp() {
    awk '
        BEGIN { mark = ENVIRON["bundle_mark"]; end = ENVIRON["bundle_end"] }
        {
            while (from = index($0, mark)) {
                to = index(substr($0, from), end)
                if (!to) exit 3
                $0 = substr($0, 1, from - 1) substr($0, from + to - 1 + length(end))
            }
            print
        }'
}

plain_bundle() { without_xcp <"$bundle"; }

# The bundle as it is to be.
new_bundle() { plain_bundle | with_xcp; }

install_bundle() {
    check_writable "${bundle%/*}"
    half_written=${bundle%/*}/one-xcp-new.js
    # Also in a dry run: it tells whether it can be done.
    try "write $half_written" cp -p -- "$bundle" "$half_written"
    said=$( { new_bundle >"$half_written"; } 2>&1) ||
        fail "$bundle is left alone, this release's is not known here: $said"
    # FireEdge runs on node: it can tell whether a bundle is whole.
    if command -v node >/dev/null; then
        said=$(node --check "$half_written" 2>&1) || fail "$bundle is left alone, with XCP it would not run: $said"
    fi
    if ! cmp -s -- "$half_written" "$bundle"; then
        if ! is_patched "$bundle" && will "keep $bundle as $pristine"; then
            try "write $pristine" cp -p -- "$bundle" "$pristine"
        fi
        if will "add XCP to $bundle"; then
            try "replace $bundle" mv -f -- "$half_written" "$bundle"
        fi
    fi
    rm -f -- "$half_written"
    half_written=
}

uninstall_bundle() {
    if [ -f "$bundle" ] && is_patched "$bundle"; then
        check_writable "${bundle%/*}"
        if [ -f "$pristine" ] && [ "$(plain_bundle | sha256sum)" = "$(without_xcp <"$pristine" | sha256sum)" ]; then
            will "put back $bundle" && try "put back $bundle" mv -f -- "$pristine" "$bundle"
        elif will "remove XCP from $bundle"; then
            replace "$bundle" plain_bundle
        fi
    fi
    remove_pristine
}

# What was kept of a bundle that an upgrade has replaced is of no use.
remove_pristine() {
    if [ -f "$pristine" ] && ! { [ -f "$bundle" ] && is_patched "$bundle"; }; then
        will "remove $pristine" && try "remove $pristine" rm -f -- "$pristine"
    fi
    return 0
}

# ---- what install.sh calls --------------------------------------------------------------------------

install_sunstone() {
    [ -f "$module_source" ] || fail "$module_source is missing: unpack the whole release"
    find_fireedge
    before=$changes
    "install_$kind"
    if [ "$changes" = "$before" ]; then
        note "Sunstone in $fireedge has XCP already"
    elif [ -z "$dry_run" ]; then
        note "Sunstone in $fireedge has XCP: load it anew in the browser. After each upgrade: install.sh --check"
    fi
}

uninstall_sunstone() {
    [ "$fireedge_named" ] || recall_fireedge
    before=$changes
    uninstall_module
    uninstall_bundle
    if [ "$sunstone" ] && [ "$changes" = "$before" ]; then
        note "there is nothing of one-xcp in the Sunstone in $fireedge, nor in $etc/$modules_conf"
    fi
}

# Where it was when it got the module.
recall_fireedge() {
    [ -r "$etc/$modules_conf" ] || return 0
    recalled=$(sed -n 's/^# Its file is in the FireEdge in //p' -- "$etc/$modules_conf")
    [ -d "$recalled" ] || return 0
    fireedge=$recalled
    place_fireedge
}

# Tells whether XCP hosts can be added, and their VMs operated, in the Sunstone that is in place; and what to
# do if not.
check_sunstone() {
    find_fireedge
    fault=$(names_fault)$("${kind}_fault")
    [ -z "$fault" ] || fail "Sunstone in $fireedge does not have XCP: $fault"
    note "Sunstone in $fireedge has XCP"
}

# Sunstone sends the virtualization driver's name as that of monitoring, too. FireEdge may be on a machine
# without OpenNebula's configuration.
names_fault() {
    if [ -r "$etc/oned.conf" ] && ! has_entry VM_MAD SUNSTONE_NAME <"$etc/oned.conf"; then
        printf '%s' "oned.conf has no VM_MAD with NAME xcp and a SUNSTONE_NAME: run install.sh --configure; "
    fi
    if [ -r "$etc/monitord.conf" ] && ! has_entry IM_MAD <"$etc/monitord.conf"; then
        printf '%s' "monitord.conf has no IM_MAD with NAME xcp: run install.sh --configure; "
    fi
}

module_fault() {
    conf=$etc/$modules_conf
    constants=$fireedge/dist/modules/ConstantsModule
    shape='=\{kvm:"kvm"(,[a-z]+:"[a-z]+")*\}.*\{undefined:'
    if [ ! -f "$conf" ]; then
        note "there is no $conf: give --etc DIR"
    elif ! grep -qE "^[\"']?XcpModule[\"']?:" -- "$conf"; then
        note "its remotes-config.yaml does not name XcpModule: run install.sh --sunstone"
    elif [ ! -f "$module" ]; then
        note "XcpModule has an entry and no file, which stops the whole GUI: run install.sh --sunstone at once"
    elif ! cmp -s -- "$module_source" "$module"; then
        note "its XcpModule is of another version: run install.sh --sunstone"
    elif [ -z "$(find "$constants" -name '*.js' -exec grep -lE "$shape" -- {} +)" ]; then
        note "its ConstantsModule is not of a release known here. It works as without one-xcp; look for a newer one-xcp"
    fi
}

bundle_fault() {
    if said=$(new_bundle 2>&1 >/dev/null); then
        new_bundle | cmp -s - "$bundle" || note "its bundle is without XCP, or of another version: run install.sh --sunstone"
    else
        note "its bundle is not of a release known here ($said). FireEdge up to 6.4.2 needs no change"
    fi
}
