internal import ControlAPI
internal import NIOCore
internal import PGTypes
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// What the router knows of a statement before any session runs it: whether REST takes it, whether the key fits, and where it would go.
///
/// The session plans it again, from the same cache; whatever is refused for what it is, is refused there. On the database's loop.
struct StatementCheck {
    private let request: StatementRequest
    private let database: DatabaseState
    let planned: PlannedStatement

    /// `scope` is that of a session without settings of its own, as the sessions of REST are.
    init(_ request: StatementRequest, _ database: DatabaseState, scope: PlanScope) throws(WireError) {
        self.request = request
        self.database = database
        var bytes = ByteBuffer()
        bytes.writeParse(name: "", query: request.query)
        bytes.moveReaderIndex(forwardBy: FrameHeader.length)
        let statement = scope.statement(try ParseMessage(body: bytes))
        // A look is not a use: the session's own Parse decides whether the statement deserves a name on the shards.
        statement.uses &-= 1
        planned = statement.planned
    }

    /// Throws an `APIError` when the statement cannot run over REST, or names none of the request's key.
    func admit() throws(APIError) {
        guard let plan = planned.plan else { return }
        if let refusal = RESTRefusal(plan.value) { throw APIError(refusal) }
        if request.shardKey != nil {
            switch plan.route {
            case .gatherRows, .everyKey, .explain: throw APIError(ServerError.refusal(Refusal(.noKey)))
            case .keysFirst: throw APIError(ServerError.refusal(Refusal(.keyMissing)))
            default: break
            }
        }
        guard let shardKey = request.shardKey, case .keyed(let sources) = plan.route else { return }
        guard let inputs else { return }
        var isNamed = false
        for source in sources {
            // A value that is no key is the session's to refuse.
            guard let tokens = try? inputs.tokens(source) else { return }
            let wanted = Self.token(shardKey, source.keyType)
            switch tokens {
            case .one(let token): isNamed = isNamed || token == wanted
            case .many(let list): isNamed = isNamed || list.contains(wanted)
            }
        }
        guard isNamed else {
            throw APIError(.shardKeyMismatch, "field \"shard_key\" is none of the keys that the statement names")
        }
    }

    /// Whether a client's answer may be too large after the statement has written: then it is committed only once the answer is complete.
    var mayWriteAndReturn: Bool {
        guard let plan = planned.plan else { return true }
        guard plan.writes else { return false }
        switch plan.kind {
        case .insert, .update, .delete, .merge: return Self.mentionsReturning(request.query)
        case .ddl, .session, .transaction, .utility: return false
        case .select, .copy, .mosaic: return true
        }
    }

    /// Without the word there is no RETURNING; with it there may be (it could stand in a string).
    private static func mentionsReturning(_ query: String) -> Bool {
        let word = Array("returning".utf8)
        var matched = 0
        for byte in query.utf8 {
            let lower = byte | 0x20
            matched = lower == word[matched] ? matched + 1 : (lower == word[0] ? 1 : 0)
            if matched == word.count { return true }
        }
        return false
    }

    // MARK: Keys

    private var inputs: KeyInputs? {
        var bytes = ByteBuffer()
        bytes.writeBind(request.params)
        bytes.moveReaderIndex(forwardBy: FrameHeader.length)
        return (try? BindMessage(body: bytes)).map { KeyInputs(bind: $0, parameterTypes: []) }
    }

    /// The token of a key as text: that of the type's canonical form where the text is a value of it, else that of the bytes.
    static func token(_ key: JSONValue, _ type: KeyType?) -> Token {
        let bytes = Array((ParameterText.text(key) ?? "").utf8)
        if let type, let token = try? type.token(text: bytes.span.bytes) { return token }
        return Token(hashing: bytes.span.bytes)
    }

    // MARK: Explanations

    /// Where the statement would go. A key that is missing among the parameters leaves the shard open.
    func explanation() -> RouteExplanation {
        let epoch = database.topology.epoch.number
        guard let plan = planned.plan?.value else {
            let error = APIError(planned.error(inFailedTransaction: false))
            return RouteExplanation(
                kind: "unknown", route: "refused", shards: [], tables: [], writes: false, reason: error.message,
                refusal: error.details?["refusal"]?.stringValue ?? error.sqlstate, hint: error.details?["hint"]?.stringValue, epoch: epoch)
        }
        let tables = plan.tables.map(\.description)
        do throws(APIError) {
            let (route, shards) = try target(plan)
            return RouteExplanation(
                kind: plan.kind.rawValue, route: route, shards: shards, tables: tables, writes: plan.writes, reason: plan.reason, epoch: epoch)
        } catch {
            return RouteExplanation(
                kind: plan.kind.rawValue, route: "refused", shards: [], tables: tables, writes: plan.writes, reason: error.message,
                refusal: error.details?["refusal"]?.stringValue ?? error.sqlstate, hint: error.details?["hint"]?.stringValue, epoch: epoch)
        }
    }

    private func target(_ plan: StatementPlan) throws(APIError) -> (route: String, shards: [String]) {
        let all = database.topology.shards.map(\.id.name)
        let home = [database.home.shardID.name]
        switch plan.route {
        case .keyed(let sources): return ("keyed", try owners(sources, maySpread: plan.spread != nil || plan.kind == .select && !plan.writes))
        case .anyShard: return ("any_shard", all)
        case .homeShard: return ("home_shard", home)
        case .currentShard: return ("current_shard", home)
        case .everyShard: return ("every_shard", all)
        case .splitCopy: return ("split_copy", all)
        case .broadcastCopy: return ("broadcast_copy", all)
        case .gatherCopy: return ("gather_copy", all)
        case .gatherRows: return ("gather_rows", all)
        case .everyKey: return ("every_key", all)
        case .keysFirst: return ("keyed", [])
        case .explain: return ("explain", all)
        case .statements: return ("statements", [])
        case .transaction: return ("transaction", [])
        case .session: return ("session", [])
        case .mosaic: return ("mosaic", [])
        case .empty: return ("empty", [])
        }
    }

    private func owners(_ sources: [KeySource], maySpread: Bool) throws(APIError) -> [String] {
        guard let inputs else { return [] }
        var shards: Set<ShardIndex> = []
        for source in sources {
            if let number = source.parameterNumber, number > request.params.count { return [] }
            do throws(KeyError) {
                switch try inputs.tokens(source) {
                case .one(let token): shards.insert(database.topology.ring.owner(of: token))
                case .many(let tokens): for token in tokens { shards.insert(database.topology.ring.owner(of: token)) }
                }
            } catch {
                throw APIError(ServerError.keyError(error))
            }
        }
        guard shards.count <= 1 || maySpread else { throw APIError(ServerError.refusal(Refusal(.manyShards))) }
        return shards.map { database.pool($0).shardID.name }.sorted()
    }
}

extension KeySource {
    /// nil where only the token is known.
    var keyType: KeyType? {
        switch self {
        case .token: nil
        case .literal(_, _, let type), .constant(_, let type), .parameter(_, let type), .parameterArray(_, let type): type
        }
    }

    var parameterNumber: Int? {
        switch self {
        case .parameter(let number, _), .parameterArray(let number, _): number
        case .token, .literal, .constant: nil
        }
    }
}
