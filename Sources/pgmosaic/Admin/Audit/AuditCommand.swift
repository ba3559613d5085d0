import ArgumentParser

/// `pgmosaic audit`
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "See who did what, and prove that nobody has changed the record of it.",
        subcommands: [AuditShowCommand.self, AuditVerifyCommand.self])
}
