/// What bounds the pause in which a job's vnodes change their owner.
package struct ReshardSettings: Hashable, Sendable {
    /// From the hold to the switch; longer, and the attempt is given up.
    package var pauseBudget: Duration
    /// How long routers are waited for in it.
    package var drainLimit: Duration
    /// Of jobs that do not say: routers end transactions that are still open at the drain limit.
    package var endsTransactions: Bool

    package init(pauseBudget: Duration, drainLimit: Duration, endsTransactions: Bool = false) {
        self.pauseBudget = pauseBudget
        self.drainLimit = drainLimit
        self.endsTransactions = endsTransactions
    }

    init(_ values: ResolvedSettings) {
        self.init(pauseBudget: values.duration(SettingsCatalogue.reshardPauseBudget), drainLimit: values.duration(SettingsCatalogue.reshardDrainLimit),
            endsTransactions: values.boolean(SettingsCatalogue.reshardEndTransactions))
    }

    func check() throws(ConfigError) {
        if drainLimit >= pauseBudget {
            throw ConfigError(SettingsCatalogue.reshardDrainLimit.name, .inconsistent("must be less than \(SettingsCatalogue.reshardPauseBudget.name)"))
        }
    }
}
