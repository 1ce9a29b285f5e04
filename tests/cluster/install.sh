#!/bin/sh
# Installs what a private SLURM needs, if it is missing and this is Debian or Ubuntu and we are root.
set -eu
PATH="$PATH:/usr/sbin"
if command -v slurmctld && command -v slurmd && command -v sbatch && command -v munged; then
    exit 0
fi >/dev/null
packages="slurmctld slurmd slurm-client munge"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The cluster tests need SLURM: install $packages (Debian's names), or run this as root on Debian." >&2
    exit 1
fi
apt-get -qq update
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $packages >/dev/null
