internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import SessionCore
internal import ShardModel

/// INSERT … SELECT whose rows go through the router (docs/decisions/0082-rows-that-are-sent.md): the query is answered as any other, and its rows are inserted
/// where they belong, in one transaction of all shards.
extension ClientSession {
    /// Precondition: every shard is a participant, and has begun.
    func send(rowsOf work: SpreadWork, _ sent: SentRows, _ done: @escaping (EverywhereOutcome) -> Void) {
        collect(work, sent) { [self] result in
            switch result {
            case .failure(let error): done(.failure(Self.withoutPlace(error)))
            case .success(let rows):
                do throws(ServerError) {
                    let types = try rows.types(sent)
                    let parts = try self.parts(of: rows, sent, types: types)
                    insert(SentRowsWork(sent, rows, types: types, resultFormats: work.resultFormats), parts[...], work, done)
                } catch { done(.failure(error)) }
            }
        }
    }

    /// It is a place in another text than the client's.
    private static func withoutPlace(_ error: ServerError) -> ServerError {
        var error = error
        error[.position] = nil
        return error
    }

    // MARK: Inserting

    /// Shards that write at the same time, and which rows each of them gets.
    private struct SentPart {
        var pools: [BackendPool]
        var places: [Int]
        /// The rows have been counted on another shard.
        var isCopy = false
    }

    /// One owner after the other; a reference table's rows go to the home shard first, whose errors are the statement's.
    private func parts(of rows: CollectedRows, _ sent: SentRows, types: [UInt32]) throws(ServerError) -> [SentPart] {
        guard !rows.rows.isEmpty else { return [] }
        switch sent.target {
        case .owners(let key, let type, let lengthMax):
            let owners = try rows.owners(key: key, type, lengthMax: lengthMax, types: types) { database.owner(of: $0) }
            return owners.sorted { $0.key.value < $1.key.value }.map { SentPart(pools: [database.pool($0.key)], places: $0.value) }
        case .home: return [SentPart(pools: [database.home], places: Array(rows.rows.indices))]
        case .everyShard:
            let all = Array(rows.rows.indices), others = database.pools.filter { $0 !== database.home }
            return [SentPart(pools: [database.home], places: all)] + (others.isEmpty ? [] : [SentPart(pools: others, places: all, isCopy: true)])
        }
    }

    private func insert(_ rows: SentRowsWork, _ parts: ArraySlice<SentPart>, _ work: SpreadWork, _ done: @escaping (EverywhereOutcome) -> Void) {
        if let refusal = refusalOfStrays(in: work) { return done(.failure(refusal)) }
        guard let part = parts.first else { return finishInsert(rows, work, done) }
        let indices = part.pools.compactMap { pool in participants.firstIndex { $0.backend.pool === pool } }
        guard indices.count == part.pools.count else { return done(.failure(.shardsChanged)) }
        guard let chunks = rows.chunks(part.places) else { return done(.failure(.sentTooLarge)) }
        var sending = rows
        var error: ServerError?
        let before = rows.count
        each(indices, { (self.prelude(of: $0), { rows.write(chunks, into: &$0) }) }, keep: .simpleQuery, AnswerBudget(limits.coordinatedAnswerMax)) { [self] index, exchange, result in
            let backend = participants[index].backend
            if let failure = Self.failure(exchange, result, backend) { return error = error ?? Self.withoutPlace(failure) }
            if part.isCopy {
                let own = exchange.tags.reduce(0) { $0 + (CommandTag(text: $1).rows ?? 0) }
                if UInt64(own) != before { error = error ?? .shardsDisagree(backend.pool.shardID) }
            }
            sending.add(exchange.answers, of: part.places, counts: !part.isCopy)
        } then: { [self] in
            if let error { return done(.failure(error)) }
            insert(sending, parts.dropFirst(), work, done)
        }
    }

    private func finishInsert(_ rows: SentRowsWork, _ work: SpreadWork, _ done: @escaping (EverywhereOutcome) -> Void) {
        let showsColumns = work.bind == nil
        guard showsColumns, rows.sent.returnsRows, rows.collected.rows.isEmpty, let home = participants.firstIndex(where: { $0.backend.pool === database.home }) else {
            return done(.success(rows.answer(showsColumns: showsColumns)))
        }
        // Nobody has said what the columns are.
        var described = rows
        var error: ServerError?
        each([home], { (self.prelude(of: $0, wrote: self.participants[$0].wrote), { rows.writeDescribe(into: &$0) }) }, keep: .simpleQuery) { [self] index, exchange, result in
            error = Self.failure(exchange, result, participants[index].backend)
            described.add(exchange.answers, of: [])
        } then: {
            done(error.map { .failure(Self.withoutPlace($0)) } ?? .success(described.answer(showsColumns: true)))
        }
    }
}

extension ServerError {
    static let sentTooLarge = ServerError(
        sqlState: .programLimitExceeded, message: "the rows of an INSERT ... SELECT with ON CONFLICT DO UPDATE are too many for one statement of a shard",
        hint: "Insert them in several statements.")
}
