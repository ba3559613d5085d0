extension StatementGenerator {
    mutating func write() -> String {
        let table = pick(tables)
        switch number(0...9) {
        case 0...3: return insert(table) + returning(table, table.name, chance(40))
        case 4...6: return update(table)
        default: return delete(table)
        }
    }

    /// For a common table expression: a write with columns of the given types.
    mutating func writeReturning(_ types: [ColumnType]) -> String {
        let table = RandomSchema.tables[number(0...1)]
        let items = types.map { type in
            let names = table.columns.filter { $0.type == type }.map { "\(table.name).\($0.name)" }
            return "\(pick(names))::\(type == .integer ? "bigint" : "text")"
        }
        let filter = "\(table.name).\(table.key!) = \(keyValue(.integer))"
        let text = chance(50) ? "UPDATE \(table.name) SET \(assignment(table)) WHERE \(filter)" : "DELETE FROM \(table.name) WHERE \(filter) AND \(term([source(table, table.name)], depth: 0))"
        return "\(text) RETURNING \(items.joined(separator: ", "))"
    }

    private func source(_ table: RandomSchema.Table, _ alias: String) -> Source {
        Source(alias: alias, columns: table.columns, key: table.key.map(table.column))
    }

    private mutating func returning(_ table: RandomSchema.Table, _ alias: String, _ wanted: Bool) -> String {
        guard wanted else { return "" }
        return chance(50) ? " RETURNING \(alias).*" : " RETURNING \(pick(table.columns).name)"
    }

    // MARK: INSERT

    private mutating func insert(_ table: RandomSchema.Table) -> String {
        var columns = table.columns
        if chance(30) { columns.shuffle(using: &shape) }
        if chance(25) { columns = columns.filter { table.identity.contains($0.name) || chance(70) } }
        if chance(3) { columns = columns.filter { $0.name != table.key } }
        let list = columns.map(\.name).joined(separator: ", ")
        let named = columns.count == table.columns.count && columns.map(\.name) == table.columns.map(\.name) && chance(50) ? "" : " (\(list))"
        var text = "INSERT INTO \(table.name)\(named) "
        if chance(20), !columns.isEmpty {
            text += insertSelect(columns, table)
        } else {
            let rows = (0..<pick([1, 1, 2, 3, 5])).map { _ in "(\(columns.map { cell($0, table) }.joined(separator: ", ")))" }
            text += columns.isEmpty ? "DEFAULT VALUES" : "VALUES \(rows.joined(separator: ", "))"
        }
        if chance(40) { text += conflict(table) }
        return text
    }

    private mutating func cell(_ column: Column, _ table: RandomSchema.Table) -> String {
        if column.name == table.key { return keyValue(column.type) }
        if table.identity.contains(column.name) { return column.type == .integer ? String(Int.random(in: 0...6, using: &values)) : value(.text) }
        return chance(5) ? "DEFAULT" : value(column.type)
    }

    private mutating func insertSelect(_ columns: [Column], _ table: RandomSchema.Table) -> String {
        let origin = pick(tables)
        let alias = newName("s")
        let items = columns.map { column -> String in
            let names = origin.columns.filter { $0.type == column.type && $0.name != origin.key }.map { "\(alias).\($0.name)" }
            if column.name == table.key {
                if let key = origin.key, origin.column(key).type == column.type, chance(70) { return "\(alias).\(key)" }
                return keyValue(column.type)
            }
            if table.identity.contains(column.name), column.type == .integer { return origin.name == "r_orders" ? "\(alias).no + 3" : value(.integer) }
            return names.isEmpty ? value(column.type) : pick(names)
        }
        return "SELECT \(items.joined(separator: ", ")) FROM \(origin.name) \(alias) WHERE \(condition([source(origin, alias)], depth: 1))"
    }

    private mutating func conflict(_ table: RandomSchema.Table) -> String {
        let target = " ON CONFLICT (\(table.identity.joined(separator: ", ")))"
        if chance(40) { return (chance(50) ? target : " ON CONFLICT") + " DO NOTHING" }
        let filter = chance(20) ? " WHERE \(term([source(table, table.name)], depth: 0))" : ""
        return target + " DO UPDATE SET \(assignment(table, canUseExcluded: true))" + filter
    }

    // MARK: UPDATE and DELETE

    /// Only of columns outside of the primary key, mostly: the order in which rows would collide is nobody's promise.
    private mutating func assignment(_ table: RandomSchema.Table, canUseExcluded: Bool = false) -> String {
        if let key = table.key, chance(4) { return "\(key) = \(keyValue(table.column(key).type))" }
        let column = pick(table.columns.filter { !table.identity.contains($0.name) })
        switch number(0...4) {
        case 0 where canUseExcluded: return "\(column.name) = excluded.\(column.name)"
        case 1: return column.type == .integer ? "\(column.name) = \(table.name).\(column.name) + 1" : "\(column.name) = \(table.name).\(column.name) || 'x'"
        case 2: return "\(column.name) = DEFAULT"
        default: return "\(column.name) = \(value(column.type))"
        }
    }

    private mutating func update(_ table: RandomSchema.Table) -> String {
        var sources = [source(table, table.name)]
        var from = ""
        if chance(20) {
            // The joined rows choose what is changed, and have no say in the new values: which of them counts is nobody's promise.
            let (text, more) = fromClause(depth: 0)
            from = " FROM \(text)"
            sources += more
        }
        let text = "UPDATE \(table.name) SET \(assignment(table))\(from) WHERE \(condition(sources, depth: 2))"
        return text + returning(table, table.name, from.isEmpty && chance(40))
    }

    private mutating func delete(_ table: RandomSchema.Table) -> String {
        var sources = [source(table, table.name)]
        var using = ""
        if chance(15) {
            let (text, more) = fromClause(depth: 0)
            using = " USING \(text)"
            sources += more
        }
        let text = "DELETE FROM \(table.name)\(using) WHERE \(condition(sources, depth: 2))"
        return text + returning(table, table.name, using.isEmpty && chance(40))
    }
}
