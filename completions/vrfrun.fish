# fish completion for vrfrun(1): options, read from the program's own help (-h) so that none is ever missing, the VRFs of
# this machine, then commands.

function __vrfrun_options
    vrfrun $argv -h 2>/dev/null | awk '
        # BEGIN parts/options.awk
        # Each option of the help in a line: its forms, the name of its value in angle brackets, what it does.
        /^Options:/ { on = 1; next }
        on && /^$/ { exit }
        on { if (/^ +-/ && text) print text; if (/^ +-/) text = ""; gsub(/^ +/, " "); text = text $0 }
        END { print text }
        # END parts/options.awk
    '
end

# Whether no VRF is to come, but '--' and a command.
function __vrfrun_each
    set -l words (commandline -opc)
    contains -- --each $words; or test "$words[2]" = each
end

# A command of vrfrun's own stands there.
function __vrfrun_agent
    set -l words (commandline -opc)
    test "$words[2]" = oci-agent
end

function __vrfrun_vrfs
    if contains -- --interface (commandline -opc)
        string replace /sys/class/net/ '' /sys/class/net/*
        return
    end
    ip -o link show type vrf 2>/dev/null | string replace -rf '^\d+: ([^:@]+).*' '$1'
    printf "%s\n" default each oci-agent
end

# How many words stand before the cursor that are neither options nor their values.
function __vrfrun_words
    set -l count 0
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip -eq 1
            set skip 0
            continue
        end
        switch $word
            case $__vrfrun_with_value
                set skip 1
            case --
                # A command stands after it, where a VRF would stand otherwise.
                __vrfrun_each; and set count (math $count + 1)
            case '-*'
            case each
                __vrfrun_each; or set count (math $count + 1)
            case '*'
                set count (math $count + 1)
        end
    end
    echo $count
end

function __vrfrun_before_vrf
    test (__vrfrun_words) -eq 0
end

complete -c vrfrun -f -n '__vrfrun_before_vrf; and not __vrfrun_each' -a '(__vrfrun_vrfs)'
complete -c vrfrun -f -n '__vrfrun_before_vrf; and __vrfrun_each' -a --
complete -c vrfrun -n 'not __vrfrun_before_vrf; and not __vrfrun_each; and not __vrfrun_agent' -xa '(__fish_complete_subcommand --fcs-skip=2)'
complete -c vrfrun -n 'not __vrfrun_before_vrf; and __vrfrun_each' -xa '(__fish_complete_subcommand --fcs-skip=1 $__vrfrun_with_value)'

set -g __vrfrun_with_value
for line in (__vrfrun_options)
    string match -qr '^ (-(?<short>\w), )?--(?<long>[a-z0-9-]+)((?<optional>\[=)<[^>]*>\]| <(?<value>[^>]*)>)? +(?<about>.*)$' -- $line; or continue
    set -l choice (string match -r 'possible values: ([^]]*)\]' -- $line)
    set -l option -c vrfrun -n __vrfrun_before_vrf -l $long -d $about
    test -n "$short"; and set -a option -s $short
    if test -n "$value"
        set -a __vrfrun_with_value --$long
        test -n "$short"; and set -a __vrfrun_with_value -$short
    end
    if test -n "$optional"
        complete $option -fa (string replace -a , '' $choice[2])
    else if set -q choice[2]
        complete $option -xa (string replace -a , '' $choice[2])
    else
        switch "$value"
            case ''
                complete $option
            case NETNS
                complete $option -xa "(ip netns list 2>/dev/null | string split -f1 ' ')"
            case 'USER*'
                complete $option -xa '(__fish_complete_users)'
            case FILE
                complete $option -rF
            case '*'
                complete $option -x
        end
    end
end

for line in (__vrfrun_options oci-agent)
    string match -qr '^ --(?<long>[a-z0-9-]+)( \[?<(?<value>[^>]*)>\]?)? +(?<about>.*)$' -- $line; or continue
    if test -n "$value"
        complete -c vrfrun -n __vrfrun_agent -l $long -d $about -rF
    else
        complete -c vrfrun -f -n __vrfrun_agent -l $long -d $about
    end
end
