/// The bounds of the connections to one shard.
package struct PoolLimits: Hashable, Sendable {
    /// Backends of the whole router to this shard, connecting and closing ones included. At least 1.
    ///
    /// 20: PostgreSQL is fastest with a few busy backends a core; a larger number only moves the queue into the server.
    /// Several routers add up: their sum must stay below the server's `max_connections`.
    package var sizeMax = 20
    /// Backends kept open by the whole router although nobody needs them; shared out evenly over the loops.
    package var sizeMin = 0
    /// An idle backend beyond the minimum is closed after this time. 10 minutes: an idle backend costs the server memory.
    package var idleTimeout: Duration = .seconds(600)
    /// A backend is replaced after this time, less a random tenth, so that those opened together do not end together.
    ///
    /// One hour bounds what a backend's caches grow to, and lets a shard's address change take hold.
    package var lifetimeMax: Duration = .seconds(3600)
    /// Requests that wait on one event loop; the next one is refused at once (SQLSTATE 53300).
    package var waitersMax = 1000
    /// The longest wait of a request.
    package var waitTimeout: Duration = .seconds(10)
    /// A backend that idled for longer is asked before it is used, since a firewall may have forgotten the connection.
    package var healthCheckAfterIdle: Duration = .seconds(30)
    /// The shell's limit for a connection attempt, authentication included; then it reports `connectFailed`.
    package var connectTimeout: Duration = .seconds(5)
    /// The pause after the first failed attempt; each further failure in a row doubles it ...
    package var backoffMin: Duration = .milliseconds(100)
    /// ... up to this. A pause is shortened by a random half, so that many routers do not come back together.
    package var backoffMax: Duration = .seconds(5)
    /// Failed attempts in a row, with no backend left alive, after which requests are refused at once instead of waiting.
    package var failFastAfter = 3
    /// How long a loop that has requests waiting may keep its backends while another loop waits with too few.
    ///
    /// Backends cannot move between loops: handing one over costs a close and a connect (some milliseconds).
    package var handoverAfter: Duration = .milliseconds(50)

    /// Quick reads share a connection where one of them can be expected to wait no longer than this for those before it; zero: never.
    ///
    /// 1 ms: some ten point reads of a busy server. Waiting costs less than it seems, for the server does not begin ten at once either, and the router
    /// and it need fewer system calls.
    package var shareWait: Duration = .milliseconds(1)

    /// While requests wait, a granted backend takes so many statements more before the next request gets it.
    static let sharedWhileWaited = 16

    package init() {}

    /// Backends that the pool of `loop` keeps open for `sizeMin`.
    package func minimum(of loop: LoopIndex, loops: Int) -> Int {
        let total = max(0, min(sizeMin, sizeMax))
        return total / loops + (loop.value < total % loops ? 1 : 0)
    }
}
