"""environment: what a program finds under a lease, as `baton run` sets it (src/cli/lease_env.c). Pure."""
from __future__ import annotations

from typing import Iterable, Sequence

from ._claim import Gpu


def _listed(items: Iterable[int | str | None]) -> str:
    return ",".join(str(item) for item in items)


def _numbers(gpus: Sequence[Gpu], maker: str) -> str | None:
    """Of that maker's, as its runtime counts; -1, which none has, where none of them is leased; None: not known."""
    own = [gpu.maker_index for gpu in gpus if gpu.maker == maker]
    return None if None in own or not all(gpu.maker for gpu in gpus) else _listed(own) or "-1"


def _cuda_numbers(gpus: Sequence[Gpu]) -> str:
    """For CUDA, where UUIDs are not known."""
    nvidia, amd = _numbers(gpus, "nvidia"), sum(gpu.maker == "amd" for gpu in gpus)
    if nvidia == "-1" and amd:  # HIP takes it for its own
        return _listed(range(amd))
    return nvidia or _listed(gpu.index for gpu in gpus)


def _other_numbers(gpus: Sequence[Gpu]) -> dict[str, str]:
    """For ROCm, for HIP, which chooses among those, and for Level Zero, which has no number for none."""
    indexes, amd = _listed(gpu.index for gpu in gpus), _numbers(gpus, "amd")
    hip = range(len(gpus)) if amd is None else range(sum(gpu.maker == "amd" for gpu in gpus))
    intel = any(gpu.maker == "intel" for gpu in gpus)
    return {"ROCR_VISIBLE_DEVICES": amd or indexes, "HIP_VISIBLE_DEVICES": _listed(hip) or "-1",
            "ZE_AFFINITY_MASK": intel and _numbers(gpus, "intel") or indexes}


def _cuda_uuids(gpus: Sequence[Gpu]) -> str:
    """CUDA ends its list at the first that is none of NVIDIA's, and a container runtime refuses it. "": not known."""
    own = [gpu for gpu in gpus if gpu.maker == "nvidia"] if all(gpu.maker for gpu in gpus) else []
    return _listed(gpu.uuid for gpu in own or gpus) if all(gpu.uuid for gpu in own or gpus) else ""


def variables(lease: int, fence: int, gpus: Sequence[Gpu]) -> dict[str, str]:
    """They override whatever may name a GPU that is not of this lease."""
    uuids = _listed(gpu.uuid for gpu in gpus) if all(gpu.uuid for gpu in gpus) else ""
    devices = _cuda_uuids(gpus) or _cuda_numbers(gpus)
    quote = '"' if "," in devices else ""
    return {"BATON_LEASE": str(lease), "BATON_FENCE": str(fence), "BATON_GPU_COUNT": str(len(gpus)),
            "BATON_GPU": _listed(gpu.name for gpu in gpus), "BATON_GPU_INDEX": _listed(gpu.index for gpu in gpus),
            "BATON_DOCKER_GPUS": f"{quote}device={devices}{quote}", "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": devices, "NVIDIA_VISIBLE_DEVICES": devices, **_other_numbers(gpus),
            **({"BATON_GPU_UUIDS": uuids} if uuids else {})}
