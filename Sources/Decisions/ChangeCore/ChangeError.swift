package import LogicalReplication
package import PGTypes
package import ShardModel

/// Why the stream of changes cannot be followed. The job must not go on from here: what a target has would not be what the source has.
package enum ChangeError: Error, Hashable, Sendable {
    /// A message where none of its kind can stand. Starting again from the stored positions may help, if it was a connection's fault.
    case outOfOrder(String)
    /// A row with another number of values than its table has columns, or of a table that was never described.
    case malformed(RelationID)
    /// A table that the job knows nothing of.
    case unknownTable(QualifiedName)
    /// DDL was run on the source behind the job's back.
    case definitionChanged(QualifiedName)
    /// Without a replica identity, the log does not say which row was changed. Remedy: a primary key, or `ALTER TABLE … REPLICA IDENTITY FULL`.
    case noIdentity(QualifiedName)
    /// The log does not say which key a deleted row had. Remedy: a replica identity that holds the shard key, or FULL.
    case keyOutsideIdentity(QualifiedName, column: String)
    /// A row's key was changed so that it comes to a target that has not had it, and the log lacks a value, stored out of line, that was not changed.
    /// Remedy: `ALTER TABLE … REPLICA IDENTITY FULL`, and the job anew.
    case rowIncomplete(QualifiedName, column: String)
    /// The key is NULL, or not of its type.
    case key(QualifiedName, KeyError)
}

extension ChangeError {
    /// What the operator is told. Names, never a row's value.
    package var message: String {
        switch self {
        case .outOfOrder(let what): "the stream of changes is out of order: \(what)"
        case .malformed(let relation): "the stream has a row that does not fit its table (relation \(relation))"
        case .unknownTable(let table): "the stream has changes of table \(table), which is not part of the move"
        case .definitionChanged(let table): "the definition of table \(table) has changed during the move"
        case .noIdentity(let table): "table \(table) has no replica identity"
        case .keyOutsideIdentity(let table, let column): "the replica identity of table \(table) does not hold its shard key, column \"\(column)\""
        case .rowIncomplete(let table, let column): "a row of table \(table) changed its key, and the log lacks its value of column \"\(column)\""
        case .key(let table, let error): "a row of table \(table) has no usable shard key (\(error))"
        }
    }

    /// nil: nothing but starting the job anew.
    package var hint: String? {
        switch self {
        case .noIdentity, .keyOutsideIdentity, .rowIncomplete:
            "Run ALTER TABLE … REPLICA IDENTITY FULL on the source, or give the table a primary key that holds the shard key; "
                + "then start the job anew."
        case .definitionChanged, .unknownTable: "Run no DDL while rows are moved; start the job anew."
        case .outOfOrder, .malformed, .key: nil
        }
    }
}
