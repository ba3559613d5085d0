import ArgumentParser
import ControlAPI

/// `pgmosaic audit show`
struct AuditShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Lines of the manager's audit trail.",
        discussion: """
            Each server has a trail of its own; this one asks the manager for its. Routers' are files.
              pgmosaic audit show --since 2026-11-26T00:00:00Z --user ada
            """)

    @Option(help: ArgumentHelp("Only from this time on (RFC 3339).", valueName: "time")) var since: String?
    @Option(help: "Only lines about this user.") var user: String?
    @Option(help: ArgumentHelp("Only lines of one kind, as login or user.add.", valueName: "action")) var action: String?
    @OptionGroup var options: ManagerOptions

    func run() async throws {
        try await options.reportingErrors(of: "audit show") { client in
            let items = try await client.list("/api/v1/audit", query: [("since", since), ("user", user), ("action", action)])
            options.show(JSONText(["items": .array(items)])) {
                var table = TextTable(["SEQ", "TIME", "ACTION", "OUTCOME", "USER", "ADDRESS", "OBJECT", "CODE"], right: [0])
                for item in items { table.add(["seq", "time", "action", "outcome", "user", "address", "object", "code"].map(item.cell)) }
                return items.isEmpty ? "no such lines" : table.text
            }
        }
    }
}
