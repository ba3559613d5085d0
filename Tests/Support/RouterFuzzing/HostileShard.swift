#if DEBUG
internal import NIOCore
internal import PGWire
internal import WireFuzzing

/// A server, as far as a router needs one: bytes in, bytes out. A hostile one answers now and then with something else: spoiled messages, messages
/// out of turn or twice, half a message and then the end, or nothing at all.
struct HostileShard {
    /// One of so many answers of a hostile server is not PostgreSQL's.
    private static let hostileOneIn = 24
    /// Its system identifier.
    static let system = "1"

    var isHostile: Bool
    /// What is on its way to the router.
    var outgoing = ByteBuffer()
    /// It hangs up behind that.
    private(set) var hasHungUp = false
    private(set) var spoiled = 0

    private var random: SplitMix64
    private var mutator: WireMutator
    private var received = ByteBuffer()
    private var hasStarted = false
    private var statements: [String: String] = [:]
    private var portals: [String: Portal] = [:]
    private var status = UInt8(ascii: "I")
    private var temporaryTables: Set<String> = []
    /// After an error in a batch: up to Sync.
    private var isSkipping = false
    /// COPY FROM STDIN is under way: of a simple query, or of a batch.
    private var copyIn: CopyIn?

    /// It is a replica, and was asked to write.
    private(set) var wasAskedToWrite = false
    private let isReplica: Bool

    private enum CopyIn { case simple, batch }
    private struct Portal {
        var text: String
        var parameters: [String]
    }

    init(seed: UInt64, isHostile: Bool, isReplica: Bool) {
        self.isReplica = isReplica
        random = SplitMix64(state: seed)
        mutator = WireMutator(seed: seed, seeds: RouterWorld.seeds)
        self.isHostile = isHostile
    }

    private mutating func oneIn(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }

    mutating func receive(_ bytes: ByteBuffer) {
        guard !hasHungUp else { return }
        received.writeImmutableBuffer(bytes)
        if !hasStarted {
            guard let packet = try? StartupPacket.parse(from: &received) else { return }
            guard case .startup = packet else {
                hasHungUp = true
                return
            }
            hasStarted = true
            greet()
        }
        while let frame = try? received.readFrame(limit: 1 << 24) {
            var answer = ByteBuffer()
            self.answer(frame, &answer)
            send(answer)
        }
        received.discardReadBytes()
    }

    /// Something that nobody asked for.
    mutating func interrupt() {
        guard hasStarted, !hasHungUp else { return }
        spoiled += 1
        switch Int.random(in: 0..<8, using: &random) {
        case 0: outgoing.writeNoticeResponse(ServerError(severity: .notice, sqlState: .warning, message: "n"))
        case 1: outgoing.writeParameterStatus(name: "TimeZone", value: "Etc/UTC")
        case 2: outgoing.writeNotificationResponse(.init(processID: 9, channel: "c", payload: "p"))
        case 3: outgoing.writeErrorResponse(ServerError(severity: .fatal, sqlState: .adminShutdown, message: "bye"))
        case 4: outgoing.writeReadyForQuery(status: [0x49, 0x54, 0x45, 0x58].randomElement(using: &random) ?? 0)
        case 5: outgoing.writeDataRow(text: ["1", nil])
        case 6: outgoing.writeImmutableBuffer(mutator.next())
        default: hasHungUp = true
        }
    }

    private mutating func greet() {
        var greeting = ByteBuffer()
        if isHostile, oneIn(8) { greeting.writeAuthentication(.cleartextPassword) }
        greeting.writeAuthentication(.ok)
        for (name, value) in [("TimeZone", "UTC"), ("server_version", "15.0"), ("standard_conforming_strings", "on")] {
            greeting.writeParameterStatus(name: name, value: value)
        }
        greeting.writeBackendKeyData(processID: 7, secret: 9)
        greeting.writeReadyForQuery(status: status)
        // Most of them get as far as a session, or there would be none to spoil.
        if oneIn(3) { send(greeting) } else { outgoing.writeImmutableBuffer(greeting) }
    }

    private mutating func send(_ answer: ByteBuffer) {
        guard answer.readableBytes > 0 else { return }
        guard isHostile, oneIn(Self.hostileOneIn) else {
            outgoing.writeImmutableBuffer(answer)
            return
        }
        spoiled += 1
        switch Int.random(in: 0..<7, using: &random) {
        case 0: break
        case 1: outgoing.writeImmutableBuffer(mutator.next())
        case 2:
            outgoing.writeImmutableBuffer(answer)
            outgoing.writeImmutableBuffer(mutator.seed())
        case 3:
            outgoing.writeImmutableBuffer(answer)
            outgoing.writeImmutableBuffer(answer)
        case 4:
            var answer = answer
            outgoing.writeImmutableBuffer(answer.readSlice(length: Int.random(in: 0..<answer.readableBytes, using: &random)) ?? ByteBuffer())
            hasHungUp = true
        default: outgoing.writeImmutableBuffer(mutator.spoiled(answer))
        }
    }

    // MARK: PostgreSQL

    private mutating func answer(_ frame: Frame, _ answer: inout ByteBuffer) {
        if frame.kind == FrontendKind.sync {
            if copyIn != nil { return }
            isSkipping = false
            return answer.writeReadyForQuery(status: status)
        }
        if frame.kind == FrontendKind.terminate {
            hasHungUp = true
            return
        }
        if isSkipping { return }
        switch frame.kind {
        case FrontendKind.query: query(String(buffer: frame.body).filter { $0 != "\0" }, &answer)
        case FrontendKind.parse:
            guard let message = try? ParseMessage(body: frame.body) else { return fail(&answer) }
            statements[String(buffer: message.name)] = String(buffer: message.query)
            answer.writeParseComplete()
        case FrontendKind.bind:
            guard let message = try? BindMessage(body: frame.body), let text = statements[String(buffer: message.statement)] else {
                return fail(&answer)
            }
            portals[String(buffer: message.portal)] = Portal(
                text: text, parameters: message.parameters.map { $0.map { String(buffer: $0) } ?? "" })
            answer.writeBindComplete()
        case FrontendKind.describe:
            guard let message = try? DescribeMessage(body: frame.body) else { return fail(&answer) }
            let name = String(buffer: message.name)
            let text = message.target == .statement ? statements[name] : portals[name]?.text
            guard let text else { return fail(&answer) }
            if message.target == .statement { answer.writeParameterDescription(text.contains("$1") ? [20] : []) }
            if Self.verb(text) == "SELECT" { answer.writeRowDescription([.init(name: "v", typeOID: 25)]) } else { answer.writeNoData() }
        case FrontendKind.execute:
            guard let message = try? ExecuteMessage(body: frame.body), let portal = portals[String(buffer: message.portal)] else {
                return fail(&answer)
            }
            run(portal.text, portal.parameters, describes: false, rowsMax: Int(message.rowsMax), &answer)
        case FrontendKind.close: answer.writeCloseComplete()
        case FrontendKind.copyDone:
            guard let mode = copyIn else { return }
            copyIn = nil
            answer.writeCommandComplete(tag: "COPY 1")
            if mode == .simple { answer.writeReadyForQuery(status: status) }
        case FrontendKind.copyFail:
            guard let mode = copyIn else { return }
            copyIn = nil
            fail(&answer)
            guard mode == .simple else { return }
            isSkipping = false
            answer.writeReadyForQuery(status: status)
        default: break
        }
    }

    private mutating func fail(_ answer: inout ByteBuffer) {
        answer.writeErrorResponse(ServerError(sqlState: .undefinedTable, message: "no"))
        if status == UInt8(ascii: "T") { status = UInt8(ascii: "E") }
        isSkipping = true
    }

    private mutating func query(_ text: String, _ answer: inout ByteBuffer) {
        for statement in text.split(separator: ";") {
            let before = status
            run(String(statement), [], describes: true, &answer)
            if copyIn != nil { return }
            if isSkipping || status == UInt8(ascii: "E") && before != status { break }
        }
        isSkipping = false
        answer.writeReadyForQuery(status: status)
    }

    private static func verb(_ text: String) -> String {
        text.split(whereSeparator: \.isWhitespace).first.map { $0.uppercased() } ?? ""
    }

    /// The key that the statement names, so that its asker knows the answer again.
    private static func key(_ text: String, _ parameters: [String]) -> String {
        let numbers = ([text] + parameters).flatMap { $0.split { !$0.isNumber } }
        return numbers.first { $0.count == HostileClient.keyDigits }.map(String.init) ?? "1"
    }

    private mutating func run(_ text: String, _ parameters: [String], describes: Bool, rowsMax: Int = 0, _ answer: inout ByteBuffer) {
        let words = text.split { $0.isWhitespace || $0 == "(" }.map { $0.uppercased() }
        let ends = ["COMMIT", "END", "ROLLBACK", "ABORT"].contains(words.first) && !words.contains("TO")
        if status == UInt8(ascii: "E"), !ends, words.first != "ROLLBACK" || !words.contains("TO") {
            answer.writeErrorResponse(ServerError(sqlState: .inFailedTransaction, message: "failed"))
            isSkipping = true
            return
        }
        if isReplica, ["INSERT", "UPDATE", "DELETE", "COPY", "TRUNCATE", "ALTER", "PREPARE"].contains(words.first) { wasAskedToWrite = true }
        switch words.first {
        case nil: answer.writeEmptyQueryResponse()
        case "BEGIN", "START":
            status = UInt8(ascii: "T")
            answer.writeCommandComplete(tag: words[0] == "BEGIN" ? "BEGIN" : "START TRANSACTION")
        case "COMMIT", "END", "ROLLBACK", "ABORT":
            let isPrepared = words.contains("PREPARED")
            let undoes = status == UInt8(ascii: "E") || words[0] == "ABORT"
            let tag = isPrepared ? "\(words[0]) PREPARED" : undoes ? "ROLLBACK" : words[0] == "END" ? "COMMIT" : words[0]
            if !isPrepared { status = ends ? UInt8(ascii: "I") : status == UInt8(ascii: "E") ? UInt8(ascii: "T") : status }
            answer.writeCommandComplete(tag: tag)
        case "PREPARE":
            if words.contains("TRANSACTION") { status = UInt8(ascii: "I") }
            answer.writeCommandComplete(tag: words.contains("TRANSACTION") ? "PREPARE TRANSACTION" : "PREPARE")
        case "SELECT" where text.contains("default_transaction_isolation"):
            answer.writeRowDescription([.init(name: "h", typeOID: 25), .init(name: "i", typeOID: 25)])
            answer.writeDataRow(text: ["", oneIn(8) ? "repeatable read" : "read committed"])
            answer.writeCommandComplete(tag: "SELECT 1")
        case "SELECT" where text.contains("pg_is_in_recovery"):
            answer.writeRowDescription([.init(name: "r", typeOID: 25), .init(name: "s", typeOID: 25)])
            answer.writeDataRow(text: [isReplica ? "t" : "f", Self.system])
            answer.writeCommandComplete(tag: "SELECT 1")
        case "SELECT" where text.contains("pg_my_temp_schema"): temporary(text, &answer)
        case "SELECT", "SHOW", "FETCH", "EXPLAIN", "WITH", "VALUES":
            if describes { answer.writeRowDescription([.init(name: "v", typeOID: 25)]) }
            answer.writeDataRow(text: [Self.key(text, parameters)])
            if rowsMax == 1 { return answer.writePortalSuspended() }
            answer.writeCommandComplete(tag: words[0] == "FETCH" ? "FETCH 1" : words[0] == "SHOW" ? "SHOW" : "SELECT 1")
        case "COPY":
            copy(isIn: words.contains("STDIN"), describes, &answer)
        case "INSERT": answer.writeCommandComplete(tag: "INSERT 0 1")
        case "UPDATE", "DELETE": answer.writeCommandComplete(tag: "\(words[0]) 1")
        case let verb?:
            switch (verb, words.dropFirst().first) {
            case ("CREATE", "TEMP"): temporaryTables.insert(words[3].lowercased())
            case ("DROP", _), ("DISCARD", _): temporaryTables.removeAll()
            default: break
            }
            answer.writeCommandComplete(tag: verb)
        }
    }

    /// What the router asks about the server session's temporary tables: whether there are any, which, and their columns.
    private func temporary(_ text: String, _ answer: inout ByteBuffer) {
        let asksForTables = text.contains("pg_inherits"), asksForColumns = text.contains("format_type")
        let tables = temporaryTables.sorted()
        let rows: [[String?]] =
            text.contains("pg_listening_channels") ? tables.prefix(1).map { _ in ["temporary", ""] }
            : asksForTables ? tables.map { ["pg_temp_3", $0, "r", "f", "f", "f", "f", nil, nil, "f"] }
            : asksForColumns ? tables.map { ["pg_temp_3", $0, "v", "25", "text", "f", nil, "f", "f", "f", "t", "f"] } : []
        answer.writeRowDescription((0..<(rows.first?.count ?? 1)).map { .init(name: "c\($0)", typeOID: 25) })
        for row in rows { answer.writeDataRow(text: row) }
        answer.writeCommandComplete(tag: "SELECT \(rows.count)")
    }

    private mutating func copy(isIn: Bool, _ isSimple: Bool, _ answer: inout ByteBuffer) {
        let response = CopyResponse(format: .text, columnFormats: [.text, .text])
        guard !isIn else {
            answer.writeCopyInResponse(response)
            copyIn = isSimple ? .simple : .batch
            return
        }
        answer.writeCopyOutResponse(response)
        answer.writeCopyData(ByteBuffer(string: "1\tone\n"))
        answer.writeCopyDone()
        answer.writeCommandComplete(tag: "COPY 1")
    }
}
#endif
