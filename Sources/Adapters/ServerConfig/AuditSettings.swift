/// The audit trail of a server.
package struct AuditSettings: Hashable, Sendable {
    package enum WhenFull: String, Hashable, Sendable { case refuse, drop }
    package enum Sync: String, Hashable, Sendable { case always, second, never }

    /// nil: there is none.
    package var path: String?
    package var whenFull = WhenFull.refuse
    package var sync = Sync.second
    package var fileMax = 64 << 20
    package var ageMax = Duration.seconds(86_400)
    package var filesMax = 30
    package var queueMax = 10_000
    package var keyFile: String?
    /// Of routers: statements that may write have a line, too.
    package var auditsWrites = false

    package init(path: String? = nil) { self.path = path }

    init(_ values: ResolvedSettings, of role: ServerRole) {
        typealias Name = SettingsCatalogue
        path = values.path(Name.auditPath)
        whenFull = values.choice(Name.auditWhenFull)
        sync = values.choice(Name.auditSync)
        fileMax = values.bytes(Name.auditFileMax)
        ageMax = values.duration(Name.auditAgeMax)
        filesMax = values.integer(Name.auditFilesMax)
        queueMax = values.integer(Name.auditQueueMax)
        keyFile = values.path(Name.auditKeyFile)
        if role == .router { auditsWrites = values.text(Name.auditStatements) == "writes" }
    }
}
