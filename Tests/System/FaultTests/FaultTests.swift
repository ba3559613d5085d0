import Testing

/// One suite after the other: each has a cluster of its own, and some watch the memory of this process, which the routers are part of.
@Suite(.serialized) enum FaultTests {}
