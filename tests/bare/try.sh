#!/bin/sh
# Does a bare Debian do what the README says? A minimal Debian is made in a folder, this repository is cloned
# into it, and the commands are typed there. Needs root, debootstrap, git and the network; nothing outside
# the folder is changed.
#
#   tests/bare/try.sh bookworm /var/tmp/bare12 demo check
#   tests/bare/try.sh trixie /var/tmp/bare13 demo "test -q tests/unit/test_packaging.py"
#
# A folder that has a Debian already is used as it stands: after the first time that is no bare one any more.
# What stands in MIRROR, PIP_CERT, PIP_INDEX_URL and http(s)_proxy, if anything, is used inside as well.
set -eu

[ $# -ge 3 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
suite=$1
root=$2
shift 2

[ "$(id -u)" -eq 0 ] || { echo "bare: root is needed, to make a Debian and to change into it" >&2; exit 2; }
repository=$(cd "$(dirname "$0")/../.." && pwd -P)

say() { printf '%s\n' "bare: $*"; }

if [ ! -e "$root/etc/debian_version" ]; then
    say "making a minimal Debian $suite in $root"
    debootstrap --variant=minbase "$suite" "$root" ${MIRROR:+"$MIRROR"} >"$root.log" 2>&1 ||
        { tail -n 20 "$root.log" >&2; exit 1; }
fi

# The network is this machine's own: what a package brings is not to listen on it. A container's images do the same.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cp /etc/resolv.conf "$root/etc/resolv.conf"
if [ -n "${PIP_CERT-}" ]; then
    cp "$PIP_CERT" "$root/etc/bare-ca.crt"
    PIP_CERT=/etc/bare-ca.crt
fi

rm -rf "$root/root/vendd"
git clone -q "$repository" "$root/root/vendd"
say "Debian $(cat "$root/etc/debian_version"), $(git -C "$root/root/vendd" log -1 --format='vendd %h of %cs')"

# Mounts and processes of its own: both end with it.
enter() {
    # shellcheck disable=SC2016  # that shell's variables, not this one's
    unshare --mount --pid --fork sh -c '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mkdir -p "$root/dev/shm" "$root/dev/pts"
        mount -t tmpfs tmpfs "$root/dev/shm"
        mount -t devpts devpts "$root/dev/pts" -o newinstance,ptmxmode=0666,mode=620,gid=5
        rm -f "$root/dev/ptmx"
        ln -s pts/ptmx "$root/dev/ptmx"
        exec env -i HOME=/root TERM="${TERM:-dumb}" \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            ${PIP_CERT:+PIP_CERT="$PIP_CERT"} ${PIP_INDEX_URL:+PIP_INDEX_URL="$PIP_INDEX_URL"} \
            ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
            chroot "$root" "$@"
    ' enter "$root" "$@"
}

failed=0
for command in "$@"; do
    began=$(date +%s)
    code=0
    enter sh -c "cd /root/vendd && ./run $command" || code=$?
    say "./run $command: exit $code after $(($(date +%s) - began)) s"
    [ "$code" -eq 0 ] || failed=1
done
exit "$failed"
