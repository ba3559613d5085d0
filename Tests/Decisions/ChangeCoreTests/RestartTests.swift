import ChangeCore
import LogicalReplication
import NIOCore
import ReplicationFuzzing
import ShardModel
import Testing
import TestKit

@Suite struct RestartTests {
    private typealias F = Fixture

    @Test func aTargetGetsNothingThatItHasStored() throws {
        // `high` has the transaction that ends at 105, `low` has not.
        var router = try F.router(stored: [F.low: LSN(10), F.high: LSN(105)])
        #expect(router.start == LSN(10))
        let rows = [F.insert(F.row(F.key(F.low))), F.insert(F.row(F.key(F.high)))]
        let first = try ([F.begin(100)] + rows + [F.commit(100)]).flatMap { try router.receive($0) }
        #expect(first.last == .commit(position: LSN(105), targets: [F.low]))
        #expect(first.count == 2)
        let second = try ([F.begin(105)] + rows + [F.commit(105)]).flatMap { try router.receive($0) }
        #expect(second.last == .commit(position: LSN(110), targets: [F.high, F.low]), "a commit record may start where the last one ended")
    }

    @Test func theSlotForgetsOnlyWhatEveryTargetHasStored() {
        var positions = AppliedPositions(stored: [F.low: LSN(10), F.high: LSN(20)])
        #expect(positions.flushed == LSN(10))
        positions.asked([F.high], position: LSN(50))
        #expect(positions.flushed == LSN(20), "low has nothing to do up to 50, high has not stored it")
        #expect(positions.applied(F.low) == LSN(50) && positions.applied(F.high) == LSN(20))
        positions.asked([F.low, F.high], position: LSN(60))
        positions.stored(F.high, position: LSN(50))
        #expect(positions.flushed == LSN(10))
        positions.stored(F.low, position: LSN(60))
        #expect(positions.flushed == LSN(50))
        #expect(!positions.hasReached(LSN(60)))
        positions.stored(F.high, position: LSN(60))
        positions.keptAlive(end: LSN(90))
        #expect(positions.flushed == LSN(90) && positions.hasReached(LSN(90)) && !positions.hasReached(LSN(91)))
        positions.stored(F.high, position: LSN(30))
        positions.keptAlive(end: LSN(40))
        #expect(positions.flushed == LSN(90), "nothing goes back")
        #expect(positions.applied(ShardID("other")) == nil)
        #expect(!AppliedPositions(stored: [:]).hasReached(.none))
    }

    /// Random transactions, applied by targets that crash anywhere: in the end each row is on the one target that owns it, as on the source.
    @Test func noCrashMakesATargetRepeatOrSkipAChange() throws {
        try withSeed { random in
            for _ in 0..<300 {
                let log = Log.random(&random)
                var targets: [ShardID: Target] = [F.low: Target(), F.high: Target()]
                var slot = LSN(10)
                while true {
                    let isLast = try log.play(into: &targets, slot: &slot, crashes: Int.random(in: 0..<4, using: &random) > 0, &random)
                    if isLast { break }
                }
                for (id, target) in targets {
                    #expect(target.rows == log.final.filter { F.ranges.target(of: F.token($0.key)) == id })
                    #expect(target.position <= log.end)
                }
                #expect(slot == log.end)
            }
        }
    }
}

/// A target: what is committed, and what its open transaction has made of it.
private struct Target {
    var rows: [Int: String] = [:]
    var position = LSN(10)
    var open: [Int: String]?

    mutating func apply(_ change: RowChange) {
        var rows = open ?? self.rows
        switch change {
        case .insert(_, let row): #expect(rows.updateValue(row[1].string, forKey: row[0].number) == nil, "inserted twice")
        case .update(_, let identity, let row):
            #expect(rows.removeValue(forKey: identity[0].number) != nil, "updates no row")
            rows[row[0].number] = row[1].string
        case .delete(_, let identity): #expect(rows.removeValue(forKey: identity[0].number) != nil, "deletes no row")
        case .truncate(_, let ranges): rows = rows.filter { row in !ranges.contains { $0.contains(Fixture.token(row.key)) } }
        }
        open = rows
    }

    mutating func commit(_ position: LSN) {
        rows = open ?? rows
        open = nil
        self.position = position
    }
}

/// A source's log: transactions in commit order.
private struct Log {
    var transactions: [(position: UInt64, messages: [PGOutputMessage])] = []
    var final: [Int: String] = [:]
    var end = LSN(10)

    static func random(_ random: inout SeededGenerator) -> Log {
        typealias F = Fixture
        var log = Log()
        for number in 0..<UInt64.random(in: 1...8, using: &random) {
            let position = 20 + number * 10
            var messages: [PGOutputMessage] = []
            for change in 0..<Int.random(in: 0...5, using: &random) {
                let (key, other) = (Int.random(in: 0..<12, using: &random), Int.random(in: 0..<12, using: &random))
                let name = "\(number)-\(change)"
                if log.final[key] == nil {
                    messages.append(F.insert(F.row(key, name)))
                    log.final[key] = name
                } else if change == 4, number % 3 == 0 {
                    messages.append(.truncate(Truncate(relations: [F.id], isCascade: false, restartsIdentity: false), xid: nil))
                    log.final = [:]
                } else if Bool.random(using: &random) {
                    messages.append(F.delete(.key([F.text("\(key)"), .null, .null])))
                    log.final[key] = nil
                } else if log.final[other] == nil {
                    messages.append(F.update(.key([F.text("\(key)"), .null, .null]), F.row(other, name)))
                    log.final[key] = nil
                    log.final[other] = name
                } else {
                    messages.append(F.update(nil, F.row(key, name, note: .unchangedToast)))
                    log.final[key] = name
                }
            }
            log.transactions.append((position, messages))
            log.end = LSN(position + 5)
        }
        return log
    }

    /// One connection: from the slot's position, or where the targets ask to start, to the end or a crash. True: at the end, with everything stored.
    func play(into targets: inout [ShardID: Target], slot: inout LSN, crashes: Bool, _ random: inout SeededGenerator) throws -> Bool {
        for id in targets.keys { targets[id]?.open = nil }
        let stored = targets.mapValues(\.position)
        var router = try Fixture.router(stored: stored)
        var positions = AppliedPositions(stored: stored)
        let start = max(slot, router.start)
        for (position, messages) in transactions where LSN(position) >= start {
            for message in [Fixture.begin(position)] + messages + [Fixture.commit(position)] {
                for action in try router.receive(message) {
                    switch action {
                    case .apply(let target, let change): targets[target]?.apply(change)
                    case .commit(let end, let asked):
                        positions.asked(asked, position: end)
                        for target in asked {
                            if crashes, Int.random(in: 0..<12, using: &random) == 0 { return false }
                            targets[target]?.commit(end)
                            positions.stored(target, position: end)
                            slot = max(slot, positions.flushed)
                        }
                    }
                }
                if crashes, Int.random(in: 0..<30, using: &random) == 0 { return false }
            }
        }
        positions.keptAlive(end: end)
        slot = max(slot, positions.flushed)
        return positions.hasReached(end)
    }
}

extension TupleValue {
    fileprivate var string: String {
        if case .text(let bytes) = self { String(buffer: bytes) } else { "" }
    }
    fileprivate var number: Int { Int(string) ?? -1 }
}
