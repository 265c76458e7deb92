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
    # What is said now may not get out any more.
    [ -e $drop_in ] && [ "$(loaded)" = $drop_in ] || { echo 'it is not in its VRF'; exit 1; }
    echo 1 >/proc/sys/kernel/sysrq
    echo b >/proc/sysrq-trigger
    sleep 600
fi

[ ! -e $drop_in ] && [ -z "$(loaded)" ] && vrf='in no VRF' || vrf='still in its VRF'
unit=$(systemctl is-active vrftest-plain.service) || :
# Without it vrfsetup-early.service would do so, too late for units that start before.
said=$(journalctl --boot --no-pager --output=cat --unit=vrfsetup-rollback.service)
case $said in *"('vrfsetup unit boot vrftest-plain --confirm 600') was cut off by the machine's end and is rolled back"*) by='by the rollback' ;; *) by="$said" ;; esac
vrfsetup confirm 2>&1 | grep -q 'no change waits' && waits='no change waits' || waits='a change waits'
echo "$vrf $by; its unit is $unit; $waits"
