"""`baton run` with the real broker: giving way and coming back, a run inside a run, and its death."""
import glob
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

from lib.daemon import BATON, DaemonTest
from lib.native import is_pending, keeper_now, keeper_of, without_cgroups
from lib.overlap import JOB, is_alive
from lib.wait import wait_until

TWO_GPUS = ("--fake-gpu", "a:24576", "--fake-gpu", "b:16384")
# Says which start it is, and ends well from the second on.
SECOND_ENDS = "mkdir {0}; second=$?; echo start; [ $second = 0 ] || exit 0; while :; do sleep 0.02; done"


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cgroups_of(wrapper):
    return glob.glob(f"/sys/fs/cgroup/**/baton-run-{wrapper.pid}", recursive=True)


class GivingWay(DaemonTest):
    def setUp(self):
        self.d = self.daemon()
        self.mark = self.d.dir / "mark"

    def worker(self, *options):
        worker = self.start_cli(self.d, "run", "-q", "-c", "background", "-n", "train", *options, "--", "sh", "-c",
                                SECOND_ENDS.format(self.mark))
        self.assertEqual(worker.stdout.readline(), "start\n")
        return worker

    def test_operators_words_are_said(self):
        """Whose lease an operator wants is told why, in the operator's words, asked or taken at once."""
        for options, words in (([], "asked to give the GPU back within 0.3s: operator: new driver at noon"),
                               (["--now"], "the lease is over (operator: new driver at noon); stopping sh")):
            run = self.start_cli(self.d, "run", "-n", "job", "--", "sh", "-c", "echo up; exec sleep 600")
            self.assertEqual(run.stdout.readline(), "up\n", "the lease is held a moment before")
            self.run_cli(self.d, "release", "job", "--yes", "--reason", "new driver at noon", *options)
            self.assertEqual(run.wait(20), 75)
            self.assertIn(words, run.stderr.read())

    def test_preempted_job_ends_with_75(self):
        """nextflow#1367: neither 143 nor the 0 of a job that traps SIGTERM."""
        for trap in ("", "trap 'exit 0' TERM; "):
            worker = self.start_cli(self.d, "run", "-q", "-c", "background", "--", "sh", "-c",
                                    trap + "echo ready; while :; do sleep 0.02; done")
            self.assertEqual(worker.stdout.readline(), "ready\n")
            voice = self.d.session("voice")
            lease = voice.hold(**{"class": "voice"})["lease"]
            self.assertEqual(worker.wait(20), 75)
            voice.release(lease)

    def test_nobody_reads_what_it_says(self):
        """run: a reader that stands still takes neither the job's grace nor the end of a wait from it."""
        self.d = self.daemon(timing={"grace_s": 10})  # it ends by itself, however late a busy machine lets it
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        os.set_blocking(writer, False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(writer, b"x" * 4096)
        os.set_blocking(writer, True)
        worker = self.start_cli(self.d, "run", "-c", "background", "--", "sh", "-c",
                                f"exec 2> {os.devnull}; trap 'mkdir {self.mark}; exit 0' TERM; echo ready; "
                                "while :; do sleep 0.02; done", stderr=writer)
        self.assertEqual(worker.stdout.readline(), "ready\n")
        voice = self.d.session("voice")
        voice.hold(**{"class": "voice"})
        self.assertEqual(worker.wait(20), 75)
        self.assertTrue(self.mark.exists(), "the job heard that it was asked")
        waiter = self.start_cli(self.d, "run", "--wait", "300ms", "--", "true", stderr=writer)
        self.assertEqual(waiter.wait(20), 75)

    def test_requeue_starts_it_again(self):
        """run --requeue: gives way, waits for its old place, starts again; 0 when it is done then."""
        worker = self.worker("--requeue")
        voice = self.d.session("voice")
        lease = voice.hold(**{"class": "voice"})["lease"]
        wait_until(lambda: self.d.waiting() == ["train"], "it waits for its place")
        voice.release(lease)
        out, _ = worker.communicate(timeout=20)
        self.assertEqual((worker.returncode, out.count("start")), (0, 1))

    def test_it_says_why_a_turn_comes_back(self):
        """run --requeue: with the word that it is started again, or not, stands why it had to give way."""
        voice = self.d.session("voice")
        for end, cause in ((lambda: voice.hold(**{"class": "voice"}), "preempted for voice"),
                           (lambda: self.operator("noon"), "operator: noon"),
                           (lambda: self.operator("at once", "--now"), "operator: at once")):
            for options, words in ((["--requeue"], "sh gave way ({}); it will be started again"),
                                   ([], "run: sh had to give the GPU back before it was done ({}) (--requeue")):
                worker = self.start_cli(self.d, "run", "-c", "background", "-n", "train", *options, "--", "sh", "-c",
                                        SECOND_ENDS.format(self.mark))
                self.assertEqual(worker.stdout.readline(), "start\n")
                end()
                if cause.startswith("preempted"):
                    wait_until(lambda: self.d.holders() == ["voice"], "it has given way")
                    voice.bye()
                    voice = self.d.session("voice")
                self.assertEqual(worker.wait(20), 0 if options else 75)
                self.assertIn(words.format(cause), worker.stderr.read())
                os.rmdir(self.mark)

    def operator(self, words, *options):
        self.run_cli(self.d, "release", "train", "--yes", "--reason", words, *options)

    def assert_sleeps(self, worker):
        used, begun = cpu_seconds(worker.pid), time.monotonic()
        wait_until(lambda: time.monotonic() - begun > 0.5, "half a second of its life is over")
        self.assertLess(cpu_seconds(worker.pid) - used, 0.1)

    def test_a_wrapper_costs_nothing(self):
        """run: the wrapper sleeps while its job runs, while it waits, and while its job runs again."""
        worker = self.start_cli(self.d, "run", "-q", "-c", "background", "-n", "train", "--requeue", "--", "sh", "-c",
                                "trap 'exit 0' TERM; echo ready; while :; do sleep 1 & wait; done")
        for _ in range(2):
            self.assertEqual(worker.stdout.readline(), "ready\n")
            self.assert_sleeps(worker)
            voice = self.d.session("voice")
            voice.hold(**{"class": "voice"})
            wait_until(lambda: self.d.waiting() == ["train"], "it waits for its place")
            for made in cgroups_of(worker):  # by whoever tidies up
                os.rmdir(made)
            self.assert_sleeps(worker)
            voice.bye()

    def test_l1_requeued_with_a_timeout_over_a_restart(self):
        """L1: a requeued claim with --wait lives over a restart of the broker."""
        worker = self.worker("--requeue", "--wait", "60s")
        voice = self.d.session("voice")
        voice.hold(**{"class": "voice"})
        wait_until(lambda: self.d.waiting() == ["train"], "it waits for its place")
        resume = voice.welcome["session"]
        self.d.kill()
        voice.drop()
        self.d.start()
        voice = self.d.session("voice", resume=resume)
        wait_until(lambda: self.d.waiting() == ["train"] and self.d.status()["waiting"][0]["attached"],
                   "it is back in its place")
        voice.bye()
        self.assertEqual(worker.wait(20), 0)

    def test_requeue_after_a_reset_asks_anew(self):
        """run --requeue: a reset takes the lease and the place; it asks again and starts again."""
        worker = self.worker("--requeue")
        self.d.http("POST", "/v1/gpu/reset", unix=True)
        self.assertEqual(worker.wait(20), 0)

    def test_the_brokers_late_signal_ends_no_wait(self):
        """run: SIGTERM for a lease that is over is not the user's, who would end the wait for the next one."""
        voice = self.d.session("voice")
        voice.hold(**{"class": "voice"})
        waiter = self.start_cli(self.d, "run", "-q", "-n", "train", "--", "echo", "served")
        wait_until(lambda: self.d.waiting() == ["train"], "it waits")
        broker = self.d.dir / "baton"  # known by its program's name
        broker.symlink_to("/bin/sh")
        with subprocess.Popen([broker, "-c", 'kill -TERM "$1"; echo sent; read line', "baton", str(waiter.pid)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sender:
            self.assertEqual(sender.stdout.readline(), "sent\n")
            wait_until(lambda: not is_pending(waiter.pid, signal.SIGTERM), "it has been read")
        voice.bye()
        self.assertEqual((waiter.communicate(timeout=20)[0], waiter.returncode), ("served\n", 0))

    def test_requeue_waits_no_longer_than_it_may(self):
        """run --requeue --wait: 75 when the GPU does not come back in time."""
        worker = self.worker("--requeue", "--wait", "300ms")
        self.d.session("voice").hold(**{"class": "voice"})
        self.assertEqual(worker.wait(20), 75)


class Inside(DaemonTest):
    def setUp(self):
        self.d = self.daemon(args=TWO_GPUS)

    def nested(self, outer, inner, script="echo $BATON_LEASE $BATON_GPU $BATON_GPU_INDEX $CUDA_VISIBLE_DEVICES"):
        return self.run_cli(self.d, "run", "-q", *outer, "--", BATON, "run", "-q", *inner, "--", "sh", "-c", script)

    def test_what_fits_runs_under_the_outer_lease(self):
        """A run inside a run needs no lease of its own, and waits for nobody."""
        result = self.nested(["--vram", "8G", "--gpu", "a"], ["--vram", "4G", "--wait", "5s"])
        self.assertEqual((result.returncode, result.stdout.split()[1:]), (0, ["a", "0", "0"]), result)
        self.assertEqual(self.d.status()["counters"]["granted"]["normal"], 1)

    def test_it_is_narrowed_to_what_it_asked_for(self):
        """One GPU of two, by name."""
        result = self.nested(["--gpus", "2"], ["--gpu", "b"], "echo $BATON_GPU $BATON_GPU_COUNT $CUDA_VISIBLE_DEVICES "
                             "$ROCR_VISIBLE_DEVICES $HIP_VISIBLE_DEVICES")
        self.assertEqual((result.returncode, result.stdout), (0, "b 1 1 1 0\n"), result)

    def test_it_is_narrowed_whatever_is_left_of_the_environment(self):
        """What a program took out of its environment is no reason to fail."""
        result = self.run_cli(self.d, "run", "-q", "--gpus", "2", "--", "sh", "-c", "unset NVIDIA_VISIBLE_DEVICES; "
                              f"exec {BATON} run -q --gpu b -- sh -c 'echo $BATON_GPU $BATON_DOCKER_GPUS'")
        self.assertEqual((result.returncode, result.stdout), (0, "b device=1\n"), result)

    def test_what_does_not_fit_is_refused(self):
        """More VRAM than the outer lease has, where it would wait for it: refused, not stuck."""
        result = self.nested(["--gpu", "a", "--vram", "4G"], ["--gpu", "a", "--vram", "8G", "--wait", "20s"])
        self.assertEqual(result.returncode, 75, result)
        self.assertIn("wait for a lease that waits for it", result.stderr)

    def test_what_does_not_fit_may_have_its_own(self):
        """The other GPU is free: a lease of its own."""
        result = self.nested(["--gpu", "a"], ["--gpu", "b", "--wait", "5s"])
        self.assertEqual((result.returncode, result.stdout.split()[1:]), (0, ["b", "1", "1"]), result)

    def test_a_lease_that_is_over_covers_nobody(self):
        """An environment that is older than its lease (a server started inside) asks like anybody."""
        result = self.run_cli(self.d, "run", "-q", "--", "sh", "-c", "echo $BATON_LEASE $BATON_FENCE $BATON_RUN")
        lease, fence, mark = result.stdout.split()
        self.d.env.update(BATON_LEASE=lease, BATON_FENCE=fence, BATON_RUN=mark, BATON_GPU="a", BATON_GPU_INDEX="0")
        result = self.run_cli(self.d, "run", "-q", "--gpu", "a", "--", "sh", "-c", "echo $BATON_LEASE")
        self.assertEqual(result.returncode, 0, result)
        self.assertNotEqual(result.stdout.strip(), lease)


class AllSlots(DaemonTest):
    GPU = ("--fake-gpu", "a:24576:4")

    def test_waits_until_it_is_alone(self):
        """Somebody computes on one of four slots: it starts when that one is gone, and nobody starts beside it."""
        d = self.d = self.daemon(args=self.GPU)
        other = d.session("other")
        held = other.hold()
        run = self.start_cli(d, "run", "-q", "--name", "alone", "--slots", "all", "--", "sh", "-c",
                             "echo started; read line", stdin=subprocess.PIPE)
        wait_until(lambda: [row["all_slots"] for row in d.status()["waiting"]] == [True], "it waits for all slots")
        other.release(held["lease"])
        self.assertEqual(run.stdout.readline(), "started\n")
        row = d.status()["leases"][0]
        self.assertEqual((row["id"], row["slots"], row["all_slots"]), ("alone", 4, True))
        self.assertIn("all slots", self.run_cli(d, "status", "alone").stdout)
        waiting = other.queue()
        self.assertEqual(waiting["why"]["code"], "holder")
        run.stdin.write("\n")
        run.stdin.flush()
        self.assertEqual(run.wait(20), 0)
        other.wait("granted", ref=waiting["ref"])

    def test_of_several_gpus(self):
        """All of both: it waits for who computes on either, nobody starts beside it, and a run inside it has all of
        either, and of both, whatever each has."""
        d = self.d = self.daemon(args=("--fake-gpu", "a:24576:1", "--fake-gpu", "b:24576:4"))
        other = d.session("other")
        held = other.hold(gpu="b")
        run = self.start_cli(d, "run", "-q", "--name", "both", "--slots", "all", "--gpus", "2", "--", "sh", "-c",
                             f"echo started; read line; {BATON} run -q --gpu b --slots 4 -- echo 4; "
                             f"{BATON} run -q --gpus 2 --slots all -- echo all", stdin=subprocess.PIPE)
        wait_until(lambda: [row["gpu_count"] for row in d.status()["waiting"]] == [2], "it waits for both")
        other.release(held["lease"])
        self.assertEqual(run.stdout.readline(), "started\n")
        row = d.status()["leases"][0]
        self.assertEqual((row["id"], row["slots"], row["all_slots"]), ("both", 1, True))
        self.assertEqual([gpu["slots_used"] for gpu in d.status()["gpus"]], [1, 4])
        waiting = other.queue(gpu="b")
        run.stdin.write("\n")
        run.stdin.flush()
        self.assertEqual((run.wait(20), run.stdout.read()), (0, "4\nall\n"))
        other.wait("granted", ref=waiting["ref"])

    def test_inside(self):
        """A run that has all slots has them for a run inside it; one that has three of four does not."""
        d = self.daemon(args=self.GPU)
        for slots, inner in (("all", "all"), ("4", "all"), ("all", "4")):
            nested = ("run", "-q", "--slots", inner, "--wait", "5s", "--", "echo", "inside")
            result = self.run_cli(d, "run", "-q", "--slots", slots, "--", BATON, *nested)
            self.assertEqual((result.returncode, result.stdout), (0, "inside\n"), result)
        result = self.run_cli(d, "run", "-q", "--slots", "3", "--", BATON, "run", "-q", "--slots", "all", "--", "true")
        self.assertEqual(result.returncode, 75, result)
        self.assertIn("wait for a lease that waits for it", result.stderr)


class Devices(DaemonTest):
    def test_gpu_without_uuid_is_set_by_index(self):
        """sockeye#391: granted b, it must not compute on a; a preset list is overridden, and said."""
        daemon = self.daemon(args=TWO_GPUS)
        daemon.env["CUDA_VISIBLE_DEVICES"] = "0"
        result = self.run_cli(daemon, "run", "--gpu", "b", "--", "sh", "-c",
                              "echo $CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER $BATON_GPU_INDEX $BATON_GPU_COUNT")
        self.assertEqual(result.stdout, "1 PCI_BUS_ID 1 1\n", result)
        self.assertIn("no UUID of b", result.stderr)


class Death(DaemonTest):
    def test_killed_wrapper_frees_nothing_before_its_descendants_are_gone(self):
        """D5: kill -9 of the wrapper: the next one is let in after the last grandchild, however it hid."""
        daemon = self.daemon()
        folder = daemon.dir / "job"
        folder.mkdir()
        wrapper = self.start_cli(daemon, "run", "-q", "--", "sh", "-c",
                                 f"{sys.executable} -S {JOB} {folder} trap 1 & wait")
        pid = wait_until(lambda: [int(path.name[6:]) for path in folder.glob("alive-*")], "it is at work")[0]
        waiter = daemon.session("next")
        ref = waiter.acquire()
        waiter.wait("queued", ref=ref)
        wrapper.kill()
        waiter.wait("granted", ref=ref)
        self.assertFalse(is_alive(pid))

    def test_all_of_baton_is_killed(self):
        """kill -9 of wrapper and keeper, as `pkill -9 baton` does it, and of the broker: what the job has started is
        found by its mark, and ended before anybody else is let in, by the next broker as well."""
        for broker in (False, True):
            with self.subTest(broker=broker):
                daemon = self.daemon()
                before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
                wrapper = self.start_cli(daemon, "run", "-n", "job", "--", "sh", "-c", "sleep 600 & echo $!; wait",
                                         preexec_fn=without_cgroups)
                signal.signal(signal.SIGHUP, before)
                child = int(wrapper.stdout.readline())
                wait_until(lambda wrapper=wrapper: "holding" in wrapper.stderr.readline(), "it has named the command")
                daemon.status()  # answered after that was read
                wrapper.send_signal(signal.SIGSTOP)  # else it makes another keeper
                os.kill(keeper_of(wrapper.pid), signal.SIGKILL)
                if broker:
                    daemon.kill()
                wrapper.kill()
                wrapper.wait()
                if broker:
                    daemon.start()
                daemon.session("next").hold()
                self.assertFalse(is_alive(child))

    def test_killed_keeper_is_replaced(self):
        """D5: the keeper alone is killed: another one ends what the wrapper leaves when it is killed, too."""
        daemon = self.daemon()
        wrapper = self.start_cli(daemon, "run", "-q", "--", "sh", "-c", "setsid sleep 600 & echo $!; wait")
        pid = int(wrapper.stdout.readline())
        first = keeper_of(wrapper.pid)
        os.kill(first, signal.SIGKILL)
        second = wait_until(lambda: (keeper := keeper_now(wrapper.pid)) != first and keeper, "it has another")
        wrapper.kill()
        wait_until(lambda: not is_alive(second), "the other one is done")
        self.assertFalse(is_alive(pid))

    def test_cgroups_of_the_job_are_removed(self):
        """What the job made below its own cgroup does not keep that one."""
        daemon = self.daemon()
        wrapper = self.start_cli(daemon, "run", "-q", "--", "sh", "-c",
                                 "for made in $(find /sys/fs/cgroup -name baton-run-$PPID); do "
                                 "mkdir -p $made/a/b; done")
        wrapper.wait(20)
        self.assertEqual(cgroups_of(wrapper), [])

    def test_no_cgroup_is_left_behind(self):
        """The cgroup goes with its job, in order or by force."""
        daemon = self.daemon()
        for end in (signal.SIGTERM, signal.SIGKILL):
            wrapper = self.start_cli(daemon, "run", "-q", "--", "sh", "-c", "echo ready; exec sleep 600")
            self.assertEqual(wrapper.stdout.readline(), "ready\n")
            wrapper.send_signal(end)
            wrapper.wait(20)
            wait_until(lambda: not cgroups_of(wrapper), "its cgroup is gone")


class Refusals(DaemonTest):
    def test_a_socket_path_that_is_too_long(self):
        """nut#1390: it is the path that is too long, not a name that is wrong."""
        env = {**os.environ, "BATON_SOCKET": "/tmp/" + 120 * "x" + "/s"}
        result = subprocess.run([BATON, "run", "--", "true"], env=env, capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 64, result)
        self.assertIn("path is too long", result.stderr)

    def test_arguments_that_cannot_be(self):
        """Each says which one it was."""
        daemon = self.daemon()
        rows = [(["--label", ""], "label"), (["--slots", "0"], "vram"), (["--gpu", "x"], "GPU"),
                (["--name", ""], "name")]
        for options, word in rows:
            result = self.run_cli(daemon, "run", *options, "--", "true")
            self.assertNotEqual(result.returncode, 0, result)
            self.assertIn(word, result.stderr)
            self.assertNotIn("An argument is wrong", result.stderr)
            self.assertLessEqual(result.stderr.count("'x'"), 1, result.stderr)
            self.assertNotIn("No GPU of that name", result.stderr)

    def test_offers_missed_while_stopped(self):
        """Ctrl-Z while it waits, and fg much later: no operator did that."""
        daemon = self.daemon(timing={"ack_s": 0.1})
        holder = daemon.session("holder")
        lease = holder.hold()["lease"]
        runner = self.start_cli(daemon, "run", "-n", "sleepy", "--", "true")
        wait_until(lambda: daemon.waiting() == ["sleepy"], "it waits")
        runner.send_signal(signal.SIGSTOP)
        holder.release(lease)
        wait_until(lambda: not daemon.names(), "it missed its offers")
        runner.send_signal(signal.SIGCONT)
        _, err = runner.communicate(timeout=20)
        self.assertEqual(runner.returncode, 75)
        self.assertIn("offered three times", err)


if __name__ == "__main__":
    unittest.main()
