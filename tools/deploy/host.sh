# SPDX-License-Identifier: Apache-2.0
#
# What `reroute deploy` runs on a host: one call of a function, sent behind this text to a shell's standard input. It
# needs a POSIX shell and what every host has.
#
# Each call answers in lines KEY=VALUE. The last one is "done=" or "failed=REASON"; where neither came the connection
# has ended. A path that is empty or not absolute ends the call before anything is done.
#
# host_commit and host_clear change the host. They run beside the connection, to their end, whatever becomes of it: so
# a host is either as it was, or as it is to be.
set -u
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

fail()
{
    printf 'failed=%s\n' "$*"
    exit 1
}

say()
{
    printf '%s=%s\n' "$1" "${2-}"
}

# The last line of a text, for reasons.
last_line()
{
    printf '%s\n' "$1" | sed -n '/[^ ]/h;${g;p;}'
}

check_paths() # PATH...
{
    [ $# -gt 0 ] || fail "no path was given"
    for path in "$@"; do
        case $path in
        /*[!/]*) ;;
        *) fail "'$path' is no absolute path" ;;
        esac
    done
}

digest() # FILE..., one after the other
{
    if command -v sha256sum >/dev/null; then
        cat "$@" 2>/dev/null | sha256sum | cut -d ' ' -f 1
    elif command -v openssl >/dev/null; then
        cat "$@" 2>/dev/null | openssl dgst -sha256 | sed 's/.* //'
    else
        fail "neither sha256sum nor openssl: no checksum can be made"
    fi
}

# --- which host is this? ------------------------------------------------------------------------------------------

host_hello()
{
    system=$(uname -s)
    case $system in
    Linux)
        if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
            say kind systemd
            say systemd "$(systemctl --version | sed -n '1s/[^0-9]*\([0-9]*\).*/\1/p')"
        else
            say kind linux
        fi
        ;;
    VMkernel) say kind vmkernel ;;
    *) fail "the host is of kind '$system', expected Linux or VMkernel" ;;
    esac
    say machine "$(uname -m)"
    say release "$(uname -r)"
    say user "$(id -u)"
    for path in /usr/bin/reroute /usr/sbin/reroute /opt/reroute/bin/reroute; do
        [ ! -e "$path" ] || say package "$path"
    done
    say 'done'
}

# --- how is it? Nothing is changed --------------------------------------------------------------------------------

look_at_service() # KIND SERVICE
{
    if [ "$1" = systemd ]; then
        say state "$(systemctl is-active reroute 2>/dev/null)"
        enabled=$(systemctl is-enabled reroute 2>/dev/null)
        if [ "$enabled" = enabled ]; then
            say boot "yes: the unit is enabled"
        else
            say boot "no: the unit is ${enabled:-not there}"
        fi
    elif [ "$1" = vib ] || [ -x "$2" ]; then
        if service_is_active "$1" "$2"; then say state active; else say state inactive; fi
        say boot "$(survives "$1" "$2")"
    else
        say state inactive
        say boot "no: $2 is not there"
    fi
}

# The routes that an agent made: protocol 213 marks them (reroute.conf(5)). Each a line ADDRESS via NEXTHOP dev INTERFACE.
our_routes()
{
    for family in -4 -6; do
        ip "$family" route show proto 213 2>/dev/null |
            awk '$1 !~ /\// && $1 != "default" && $2 == "via" && $4 == "dev" { print $1, $2, $3, $4, $5 }'
    done
}

family_of() # ADDRESS
{
    case $1 in
    *:*) echo -6 ;;
    *) echo -4 ;;
    esac
}

# Where no configuration says which it is: the first one of ours.
look_at_route() # CONFIG
{
    address=$(sed -n 's/^[[:space:]]*service[[:space:]]*=[[:space:]]*"\([0-9A-Fa-f.:]*\)".*/\1/p' "$1" 2>/dev/null |
        head -n 1)
    ours=$(our_routes | awk -v a="$address" 'a == "" || a == $1' | head -n 1)
    [ -n "$address" ] || address=${ours%% *}
    [ -n "$address" ] || return 0
    say address "$address"
    say ours "$ours"
    if command -v esxcfg-route >/dev/null; then
        say route "$(esxcfg-route -l 2>/dev/null | awk -v a="$address" '$1 == a && $2 == "255.255.255.255" { print $3 }')"
    else
        say route "$(ip "$(family_of "$address")" route show "$address" 2>/dev/null |
            sed -n 's/.* via \([^ ]*\).*/\1/p' | head -n 1)"
    fi
}

# What a VIB leaves there that is gone.
look_at_datastore() # DIRECTORY
{
    if [ -d "${1%/*}" ]; then say datastore yes; else say datastore no; fi
    for path in "$1/state" "$1/reroute.vib"; do
        [ ! -e "$path" ] || say left "$path"
    done
}

look_at_vib() # ITS FILE
{
    say vib "$(vib_installed)"
    say kept "$(vib_version_of "$1")"
    say acceptance "$(esxcli software acceptance get 2>/dev/null </dev/null)"
    say secureboot "$(secure_boot)"
    [ ! -e "${1%/*}/service.sh" ] || say script "${1%/*}/service.sh"
}

look_at_vmkernel()
{
    say execInstalledOnly "$(esxcli system settings advanced list -o /User/execInstalledOnly 2>/dev/null |
        sed -n 's/^ *Int Value: *//p')"
    say httpClient "$(esxcli network firewall ruleset list -r httpClient 2>/dev/null |
        awk '$1 == "httpClient" { print $2 }')"
}

# What an agent runs with may be better than the file: then its socket is the one of the kind.
ask_status() # BINARY CONFIG
{
    if "$1" check-config --quiet "$2" >/dev/null 2>&1; then
        "$1" status --json --config "$2" 2>/dev/null
    else
        "$1" status --json --socket /run/reroute/control.sock 2>/dev/null
    fi
}

look_at_config() # BINARY CONFIG
{
    text=$("$1" check-config --quiet "$2" 2>&1)
    [ $? -ne 3 ] || say wrong "$(last_line "$text")"
    say digest "$("$1" check-config --json "$2" 2>/dev/null |
        sed -n 's/.*"digest":[[:space:]]*"\([0-9a-f]*\)".*/\1/p')"
    say status "$(ask_status "$1" "$2" | tr -d '\n')"
}

# Each line of the configuration as line:NUMBER=TEXT.
host_config() # CONFIG
{
    check_paths "$1"
    awk '{ print "line:" NR "=" $0 }' "$1"
    say 'done'
}

host_look() # KIND BINARY CONFIG SERVICE
{
    check_paths "$2" "$3" "$4"
    for file in "$2" "$3" "$4"; do
        if [ -e "$file" ]; then say "file:$file" "$(digest "$file")"; else say "file:$file" none; fi
    done
    [ ! -e "$2" ] || say version "$("$2" --version 2>&1 | tail -n 1)"
    look_at_service "$1" "$4"
    look_at_route "$3"
    [ ! -e "$3" ] || look_at_config "$2" "$3"
    case $1 in
    vmkernel)
        look_at_datastore "${4%/*}"
        look_at_vmkernel
        ;;
    vib)
        look_at_datastore "${4%/*}"
        look_at_vib "$4"
        ;;
    esac
    say 'done'
}

# --- copied beside: is it whole, and does it work here? -----------------------------------------------------------

host_verify() # STAGED DIGEST MODE, and so on
{
    while [ $# -gt 0 ]; do
        check_paths "$1"
        [ "$(digest "$1")" = "$2" ] || fail "$1: the checksum is not that of what was sent"
        chmod "$3" "$1" || fail "$1: cannot be made executable"
        shift 3
    done
    say 'done'
}

# The program itself and the configuration, each where it is now.
host_try() # BINARY CONFIG
{
    check_paths "$1" "$2"
    text=$("$1" --version 2>&1) || fail "the program does not run there: $(last_line "$text")"
    say version "$text"
    text=$("$1" check-config --quiet "$2" 2>&1) || fail "check-config there: $(last_line "$text")"
    say 'done'
}

# A VIB's program does not run before the VIB is installed.
host_try_vib() # FILE
{
    check_paths "$1"
    text=$(vib install --dry-run -f --no-sig-check -v "$1") || fail "esxcli there: $text"
    say 'done'
}

# Not while another deploy changes the host: the files beside may be its own.
host_abandon() # "made" DIRECTORY... "staged" FILE...
{
    if turn_is_taken; then
        say 'done'
        return
    fi
    what=
    for word in "$@"; do
        case $word in
        made | staged) what=$word ;;
        *)
            check_paths "$word"
            [ "$what" != staged ] || rm -f "$word"
            ;;
        esac
    done
    for word in "$@"; do
        case $word in
        staged) break ;;
        made) ;;
        *) rmdir "$word" 2>/dev/null ;;
        esac
    done
    say 'done'
}

# --- VMkernel: a VIB ------------------------------------------------------------------------------------------

vib_service=/etc/init.d/reroute
vib_config=/etc/reroute/reroute.conf

# What esxcli says when it fails is several lines, of which the last one names a log: one line without that.
vib() # WORD ARGUMENT...
{
    said=$(esxcli software vib "$@" 2>&1 </dev/null)
    code=$?
    case $said in
    *'Reboot Required: true'*)
        echo "the host would have to boot for it"
        return 1
        ;;
    esac
    [ "$code" -eq 0 ] || printf '%s\n' "$said" | sed '/log file for more/d' | sed -n 'H;${x;s/\n */ /g;s/^ *//;p;}'
    return "$code"
}

vib_installed()
{
    esxcli software vib list 2>/dev/null </dev/null | awk '$1 == "reroute" { print $2 }'
}

vib_version_of() # FILE
{
    sed -n '/<version>/{s/.*<version>\([^<]*\)<.*/\1/p;q;}' "$1" 2>/dev/null
}

secure_boot()
{
    case $(/usr/lib/vmware/secureboot/bin/secureBoot.py -s 2>/dev/null </dev/null) in
    *[Ee]nabled*) echo Enabled ;;
    esac
}

# The configuration stays what it is: a VIB brings one of its own.
vib_install() # FILE
{
    before=${1%/*}/reroute.conf.before
    rm -f "$before"
    [ ! -e "$vib_config" ] || cp "$vib_config" "$before" || return 1
    vib install -f --no-sig-check -v "$1"
    code=$?
    [ ! -e "$before" ] || write_into "$vib_config" "$before" || return 1
    return "$code"
}

# In place: the sticky bit of the file, by which a boot keeps it, is that of the VIB.
write_into() # FILE FROM
{
    cmp -s "$2" "$1" || cat "$2" >"$1"
    cmp -s "$2" "$1" || return 1
    rm -f "$2"
}

save_files()
{
    for program in /sbin/auto-backup.sh /bin/auto-backup.sh; do
        if [ -x "$program" ]; then
            "$program" >/dev/null 2>&1 </dev/null && return
            echo "$program failed: a boot would bring what was saved before"
            return 1
        fi
    done
    echo "no auto-backup.sh: $vib_config cannot be saved"
    return 1
}

vib_survives()
{
    version=$(vib_installed)
    if [ -z "$version" ]; then
        echo "no: the VIB is not installed"
    elif [ "$(secure_boot)" = Enabled ]; then
        echo "no: UEFI secure boot is on, and nobody signed the VIB"
    elif [ ! -k "$vib_config" ]; then
        echo "no: $vib_config has no sticky bit"
    else
        echo "yes: VIB $version"
    fi
}

# --- Linux without systemd: links of init ---------------------------------------------------------------------

init_enable()
{
    if command -v update-rc.d >/dev/null; then
        update-rc.d reroute defaults >/dev/null
    elif command -v chkconfig >/dev/null; then
        chkconfig --add reroute
    elif command -v rc-update >/dev/null; then
        rc-update add reroute default >/dev/null
    else
        echo "no update-rc.d, chkconfig or rc-update: nothing starts it at boot"
        return 1
    fi
}

init_disable()
{
    if command -v update-rc.d >/dev/null; then
        update-rc.d -f reroute remove >/dev/null
    elif command -v chkconfig >/dev/null; then
        chkconfig --del reroute
    elif command -v rc-update >/dev/null; then
        rc-update del reroute default >/dev/null
    fi
}

survives() # KIND SERVICE
{
    case $1 in
    vmkernel)
        "$2" survives
        return
        ;;
    vib)
        vib_survives
        return
        ;;
    esac
    for link in /etc/rc[2345].d/S??reroute /etc/rc.d/rc[2345].d/S??reroute /etc/runlevels/*/reroute; do
        if [ -e "$link" ]; then
            echo "yes: $link"
            return
        fi
    done
    echo "no: no link of init starts it"
}

# --- the service --------------------------------------------------------------------------------------------------

service_script() # KIND SERVICE
{
    if [ "$1" = vib ]; then echo "$vib_service"; else echo "$2"; fi
}

# A unit without a route to a node that answers is "activating" for up to 2 min: it runs.
service_is_active() # KIND SERVICE
{
    if [ "$1" = systemd ]; then
        case $(systemctl is-active reroute 2>/dev/null) in active | activating | reloading) true ;; *) false ;; esac
    else
        script=$(service_script "$1" "$2")
        [ -x "$script" ] && "$script" status >/dev/null
    fi
}

service_is_enabled() # KIND SERVICE
{
    if [ "$1" = systemd ]; then
        systemctl --quiet is-enabled reroute 2>/dev/null
    elif [ "$1" = vmkernel ]; then
        [ -x "$2" ] && "$2" enabled
    elif [ "$1" = vib ]; then
        [ -n "$(vib_installed)" ]
    else
        [ -x "$2" ] && case $(survives "$1" "$2") in yes*) true ;; *) false ;; esac
    fi
}

service_enable() # KIND SERVICE
{
    if [ "$1" = systemd ]; then
        systemctl daemon-reload && systemctl --quiet enable reroute
    elif [ "$1" = linux ]; then
        init_enable
    elif [ "$1" = vib ]; then
        "$binary" check-config --quiet "$config" && save_files
    else
        "$2" enable
    fi
}

service_disable() # KIND SERVICE
{
    if [ "$1" = systemd ]; then
        systemctl --quiet disable reroute
    elif [ "$1" = linux ]; then
        init_disable
    elif [ "$1" = vib ]; then
        vib remove -n reroute
    elif [ -x "$2" ]; then
        "$2" disable
    fi
}

service_stop() # KIND SERVICE
{
    if [ "$1" = systemd ]; then
        systemctl stop reroute
    else
        script=$(service_script "$1" "$2")
        [ ! -x "$script" ] || "$script" stop
    fi
}

# Units and scripts say when there is a route; that can take longer than is waited for here.
service_restart() # KIND SERVICE
{
    if [ "$1" = systemd ]; then
        systemctl daemon-reload
        systemctl reset-failed reroute 2>/dev/null
        systemctl --no-block restart reroute
    else
        script=$(service_script "$1" "$2")
        "$script" stop || return 1
        "$script" start </dev/null >/dev/null 2>&1 &
    fi
}

# The process that answers, nothing when none does.
answering_pid() # BINARY CONFIG
{
    ask_status "$1" "$2" | sed -n 's/.*"pid":[[:space:]]*\([0-9][0-9]*\).*/\1/p' | head -n 1
}

# Waits until an agent answers that is not process OLD, and still is there two seconds later.
wait_for_agent() # BINARY CONFIG OLD SECONDS
{
    left=$4
    while [ "$left" -gt 0 ]; do
        pid=$(answering_pid "$1" "$2")
        if [ -n "$pid" ] && [ "$pid" != "$3" ]; then
            sleep 2
            [ "$(answering_pid "$1" "$2")" != "$pid" ] || return 0
            left=$((left - 2))
        fi
        sleep 1
        left=$((left - 1))
    done
    return 1
}

# Why the agent refuses to start: the error of a dry run, which gets 3 s. Nothing when it starts.
refusal() # BINARY CONFIG
{
    "$1" agent --dry-run --config "$2" >"$turns/refusal" 2>&1 </dev/null &
    tried=$!
    for _ in 1 2 3; do
        sleep 1
        kill -0 "$tried" 2>/dev/null || break
    done
    kill "$tried" 2>/dev/null
    wait "$tried"
    sed -n 's/^reroute agent: //p' "$turns/refusal" | tail -n 1
    rm -f "$turns/refusal"
}

# One line: the agent's own last error, from the journal since BEGAN (seconds since 1970) or from a dry run; else what
# `status` says.
why_not() # KIND BINARY CONFIG BEGAN
{
    text=
    if [ "$1" = systemd ]; then
        text=$(journalctl --unit reroute --since "@$4" --output cat --no-pager 2>/dev/null |
            sed -n 's/^reroute agent: //p; /level=error/p' | tail -n 1)
    fi
    [ -n "$text" ] || text=$(refusal "$2" "$3")
    [ -n "$text" ] || text=$("$2" status --config "$3" 2>&1)
    last_line "$text"
}

# --- the change ---------------------------------------------------------------------------------------------------

# Where the new and the old one of a file are.
beside() # FILE
{
    if [ "$kind:$1" = "vib:$vib_config" ]; then echo "${service%/*}/reroute.conf"; else echo "$1"; fi
}

# Also what a change left that was cut off.
remove_beside()
{
    for file in "$binary" "$config" "$service"; do
        rm -f "$(beside "$file").deploy-new" "$(beside "$file").deploy-old"
    done
}

# A link would change with a file that is written in place.
keep_old() # FILE
{
    old=$(beside "$1").deploy-old
    rm -f "$old"
    [ -e "$1" ] || return 0
    case $kind:$1 in
    "vib:$vib_config") cp -p "$1" "$old" ;;
    *) ln "$1" "$old" 2>/dev/null || cp -p "$1" "$old" ;;
    esac
}

replace() # FILE FROM
{
    case $kind:$1 in
    "vib:$vib_config") write_into "$1" "$2" ;;
    vib:*) mv -f "$2" "$1" && vib_install "$1" ;;
    *) mv -f "$2" "$1" ;;
    esac
}

put_old_back() # FILE
{
    old=$(beside "$1").deploy-old
    if [ -e "$old" ]; then
        replace "$1" "$old"
    else
        rm -f "$1"
    fi
}

# The state directory is the agent's own; only files are in it. For a unit with a user of its own systemd makes a link of it.
remove_state() # DIRECTORY
{
    for name in "$1"/* "$1"/.[!.]*; do
        [ ! -f "$name" ] || rm -f "$name"
    done
    if [ -L "$1" ]; then
        rmdir "$(readlink -f "$1")" 2>/dev/null && rm -f "$1"
    else
        rmdir "$1" 2>/dev/null
    fi
}

# As it was before: files, then what started at boot, then what ran. The rest is commit's.
put_back() # REASON FILE...
{
    reason=$1
    shift
    new_pid=$(answering_pid "$binary" "$config")
    [ "$was_enabled" = yes ] || service_disable "$kind" "$service"
    [ "$was_active" = yes ] || service_stop "$kind" "$service"
    for file in "$@"; do
        text=$(put_old_back "$file" 2>&1) || reason="$reason; $file is not put back: $(last_line "$text")"
    done
    [ "$kind" != systemd ] || systemctl daemon-reload
    [ "$had_state" = yes ] || remove_state "$state"
    if [ "$kind" = vib ]; then # the new ones may be saved already
        text=$(save_files) || reason="$reason; what is put back is not saved: $(last_line "$text")"
    fi
    if [ "$was_active" != yes ]; then
        fail "$reason; put back, nothing runs, as before"
    fi
    service_restart "$kind" "$service"
    if wait_for_agent "$binary" "$config" "${new_pid:-none}" 30; then
        fail "$reason; the old one is put back and answers"
    fi
    fail "$reason; the old one is put back and does not answer either"
}

# DIGEST is that of all files. It is compared after they are renamed: until then another deploy may copy its own there.
commit() # KIND BINARY CONFIG SERVICE STATE SECONDS DIGEST FILE...
{
    kind=$1 binary=$2 config=$3 service=$4 state=$5 seconds=$6 sum=$7
    shift 7
    had_state=no
    [ ! -d "$state" ] || had_state=yes
    old_pid=$(answering_pid "$binary" "$config")
    was_active=no was_enabled=no
    ! service_is_active "$kind" "$service" || was_active=yes
    ! service_is_enabled "$kind" "$service" || was_enabled=yes
    for file in "$@"; do
        keep_old "$file" || fail "$file: the old one cannot be kept; nothing was changed"
    done
    for file in "$@"; do
        text=$(replace "$file" "$(beside "$file").deploy-new" 2>&1) ||
            put_back "$file: cannot be replaced: $(last_line "$text")" "$@"
    done
    [ "$(digest "$@" </dev/null)" = "$sum" ] || put_back "another deploy copied other files there" "$@"
    text=$(service_enable "$kind" "$service" 2>&1) ||
        put_back "cannot be enabled: $(last_line "$text")" "$@"
    began=$(date +%s)
    text=$(service_restart "$kind" "$service" 2>&1) ||
        put_back "cannot be started: $(last_line "$text")" "$@"
    wait_for_agent "$binary" "$config" "${old_pid:-none}" "$seconds" ||
        put_back "the agent does not come up: $(why_not "$kind" "$binary" "$config" "$began")" "$@"
    remove_beside
    say 'done'
}

end_start_at_boot() # WHAT IT IS WHEN IT FAILS
{
    service_is_enabled "$kind" "$service" || return 0
    text=$(service_disable "$kind" "$service" 2>&1) || fail "$1: $(last_line "$text")"
}

remove_all() # KIND BINARY CONFIG SERVICE STATE ROUTE
{
    kind=$1 binary=$2 config=$3 service=$4 state=$5
    # First what starts it: on VMkernel that is cron, each minute. A VIB goes last, its program removes the route.
    so_far=
    if [ "$kind" != vib ]; then
        end_start_at_boot "cannot be disabled"
        so_far="disabled, but "
    fi
    text=$(service_stop "$kind" "$service" 2>&1)
    if service_is_active "$kind" "$service"; then
        fail "${so_far}the service does not stop: $(last_line "$text")"
    fi
    if [ "$6" = yes ]; then
        text=$("$binary" clear --adopted --config "$config" 2>&1) ||
            fail "stopped, but the route is not removed: $(last_line "$text")"
        say note "$(last_line "$text")"
    fi
    [ "$kind" != vib ] || end_start_at_boot "stopped, but the VIB is not removed"
    remove_state "$state"
    remove_beside
    rm -f "$binary" "$config" "$service"
    rmdir "${config%/*}" 2>/dev/null
    if [ "$kind" = vib ]; then
        rmdir "${service%/*}" 2>/dev/null
        text=$(save_files) || fail "removed, but $(last_line "$text")"
    fi
    [ "$kind" != systemd ] || systemctl daemon-reload
    for file in "$binary" "$config" "$service"; do
        [ ! -e "$file" ] || fail "$file: cannot be removed"
    done
    say 'done'
}

# Of a host from which the program is gone. An agent that runs, of whatever file, keeps its route.
remove_our_routes()
{
    for name in /proc/[0-9]*/comm; do
        [ "$(cat "$name" 2>/dev/null)" != reroute ] || fail "${name%/comm} is a running reroute: the route stays"
    done
    our_routes | while read -r address _ next_hop _ interface; do
        text=$(ip "$(family_of "$address")" route del "$address" via "$next_hop" dev "$interface" proto 213 2>&1) ||
            fail "the route to $address is not removed: $(last_line "$text")"
    done
    [ -z "$(our_routes)" ] || exit 1
    say 'done'
}

# --- one change at a time -----------------------------------------------------------------------------------------
#
# Turns have numbers, and the newest counts. A turn is a link in this directory, which only one can make, to the name of
# the process that has it; then N.pid has that of the process that works beside the connection, and N.TOKEN what it says.
# A turn whose process is gone is over. The newest link always stays; who has made an older one again, of a number that
# was pruned meanwhile, has no turn.
turns=/var/run/reroute-deploy

turn_numbers()
{
    ls "$turns" 2>/dev/null | sed '/[^0-9]/d' | sort -n
}

# NUMBER:BEGAN, as another process may get the number later. BEGAN is starttime of proc(5), empty where there is no /proc.
process_name() # NUMBER
{
    printf '%s:%s\n' "$1" "$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20)"
}

# True: it is not over; the number of its process is $owner.
turn_goes_on() # NUMBER
{
    name=$(cat "$turns/$1.pid" 2>/dev/null)
    [ -n "$name" ] || name=$(readlink "$turns/$1" 2>/dev/null)
    owner=${name%%:*}
    case $owner in
    '' | *[!0-9]*) return 1 ;;
    esac
    kill -0 "$owner" 2>/dev/null && [ "$(process_name "$owner")" = "$name" ]
}

turn_is_taken()
{
    turn_goes_on "$(turn_numbers | tail -n 1)"
}

forget_turn() # NUMBER
{
    for file in "$turns/$1" "$turns/$1".*; do
        rm -f "$file" "$turns/of-${file##*.}"
    done
}

# Of the last turns it stays what they said: somebody may still ask.
take_turn()
{
    mkdir -p "$turns" || fail "$turns: cannot be made"
    newest=$(turn_numbers | tail -n 1)
    ! turn_goes_on "$newest" || fail "another deploy is at work on this host (process $owner)"
    turn=$((${newest:-0} + 1))
    text=$(ln -s "$(process_name $$)" "$turns/$turn" 2>&1) || fail "another deploy has the turn on this host ($text)"
    newest=$(turn_numbers | tail -n 1)
    [ "$newest" = "$turn" ] || fail "another deploy has the turn on this host ($newest, not $turn)"
    for number in $(turn_numbers); do
        [ "$number" -gt $((turn - 3)) ] || forget_turn "$number"
    done
}

# The work goes on when the connection ends: it heeds no hang-up, and holds none of the connection's files. What it
# says is in a file, which is passed on here while somebody listens, and stays until host_forget.
beside_the_connection() # TOKEN FUNCTION ARGUMENT...
{
    take_turn
    says=$turns/$turn.$1
    ln -s "$turn" "$turns/of-$1" 2>/dev/null || fail "it comes too late: it was given up"
    shift
    (
        trap '' HUP
        ("$@")
        echo over >"$turns/$turn.pid"
    ) >"$says" 2>&1 </dev/null &
    name=$(process_name $!)
    echo "$name" >"$turns/$turn.pid"
    wait $!
    cat "$says"
}

# What came of a change whose connection ended: it is waited for. One that has not begun never does: only one of the two
# can make its link, of-TOKEN.
host_outcome() # TOKEN
{
    mkdir -p "$turns"
    ln -s none "$turns/of-$1" 2>/dev/null
    turn=$(readlink "$turns/of-$1")
    [ "$turn" != none ] || fail "nothing was changed"
    while turn_goes_on "$turn"; do sleep 1; done
    sed 's/^failed=/&the host finished by itself: /' "$turns/$turn.$1"
}

host_forget() # TOKEN
{
    rm -f "$turns"/*."$1" "$turns/of-$1"
    say 'done'
}

host_commit() # TOKEN KIND BINARY CONFIG SERVICE STATE SECONDS DIGEST FILE...
{
    check_paths "$3" "$4" "$5" "$6"
    case $7 in
    '' | *[!0-9]*) fail "'$7' is no number of seconds" ;;
    esac
    (
        shift 8
        [ $# -eq 0 ] || check_paths "$@"
    ) || exit 1
    token=$1
    shift
    beside_the_connection "$token" commit "$@"
}

host_clear() # TOKEN KIND BINARY CONFIG SERVICE STATE yes|no
{
    check_paths "$3" "$4" "$5" "$6"
    token=$1
    shift
    beside_the_connection "$token" remove_all "$@"
}

host_clear_routes() # TOKEN
{
    beside_the_connection "$1" remove_our_routes
}
