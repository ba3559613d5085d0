internal import NIOCore
internal import PoolCore

/// A pipeline of reads whose shards work at the same time, each in an implicit transaction of its own.
///
/// Its shards are the session's participants, and are called lanes by their place there. `ClientSession.script` has what is due of all of them in the client's
/// order, and the lane that is heard is the one whose answers are due now.
final class Scatter {
    /// What the lanes were sent behind the reads.
    enum End {
        case open
        /// Sync.
        case synced
        /// BEGIN and Sync: the pipeline goes on with something else than reads.
        case blocked
    }

    var heard = 0
    var end = End.open
    /// Lanes that have answered the Sync.
    var isReady: Set<Int> = []
    /// Lanes whose connection broke before their turn.
    var lost: Set<Int> = []
    /// What the lanes have answered before their turn, in bytes: each, and together.
    private var kept: [Int] = []
    private(set) var keptBytes = 0
    /// Lanes that are not read because that is too much.
    var stopped: Set<Int> = []
    /// Something was sent that no Flush or Sync has followed.
    var hasUnasked = true
    var isTakingTurns = false
    /// What the client is told will be written out in a short time.
    var isFlushDue = false

    /// The lane has now so much that nobody has heard.
    func keeps(_ bytes: Int, lane: Int) {
        while kept.count <= lane { kept.append(0) }
        keptBytes += bytes - kept[lane]
        kept[lane] = bytes
    }
}
