# bash completion for vrfsetup(8). Verbs, options, and what goes where are read from the program's own help (-h), so
# that none is ever missing; VRFs, interfaces and namespaces are those of this machine.

_vrfsetup_help() {
    "${COMP_WORDS[0]}" "$@" -h 2>/dev/null
}

# The help is on standard input.
_vrfsetup_value() {
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

# The help is on standard input.
_vrfsetup_place() {
    awk -v place="$1" '
        # BEGIN parts/place.awk
        # The name of what goes at this place of a verb, from the usage line of its help: the last may go on.
        /^Usage: / {
            for (at = 0; match($0, /(<[A-Z]+>|\[[A-Z]+\])(\.\.\.)?/); $0 = substr($0, RSTART + RLENGTH)) {
                word = substr($0, RSTART, RLENGTH)
                if (word == "[OPTIONS]") continue
                last = word
                if (at++ == place) break
            }
            if (at <= place && last !~ /\.$/) exit
            gsub(/[^A-Z]/, "", last)
            print last
        }
        # END parts/place.awk
    '
}

_vrfsetup_vrfs() {
    ip -o link show type vrf 2>/dev/null | sed -E 's/^[0-9]+: ([^:@]+).*/\1/'
}

# What there is of a kind that the help names.
_vrfsetup_words() {
    case $1 in
    VRF) _vrfsetup_vrfs ;;
    A | B) _vrfsetup_vrfs; echo default ;;
    IF) ls /sys/class/net ;;
    NETNS) ip netns list 2>/dev/null | cut -d' ' -f1 ;;
    SERVICE) systemctl list-unit-files --type=service --no-legend --plain 2>/dev/null | cut -d' ' -f1 ;;
    PID) ls /proc | grep -E '^[0-9]+$' ;;
    *[a-z]*) echo "$1" ;;
    esac
}

_vrfsetup_offer() {
    case $1 in
    FILE) mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
    DIRECTORY) mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$(_vrfsetup_words "$1")" -- "$2") ;;
    esac
}

_vrfsetup() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} word i count=0 help value verbs=()
    COMPREPLY=()
    help=$(_vrfsetup_help)
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == -* ]]; then
            [[ $(_vrfsetup_value "$word" <<<"$help") ]] && ((i++))
        elif grep -q '^Commands:' <<<"$help"; then
            verbs+=("$word")
            help=$(_vrfsetup_help "${verbs[@]}")
        else
            ((count += 1))
        fi
    done
    value=
    [[ $prev == -* ]] && value=$(_vrfsetup_value "$prev" <<<"$help")
    if [[ $value ]]; then
        _vrfsetup_offer "$value" "$cur"
    elif [[ $cur == -* ]]; then
        word=$(sed -nE 's/^ +(-[A-Za-z]), (--[a-z0-9-]+).*/\1 \2/p; s/^ +(--[a-z0-9-]+).*/\1/p' <<<"$help")
        mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
    elif grep -q '^Commands:' <<<"$help"; then
        word=$(sed -nE '/^Commands:/,/^$/s/^  ([a-z][a-z-]*).*/\1/p' <<<"$help")
        mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
    else
        _vrfsetup_offer "$(_vrfsetup_place "$count" <<<"$help")" "$cur"
    fi
}

complete -F _vrfsetup vrfsetup
