internal import PGTypes
internal import RoutePlanning
internal import ShardModel

/// Whether a statement is answered by its key's shard alone, by the routers' own planner: what a router would send elsewhere, or to several shards, is not
/// sent. Pure.
struct StatementAdmission: Hashable {
    /// It provably cannot write.
    var onlyReads: Bool
    var mayReadReplica: Bool

    /// - key: the token of the key that the call names.
    /// - shardCount: of the database. With one shard every statement is that shard's.
    init(
        _ plan: StatementPlan, _ parameters: [MosaicParameter], key: Token, shardCount: Int, isInTransaction: Bool
    ) throws(MosaicError) {
        switch plan.route {
        case .keyed(let sources): try Self.check(sources, parameters, key, plan.keyLengthMax)
        case .anyShard, .currentShard: break
        case .homeShard:
            guard shardCount == 1 else { throw Self.elsewhere("it is about the home shard: local tables or system catalogs") }
        case .everyShard, .gatherRows, .everyKey, .explain: throw Self.elsewhere("it runs on every shard")
        case .keysFirst: throw Self.elsewhere("its key is worked out first")
        case .splitCopy, .broadcastCopy, .gatherCopy: throw Self.elsewhere("COPY goes through a router")
        case .transaction: throw Self.elsewhere("transactions are begun and ended by transaction(on:)")
        case .session: throw Self.elsewhere("it is about a session, and calls have none of their own")
        case .mosaic, .statements, .empty: throw Self.elsewhere("it is no single statement of rows")
        }
        switch plan.kind {
        case .select, .insert, .update, .delete, .merge: break
        case .copy, .ddl, .transaction, .session, .utility, .mosaic:
            throw Self.elsewhere("only SELECT, INSERT, UPDATE, DELETE and MERGE go straight to a shard")
        }
        guard plan.traces == .none, plan.cursor == nil else {
            throw Self.elsewhere("it would leave something behind in the connection, or belongs to a session")
        }
        guard !plan.requiresBlock || isInTransaction else { throw Self.elsewhere("it needs a transaction: use transaction(on:)") }
        // What a replica may answer provably writes nothing, also where it calls something that is not marked so.
        onlyReads = !plan.writes || plan.mayReadReplica
        mayReadReplica = plan.mayReadReplica
    }

    private static func check(
        _ sources: [KeySource], _ parameters: [MosaicParameter], _ key: Token, _ lengthMax: Int?
    ) throws(MosaicError) {
        for source in sources {
            let found: [Token]
            do throws(KeyError) {
                found = try tokens(source, parameters, lengthMax)
            } catch {
                throw MosaicError(error)
            }
            guard found.allSatisfy({ $0 == key }) else {
                throw MosaicError(.keyMismatch, "the statement names rows of another key than the call")
            }
        }
    }

    private static func tokens(
        _ source: KeySource, _ parameters: [MosaicParameter], _ lengthMax: Int?
    ) throws(KeyError) -> [Token] {
        switch source {
        case .token(let token): return [token]
        case .constant(let bytes, let type): return [try token(bytes, type, lengthMax)]
        case .parameter(let number, let type): return [try token(try text(number, parameters), type, lengthMax)]
        case .parameterArray(let number, let type):
            let bytes = try text(number, parameters)
            return try type.tokens(array: bytes.span.bytes, isBinary: false, oid: 0)
        // Plans that were made of a text alone name none.
        case .literal: throw .malformed
        }
    }

    /// A text longer than its column would lose trailing blanks on its way into the table, and then hash differently.
    private static func token(_ bytes: [UInt8], _ type: KeyType, _ lengthMax: Int?) throws(KeyError) -> Token {
        if let lengthMax, bytes.count(where: { $0 & 0xC0 != 0x80 }) > lengthMax { throw .malformed }
        return try type.token(text: bytes.span.bytes)
    }

    private static func text(_ number: Int, _ parameters: [MosaicParameter]) throws(KeyError) -> [UInt8] {
        guard parameters.indices.contains(number - 1), let text = parameters[number - 1].text else { throw .null }
        return Array(text.utf8)
    }

    private static func elsewhere(_ reason: String) -> MosaicError {
        MosaicError(.needsRouter, "the key's shard alone cannot answer this: \(reason)")
    }
}
