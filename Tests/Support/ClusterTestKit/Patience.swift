internal import Foundation

/// What routers and managers in processes of their own are given by their environment: where nothing else is tested, a busy machine may take longer for a login, a connection,
/// a shard's checks or an election than users should wait.
package enum Patience {
    package static let settings = [
        "PGMOSAIC_ROUTER_WIRE_STARTUP_TIMEOUT": "60s",
        "PGMOSAIC_ROUTER_POOL_CONNECT_TIMEOUT": "60s",
        "PGMOSAIC_ROUTER_POOL_WAIT_TIMEOUT": "60s",
        "PGMOSAIC_MANAGER_SHARD_PROBE_TIMEOUT": "60s",
        "PGMOSAIC_MANAGER_LEADER_WAIT": "60s",
    ]

    /// This process's environment with them.
    package static var environment: [String: String] { ProcessInfo.processInfo.environment.merging(settings) { $1 } }
}
