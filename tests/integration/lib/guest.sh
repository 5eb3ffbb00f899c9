#!/bin/sh
# The first process of a kernel of its own (test_kernel.py): its root is the machine's, read-only. Runs the
# tests of guest_kernel.py as they would run where the kernel is the machine's own, and says how they ended.
# Environment: TESTS, the folder of the tests; BATON_BIN; WORDS, for unittest.
mount -t tmpfs tmpfs /run
cp "$BATON_BIN" /run/baton && export BATON_BIN=/run/baton
mkdir /run/tests && mount --bind "$TESTS" /run/tests
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir /dev/shm && mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /tmp
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp PYTHONDONTWRITEBYTECODE=1

cd /run/tests && "$PYTHON" guest_kernel.py -v $WORDS
echo "guest: ended with $?"
sync
echo o >/proc/sysrq-trigger
while :; do read -r _ </proc/self/stat; sleep 1; done
