internal import NIOCore
internal import PGWire
internal import RoutePlanning
internal import ShardModel

/// Sequences that a statement on every shard has made: each shard's part of their values.
extension ClientSession {
    func sliceSequences(_ sequences: EveryShard.Sequences, _ done: @escaping (ServerError?) -> Void) {
        guard sequences != .untouched else { return done(nil) }
        let slices = participants.compactMap(\.backend.pool.slice)
        // Of a catalog from before there were slices, until a manager has given them out. Local tables need none.
        guard slices.count == participants.count, Set(slices).count == slices.count else {
            return done(sequences == .needed ? .noSlices(database.name) : nil)
        }
        var error: ServerError?
        each(
            Array(participants.indices),
            { index in
                let statement = SequenceSlicing.statement(self.participants[index].backend.pool.slice!)
                return ([], { $0.writeQuery(statement) })
            }, keep: .outcome
        ) { index, exchange, result in
            if error == nil { error = Self.failure(exchange, result, self.participants[index].backend) }
        } then: {
            done(error)
        }
    }
}

extension ServerError {
    static func noSlices(_ database: String) -> ServerError {
        ServerError(
            sqlState: .objectNotInPrerequisiteState, message: "the shards of database \"\(database)\" have no slices of sequence values yet",
            detail: "PGM-SEQUENCE-SLICES", hint: "Start a manager of this version once: it gives them out.")
    }
}
