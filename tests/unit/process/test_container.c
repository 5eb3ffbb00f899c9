/* Goal: the container of a process is told from its cgroups, as docker, podman, containerd, CRI-O,
 * LXC and systemd-nspawn make them, and a path of none is none. Method: such texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "process/container.h"

#define ID    "3f2a9c1b77d0e15c8f6a4b2d9e0c7a1b3f2a9c1b77d0e15c8f6a4b2d9e0c7a1b"
#define OTHER "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void expect(const char *text, const char *runtime, const char *id)
{
	struct container container;
	assert_true(container_parse(text, &container));
	assert_string_equal(container.runtime, runtime);
	assert_string_equal(container.id, id);
}

static void refuse(const char *text)
{
	struct container container;
	assert_false(container_parse(text, &container));
	assert_string_equal(container.id, "");
}

static void test_runtimes(void **state)
{
	(void)state;
	expect("0::/system.slice/docker-" ID ".scope\n", "docker", ID);
	expect("0::/docker/" ID "\n", "docker", ID);
	expect("0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID
	       ".scope/container\n",
	       "podman", ID);
	expect("0::/machine.slice/libpod-payload-" ID "\n", "podman", ID);
	expect("0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/"
	       "cri-containerd-" ID ".scope\n",
	       "containerd", ID);
	expect("0::/kubepods-besteffort-pod1.slice:cri-containerd:" ID "\n", "containerd", ID);
	expect("0::/system.slice/nerdctl-" ID ".scope\n", "containerd", ID);
	expect("0::/kubepods.slice/crio-" ID ".scope\n", "cri-o", ID);
	expect("0::/kubepods/burstable/pod1/" ID "\n", "container", ID);
	expect("0::/lxc.payload.web/init.scope\n", "lxc", "web");
	expect("0::/lxc/web\n", "lxc", "web");
	expect("0::/machine.slice/systemd-nspawn@deb.service/payload\n", "nspawn", "deb");
	expect("0::/machine.slice/machine-deb.scope\n", "nspawn", "deb");
	expect("0::/../" ID "\n", "container", ID);
}

/* cgroup v1 has a line for each controller; the last is v2's, where nothing is told. */
static void test_lines(void **state)
{
	(void)state;
	expect("12:memory:/docker/" ID "\n1:name=systemd:/docker/" ID "\n0::/\n", "docker", ID);
	expect("2:cpu:/\n0::/docker/" ID, "docker", ID);
}

/* A container within a container: the process is in the inner one. */
static void test_nested(void **state)
{
	(void)state;
	expect("0::/docker/" OTHER "/docker/" ID "\n", "docker", ID);
	expect("0::/lxc/web/docker/" ID "/init\n", "docker", ID);
}

static void test_none(void **state)
{
	(void)state;
	refuse("");
	refuse("\n");
	refuse("0::/\n");
	refuse("0::");
	refuse("0:/docker/" ID "\n");
	refuse("0::/user.slice/user-1000.slice/session-2.scope\n");
	refuse("0::/docker/" ID "0\n");
	refuse("0::/docker/" ID "-x\n");
	refuse("0::/system.slice/docker.service\n");
	refuse("0::/system.slice/docker-short.scope\n");
	refuse("0::/user.slice/libpod-conmon-" ID ".scope\n");
	refuse("0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope\n");
	refuse("4:memory:/process_api/d040133140538518dfebf0cd8a835417\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runtimes),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
