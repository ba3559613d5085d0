internal import SQLSyntax
package import ShardModel

/// Questions about one table, as SQL.
package enum SchemaProbe {
    /// One row, one bool: whether the table exists and holds a row. False where there is no such table, so that it can be asked on every shard.
    ///
    /// `query_to_xml` runs its text only where the name resolves: a plain `SELECT` of a missing table would be an error.
    package static func holdsRows(_ table: QualifiedName) -> String {
        let name = "\(quoteIdentifier(table.schema)).\(quoteIdentifier(table.name))"
        let query = quoteLiteral("SELECT EXISTS (SELECT 1 FROM \(name)) AS found")
        return """
            SELECT CASE WHEN pg_catalog.to_regclass(\(quoteLiteral(name))) IS NULL THEN false
                ELSE (pg_catalog.xpath('//found/text()', pg_catalog.query_to_xml(\(query), false, false, '')))[1]::pg_catalog.text = 'true' END
            """
    }
}
