# fish completion for vrfsetup(8). Verbs, options, and what goes where are read from the program's own help (-h), so that
# none is ever missing; VRFs, interfaces and namespaces are those of this machine.

function __vrfsetup_vrfs
    ip -o link show type vrf 2>/dev/null | string replace -rf '^\d+: ([^:@]+).*' '$1'
end

# The help is on standard input.
function __vrfsetup_value -a option
    awk -v option="$option" '
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
end

# The help is on standard input.
function __vrfsetup_place -a place
    awk -v place="$place" '
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
end

# What there is of a kind that the help names.
function __vrfsetup_words -a kind
    switch "$kind"
        case VRF
            __vrfsetup_vrfs
        case A B
            __vrfsetup_vrfs
            echo default
        case IF
            __fish_print_interfaces
        case NETNS
            ip netns list 2>/dev/null | string split -f1 ' '
        case SERVICE
            __fish_systemctl_services
        case PID
            __fish_complete_pids
        case FILE
            __fish_complete_path (commandline -ct)
        case DIRECTORY
            __fish_complete_directories (commandline -ct)
        case '*'
            # All that it can be, as a list: a mere name is in capitals.
            string match -qr '[a-z]' -- $kind; and string split ' ' -- $kind
    end
end

function __vrfsetup_offers
    set -l words (commandline -opc)
    set -l help (vrfsetup -h 2>/dev/null | string collect)
    set -l verbs
    set -l count 0
    set -l value
    for word in $words[2..-1]
        if test -n "$value"
            set value
        else if string match -q -- '-*' $word
            set value (echo $help | __vrfsetup_value $word)
        else if string match -qr '(?m)^Commands:' -- $help
            set -a verbs $word
            set help (vrfsetup $verbs -h 2>/dev/null | string collect)
        else
            set count (math $count + 1)
        end
    end
    if test -n "$value"
        __vrfsetup_words $value
    else if string match -q -- '-*' (commandline -ct)
        echo $help | sed -nE 's/^ +(-[A-Za-z], )?(--[a-z0-9-]+).*/\2/p'
    else if string match -qr '(?m)^Commands:' -- $help
        # `  verb  What it does` of the help, as fish wants it: verb, tab, what it does.
        echo $help | sed -nE '/^Commands:/,/^$/s/^  ([a-z][a-z-]*) +(.*)/\1\t\2/p'
    else
        __vrfsetup_words (echo $help | __vrfsetup_place $count)
    end
end

complete -c vrfsetup -f -a '(__vrfsetup_offers)'
