package import HealthCore

/// How a manager watches over the shards' servers.
package struct HealthSettings: Hashable, Sendable {
    package var interval: Duration
    package var deadline: Duration
    package var rules: HealthRules

    init(_ values: ResolvedSettings) {
        typealias Name = SettingsCatalogue
        interval = values.duration(Name.healthInterval)
        deadline = values.duration(Name.healthDeadline)
        rules = HealthRules(
            failures: values.integer(Name.healthFailures), recoveries: values.integer(Name.healthRecoveries), lagMax: values.duration(Name.healthLagMax),
            connectionsMaxPercent: values.integer(Name.healthConnectionsPercent), inDoubtMax: values.duration(Name.healthInDoubtMax),
            slotBytesMax: Int64(values.bytes(Name.healthSlotBytesMax)))
    }
}
