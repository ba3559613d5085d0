internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel
internal import SQLSyntax

/// SET, RESET, SHOW, DISCARD, DEALLOCATE: what belongs to the session and follows it from backend to backend.
extension ClientSession {
    enum SessionStep {
        /// A shard runs it; the effect is the session's once it has.
        case forward(Effect?)
        /// The router itself does (`answerSession`).
        case here
        case refuse(ServerError)
    }

    /// How a session statement is carried out.
    ///
    /// - bind: the parameters; nil for a simple query, which has none: the shard refuses what names one.
    func sessionStep(_ statement: SessionStatement, _ text: ByteBuffer, _ bind: BindMessage? = nil) -> SessionStep {
        switch statement {
        case .set(let name):
            guard settings.settings.count < limits.sessionSettingsMax else { return .refuse(.tooManySettings) }
            guard transaction.historyCount < limits.transactionHistoryMax else { return .refuse(.transactionTooLong) }
            let text = String(buffer: text)
            if name == SessionSettings.role, !takesRole(by: text) { return .refuse(.tooManySettings) }
            return setting(.set(name: name, statement: text, searchPath: StatementPlanner.searchPath(ofSet: text)))
        case .setLocal(let name):
            guard transaction.historyCount < limits.transactionHistoryMax else { return .refuse(.transactionTooLong) }
            if name == "search_path" { return .refuse(.refusal(Refusal(.setLocalSearchPath))) }
            if name == SessionSettings.role, !takesRole(by: String(buffer: text)) { return .refuse(.tooManySettings) }
            return setting(.setLocal(statement: String(buffer: text)))
        case .setParameter(let change):
            guard let bind else { return .forward(nil) }
            return sessionStep(change, bind)
        case .reset(let name):
            guard transaction.historyCount < limits.transactionHistoryMax else { return .refuse(.transactionTooLong) }
            return setting(.reset(name: name))
        case .setTransaction:
            guard transaction.historyCount < limits.transactionHistoryMax else { return .refuse(.transactionTooLong) }
            // Its values are checked by the grammar, so that nothing is lost by telling the shards later. Behind a savepoint a shard must say whether it may be.
            if !transaction.isIdle, participants.isEmpty, !transaction.hasSavepoint { return .here }
            return .forward(.setCharacteristic(statement: String(buffer: text)))
        case .setCharacteristics:
            return setting(
                .set(name: SessionSettings.transactionCharacteristics, statement: String(buffer: text), searchPath: nil))
        case .discard:
            doubtTemporaryObjects()
            return .forward(keepsTemporary ? .temporary : nil)
        case .discardSequences:
            return .forward(variables.keepsSequences ? .sequencesDiscarded : nil)
        case .show:
            return .forward(nil)
        case .discardAll:
            // Of a portal it is asked when that is executed.
            return transaction.isIdle && !unit.continuesPipeline || bind != nil ? .here : .refuse(.discardAllInTransaction)
        case .deallocate, .prepare, .execute, .setMosaic, .showMosaic:
            return .here
        }
    }

    static func roles(of settings: SettingsRef) -> [String] {
        settings.settings[SessionSettings.role].flatMap { StatementPlanner.role(ofSet: $0) }.map { [$0] } ?? []
    }

    /// From here on names are looked up as any of the session's roles may see them; false where they would be too many.
    private func takesRole(by statement: String) -> Bool {
        guard let role = StatementPlanner.role(ofSet: statement), !roles.contains(role) else { return true }
        // With nothing open no error and no savepoint brings an earlier one back.
        if transaction.isIdle, participants.isEmpty, !batch.isImplicitlyCoordinated, batch.settingsBefore == nil {
            roles = Set(Self.roles(of: settings) + Self.roles(of: startupSettings)).sorted()
        }
        guard roles.count < limits.sessionSettingsMax else { return false }
        roles = Set(roles + [role]).sorted()
        forgetScope()
        privateSchema?.rebase(on: self)
        return true
    }

    /// set_config() with a parameter. Other shards are told its value as a literal.
    private func sessionStep(_ change: SetParameter, _ bind: BindMessage) -> SessionStep {
        guard change.number <= bind.parameterCount else { return .refuse(.parameterCount(bind.parameterCount, wanted: change.number)) }
        // A text's bytes are the same in both formats. NULL means the default, which may be another than the client's start gave.
        guard let bytes = bind.parameter(at: change.number - 1) else { return .refuse(.refusal(Refusal(.setting, "\(change.name) = NULL"))) }
        let value = String(buffer: bytes)
        if let code = SettingRules.refusal(configuring: change.name, value) { return .refuse(.refusal(Refusal(code, change.name))) }
        let statement = SessionSettings.assignment(change.name, value, isLocal: change.isLocal)
        return sessionStep(change.isLocal ? .setLocal(name: change.name) : .set(name: change.name), ByteBuffer(string: statement))
    }

    /// Inside a transaction that has no shard yet the home shard becomes its first: as a reader, which binds nothing.
    private func setting(_ effect: Effect) -> SessionStep { .forward(effect) }

    func runSession(_ statement: SessionStatement, _ frame: ByteBuffer, _ text: ByteBuffer) {
        switch statement {
        case .prepare(let prepare): return prepareSimple(prepare, text)
        case .execute(let execute): return executeSimple(execute, text)
        default: break
        }
        switch sessionStep(statement, text) {
        case .forward(let effect):
            forwardSimple(frame, pool(ofSession: statement), .passing, writes: false, effect)
        case .here:
            switch answerSession(statement, text) {
            case .success(let build):
                completeUnit { buffer in
                    if case .showMosaic(let name) = statement { buffer.writeRowDescription(Self.columns(ofShow: name)) }
                    build(&buffer)
                }
            case .failure(let error): failUnit(error)
            }
        case .refuse(let error):
            failUnit(error)
        }
    }

    /// Carries the statement out and returns its answers (rows and CommandComplete).
    func answerSession(_ statement: SessionStatement, _ text: ByteBuffer) -> Result<(inout ByteBuffer) -> Void, ServerError> {
        switch statement {
        case .setTransaction:
            transaction.recordLocal(String(buffer: text), isCharacteristic: true, settings: settings.settings)
            return .success { $0.writeCommandComplete(tag: "SET") }
        case .discardAll:
            roles = Self.roles(of: startupSettings)
            settingsChanged(to: startupSettings)
            statements.removeAll()
            unnamedStatement = nil
            portals.removeAll()
            variables = startupVariables
            dropPins()
            sequences = DrawnSequences()
            forgetScope()
            return .success { $0.writeCommandComplete(tag: "DISCARD ALL") }
        case .deallocate(let name):
            guard let name else {
                statements.removeAll()
                return .success { $0.writeCommandComplete(tag: "DEALLOCATE ALL") }
            }
            guard statements.removeValue(forKey: name) != nil else { return .failure(.unknownStatement(name)) }
            return .success { $0.writeCommandComplete(tag: "DEALLOCATE") }
        case .setMosaic(let name, let value):
            do {
                if name == MosaicVariables.sequencesName {
                    let keeps = if let value { try MosaicVariables.boolean(name, value) } else { startupVariables.keepsSequences }
                    keepSequences(keeps)
                } else {
                    try variables.set(name, value)
                    if value == nil, name == MosaicVariables.consistencyName { variables.consistency = startupVariables.consistency }
                }
            } catch {
                return .failure(error)
            }
            return .success { $0.writeCommandComplete(tag: "SET") }
        case .showMosaic(let name):
            if name == "pgmosaic.session" {
                let row = sessionRow
                return .success { buffer in
                    buffer.writeDataRow(text: row)
                    buffer.writeCommandComplete(tag: "SHOW")
                }
            }
            guard let value = showMosaic(name) else { return .failure(.unknownSetting(name)) }
            return .success { buffer in
                buffer.writeDataRow(text: [value])
                buffer.writeCommandComplete(tag: "SHOW")
            }
        default:
            preconditionFailure("a shard runs this statement")
        }
    }

    static func columns(ofShow name: String) -> [RowDescription.Column] {
        guard name == "pgmosaic.session" else { return [.text(name)] }
        return ["database", "user", "pid", "shard", "pinned", "pinned_by", "pinned_shards", "consistency", "prepared_statements"].map { .text($0) }
    }

    /// What SHOW pgmosaic.session tells.
    private var sessionRow: [String?] {
        let reasons = Set(pins.flatMap(\.kept)).map(\.rawValue).sorted()
        return [
            database.name, user, String(processID), participants.isEmpty ? nil : participants[speaker].backend.pool.shardID.name,
            pins.isEmpty ? "no" : "yes", reasons.isEmpty ? nil : reasons.joined(separator: ","),
            pins.isEmpty ? nil : pins.map(\.backend.pool.shardID.name).joined(separator: ","), consistency.rawValue, String(statements.count),
        ]
    }

    private func showMosaic(_ name: String) -> String? {
        switch name {
        case "pgmosaic.shard_key": variables.shardKey ?? ""
        case "pgmosaic.explain": variables.explains ? "on" : "off"
        case MosaicVariables.consistencyName: consistency.rawValue
        case MosaicVariables.sequencesName: variables.keepsSequences ? "on" : "off"
        case "pgmosaic.epoch": database.topology.epoch.description
        case "pgmosaic.database": database.name
        case "pgmosaic.router": loop.shared.routerID
        case "pgmosaic.shards": database.topology.shards.map(\.id.name).joined(separator: ",")
        default: nil
        }
    }
}

extension MosaicVariables {
    static let consistencyName = "pgmosaic.consistency"
    static let sequencesName = "pgmosaic.keep_sequence_state"

    static func boolean(_ name: String, _ value: String) throws(ServerError) -> Bool {
        switch value.lowercased() {
        case "off", "false", "0", "no": return false
        case "on", "true", "1", "yes": return true
        default: throw .invalidSetting(name)
        }
    }

    static func consistency(_ value: String) throws(ServerError) -> Consistency {
        guard let consistency = Consistency(rawValue: value.lowercased()) else { throw .invalidSetting(consistencyName) }
        return consistency
    }

    mutating func set(_ name: String, _ value: String?) throws(ServerError) {
        switch name {
        case "pgmosaic.shard_key":
            shardKey = value == "" ? nil : value
        case "pgmosaic.explain":
            explains = if let value { try Self.boolean(name, value) } else { false }
        case Self.consistencyName:
            consistency = try value.map(Self.consistency)
        default:
            throw .unknownSetting(name)
        }
    }
}
