internal import ReshardCore

/// A fault in the protocol itself, that the checks must find.
package enum SimMutation: String, Sendable, CaseIterable {
    case skipFence
    /// The end of the log is taken before the fence is raised.
    case endBeforeFence
    /// The manager takes every router's acknowledgement for given.
    case forgetAcknowledgement
    /// The fence spares every session of a router that acknowledged, also those that it has given up.
    case spareWholeRouter
    /// A router acknowledges while its statements are still under way.
    case acknowledgeTooEarly
    /// The owners are switched without a look at the hold and the record.
    case switchBlindly
}

enum Side: Int { case source, target
    var other: Side { self == .source ? .target : .source }
}

/// What a router knows of the catalog.
struct SimSnapshot: Equatable {
    var epoch = 1
    var owner = Side.source
    /// The epoch of the hold.
    var hold: Int?
}

struct SimShard {
    var fence = 0
    /// Sessions that are open, and those that were ended.
    var sessions: Set<Int> = []
    var ended: Set<Int> = []
    var rows: Set<Int> = []
    /// What clients wrote here, in order; what came by a stream is not in it.
    var log: [Int] = []
    /// How much of its log the other side has.
    var streamed = 0
    /// The highest version of a record that anybody has acted under here.
    var version: UInt64 = 0
}

struct SimRouter {
    struct Flight { var side: Side, session: Int }
    var incarnation = 0
    var snapshot = SimSnapshot()
    /// The copy beside it, which may be old.
    var saved = SimSnapshot()
    var sessions: [Side: Int] = [:]
    var flights: [Int: Flight] = [:]
    var held: [Int] = []
    var pausedUntil = 0
}

struct SimManager {
    struct Ack { var incarnation: Int, sessions: Set<Int> }
    var machine: ReshardMachine
    var isAlive = true
    var pausedUntil = 0
    var term: Int
    var run: EffectID?
    var holdEpoch: Int?
    var holdStart = 0
    var acks: [Int: Ack] = [:]
    /// Of `endBeforeFence`.
    var earlyEnd: Int?
}
