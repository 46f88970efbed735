#!/bin/sh
# Turns a fresh Debian tree into the base image. mmdebstrap calls it with the tree's folder;
# BASE_NODE, BASE_NPM, BASE_COREPACK and BASE_SOURCES name what is copied in.
set -eu
root=$1

# Node from the pinned npm packages: the same files on every machine that has this lockfile.
install -m 0755 "$BASE_NODE/bin/node" "$root/usr/local/bin/node"
mkdir -p "$root/usr/local/lib/node_modules"
cp -R "$BASE_NPM" "$root/usr/local/lib/node_modules/npm"
cp -R "$BASE_COREPACK" "$root/usr/local/lib/node_modules/corepack"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
mkdir -p "$root/usr/local/etc"
printf 'update-notifier=false\nfund=false\n' >"$root/usr/local/etc/npmrc"
ln -s ../lib/node_modules/corepack/dist/corepack.js "$root/usr/local/bin/corepack"
chown -hR 0:0 "$root/usr/local/lib/node_modules" "$root/usr/local/bin"

# The person or agent inside. Group staff is Debian's own way to let somebody install below /usr/local.
chroot "$root" groupadd --gid 1000 user
chroot "$root" useradd --uid 1000 --gid 1000 --groups sudo,staff --create-home --shell /bin/bash user
printf 'user ALL=(ALL:ALL) NOPASSWD: ALL\n' >"$root/etc/sudoers.d/user"
chmod 0440 "$root/etc/sudoers.d/user"
chroot "$root" mkdir -p /usr/local/lib/python3.11/dist-packages
chroot "$root" chown -R :staff /usr/local
chroot "$root" find /usr/local -type d -exec chmod 2775 {} +

# The whole system is the user's own: pip may install beside Debian's packages.
rm -f "$root"/usr/lib/python3*/EXTERNALLY-MANAGED

# Names are set when a sandbox starts; these are what an unconfigured one shows.
printf 'sandbox\n' >"$root/etc/hostname"
printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
printf '# Written when a sandbox starts.\n' >"$root/etc/resolv.conf"
: >"$root/etc/machine-id"

printf 'LANG=C.UTF-8\n' >"$root/etc/default/locale"
printf 'PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"\nLANG=C.UTF-8\n' >"$root/etc/environment"
cat >"$root/etc/profile.d/sandbox.sh" <<'EOF'
# Everybody here may use sudo, so everybody finds the system's commands, and what pip or npm put into the home folder.
PATH="$HOME/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export PATH
export LANG="${LANG:-C.UTF-8}"
EOF

# Package sources: Debian's, as on the machine that built this image.
rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
install -m 0644 "$BASE_SOURCES" "$root/etc/apt/sources.list.d/debian.sources"
rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap
cat >"$root/etc/apt/apt.conf.d/90sandbox" <<'EOF'
APT::Install-Recommends "false";
Acquire::Languages "none";
EOF

# No init runs inside: packages install their services without starting them.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"

rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb \
  "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old "$root"/var/cache/ldconfig/aux-cache \
  "$root"/etc/passwd- "$root"/etc/group- "$root"/etc/shadow- "$root"/etc/gshadow-
find "$root/var/log" -type f -delete
