#if DEBUG
internal import NIOCore
internal import PGWire
internal import WireFuzzing

/// A client: bytes out, bytes in, and what is wrong with the answers. A hostile one spoils messages and sends them out of turn; an honest one must be
/// served as if the others were not there.
struct HostileClient {
    /// Of the number by which a client knows its own answers: too many to be another's by a bit that was turned.
    static let keyDigits = 12
    static let password = "pencil"

    let isHostile: Bool
    let key: String
    /// What is on its way to the router.
    var outgoing = ByteBuffer()
    private(set) var spoiled = 0
    /// It has been told that its connection ends.
    private(set) var isDismissed = false
    private(set) var isLoggedIn = false
    /// A hostile shard may have begun a COPY that nobody asked for, during which a Sync is no unit.
    private(set) var isInDoubt = false
    private(set) var cancelKey: CancelRequest?
    /// ReadyForQuery messages that it got.
    private(set) var readies = 0
    /// Rows with its key.
    private(set) var ownRows = 0

    private let authenticates: Bool
    private var scram: ScramClient
    private var random: SplitMix64
    private var mutator: WireMutator
    /// What was delivered, as the router should read it.
    private var delivered = ByteBuffer()
    private var hasStartup = false
    /// Units that the delivered bytes make, the login among them.
    private var unitsDelivered = 0
    private var received = ByteBuffer()
    /// Units that were made, the login among them.
    private var unitsMade = 1
    /// What the rows of a unit must say, in this order, as far as they come; by the unit's number.
    private var reads: [Int: [String]] = [:]
    private var rowsOfUnit = 0

    init(seed: UInt64, isHostile: Bool, authenticates: Bool) {
        self.authenticates = authenticates
        random = SplitMix64(state: seed)
        scram = ScramClient(nonce: "n\(random.next())x\(random.next())")
        mutator = WireMutator(seed: seed, seeds: RouterWorld.seeds)
        self.isHostile = isHostile
        key = String(UInt64.random(in: 100_000_000_000...999_999_999_999, using: &random))
        var startup = ByteBuffer()
        startup.writeStartup(
            [.init(name: "user", value: "alice"), .init(name: "database", value: "shop")]
                + (oneIn(8) ? [.init(name: "TimeZone", value: "UTC")] : []))
        send(startup)
    }

    private mutating func oneIn(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }

    // MARK: Sending

    /// The next burst of messages.
    mutating func burst() {
        // Until it has shown who it is it may say nothing else.
        if authenticates, !isLoggedIn, !isHostile || !oneIn(20) { return }
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            var messages = ByteBuffer()
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4: messages.writeQuery(text())
            case 4: copy(&messages)
            case 5, 6: reads(&messages)
            default: batch(&messages)
            }
            unitsMade += 1
            send(messages)
        }
    }

    /// The point read that must be answered.
    mutating func ask() {
        unitsMade += 1
        outgoing.writeQuery("SELECT v FROM t WHERE k = \(key)")
    }

    private mutating func send(_ messages: ByteBuffer) {
        guard isHostile, oneIn(6) else {
            outgoing.writeImmutableBuffer(messages)
            return
        }
        spoiled += 1
        outgoing.writeImmutableBuffer(oneIn(3) ? mutator.next() : mutator.spoiled(messages))
    }

    private mutating func text() -> String {
        let first = Statements.any(key, &random)
        return oneIn(8) ? "\(first); \(Statements.any(key, &random))" : first
    }

    private mutating func copy(_ buffer: inout ByteBuffer) {
        buffer.writeQuery("COPY t FROM STDIN")
        for _ in 0..<Int.random(in: 0...3, using: &random) { buffer.writeCopyData(ByteBuffer(string: "\(key)\tone\n2\ttwo\n")) }
        if oneIn(4) { buffer.writeCopyFail(reason: "no") } else { buffer.writeCopyDone() }
    }

    private mutating func batch(_ buffer: inout ByteBuffer) {
        if oneIn(2) { statements(&buffer) } else { jumble(&buffer) }
        if !isHostile || !oneIn(10) { buffer.writeSync() }
    }

    /// A pipeline of reads over the shards, each with a row of its own.
    private mutating func reads(_ buffer: inout ByteBuffer) {
        var keys: [String] = []
        var isPure = true
        let first = Int(key) ?? 0
        buffer.writeClose(.statement, name: "reads")
        buffer.writeParse(name: "reads", query: "SELECT v FROM t WHERE k = $1", parameterTypes: [20])
        for number in 0..<Int.random(in: 1...16, using: &random) {
            if oneIn(30) {
                isPure = false
                buffer.writeParse(name: "", query: Statements.any(key, &random), parameterTypes: [])
                buffer.writeBind(portal: "", statement: "", parameters: [])
            } else {
                keys.append(String(first + number))
                let name = oneIn(4) ? "" : "reads"
                if name.isEmpty { buffer.writeParse(name: "", query: "SELECT v FROM t WHERE k = $1 LIMIT 1", parameterTypes: [20]) }
                buffer.writeBind(portal: "", statement: name, parameters: [(ByteBuffer(string: String(first + number)), .text)])
                if oneIn(2) { buffer.writeDescribe(.portal, name: "") }
            }
            buffer.writeExecute(portal: "", rowsMax: oneIn(6) ? 1 : 0)
            if oneIn(8) { buffer.writeFlush() }
        }
        if isPure { reads[unitsMade] = keys }
        if !isHostile || !oneIn(10) { buffer.writeSync() }
    }

    /// As drivers pipeline them.
    private mutating func statements(_ buffer: inout ByteBuffer) {
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let isPoint = oneIn(3)
            let text = isPoint ? "SELECT v FROM t WHERE k = $1" : Statements.any(key, &random, copies: isHostile)
            let (name, portal) = (oneIn(3) ? "s\(Int.random(in: 0..<3, using: &random))" : "", oneIn(4) ? "p" : "")
            if !name.isEmpty { buffer.writeClose(.statement, name: name) }
            buffer.writeParse(name: name, query: text, parameterTypes: isPoint && oneIn(2) ? [20] : [])
            if oneIn(4) { buffer.writeDescribe(.statement, name: name) }
            buffer.writeBind(portal: portal, statement: name, parameters: isPoint ? [(ByteBuffer(string: key), .text)] : [])
            if oneIn(2) { buffer.writeDescribe(.portal, name: portal) }
            buffer.writeExecute(portal: portal, rowsMax: oneIn(4) ? 1 : 0)
            if !portal.isEmpty { buffer.writeClose(.portal, name: portal) }
        }
    }

    /// In any order.
    private mutating func jumble(_ buffer: inout ByteBuffer) {
        let name = oneIn(2) ? "" : "s\(Int.random(in: 0..<3, using: &random))"
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            switch Int.random(in: 0..<9, using: &random) {
            case 0, 1:
                let isPoint = oneIn(2)
                buffer.writeParse(
                    name: name, query: isPoint ? "SELECT v FROM t WHERE k = $1" : Statements.any(key, &random, copies: isHostile),
                    parameterTypes: isPoint && oneIn(2) ? [20] : [])
            case 2, 3: buffer.writeBind(portal: "", statement: name, parameters: oneIn(4) ? [] : [(ByteBuffer(string: key), .text)])
            case 4: buffer.writeDescribe(oneIn(2) ? .statement : .portal, name: oneIn(2) ? name : "")
            case 5, 6: buffer.writeExecute(portal: "", rowsMax: oneIn(3) ? 1 : 0)
            case 7: buffer.writeClose(oneIn(2) ? .statement : .portal, name: name)
            default:
                if isHostile, oneIn(2) {
                    buffer.writeCopyData(ByteBuffer(string: "1\tone\n"))
                    buffer.writeCopyDone()
                } else {
                    buffer.writeFlush()
                }
            }
        }
    }

    /// The router gets these bytes now.
    mutating func deliver(_ bytes: ByteBuffer) {
        delivered.writeImmutableBuffer(bytes)
        unitsDelivered += countUnits()
        delivered.discardReadBytes()
    }

    private mutating func countUnits() -> Int {
        var units = 0
        while !hasStartup {
            guard let packet = try? StartupPacket.parse(from: &delivered) else { return 0 }
            guard case .startup = packet else { continue }
            hasStartup = true
            units = 1
        }
        while let frame = try? delivered.readFrame(limit: 1 << 30) {
            if [FrontendKind.query, FrontendKind.sync, FrontendKind.functionCall].contains(frame.kind) { units += 1 }
        }
        return units
    }

    // MARK: Receiving

    /// - strangers: the keys of other clients. nil: what the shards answer may be anything.
    mutating func receive(_ bytes: ByteBuffer, strangers: Set<String>?) throws(WireFuzzer.Finding) {
        received.writeImmutableBuffer(bytes)
        // Answers to requests for encryption.
        while !isLoggedIn, let byte = received.getInteger(at: received.readerIndex, as: UInt8.self), byte == UInt8(ascii: "N"),
            received.getInteger(at: received.readerIndex + 1, as: UInt32.self).map({ $0 > 1 << 20 }) ?? true
        { received.moveReaderIndex(forwardBy: 1) }
        do {
            while let frame = try received.readFrame(limit: 1 << 30) { try receive(frame, strangers) }
        } catch let finding as WireFuzzer.Finding {
            throw finding
        } catch {
            throw WireFuzzer.Finding(what: "a client got what is no message: \(error)")
        }
        received.discardReadBytes()
    }

    private mutating func receive(_ frame: Frame, _ strangers: Set<String>?) throws {
        switch frame.kind {
        case BackendKind.authentication where !isLoggedIn:
            // What it spoiled itself need not fit.
            do { try prove(try AuthenticationRequest(body: frame.body)) } catch where isHostile {}
        case BackendKind.readyForQuery:
            reads[readies] = nil
            rowsOfUnit = 0
            readies += 1
            isLoggedIn = true
            if strangers != nil || !isHostile, hasStartup, readies > unitsDelivered {
                throw WireFuzzer.Finding(what: "\(unitsDelivered) units were answered by \(readies) ReadyForQuery")
            }
        case BackendKind.backendKeyData where cancelKey == nil:
            let data = try BackendKeyData(body: frame.body)
            cancelKey = CancelRequest(processID: data.processID, secret: data.secret)
        case BackendKind.errorResponse:
            let error = try? ServerError(body: frame.body)
            if error?[.severityPlain] == "FATAL" { isDismissed = true }
            // These shards have no catalog to read a changed schema from.
            let isOfSchema = error?.message == "the schema could not be understood"
            if strangers != nil, let error, error.sqlState.code.hasPrefix("XX"), !isOfSchema {
                throw WireFuzzer.Finding(what: "an internal error: \(error.message)")
            }
        case BackendKind.copyInResponse: if strangers == nil { isInDoubt = true }
        case BackendKind.dataRow:
            // A hostile shard's may be no row.
            guard let row = try? DataRow(body: frame.body) else { break }
            if strangers != nil, !isHostile, let expected = reads[readies] {
                let text = row.columns.map { $0.map { String(buffer: $0) } }.first ?? nil
                guard rowsOfUnit < expected.count, text == expected[rowsOfUnit] else { throw WireFuzzer.Finding(what: "a row out of its order") }
                rowsOfUnit += 1
            }
            for case let column? in row.columns {
                let text = String(buffer: column)
                if text == key { ownRows += 1 }
                if strangers?.contains(text) == true { throw WireFuzzer.Finding(what: "a client got the row of another") }
            }
        default: break
        }
    }

    private mutating func prove(_ request: AuthenticationRequest) throws {
        var answer = ByteBuffer()
        switch request {
        case .sasl: answer.writeSASLInitialResponse(mechanism: ScramClient.mechanism, data: scram.firstMessage())
        case .saslContinue(let first):
            let challenge = try scram.challenge(from: first)
            let password = isHostile && oneIn(8) ? "wrong" : Self.password
            answer.writeSASLResponse(
                scram.finalMessage(for: challenge, keys: ScramKeys(password: password, salt: challenge.salt, iterations: challenge.iterations)))
        default: return
        }
        send(answer)
    }

    /// Units that wait for their answer; none where the connection is over, or who knows.
    var unanswered: Int { isDismissed || isInDoubt ? 0 : unitsDelivered - readies }
}

/// Statements of every kind that a session treats differently.
private enum Statements {
    static func any(_ key: String, _ random: inout SplitMix64, copies: Bool = false) -> String {
        let texts = texts(key) + (copies ? ["COPY t FROM STDIN"] : [])
        return texts.randomElement(using: &random) ?? ""
    }

    private static func texts(_ key: String) -> [String] {
        [
            "SELECT v FROM t WHERE k = \(key)", "SELECT v FROM t WHERE k = \(key) LIMIT 1", "SELECT count(*) FROM t",
            "INSERT INTO t (k, v) VALUES (\(key), 'x')", "INSERT INTO t (k, v) VALUES (\(key), 'x'), (2, 'y'), (99, 'z')",
            "UPDATE t SET v = 'a' WHERE k = \(key)", "DELETE FROM t WHERE k IN (\(key), 2, 3, 4)", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s",
            "ROLLBACK TO s", "RELEASE s", "SET TimeZone = 'UTC'", "SET LOCAL search_path = public", "RESET ALL", "DISCARD ALL",
            "SELECT set_config('TimeZone', 'UTC', false)", "PREPARE p AS SELECT v FROM t WHERE k = $1", "EXECUTE p (\(key))", "DEALLOCATE p",
            "LISTEN c", "UNLISTEN *", "NOTIFY c, 'x'", "SELECT pg_advisory_lock(1)",
            "DECLARE c CURSOR WITH HOLD FOR SELECT v FROM t WHERE k = \(key)", "DECLARE c CURSOR FOR SELECT v FROM t WHERE k = \(key)",
            "FETCH 1 FROM c", "CLOSE c", "COPY t TO STDOUT", "COPY r TO STDOUT", "SELECT v FROM r", "UPDATE r SET v = 'q'",
            "INSERT INTO l (k, v) VALUES (\(key), 'x')", "SHOW TimeZone", "SHOW pgmosaic.session", "/* pgmosaic: shard_key=\(key) */ SELECT v FROM t",
            "SET pgmosaic.shard_key = '\(key)'", "RESET pgmosaic.shard_key", "EXPLAIN SELECT v FROM t WHERE k = \(key)", "", ";", "SELECT",
            "SET pgmosaic.consistency = 'eventual'", "BEGIN ISOLATION LEVEL SERIALIZABLE", "PREPARE TRANSACTION 'x'",
            "ALTER TABLE t ADD COLUMN c int", "CREATE TEMP TABLE x (a int)", "CREATE TEMP TABLE t (a int) ON COMMIT DROP", "SELECT v FROM x", "INSERT INTO x VALUES (1)",
            "DROP TABLE x", "DISCARD TEMP", "SELECT v FROM pg_temp.x", "PREPARE x AS SELECT v FROM x", "EXECUTE x", "SELECT pgmosaic.shard_table('n', 'k')", "SELECT v FROM unknown",
            "TRUNCATE t", "VACUUM t", "DO $$ BEGIN END $$", "START TRANSACTION READ ONLY", "COMMIT AND CHAIN", "VALUES (1)",
        ]
    }
}
#endif
