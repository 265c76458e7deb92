# fish completion for vrfsetup(8). Verbs and options are the program's own words (--help), so that none is
# ever missing; VRFs, interfaces and namespaces are those of this machine.

function __vrfsetup_vrfs
    ip -o link show type vrf 2>/dev/null | string replace -rf '^\d+: ([^:@]+).*' '$1'
end

# The verb and how many words stand after it.
function __vrfsetup_words
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip -eq 1
            set skip 0
            continue
        end
        switch $word
            case -n --netns --table --port --unreachable --confirm --progress --format
                set skip 1
            case '-*'
            case '*'
                echo $word
        end
    end
end

function __vrfsetup_at -a verb places
    set -l words (__vrfsetup_words)
    test "$words[1]" = $verb; and contains -- (math (count $words) - 1) (string split , $places)
end

function __vrfsetup_in -a verb
    set -l words (__vrfsetup_words)
    test "$words[1]" = $verb
end

# `  verb  What it does` of --help, as fish wants it: verb, tab, what it does.
function __vrfsetup_verbs
    vrfsetup $argv --help 2>/dev/null | sed -nE '/^Commands:/,/^$/s/^  ([a-z][a-z-]*) +(.*)/\1\t\2/p'
end

function __vrfsetup_options
    set -l words (__vrfsetup_words)
    vrfsetup $words[1] --help 2>/dev/null | sed -nE 's/^ +(-[A-Za-z], )?(--[a-z-]+).*/\2/p'
end

complete -c vrfsetup -f
complete -c vrfsetup -n 'test (count (__vrfsetup_words)) -eq 0' -a '(__vrfsetup_verbs)'
complete -c vrfsetup -n '__vrfsetup_at rules 0' -a '(__vrfsetup_verbs rules)'
complete -c vrfsetup -n 'string match -q -- "-*" (commandline -ct)' -a '(__vrfsetup_options)'
for verb in del delete show pids attach unit
    complete -c vrfsetup -n "__vrfsetup_at $verb 0" -a '(__vrfsetup_vrfs)'
end
complete -c vrfsetup -n '__vrfsetup_at leak 0,1' -a '(__vrfsetup_vrfs) default'
complete -c vrfsetup -n '__vrfsetup_in attach; and not __vrfsetup_at attach 0' -a '(__fish_print_interfaces)'
complete -c vrfsetup -n '__vrfsetup_in detach' -a '(__fish_print_interfaces)'
complete -c vrfsetup -n '__vrfsetup_in unit; and not __vrfsetup_at unit 0' -a '(__fish_systemctl_services)'
complete -c vrfsetup -n '__vrfsetup_at identify 0' -a '(__fish_complete_pids)'
complete -c vrfsetup -n '__vrfsetup_at apply 0' -F
complete -c vrfsetup -s n -l netns -xa "(ip netns list 2>/dev/null | string split -f1 ' ')" -d 'Work in this network namespace'
complete -c vrfsetup -l port -xa '(__fish_print_interfaces)' -d 'An interface that becomes its port'
complete -c vrfsetup -l unreachable -xa 'rule route none' -d 'How to stop what its table has no route for'
complete -c vrfsetup -l progress -xa 'auto always never' -d 'When to show how far it is'
complete -c vrfsetup -l format -xa 'networkd ifupdown toml' -d 'What to write'
