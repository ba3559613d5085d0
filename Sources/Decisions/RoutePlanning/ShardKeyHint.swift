internal import CPGQuery
package import PGTypes
package import ShardModel
internal import SQLSyntax

extension PlanningContext {
    /// The types of the shard keys of the database's tables.
    package var shardKeyTypes: Set<KeyType> {
        Set(
            placements.compactMap { name, placement in
                guard case .sharded(let key) = placement, let column = schema.relations[name]?.columns.first(where: { $0.name == key }) else { return nil }
                return KeyType(typeOID: column.typeOID)
            })
    }

    /// The token of a key that is named beside the statement, as text; nil where it is no key, or another one for each of the types that keys have.
    package func token(ofHint key: String) -> Token? {
        let tokens = Set(shardKeyTypes.compactMap { type in try? type.token(text: key.utf8Span.span.bytes) })
        return tokens.count == 1 ? tokens.first : nil
    }
}

extension RefusalCode {
    /// Whether a hint may say where the statement runs: it was refused because the planner cannot know.
    package var isCuredByHint: Bool {
        switch self {
        case .noKey, .userFunction, .userOperator, .view, .unsupported, .sampling, .serverFunction, .keyType, .keyExpression: true
        default: false
        }
    }
}
