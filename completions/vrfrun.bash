# bash completion for vrfrun(1): options, the VRFs of this machine, then commands.

_vrfrun_vrfs() {
    ip -o link show type vrf 2>/dev/null | sed -E 's/^[0-9]+: ([^:@]+).*/\1/'
    echo default
}

_vrfrun() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word i interface=
    COMPREPLY=()
    # The first word that is neither an option nor an option's value is VRF; the command stands after it.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        -m | --mechanism | -n | --netns | -u | --user | --resolv-conf | --dns) ((i++)) ;;
        --interface) interface=1 ;;
        --) ;;
        -*) ;;
        *)
            _vrfrun_command $((i + 1))
            return
            ;;
        esac
    done
    case $prev in
    -m | --mechanism) mapfile -t COMPREPLY < <(compgen -W 'auto bpf preload seccomp' -- "$cur") && return ;;
    -n | --netns) mapfile -t COMPREPLY < <(compgen -W "$(ip netns list 2>/dev/null | cut -d' ' -f1)" -- "$cur") && return ;;
    -u | --user) mapfile -t COMPREPLY < <(compgen -u -- "$cur") && return ;;
    --resolv-conf) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return ;;
    --dns) return ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '-m --mechanism --explain -j --json -v --verbose --interface -n --netns
            -u --user --resolv-conf --dns --no-etc --strict --no-supervisor --keep-fds --unguarded -h --help
            -V --version' -- "$cur")
    elif [[ $interface ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(ls /sys/class/net)" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W "$(_vrfrun_vrfs)" -- "$cur")
    fi
}

# Completes the command and its arguments as if vrfrun did not stand before it.
_vrfrun_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
    fi
}

complete -F _vrfrun vrfrun
