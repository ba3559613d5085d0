/// Whether and how often a manager that leads copies the catalog to the shards.
package struct CopySettings: Hashable, Sendable {
    package var isEnabled: Bool
    package var interval: Duration

    package init(isEnabled: Bool, interval: Duration) {
        self.isEnabled = isEnabled
        self.interval = interval
    }

    init(_ values: ResolvedSettings) {
        self.init(isEnabled: values.boolean(SettingsCatalogue.copiesEnabled), interval: values.duration(SettingsCatalogue.copiesInterval))
    }
}
