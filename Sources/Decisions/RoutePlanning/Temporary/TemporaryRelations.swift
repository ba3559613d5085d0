internal import ShardModel

/// The temporary tables, views, sequences and indexes of one session, as its server session on the home shard has them.
///
/// Their names come before all others, those of the system's catalogs included. They are nobody else's, so plans made with them are this session's alone.
package struct TemporaryRelations: Hashable, Sendable {
    package static let none = TemporaryRelations(relations: [:], generation: 0)

    /// What statements call their schema; its real name is another one in each server session.
    package static let schema = "pg_temp"

    /// By their names, each with `schema` for its schema.
    package let relations: [String: Relation]
    /// Another one for each reading that found something else; 0: none.
    package let generation: UInt64

    package init(relations: [String: Relation], generation: UInt64) {
        self.relations = relations
        self.generation = generation
    }

    package var isEmpty: Bool { relations.isEmpty }

    package subscript(name: String) -> Relation? { relations[name] }

    /// The temporary relation that a written name means, whether it is there or not; nil where it means another one.
    func name(schema: String, _ name: String) -> QualifiedName? {
        schema == Self.schema || schema.isEmpty && relations[name] != nil ? QualifiedName(schema: Self.schema, name: name) : nil
    }

    /// The same for a list of identifiers.
    func name(_ parts: some RandomAccessCollection<String>) -> QualifiedName? {
        guard let last = parts.last, parts.count <= 2 else { return nil }
        return name(schema: parts.count == 2 ? parts[parts.startIndex] : "", last)
    }
}

extension QualifiedName {
    var isTemporary: Bool { schema == TemporaryRelations.schema }
}
