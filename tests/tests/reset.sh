# At the first boot a unit is put into a VRF and the machine is reset; at the second one it is looked at.
units=/etc/systemd/system
drop_in=$units/vrftest-plain.service.d/50-vrf.conf
loaded() { systemctl show --property=DropInPaths --value vrftest-plain.service; }

if [ ! -e /var/lib/vrftest-booted ]; then
    printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\n' >$units/vrftest-plain.service
    ln -s ../vrftest-plain.service $units/multi-user.target.wants/
    cp /opt/vrftests/vrfsetup-rollback.service $units/
    ln -s ../vrfsetup-rollback.service $units/sysinit.target.wants/
    systemctl daemon-reload
    touch /var/lib/vrftest-booted
    sync
    # From here on nothing but vrfsetup itself has the disk written.
    vrfsetup unit boot vrftest-plain --confirm 600 >/dev/null 2>&1
    [ -e $drop_in ] && [ "$(loaded)" = $drop_in ] && echo 'before: in its VRF, as systemd has loaded it'
    echo 1 >/proc/sys/kernel/sysrq
    echo b >/proc/sysrq-trigger
    sleep 600
fi

[ ! -e $drop_in ] && [ -z "$(loaded)" ] && vrf='in no VRF' || vrf='still in its VRF'
unit=$(systemctl is-active vrftest-plain.service) || :
rollback=$(systemctl show --property=Result --value vrfsetup-rollback.service)
ran=$(systemctl show --property=ExecMainStartTimestampMonotonic --value vrfsetup-rollback.service)
[ "$ran" -gt 0 ] || rollback="$rollback, but it did not run"
vrfsetup confirm 2>&1 | grep -q 'no change waits' && waits='no change waits' || waits='a change waits'
echo "after: $vrf; its unit is $unit; the rollback is $rollback; $waits"
