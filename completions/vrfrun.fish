# fish completion for vrfrun(1): options, the VRFs of this machine, then commands.

function __vrfrun_vrfs
    if contains -- --interface (commandline -opc)
        string replace /sys/class/net/ '' /sys/class/net/*
        return
    end
    ip -o link show type vrf 2>/dev/null | string replace -rf '^\d+: ([^:@]+).*' '$1'
    echo default
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
            case -m --mechanism -n --netns -u --user --resolv-conf --dns
                set skip 1
            case '-*'
            case '*'
                set count (math $count + 1)
        end
    end
    echo $count
end

function __vrfrun_before_vrf
    test (__vrfrun_words) -eq 0
end

complete -c vrfrun -f -n __vrfrun_before_vrf -a '(__vrfrun_vrfs)'
complete -c vrfrun -n 'not __vrfrun_before_vrf' -xa '(__fish_complete_subcommand --fcs-skip=2)'
complete -c vrfrun -n __vrfrun_before_vrf -s m -l mechanism -xa 'auto bpf preload seccomp' -d 'How to bind'
complete -c vrfrun -n __vrfrun_before_vrf -l explain -d 'Run nothing, say what would be done'
complete -c vrfrun -n __vrfrun_before_vrf -s j -l json -d 'With --explain: as JSON'
complete -c vrfrun -n __vrfrun_before_vrf -s v -l verbose -d 'Say what was chosen'
complete -c vrfrun -n __vrfrun_before_vrf -l interface -d 'VRF may be any interface'
complete -c vrfrun -n __vrfrun_before_vrf -s n -l netns -xa "(ip netns list 2>/dev/null | string split -f1 ' ')" -d 'Enter this network namespace'
complete -c vrfrun -n __vrfrun_before_vrf -s u -l user -xa '(__fish_complete_users)' -d 'Become this user after binding'
complete -c vrfrun -n __vrfrun_before_vrf -l resolv-conf -rF -d 'Put a copy of this file over /etc/resolv.conf'
complete -c vrfrun -n __vrfrun_before_vrf -l dns -x -d 'Resolve names by this server'
complete -c vrfrun -n __vrfrun_before_vrf -l no-etc -d 'Leave /etc as it is'
complete -c vrfrun -n __vrfrun_before_vrf -l strict -d "Deny the program's own ways out"
complete -c vrfrun -n __vrfrun_before_vrf -l no-supervisor -d 'Deny what the shim did not make'
complete -c vrfrun -n __vrfrun_before_vrf -l keep-fds -d 'Inherit sockets as they are'
complete -c vrfrun -n __vrfrun_before_vrf -l unguarded -d 'No filter behind the preload'
complete -c vrfrun -n __vrfrun_before_vrf -s h -l help -d 'Print help'
complete -c vrfrun -n __vrfrun_before_vrf -s V -l version -d 'Print the version'
