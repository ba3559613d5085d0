internal import CPGQuery
internal import ShardModel
internal import SQLSyntax

/// Which temporary relations a statement names, in whatever way: tables, types, and the lists of identifiers that definitions have for their objects.
///
/// A name that might mean one counts, except where `created` says that it is one about to be made.
struct TemporaryMentions {
    private(set) var names: Set<QualifiedName> = []
    var isEmpty: Bool { names.isEmpty }

    /// - created: relations that the statement makes.
    init(_ statement: SQLNode, _ temporary: TemporaryRelations, created: RangeVarNode? = nil) {
        var found: Set<QualifiedName> = []
        statement.forEachStruct { kind, address in
            switch kind {
            case "RangeVar":
                guard created.map(UnsafeMutableRawPointer.init) != address else { return }
                let table = address.assumingMemoryBound(to: PgQuery__RangeVar.self)
                if let name = temporary.name(schema: string(table.pointee.schemaname), string(table.pointee.relname)) { found.insert(name) }
            case "TypeName":
                let type = address.assumingMemoryBound(to: PgQuery__TypeName.self)
                // With %TYPE the last name is a column's.
                guard let parts = NodeList(type.pointee.n_names, type.pointee.names).strings else { return }
                if let name = temporary.name(type.pointee.pct_type != 0 ? parts.dropLast() : parts[...]) { found.insert(name) }
            case "List":
                let list = address.assumingMemoryBound(to: PgQuery__List.self)
                guard let parts = NodeList(list.pointee.n_items, list.pointee.items).strings else { return }
                // A table's own, or with the name of something that belongs to it behind.
                for parts in [parts[...], parts.dropLast()] {
                    if let name = temporary.name(parts) { found.insert(name) }
                }
            default: break
            }
        }
        names = found
    }
}
