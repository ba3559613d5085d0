/// Who shares one connection: the one in front, whose statement the server is at, and the riders behind it, whose statements were sent, each with a
/// Sync of its own.
///
/// A rider may leave. Its statement has been sent all the same, so its place stays, vacant, until the server has answered it.
// Inlinable, because a generic value of another module is slow otherwise.
@usableFromInline package struct SharedLine<Rider: AnyObject> {
    @usableFromInline package enum Turn {
        case rider(Rider)
        /// Of one that has left: its answer is for nobody.
        case vacant
        /// There is nobody behind.
        case none
    }

    /// However quick the statements are: what the server has not answered must be small, and done anew where it does not come to it.
    @usableFromInline static var lengthMax: Int { 16 }

    @usableFromInline struct Place {
        @usableFromInline var rider: Rider?
        @usableFromInline let cost: UInt64
        @inlinable init(rider: Rider, cost: UInt64) {
            self.rider = rider
            self.cost = cost
        }
    }
    @usableFromInline var places: [Place] = []
    @usableFromInline var frontCost: UInt64
    /// How long one who joins is expected to wait, in nanoseconds.
    @usableFromInline package internal(set) var expectedWait: UInt64
    /// All who have joined.
    @usableFromInline package internal(set) var joined = 0
    /// The riders were sent away from behind the one in front; nobody joins before it is done.
    @usableFromInline package internal(set) var isStalled = false

    /// - frontCost: how long the statement in front is expected to take, in nanoseconds.
    @inlinable package init(frontCost: UInt64) {
        self.frontCost = frontCost
        expectedWait = frontCost
    }

    @inlinable package var hasRiders: Bool { !places.isEmpty }

    /// - waitMax: the longest wait that is put up with, in nanoseconds.
    @inlinable package func hasRoom(waitMax: UInt64) -> Bool { !isStalled && expectedWait <= waitMax && places.count + 1 < Self.lengthMax }

    @inlinable package mutating func join(_ rider: Rider, cost: UInt64) {
        places.append(Place(rider: rider, cost: cost))
        expectedWait &+= cost
        joined += 1
    }

    @inlinable package mutating func leave(_ rider: Rider) {
        if let index = places.firstIndex(where: { $0.rider === rider }) { places[index].rider = nil }
    }

    /// All riders leave: what is in front takes long, or is about to be cancelled.
    @inlinable package mutating func sendRidersAway() -> [Rider] {
        isStalled = true
        let riders = places.compactMap(\.rider)
        for index in places.indices { places[index].rider = nil }
        return riders
    }

    /// The one in front has its answer: the next comes forward.
    @inlinable package mutating func advance() -> Turn {
        isStalled = false
        expectedWait &-= frontCost
        guard !places.isEmpty else {
            frontCost = 0
            return .none
        }
        let place = places.removeFirst()
        frontCost = place.cost
        return place.rider.map(Turn.rider) ?? .vacant
    }
}

/// How long the statements of one plan have taken, to tell which of them may stand before others'.
package struct StatementPace: Sendable {
    /// A turn that takes longer is slow, in nanoseconds: a busy machine alone makes no read so slow often.
    static let slow: UInt64 = 10_000_000
    /// Runs in a row that make an unknown plan a quick one, and one that was slow.
    static let quickAfter: UInt32 = 16
    static let quickAgainAfter: UInt32 = 128

    /// What it takes a server with time for it, in nanoseconds: the shortest run, and a little more with each that was longer. A mean would tell
    /// how busy the server is, most of all with the many connections that sharing does without.
    package private(set) var cost: UInt64 = 0
    private var owed = quickAfter

    package init() {}

    package var isQuick: Bool { owed == 0 }

    /// A run took so many nanoseconds, waiting not included.
    package mutating func record(_ elapsed: UInt64) {
        guard elapsed < Self.slow else { return tookLong() }
        cost = cost == 0 ? elapsed : min(elapsed, cost + cost / 64)
        if owed > 0 { owed -= 1 }
    }

    /// A run took so long that others were not left to wait for it.
    package mutating func tookLong() { owed = Self.quickAgainAfter }
}
