import ArgumentParser
import ControlAPI
import ShardModel

/// `--grant shop:read`, `--grant '*:write'`: a right on a database, or on all of them.
struct GrantArgument: ExpressibleByArgument {
    let database: String
    let right: QueryRight

    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":") else { return nil }
        var database = argument[..<colon]
        // The right by its whole name: shop:query:read.
        if database.hasSuffix(":query") { database = database.dropLast(":query".count) }
        guard !database.isEmpty, let right = QueryRight(rawValue: "query:" + argument[argument.index(after: colon)...]) else { return nil }
        self.database = String(database)
        self.right = right
    }

    /// The member `grants` of a request.
    static func json(_ grants: [GrantArgument]) -> JSONValue {
        let byDatabase = Dictionary(grouping: grants, by: \.database)
        return .array(
            byDatabase.keys.sorted().map { database in
                let rights = Set((byDatabase[database] ?? []).map(\.right.rawValue))
                return ["database": .string(database), "rights": .array(rights.sorted().map { .string($0) })]
            })
    }

    static let help: ArgumentHelp = ArgumentHelp(
        "A right on a database: NAME:read or NAME:write, which includes reading; * is every database. May be given several times.", valueName: "database:right")
}
