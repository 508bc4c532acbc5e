#!/bin/sh
# Unpack a Debian package and the libraries that this system lacks for it: installs nothing, needs no
# root, and leaves the system's package lists alone.
#   unpack_with_libraries.sh PACKAGE FOLDER      e.g. unpack_with_libraries.sh osmo-hlr build/tools/osmo
# Its programs then want LD_LIBRARY_PATH=FOLDER/usr/lib/<architecture>.
set -eu
package=$1 folder=$2

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
	echo "$package: this system has no apt-get; install $package by its own means" >&2
	exit 1
}
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
folder=$(cd "$folder" && pwd)
trap 'rm -rf "$folder/apt"' EXIT

apt() { # a cache of our own, so no lock of the system's is needed
	apt-get -qq -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 -o Dir::Cache="$folder/apt" \
		-o Acquire::http::Timeout=30 -o Acquire::Retries=1 "$@"
}
own() { # lists of our own, for a machine whose lists are missing or old
	apt -o Dir::State::Lists="$folder/apt/lists" "$@"
}
get() {
	"$1" -y --no-install-recommends --reinstall --download-only install "$package" >/dev/null 2>&1
}
get apt || { own update >/dev/null && get own; } || {
	echo "$package: not to be had from this system's package source; apt-get install $package" >&2
	exit 1
}
for archive in "$folder"/apt/archives/*.deb; do
	dpkg-deb --extract "$archive" "$folder"
done
