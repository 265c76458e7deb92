# bash completion for vrfsetup(8). Verbs and options are the program's own words (--help), so that none is
# ever missing; VRFs, interfaces and namespaces are those of this machine.

_vrfsetup_verbs() {
    "${COMP_WORDS[0]}" "$@" --help 2>/dev/null | sed -nE '/^Commands:/,/^$/s/^  ([a-z][a-z-]*).*/\1/p'
}

_vrfsetup_options() {
    "${COMP_WORDS[0]}" "$@" --help 2>/dev/null | sed -nE 's/^ +(-[A-Za-z]), (--[a-z-]+).*/\1 \2/p; s/^ +(--[a-z-]+).*/\1/p'
}

_vrfsetup_vrfs() {
    ip -o link show type vrf 2>/dev/null | sed -E 's/^[0-9]+: ([^:@]+).*/\1/'
}

_vrfsetup_values() {
    case $1 in
    vrf) _vrfsetup_vrfs ;;
    vrf-or-default) _vrfsetup_vrfs; echo default ;;
    interface) ls /sys/class/net ;;
    netns) ip netns list 2>/dev/null | cut -d' ' -f1 ;;
    unit) systemctl list-unit-files --type=service --no-legend --plain 2>/dev/null | cut -d' ' -f1 ;;
    pid) ls /proc | grep -E '^[0-9]+$' ;;
    esac
}

# What stands at this place of a verb: $2 words of it are there already.
_vrfsetup_kind() {
    case $1:$2 in
    del:0 | delete:0 | show:0 | pids:0 | attach:0 | unit:0) echo vrf ;;
    leak:0 | leak:1) echo vrf-or-default ;;
    attach:* | detach:*) echo interface ;;
    unit:*) echo unit ;;
    identify:0) echo pid ;;
    esac
}

_vrfsetup() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word i verb= count=0
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        -n | --netns | --table | --port | --unreachable | --confirm | --progress | --format) ((i++)) ;;
        -*) ;;
        *) if [[ $verb ]]; then ((count += 1)); else verb=$word; fi ;;
        esac
    done
    case $prev in
    -n | --netns) mapfile -t COMPREPLY < <(compgen -W "$(_vrfsetup_values netns)" -- "$cur") && return ;;
    --port) mapfile -t COMPREPLY < <(compgen -W "$(_vrfsetup_values interface)" -- "$cur") && return ;;
    --unreachable) mapfile -t COMPREPLY < <(compgen -W 'rule route none' -- "$cur") && return ;;
    --progress) mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$cur") && return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W 'networkd ifupdown toml' -- "$cur") && return ;;
    --table | --confirm) return ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_vrfsetup_options $verb)" -- "$cur")
    elif [[ ! $verb ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_vrfsetup_verbs)" -- "$cur")
    elif [[ $verb == rules && $count == 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_vrfsetup_verbs rules)" -- "$cur")
    elif [[ $verb == apply ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W "$(_vrfsetup_values "$(_vrfsetup_kind "$verb" "$count")")" -- "$cur")
    fi
}

complete -F _vrfsetup vrfsetup
