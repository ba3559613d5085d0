internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel
internal import SQLSyntax

/// What the router answers by itself: its own functions, its own settings, and explanations of routes.
extension ClientSession {
    // MARK: Execute and Describe of statements that need no shard

    func describeHere(_ statement: Statement, _ buffer: inout ByteBuffer) {
        switch statement.planned.plan?.route {
        case .mosaic(let mosaic): buffer.writeRowDescription([.text(mosaic.functionName)])
        case .session(.showMosaic(let name)): buffer.writeRowDescription(Self.columns(ofShow: name))
        default: buffer.writeNoData()
        }
    }

    func executeHere(_ statement: Statement) {
        guard let plan = statement.planned.plan else { return failBatch(.failedTransaction) }
        if isOnReplica { return leaveReplica { [self] in executeHere(statement) } }
        afterAnswers { [self] in
            switch plan.route {
            case .transaction(let transactionStatement):
                perform(transactionStatement, tag: Self.beginTag(statement.parse.query)) { [self] outcome in
                    switch outcome {
                    case .done(let tag, let notice):
                        answer {
                            if let notice { $0.writeNoticeResponse(notice) }
                            $0.writeCommandComplete(tag: tag)
                        }
                    case .failed(let error): failBatch(error)
                    }
                }
            case .session(.prepare(let prepare)):
                self.prepare(prepare, statement.parse.query)
            case .session(.discardAll):
                discardAll()
            case .session(let sessionStatement):
                switch answerSession(sessionStatement, statement.parse.query) {
                case .success(let build): answer(build)
                case .failure(let error): failBatch(error)
                }
            case .mosaic(let mosaic):
                declare(mosaic) { [self] result in
                    switch result {
                    case .success(let build): answer(build)
                    case .failure(let error): failBatch(error)
                    }
                }
            default:
                answer { $0.writeEmptyQueryResponse() }
            }
        }
    }

    // MARK: pgmosaic.shard_table() and its siblings

    func runMosaic(_ statement: MosaicStatement) {
        declare(statement) { [self] result in
            switch result {
            case .success(let build):
                completeUnit { buffer in
                    buffer.writeRowDescription([.text(statement.functionName)])
                    build(&buffer)
                }
            case .failure(let error): failUnit(error)
            }
        }
    }

    private func declare(
        _ statement: MosaicStatement, _ done: @escaping (Result<(inout ByteBuffer) -> Void, ServerError>) -> Void
    ) {
        guard transaction.isIdle else { return done(.failure(.notInTransactionBlock)) }
        let suspension = suspend()
        loop.shared.requests.declare(statement, database: database.name, author: author).hop(to: loop.eventLoop)
            .assumeIsolated().whenComplete { [self] result in
                guard resume(suspension) else { return }
                switch result {
                case .success:
                    done(.success { buffer in
                        buffer.writeDataRow(text: [statement.subject])
                        buffer.writeCommandComplete(tag: "SELECT 1")
                    })
                case .failure(let error):
                    done(.failure((error as? ServerError) ?? (error as? Refusal).map(ServerError.refusal) ?? .catalogUnavailable))
                }
                pump()
            }
    }

    // MARK: Explanations

    static let explanationColumns: [RowDescription.Column] = ["route", "shard", "kind", "writes", "tables", "reason"].map { .text($0) }

    func explainSimple(_ plan: CachedPlan, _ inputs: KeyInputs) {
        do {
            let row = try explanation(plan, inputs)
            completeUnit { buffer in
                buffer.writeRowDescription(Self.explanationColumns)
                buffer.writeDataRow(text: row)
                buffer.writeCommandComplete(tag: "EXPLAIN")
            }
        } catch {
            failUnit(error)
        }
    }

    /// `keys`: the plan's own where they are not given.
    func explanation(_ plan: CachedPlan, _ inputs: KeyInputs, keys: [KeySource]? = nil) throws(ServerError) -> [String?] {
        let (route, shard): (String, String?) =
            switch plan.route {
            case .keyed(let sources): ("keyed", try owners(keys ?? sources, plan, inputs))
            case .anyShard: ("any shard", nil)
            case .homeShard: ("home shard", database.home.shardID.name)
            case .currentShard: ("current shard", poolOfCurrentShard().shardID.name)
            case .everyShard: ("every shard", nil)
            case .splitCopy: ("split copy", nil)
            case .broadcastCopy: ("every shard", nil)
            case .gatherCopy, .gatherRows, .everyKey, .explain: ("every shard", nil)
            case .keysFirst: ("keyed", nil)
            case .statements: ("one after another", nil)
            case .transaction, .session, .mosaic, .empty: ("router", nil)
            }
        return [
            route, shard, plan.kind.rawValue, plan.writes ? "true" : "false", plan.value.tables.map(\.description).joined(separator: ", "),
            plan.value.reason,
        ]
    }

    /// The shard of the keys, or the shards where the statement runs on several.
    private func owners(_ sources: [KeySource], _ plan: CachedPlan, _ inputs: KeyInputs) throws(ServerError) -> String {
        do throws(KeyProblem) {
            return try pool(for: sources, plan, inputs).shardID.name
        } catch {
            guard case .several = error, let spread = plan.value.spread ?? (plan.kind == .select && !plan.writes ? .sameText : nil) else { throw error.error }
            return try parts(of: spread, sources, inputs).map(\.pool.shardID.name).joined(separator: ", ")
        }
    }

    /// Tells the router's own REST service which shard answers.
    func reportShard(_ pool: BackendPool) {
        answer { $0.writeParameterStatus(name: "pgmosaic.shard", value: pool.shardID.name) }
    }
}

extension RowDescription.Column {
    /// A column of type text.
    static func text(_ name: String) -> Self {
        Self(name: name, typeOID: 25)
    }
}

extension MosaicStatement {
    var functionName: String {
        switch self {
        case .declare(_, .sharded): "shard_table"
        case .declare(_, .reference): "reference_table"
        case .declare(_, .local): "local_table"
        case .forget: "forget_table"
        }
    }

    var subject: String {
        switch self {
        case .declare(let name, _), .forget(let name): name.description
        }
    }
}
