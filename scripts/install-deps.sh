#!/bin/sh
# Installs everything that building and testing vl2 needs on Debian (12 or later) or Ubuntu.
#   scripts/install-deps.sh          to build, run and test
#   scripts/install-deps.sh cross    also what the arm64 cross build and its tests need
set -e
packages="gcc make git autoconf automake libtool pkg-config
    libopenblas-dev libjpeg62-turbo-dev libpng-dev libzstd-dev libxxhash-dev libjansson-dev libpcre2-dev
    liburing-dev libcmocka-dev zstd xz-utils mandoc"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
if [ "${1:-}" = cross ]; then
    packages="$packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
    for library in libc6-dev libgomp1 libopenblas-dev libjpeg62-turbo-dev libpng-dev libzstd-dev \
        libxxhash-dev libjansson-dev libpcre2-dev liburing-dev libcmocka-dev; do
        packages="$packages $library:arm64"
    done
    dpkg --print-foreign-architectures | grep -qx arm64 || $sudo dpkg --add-architecture arm64
fi
# Ubuntu names the libjpeg-turbo headers differently.
missing() { ! dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
wanted=
for package in $packages; do
    if missing "$package"; then wanted="$wanted $package"; fi
done
if [ -n "$wanted" ]; then
    $sudo apt-get update -qq
    case " $wanted " in
    *" libjpeg62-turbo-dev "*)
        apt-cache show libjpeg62-turbo-dev >/dev/null 2>&1 ||
            wanted=$(echo "$wanted" | sed 's/libjpeg62-turbo-dev/libjpeg-turbo8-dev/g')
        ;;
    esac
    # shellcheck disable=SC2086 # the list is meant to be split
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $wanted
fi
