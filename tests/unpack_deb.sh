#!/bin/sh
# Take one file or folder out of a Debian package: installs nothing, needs no root, and leaves the
# system's package lists alone.
#   unpack_deb.sh PACKAGE PATH FOLDER      e.g. unpack_deb.sh prometheus usr/bin/promtool build/tools
set -eu
package=$1 path=$2 folder=$3

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
	echo "$package: this system has no apt-get; install what carries $path by its own means" >&2
	exit 1
}
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
folder=$(cd "$folder" && pwd)
cd "$folder/apt"
trap 'rm -rf "$folder/apt"' EXIT

apt() {
	apt-get -qq -o APT::Sandbox::User="$(id -un)" -o Acquire::http::Timeout=30 -o Acquire::Retries=1 "$@"
}
own() { # lists of our own, for a machine whose lists are missing or old
	apt -o Dir::State::Lists="$folder/apt/lists" -o Dir::Cache="$folder/apt" "$@"
}
apt download "$package" >/dev/null 2>&1 || {
	own update >/dev/null && own download "$package" >/dev/null
} || {
	echo "$package: not to be had from this system's package source; apt-get install $package" >&2
	exit 1
}
dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x -C "$folder" "./$path"
