#!/bin/bash
# The first process of a host: makes the namespaces that it was started in look like a machine of its own, then runs
# sshd and collects what ends. Killing it ends everything on the host, as a power cut would.
# Arguments: NAME, the host's own folder, the user, the tree to test, the Python under it.
set -eu
name=$1 host=$2 user=$3 tree=$4 python=$5

hidden=" /usr "
# What is above a folder may be closed to other users: the same path, read-only, open to all.
show() {
  local top
  top=/$(echo "$1" | cut -d/ -f2)
  if [ "$top" = /usr ]; then return; fi
  case $hidden in *" $top "*) ;; *) mount -t tmpfs -o mode=0755 tmpfs "$top"; hidden+="$top " ;; esac
  mkdir -p "$1"
  mount --bind "$2" "$1"
  mount -o remount,bind,ro "$1"
}

mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/tree /mnt/python /mnt/host
mount --bind "$tree" /mnt/tree
mount --bind "$python" /mnt/python
mount --bind "$host" /mnt/host
show "$tree" /mnt/tree
show "$python" /mnt/python
case $hidden in *" /tmp "*) ;; *) mount -t tmpfs tmpfs /tmp ;; esac
chmod 1777 /tmp
mount -t tmpfs -o mode=1777,size=4g tmpfs /dev/shm
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir /run/sshd /run/lock
for file in passwd group shadow hosts hostname; do
  mount --bind "/mnt/host/etc/$file" "/etc/$file"
done
mount --bind /mnt/host/etc/sudoers.d /etc/sudoers.d
mount --bind /mnt/host/home /home
# The install of each host is there already; its step finds that and does nothing.
mkdir -p "/home/$user/flotilla/.venv"
chown "$user:$user" "/home/$user/flotilla" "/home/$user/flotilla/.venv"
mount --bind "$tree/.venv" "/home/$user/flotilla/.venv"
hostname "$name"
ulimit -n "$(ulimit -Hn)"
/usr/sbin/sshd -f /mnt/host/sshd_config -E /mnt/host/sshd.log
touch /mnt/host/ready
# bash collects what others have left; the sleep is all it waits for.
while :; do sleep 1000 & wait $!; done
