"""A SLURM of one node on this machine, with a counted GPU that is none, while a block runs.

Its files lie in one folder and its daemons listen on ports and a socket of their own, so that a
SLURM or a munge that the machine has already is left alone.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scontrol", "scancel")
CPUS = 8  # more than there may be, so that what waits does not keep others from running
STARTS_WITHIN = 60  # seconds

CONFIGURATION = """\
ClusterName=tending-test
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# Without cgroups it works in a container too.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
# No accounting, as on many small clusters: what ended is known for MinJobAge seconds.
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed.txt
MinJobAge=600
# At once, where a real cluster may take its time.
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
KillWait=2
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes={node} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={node} MaxTime=INFINITE State=UP
"""

GPU = "NodeName={node} Name=gpu File=/dev/null\n"  # slurmd wants a device file; nobody opens it


class NoSlurmError(RuntimeError):
    """The machine cannot have a SLURM of its own; the text says why."""


def why_not() -> str:
    """What keeps this machine from having a SLURM for tests; nothing if it can."""
    missing = [name for name in PROGRAMS if _program(name) is None]
    if missing:
        return (
            f"SLURM is not installed ({', '.join(missing)} not found); on Debian and Ubuntu: "
            f"apt-get install slurm-wlm munge"
        )
    if os.geteuid() != 0:
        return "the daemons of SLURM start jobs for every user, so only root can run them"
    return ""


@dataclass
class Cluster:
    """A running SLURM, and the environment in which its commands find it."""

    folder: Path
    environment: dict[str, str]
    _daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def ask(self, *command: str) -> str:
        """What a command of SLURM prints; CalledProcessError if it fails."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=30, check=True
        )
        return done.stdout

    def queue(self, format: str = "%i|%T|%k", states: str = "all") -> list[list[str]]:
        """The fields of every job that is known: by default id, state and Snakemake's comment."""
        listed = self.ask("squeue", "--noheader", f"--states={states}", f"--format={format}")
        return [line.split("|") for line in listed.splitlines()]

    def jobs_of(self, rule: str, states: str = "all") -> list[str]:
        """Ids of the jobs of a rule or a group of rules."""
        return [job for job, _, comment in self.queue(states=states) if _names(comment, rule)]

    def comments(self, numbers: list[str]) -> dict[str, str]:
        """Snakemake's comment of each of some jobs: `rule_`, the rule or the group, and more."""
        return {number: comment for number, _, comment in self.queue() if number in numbers}

    def processes(self, number: str) -> list[int]:
        """The processes of a running job; none if it has ended meanwhile."""
        done = subprocess.run(
            ["scontrol", "listpids", number],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        first = (line.split()[0] for line in done.stdout.splitlines()[1:])
        return [int(word) for word in first if word.isdigit() and word != "0"]

    def job(self, number: str) -> dict[str, str]:
        """All that SLURM knows of a job."""
        words = self.ask("scontrol", "show", "job", number, "--oneliner").split()
        return dict(word.split("=", 1) for word in words if "=" in word)


def _names(comment: str, rule: str) -> bool:
    return comment == f"rule_{rule}" or comment.startswith(f"rule_{rule}_")


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster that lives while the block runs, its daemons children of this process.

    folder: for all its files, not yet there. Raises NoSlurmError if the machine cannot have one or
    if it does not come up, with the end of its logs.
    """
    reason = why_not()
    if reason:
        raise NoSlurmError(reason)
    _configure(folder)
    cluster = Cluster(folder, _environment(folder))
    try:
        cluster._daemons.append(_start(cluster, "munged", *_munge(folder)))
        _await(folder / "munge/socket")
        cluster._daemons.append(_start(cluster, "slurmctld", "-D"))
        cluster._daemons.append(_start(cluster, "slurmd", "-D", "-N", _node()))
        _await_node(cluster)
        yield cluster
    finally:
        _stop(cluster)


def _environment(folder: Path) -> dict[str, str]:
    """In which SLURM's commands find the cluster, the one too that runs inside every job.

    Snakemake's plugin takes SLURM's own variables from the environment of that one, srun, so a
    script of its name puts back the one that it needs.
    """
    path, real = os.environ.get("PATH", ""), _program("srun")
    script = folder / "bin/srun"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {real} "$@"\n')
    script.chmod(0o755)
    own = {"PATH": f"{script.parent}:{path}", "SLURM_CONF": f"{folder}/slurm.conf"}
    return {**os.environ, **own}


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _node() -> str:
    return socket.gethostname().split(".")[0]


def _configure(folder: Path) -> None:
    (folder / "munge").mkdir(parents=True)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge/key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    first, second = _free_ports(2)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    filled = CONFIGURATION.format(
        node=_node(),
        folder=folder,
        controller_port=first,
        node_port=second,
        cpus=CPUS,
        memory=int(0.9 * memory),
    )
    (folder / "slurm.conf").write_text(filled)
    (folder / "gres.conf").write_text(GPU.format(node=_node()))


def _free_ports(number: int) -> list[int]:
    held = [socket.socket() for _ in range(number)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _munge(folder: Path) -> list[str]:
    own = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
    own["log-file"] = "log"
    options = [f"--{option}={folder / 'munge' / name}" for option, name in own.items()]
    return ["--foreground", "--force", *options]  # the folder may be below /tmp


def _start(cluster: Cluster, name: str, *options: str) -> subprocess.Popen[bytes]:
    program = _program(name)
    assert program is not None
    with (cluster.folder / f"{name}.output").open("wb") as output:
        return subprocess.Popen(
            [program, *options], env=cluster.environment, stdout=output, stderr=output
        )


def _await(path: Path) -> None:
    for _ in range(10 * STARTS_WITHIN):
        if path.exists():
            return
        time.sleep(0.1)
    raise NoSlurmError(f"{path} did not appear\n{_logs(path.parent.parent)}")


def _await_node(cluster: Cluster) -> None:
    said = ""
    for _ in range(5 * STARTS_WITHIN):
        try:
            said = cluster.ask("sinfo", "--noheader", "--partition=cpu", "--format=%T").strip()
        except subprocess.CalledProcessError as error:
            said = error.stderr
        if said == "idle":
            return
        time.sleep(0.2)
    raise NoSlurmError(f"the node did not come up: {said}\n{_logs(cluster.folder)}")


def _logs(folder: Path) -> str:
    files = sorted({*folder.glob("*.log"), *folder.glob("*.output"), *folder.glob("munge/log")})
    ends = (f"--- {file.name}\n" + file.read_text(errors="replace")[-2000:] for file in files)
    return "\n".join(ends)


def _stop(cluster: Cluster) -> None:
    """End the jobs, then the daemons, the last started first."""
    if len(cluster._daemons) == 3:
        subprocess.run(
            ["scancel", "--signal=KILL", "--user=root"], env=cluster.environment, check=False
        )
        subprocess.run(["scancel", "--user=root"], env=cluster.environment, check=False)
    for daemon in reversed(cluster._daemons):
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(timeout=20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
