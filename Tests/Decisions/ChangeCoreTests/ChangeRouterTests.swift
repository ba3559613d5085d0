import ChangeCore
import LogicalReplication
import NIOCore
import PGTypes
import ReplicationFuzzing
import ShardModel
import Testing

@Suite struct ChangeRouterTests {
    private static let layout = RowLayout(
        table: Fixture.name, columns: ["id", "name", "note"], typeOIDs: [20, 25, 25], identity: [0], isIdentityUnique: true)
    private typealias F = Fixture

    /// What a transaction of these messages makes of a router.
    private func changes(_ messages: [PGOutputMessage], _ identity: ReplicaIdentity = .standard) throws -> [ChangeAction] {
        var router = try Fixture.router(identity)
        return try ([F.begin(100)] + messages + [F.commit(100)]).flatMap { try router.receive($0) }
    }

    @Test func eachRowGoesToTheOwnerOfItsKeyAndThoseThatStayGoNowhere() throws {
        let (a, b, c) = (F.key(F.low), F.key(F.high), F.key(nil))
        #expect(
            try changes([a, b, c].map { F.insert(F.row($0)) }) == [
                .apply(F.low, .insert(Self.layout, row: F.row(a))), .apply(F.high, .insert(Self.layout, row: F.row(b))),
                .commit(position: LSN(105), targets: [F.high, F.low]),
            ])
        #expect(try changes([F.insert(F.row(c)), F.delete(.key([F.text("\(c)"), .null, .null]))]) == [.commit(position: LSN(105), targets: [])])
        let binary: [TupleValue] = [.binary(ByteBuffer(integer: Int64(b))), .null, .null]
        #expect(try changes([F.insert(binary)]).first == .apply(F.high, .insert(Self.layout, row: binary)))
    }

    /// Every pair of owners, before and after.
    @Test(arguments: [nil, Fixture.low, Fixture.high], [nil, Fixture.low, Fixture.high])
    func anUpdateOfTheKeyIsADeleteWhereTheRowWasAndAnInsertWhereItComesTo(_ from: ShardID?, _ to: ShardID?) throws {
        let (old, new) = (F.key(from), F.key(to, 1))
        let actions = try changes([F.update(.key([F.text("\(old)"), .null, .null]), F.row(new))])
        let identity = [F.text("\(old)")]
        var expected: [ChangeAction] = []
        if let from, from == to {
            expected = [.apply(from, .update(Self.layout, identity: identity, row: F.row(new)))]
        } else {
            if let from { expected.append(.apply(from, .delete(Self.layout, identity: identity))) }
            if let to { expected.append(.apply(to, .insert(Self.layout, row: F.row(new)))) }
        }
        #expect(actions.dropLast() == expected[...])
        #expect(actions.last == .commit(position: LSN(105), targets: Set([from, to].compactMap { $0 }).sorted()))
    }

    @Test func anUpdateThatKeepsTheKeyLeavesAValueOutOfLineAsItIs() throws {
        let key = F.key(F.low)
        let row = F.row(key, "new", note: .unchangedToast)
        #expect(try changes([F.update(nil, row)]).first == .apply(F.low, .update(Self.layout, identity: [F.text("\(key)")], row: row)))
    }

    @Test func aRowThatComesToANewOwnerIsWholeOrStopsTheJob() throws {
        let (old, new) = (F.key(F.low), F.key(F.high))
        let row = F.row(new, note: .unchangedToast)
        #expect(throws: ChangeError.rowIncomplete(F.name, column: "note")) {
            try changes([F.update(.key([F.text("\(old)"), .null, .null]), row)])
        }
        // With the whole old row there is nothing to miss.
        let full = try changes([F.update(.full(F.row(old, note: F.text("long"))), row)], .full)
        #expect(full.dropLast() == [
            .apply(F.low, .delete(Self.layout, identity: [F.text("\(old)")])),
            .apply(F.high, .insert(Self.layout, row: F.row(new, note: F.text("long")))),
        ])
        // A row that leaves takes nothing with it.
        #expect(try changes([F.update(.key([F.text("\(old)"), .null, .null]), F.row(F.key(nil), note: .unchangedToast))]).count == 2)
    }

    @Test func aKeyOutOfLineIsTakenFromTheOldRow() throws {
        let table = MovedTable(
            name: F.name, columns: [.init(name: "k", typeOID: 25), .init(name: "n", typeOID: 23)], keyColumn: "k", keyType: .text, primaryKey: ["k"])
        let ranges = try #require(MovedRanges([.init(range: .whole, target: F.low)]))
        var router = ChangeRouter(ranges: ranges, tables: [table], stored: [F.low: LSN(1)])
        _ = try router.receive(
            .relation(
                Relation(
                    id: F.id, schema: "public", name: "orders", replicaIdentity: .standard,
                    columns: [.init(name: "k", isKey: true, typeOID: 25), .init(name: "n", isKey: false, typeOID: 23)]), xid: nil))
        _ = try router.receive(F.begin(10))
        let actions = try router.receive(F.update(.key([F.text("long"), .null]), [.unchangedToast, F.text("2")]))
        guard case .apply(F.low, .update(_, let identity, let row)) = try #require(actions.first) else {
            Issue.record("\(actions)")
            return
        }
        #expect(identity == [F.text("long")] && row == [F.text("long"), F.text("2")])
        #expect(throws: ChangeError.self) { try router.receive(F.update(nil, [.unchangedToast, F.text("2")])) }
    }

    @Test func anIdentityOfTheWholeRowIsNarrowedToThePrimaryKeyOrIsForOneOfEqualRows() throws {
        let key = F.key(F.low)
        guard case .apply(_, .delete(let layout, let identity)) = try #require(try changes([F.delete(.full(F.row(key)))], .full).first) else {
            Issue.record("no delete")
            return
        }
        #expect(layout == Self.layout && identity == [F.text("\(key)")])
        var table = F.table
        table.primaryKey = []
        var router = ChangeRouter(ranges: F.ranges, tables: [table], stored: [:])
        _ = try router.receive(.relation(F.relation(.full), xid: nil))
        _ = try router.receive(F.begin(10))
        let old = F.row(key, note: .null)
        guard case .apply(_, .delete(let whole, let values)) = try #require(try router.receive(F.delete(.full(old))).first) else {
            Issue.record("no delete")
            return
        }
        #expect(!whole.isIdentityUnique && whole.identity == [0, 1, 2] && values == old, "NULL is a value to find a row by")
    }

    @Test func truncateTakesFromEachTargetWhatCameFromThisSource() throws {
        let truncate = PGOutputMessage.truncate(Truncate(relations: [F.id], isCascade: true, restartsIdentity: true), xid: nil)
        #expect(
            try changes([truncate]) == [
                .apply(F.high, .truncate([F.name], ranges: [TokenRange(1 << 63...UInt64.max)])),
                .apply(F.low, .truncate([F.name], ranges: [TokenRange(1 << 62...(1 << 63) - 1)])),
                .commit(position: LSN(105), targets: [F.high, F.low]),
            ])
    }

    @Test func generatedColumnsAreLeftToTheTargetThoughTheServerSendsThem() throws {
        var router = ChangeRouter(ranges: F.ranges, tables: [F.table], stored: [:])
        var relation = F.relation()
        relation.columns.insert(.init(name: "sum", isKey: false, typeOID: 1700), at: 1)
        _ = try router.receive(.relation(relation, xid: nil))
        _ = try router.receive(F.begin(10))
        let key = F.key(F.low)
        let row = F.row(key)
        #expect(try router.receive(F.insert([row[0], F.text("9"), row[1], row[2]])) == [.apply(F.low, .insert(Self.layout, row: row))])
    }

    // MARK: What is refused

    @Test func aTableWhoseRowsCannotBeFoundIsRefusedAtOnce() {
        func describe(_ relation: Relation) throws {
            var router = ChangeRouter(ranges: F.ranges, tables: [F.table], stored: [:])
            _ = try router.receive(.relation(relation, xid: nil))
        }
        #expect(throws: ChangeError.noIdentity(F.name)) { try describe(F.relation(.nothing)) }
        #expect(throws: ChangeError.noIdentity(F.name)) { try describe(F.relation(.standard, keys: [])) }
        #expect(throws: ChangeError.keyOutsideIdentity(F.name, column: "id")) { try describe(F.relation(.index, keys: ["name"])) }
        #expect(throws: Never.self) { try describe(F.relation(.index, keys: ["name", "id"])) }
    }

    @Test func ddlBehindTheJobsBackStopsIt() throws {
        var other = F.relation()
        var changes: [Relation] = []
        other.columns[1].name = "renamed"
        changes.append(other)
        other = F.relation()
        other.columns[1].typeOID = 23
        changes.append(other)
        other = F.relation()
        other.columns.append(.init(name: "more", isKey: false, typeOID: 25))
        changes.append(other)
        other = F.relation()
        other.columns.removeLast()
        changes.append(other)
        other = F.relation()
        other.columns[2].name = "name"
        changes.append(other)
        changes.append(F.relation(id: RelationID(2)))
        for relation in changes {
            var router = try F.router()
            #expect(throws: ChangeError.definitionChanged(F.name), "\(relation.columns)") { try router.receive(.relation(relation, xid: nil)) }
        }
        other = F.relation()
        other.name = "new"
        var router = try F.router()
        #expect(throws: ChangeError.unknownTable(QualifiedName(schema: "public", name: "new"))) { try router.receive(.relation(other, xid: nil)) }
        // The same again, in another order of columns: no change.
        other = F.relation()
        other.columns.swapAt(0, 2)
        #expect(throws: Never.self) { try router.receive(.relation(other, xid: nil)) }
    }

    @Test func aKeyThatIsNoneStopsTheJob() throws {
        for key: TupleValue in [.null, F.text("x"), F.text("99999999999999999999"), .binary(ByteBuffer(bytes: [1])), .unchangedToast] {
            #expect(throws: ChangeError.self, "\(key)") { try changes([F.insert([key, .null, .null])]) }
        }
        for row: [TupleValue] in [[], F.row(F.key(F.low)) + [.null], F.row(F.key(F.low), note: .unchangedToast)] {
            #expect(throws: ChangeError.malformed(F.id)) { try changes([F.insert(row)]) }
        }
        #expect(throws: ChangeError.malformed(RelationID(9))) { try changes([.insert(RowInsert(relation: RelationID(9), row: []), xid: nil)]) }
        let layoutWithIndex = F.relation(.index, keys: ["id", "name"])
        var router = ChangeRouter(ranges: F.ranges, tables: [F.table], stored: [:])
        _ = try router.receive(.relation(layoutWithIndex, xid: nil))
        _ = try router.receive(F.begin(10))
        #expect(throws: ChangeError.malformed(F.id), "a part of the identity is NULL") {
            try router.receive(F.delete(.key([F.text("\(F.key(F.low))"), .null, .null])))
        }
    }

    /// Each kind of message, where it cannot stand.
    @Test func messagesOutOfOrderAreRefused() throws {
        let row = F.insert(F.row(F.key(F.low)))
        let sequences: [[PGOutputMessage]] = [
            [row], [F.commit(10)], [F.begin(10), F.begin(20)], [F.begin(10), F.commit(11)], [F.begin(10), F.commit(10), F.commit(10)],
            [F.begin(10), F.commit(10), row], [F.begin(20), F.commit(20), F.begin(10)],
            [.truncate(Truncate(relations: [F.id], isCascade: false, restartsIdentity: false), xid: nil)],
        ]
        for sequence in sequences {
            var router = try F.router()
            for message in sequence.dropLast() { _ = try router.receive(message) }
            #expect(throws: ChangeError.self, "\(sequence)") { try router.receive(sequence[sequence.count - 1]) }
        }
        // Nothing of transactions in progress or prepared ones was asked for.
        for message in PGOutputSamples.inStream where message != .origin(position: LSN(7), name: "o") {
            var router = try F.router()
            _ = try router.receive(F.begin(10))
            #expect(throws: ChangeError.self, "\(message)") { try router.receive(message) }
        }
    }

    @Test func anErrorTellsNoValueAndSaysWhatToDo() {
        let errors: [ChangeError] = [
            .outOfOrder("x"), .malformed(F.id), .unknownTable(F.name), .definitionChanged(F.name), .noIdentity(F.name),
            .keyOutsideIdentity(F.name, column: "id"), .rowIncomplete(F.name, column: "note"), .key(F.name, .malformed),
        ]
        #expect(Set(errors.map(\.message)).count == errors.count)
        #expect(errors.filter { $0.hint != nil }.count == 5)
    }

    // MARK: Ranges

    @Test func rangesAreWithoutOverlapAndAnswerEveryToken() {
        #expect(MovedRanges([]) == nil)
        let move = MovedRanges.Move(range: TokenRange(10...20), target: F.low)
        #expect(MovedRanges([move, .init(range: TokenRange(20...30), target: F.low)]) == nil)
        let ranges = MovedRanges([
            .init(range: TokenRange(21...21), target: F.high), move, .init(range: TokenRange(UInt64.max...UInt64.max), target: F.low),
        ])
        let expected: [(UInt64, ShardID?)] = [(0, nil), (9, nil), (10, F.low), (20, F.low), (21, F.high), (22, nil), (.max - 1, nil), (.max, F.low)]
        for (token, target) in expected { #expect(ranges?.target(of: Token(token)) == target, "\(token)") }
        #expect(ranges?.targets == [F.high, F.low])
    }
}
