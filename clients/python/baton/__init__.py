"""Take your turn on the GPU: the Python client of the Baton lease broker, without dependencies.

    import baton

    with baton.lease(vram="8G", klass="background") as lease:
        for batch in batches:
            if lease.should_yield():  # somebody else needs the GPU
                save()
                lease.give_way()  # gives it back, and returns when it is ours again
            train(batch)

The block runs only while the GPU is ours. A thread answers the broker's heartbeats meanwhile. When the lease is
lost (revoked, or the broker was away for too long), `check()` and `should_yield()` raise LeaseLost, and so does
the end of the block: what was computed without a lease never looks done. Restarts of the broker are survived. After a
fork the child does not own the lease. `lease_async` is the same for asyncio.
"""
from ._address import socket_path
from ._aio import AsyncLease
from ._claim import Gpu, Notice, Place, Yield
from ._errors import BadRequest, BatonError, LeaseDenied, LeaseLost, LeaseTimeout, Unreachable
from ._lease import Lease
from ._units import parse_duration, parse_size

__version__ = "0.1.0"
__all__ = ["lease", "lease_async", "Lease", "AsyncLease", "Gpu", "Notice", "Place", "Yield", "BatonError", "BadRequest",
           "Unreachable", "LeaseDenied", "LeaseTimeout", "LeaseLost", "parse_size", "parse_duration", "socket_path"]

lease = Lease
lease_async = AsyncLease
