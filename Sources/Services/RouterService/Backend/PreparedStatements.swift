/// Which of the loop's statements a backend has prepared, by their slot.
struct PreparedStatements {
    /// The incarnation that is prepared in each slot; 0: none.
    private var incarnations: [UInt32] = []
    /// Sent but not confirmed yet: an error makes them doubtful.
    private var unconfirmed: [Int] = []
    /// Perhaps prepared: must be closed before their name is used again.
    private var doubtful: [Int: UInt32] = [:]

    @inline(__always)
    func contains(_ statement: StatementSlot) -> Bool {
        statement.index < incarnations.count && incarnations[statement.index] == statement.incarnation
    }

    /// A shard has said that it has it.
    func isConfirmed(_ statement: StatementSlot) -> Bool { contains(statement) && !unconfirmed.contains(statement.index) }

    /// The incarnation to close before `statement` is prepared in its slot; nil when the slot is clean.
    mutating func displaced(by statement: StatementSlot) -> UInt32? {
        if let old = doubtful.removeValue(forKey: statement.index) { return old }
        guard statement.index < incarnations.count, incarnations[statement.index] != 0 else { return nil }
        return incarnations[statement.index]
    }

    /// A Parse for it was sent.
    mutating func add(_ statement: StatementSlot) {
        if statement.index >= incarnations.count {
            incarnations.append(contentsOf: repeatElement(0, count: statement.index + 1 - incarnations.count))
        }
        incarnations[statement.index] = statement.incarnation
        unconfirmed.append(statement.index)
    }

    /// Everything sent so far was answered without an error.
    mutating func confirm() {
        if !unconfirmed.isEmpty { unconfirmed.removeAll(keepingCapacity: true) }
    }

    /// An exchange has ended.
    mutating func answered(isError: Bool) { if isError { doubt() } else { confirm() } }

    /// An error: nobody knows which of the unconfirmed ones came to be.
    mutating func doubt() {
        for index in unconfirmed where incarnations[index] != 0 {
            doubtful[index] = incarnations[index]
            incarnations[index] = 0
        }
        unconfirmed.removeAll(keepingCapacity: true)
    }
}

/// A statement's place among those of its event loop. Slots are used again; incarnations never.
struct StatementSlot: Equatable {
    let index: Int
    let incarnation: UInt32
    /// The name under which backends know it.
    let serverName: String

    /// How a message of a shard's that names one of them does it.
    static let quotedPrefix = Array("\"pgm_".utf8)

    init(index: Int, incarnation: UInt32) {
        self.index = index
        self.incarnation = incarnation
        serverName = "pgm_\(incarnation)"
    }
}

/// Who has which slot on one event loop. When all are taken, the next in turn loses its own; it gets another when it is used again.
struct StatementSlots {
    private let max: Int
    private var holders: [Statement] = []
    private var hand = 0
    private var nextIncarnation: UInt32 = 1

    init(max: Int) { self.max = max }

    mutating func assign(to statement: Statement) -> StatementSlot {
        let index: Int
        if holders.count < max {
            index = holders.count
            holders.append(statement)
        } else {
            index = hand
            hand = (hand + 1) % max
            holders[index].slot = nil
            holders[index] = statement
        }
        let slot = StatementSlot(index: index, incarnation: nextIncarnation)
        nextIncarnation &+= 1
        statement.slot = slot
        return slot
    }
}
