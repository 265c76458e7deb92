# bash completion for vrfrun(1): options, read from the program's own help (-h) so that none is ever missing, the VRFs
# of this machine, then commands.

# The help is on standard input.
_vrfrun_value() {
    awk -v option="$1" '
        # BEGIN parts/value.awk
        # What the help says of the value of this option: all that it can be, or its name; nothing if there is none.
        /^ +-/ { on = 0; for (i = 1; i <= NF && $i ~ /^-/; i++) on += ($i == option || $i == option ",") }
        on { text = text " " $0 }
        END {
            if (!match(text, /^ *(-[A-Za-z], )?--[a-z0-9-]+ <[^>]*>/)) exit
            value = substr(text, RSTART, RLENGTH); sub(/^[^<]*</, "", value); sub(/>$/, "", value)
            gsub(/ +/, " ", text)
            if (match(text, /\[possible values: [^]]*\]/)) {
                value = substr(text, RSTART + 18, RLENGTH - 19); gsub(/,/, "", value)
            }
            print value
        }
        # END parts/value.awk
    '
}

_vrfrun_vrfs() {
    ip -o link show type vrf 2>/dev/null | sed -E 's/^[0-9]+: ([^:@]+).*/\1/'
    printf "%s\n" default each oci-agent
}

_vrfrun() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word i interface= each= help value=
    COMPREPLY=()
    if ((COMP_CWORD > 1)) && [[ ${COMP_WORDS[1]} == oci-agent ]]; then
        _vrfrun_oci_agent "$cur"
        return
    fi
    help=$("${COMP_WORDS[0]}" -h 2>/dev/null)
    # The first word that is neither an option nor an option's value is VRF; the command stands after it.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --interface) interface=1 ;;
        --each | each) each=1 ;;
        --)
            if [[ $each ]]; then
                _vrfrun_command $((i + 1))
                return
            fi
            ;;
        -*) [[ $(_vrfrun_value "$word" <<<"$help") ]] && ((i++)) ;;
        *)
            _vrfrun_command $((i + 1))
            return
            ;;
        esac
    done
    [[ $prev == -* ]] && value=$(_vrfrun_value "$prev" <<<"$help")
    case $value in
    '') ;;
    NETNS) mapfile -t COMPREPLY < <(compgen -W "$(ip netns list 2>/dev/null | cut -d' ' -f1)" -- "$cur") && return ;;
    USER*) mapfile -t COMPREPLY < <(compgen -u -- "$cur") && return ;;
    FILE) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return ;;
    *[a-z]*) mapfile -t COMPREPLY < <(compgen -W "$value" -- "$cur") && return ;;
    *) return ;;
    esac
    if [[ $cur == -* ]]; then
        word=$(sed -nE 's/^ +(-[A-Za-z]), (--[a-z0-9-]+).*/\1 \2/p; s/^ +(--[a-z0-9-]+).*/\1/p' <<<"$help")
        mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
    elif [[ $each ]]; then
        mapfile -t COMPREPLY < <(compgen -W "--" -- "$cur")
    elif [[ $interface ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(ls /sys/class/net)" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W "$(_vrfrun_vrfs)" -- "$cur")
    fi
}

# A command of vrfrun's own: its options and files.
_vrfrun_oci_agent() {
    local options
    if [[ $1 == -* ]]; then
        options=$("${COMP_WORDS[0]}" oci-agent -h 2>/dev/null | sed -nE 's/^ +(-[A-Za-z], )?(--[a-z0-9-]+).*/\2/p')
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$1")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$1")
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
