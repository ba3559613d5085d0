package import ChangeCore
package import LogicalReplication
internal import NIOCore
package import PGChannel
internal import PGTypes
internal import PGWire
package import ShardModel

/// Where a target keeps how far it has followed a source: a row that each of its transactions writes, so that a crash neither repeats nor skips one.
package struct TargetPosition: Hashable, Sendable {
    package var job: String
    package var source: ShardID
    package init(job: String, source: ShardID) {
        self.job = job
        self.source = source
    }

    /// Run with the rest of the schema `pgmosaic`; repeatable.
    package static let table = """
        CREATE TABLE IF NOT EXISTS pgmosaic.move_positions (job text, source text, position pg_lsn NOT NULL, PRIMARY KEY (job, source));
        """
    fileprivate static let store = "UPDATE pgmosaic.move_positions SET position = $1 WHERE job = $2 AND source = $3 AND position < $1"

    /// nil: nothing was stored.
    package func read(from client: PGClient) async throws -> LSN? {
        let query = "SELECT position FROM pgmosaic.move_positions WHERE job = $1 AND source = $2"
        return try await client.query(query, [.text(job), .text(source.name)]).rows.first?.text(0).flatMap { LSN(text: $0) }
    }

    /// Where the copy's snapshot was taken: before the first change.
    package func begin(at position: LSN, on client: PGClient) async throws {
        _ = try await client.query(
            "INSERT INTO pgmosaic.move_positions VALUES ($1, $2, $3::pg_lsn)", [.text(job), .text(source.name), .text("\(position)")])
    }

    /// Takes the place of what was stored, if anything was.
    package func reset(to position: LSN, on client: PGClient) async throws {
        _ = try await client.query(
            "INSERT INTO pgmosaic.move_positions VALUES ($1, $2, $3::pg_lsn) ON CONFLICT (job, source) DO UPDATE SET position = EXCLUDED.position",
            [.text(job), .text(source.name), .text("\(position)")])
    }

    package func forget(on client: PGClient) async throws {
        _ = try await client.query("DELETE FROM pgmosaic.move_positions WHERE job = $1 AND source = $2", [.text(job), .text(source.name)])
    }
}

/// Does a source's changes on one target, in transactions that store the position.
///
/// Several of the source's transactions may be one of the target's. Changes are sent in pipelines; memory: one pipeline's, `bytesMax` and the longest row.
/// Whatever it throws, its session is of no use any more: what was not committed is gone, and `TargetPosition.read` says where to go on.
package actor ChangeApplier {
    static let bytesMax = 1 << 20
    /// A statement's text depends on which values are NULL or unchanged, so there may be any number; those beyond are parsed each time.
    private static let preparedMax = 1000
    /// Rows of a truncated table that are looked at in one go.
    private static let truncateBatch = 5000

    private let client: PGClient
    private let place: TargetPosition
    private let tables: [QualifiedName: MovedTable]
    private var alwaysIdentity: [QualifiedName: Set<String>] = [:]
    private var names: [String: String] = [:]
    private var steps: [(step: PGClient.PipelineStep, changesOne: Bool)] = []
    private var bytes = 0
    private var pace = PipelinePace()
    private var isOpen = false

    /// - client: a session of the target, as `TransferSession.open` makes them, and nobody else's.
    package init(_ client: PGClient, _ place: TargetPosition, tables: [MovedTable]) {
        self.client = client
        self.place = place
        self.tables = Dictionary(tables.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
    }

    /// To be called once, before all else: neither triggers nor foreign keys do again what they have done on the source.
    package func prepare() async throws {
        _ = try await client.execute("SET session_replication_role = replica; SET synchronous_commit = on")
        for row in try await client.query(Self.identityColumns).rows {
            guard let schema = row.text(0), let table = row.text(1), let column = row.text(2) else { continue }
            alwaysIdentity[QualifiedName(schema: schema, name: table), default: []].insert(column)
        }
    }

    private static let identityColumns = """
        SELECT n.nspname, c.relname, a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE a.attidentity = 'a' AND NOT a.attisdropped
        """

    /// In the target's open transaction; it is begun when there is none.
    package func apply(_ change: RowChange) async throws {
        if case .truncate(let tables, let ranges) = change { return try await truncate(tables, ranges) }
        guard let statement = TargetStatement(change, alwaysIdentity: alwaysIdentity[change.table] ?? []) else { return }
        begin()
        add(statement.text, statement.parameters.map(\.parameter), changesOne: true)
        if steps.count >= pace.steps || bytes >= Self.bytesMax { try await flush() }
    }

    /// Stores the position and commits, durably.
    package func commit(_ position: LSN) async throws {
        begin()
        add(TargetPosition.store, [.text("\(position)"), .text(place.job), .text(place.source.name)], changesOne: true)
        try await flush()
        add("COMMIT", [], changesOne: false)
        try await flush()
        isOpen = false
    }

    private func begin() {
        guard !isOpen else { return }
        isOpen = true
        add("BEGIN", [], changesOne: false)
    }

    private func add(_ text: String, _ parameters: [PGParameter], changesOne: Bool) {
        let known = names[text]
        let name = known ?? (names.count < Self.preparedMax ? "s\(names.count)" : "")
        if !name.isEmpty { names[text] = name }
        bytes += parameters.reduce(64) { $0 + ($1.value?.readableBytes ?? 0) } + (known == nil ? text.utf8.count : 0)
        steps.append((PGClient.PipelineStep(name: name, sql: known == nil ? text : nil, parameters: parameters), changesOne))
    }

    private func flush() async throws {
        guard !steps.isEmpty else { return }
        let sent = steps
        steps = []
        bytes = 0
        let start = ContinuousClock.now
        let results = try await client.pipeline(sent.map(\.step), timeout: TransferSession.silenceMax)
        pace.took(ContinuousClock.now - start)
        guard results.count == sent.count else { throw TransferError.shape("the target answered with another number of results than expected") }
        for (result, step) in zip(results, sent) where step.changesOne && result.rowsAffected != TargetStatement.rowsExpected {
            throw TransferError.diverged(result.rowsAffected ?? 0)
        }
    }

    // MARK: truncation

    /// Only the rows that came from the source: found by their keys, which no SQL can hash.
    private func truncate(_ names: [QualifiedName], _ ranges: [TokenRange]) async throws {
        begin()
        try await flush()
        for name in names {
            guard let table = tables[name] else { throw TransferError.shape("there is no table \(name)") }
            if table.isReference {
                _ = try await client.query("DELETE FROM ONLY \(name.quoted)", options: .init(timeout: TransferSession.wholeTable))
                continue
            }
            let key = "\"" + table.keyColumn.unicodeScalars.split(separator: "\"", omittingEmptySubsequences: false).map { String($0) }.joined(separator: "\"\"") + "\""
            _ = try await client.query("DECLARE truncated NO SCROLL CURSOR FOR SELECT ctid, \(key)::text FROM ONLY \(name.quoted)")
            while true {
                let rows = try await client.query("FETCH \(Self.truncateBatch) FROM truncated").rows
                if rows.isEmpty { break }
                var gone: [String] = []
                for row in rows {
                    guard let place = row.text(0), let text = row[1] else { continue }
                    let token = try table.keyType.token(text: text.readableBytesSpan)
                    if ranges.contains(where: { $0.contains(token) }) { gone.append("\"\(place)\"") }
                }
                let list = "{" + gone.joined(separator: ",") + "}"
                let deleted = try await client.query("DELETE FROM ONLY \(name.quoted) WHERE ctid = ANY ($1::tid[])", [.text(list)])
                guard deleted.rowsAffected == gone.count else { throw TransferError.diverged(deleted.rowsAffected ?? 0) }
            }
            _ = try await client.query("CLOSE truncated")
        }
    }
}

extension RowChange {
    fileprivate var table: QualifiedName {
        switch self {
        case .insert(let layout, _), .update(let layout, _, _), .delete(let layout, _): layout.table
        case .truncate(let tables, _): tables.first ?? QualifiedName(schema: "", name: "")
        }
    }
}

extension TupleValue {
    fileprivate var parameter: PGParameter {
        switch self {
        case .text(let value): PGParameter(value: value)
        case .binary(let value): PGParameter(value: value, format: .binary)
        case .null, .unchangedToast: nil
        }
    }
}
