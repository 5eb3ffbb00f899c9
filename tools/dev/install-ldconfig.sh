#!/bin/sh
# Called by `meson install` with the library folder: the loader finds a new libbaton.so.0 only after
# ldconfig. Into a DESTDIR nothing is done, for the package does it.
libdir=$1
[ -z "${DESTDIR:-}" ] || exit 0
ldconfig=$(PATH="$PATH:/sbin:/usr/sbin" command -v ldconfig) || exit 0
[ "$(id -u)" != 0 ] || "$ldconfig" || exit 0
if ! "$ldconfig" -p | grep -qF "$libdir/libbaton.so.0"; then
	echo "The loader does not find $libdir/libbaton.so.0 yet. As root:"
	echo "    echo $libdir >/etc/ld.so.conf.d/baton.conf && ldconfig"
	echo "or, for your own programs: export LD_LIBRARY_PATH=$libdir"
fi
