package import ShardModel

/// Questions about one table, as SQL.
package enum SchemaProbe {
    /// One row, one bool: whether the table exists and holds a row. False where there is no such table, so that it can be asked on every shard.
    ///
    /// `query_to_xml` runs its text only where the name resolves: a plain `SELECT` of a missing table would be an error.
    package static func holdsRows(_ table: QualifiedName) -> String {
        let name = "\(SQLText.identifier(table.schema)).\(SQLText.identifier(table.name))"
        let query = SQLText.literal("SELECT EXISTS (SELECT 1 FROM \(name)) AS found")
        return """
            SELECT CASE WHEN pg_catalog.to_regclass(\(SQLText.literal(name))) IS NULL THEN false
                ELSE (pg_catalog.xpath('//found/text()', pg_catalog.query_to_xml(\(query), false, false, '')))[1]::pg_catalog.text = 'true' END
            """
    }
}

/// Names and texts as PostgreSQL reads them.
enum SQLText {
    static func identifier(_ name: String) -> String { "\"" + name.replacing("\"", with: "\"\"") + "\"" }
    /// A backslash is made safe for servers with `standard_conforming_strings` off, too.
    static func literal(_ text: String) -> String {
        let quoted = "'" + text.replacing("'", with: "''").replacing("\\", with: "\\\\") + "'"
        return text.contains("\\") ? "E" + quoted : quoted
    }
}
