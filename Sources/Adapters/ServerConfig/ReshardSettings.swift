/// What bounds the pause in which a job's vnodes change their owner.
package struct ReshardSettings: Hashable, Sendable {
    /// From the hold to the switch; longer, and the attempt is given up.
    package var pauseBudget: Duration
    /// How long routers are waited for in it.
    package var drainLimit: Duration
    /// Of jobs that do not say: routers end transactions that are still open at the drain limit.
    package var endsTransactions: Bool
    /// In hundredths; nil: the load does not count.
    package var copySlowdownPercentMax: Int?
    /// Bytes a second.
    package var copyRateMin = 4 << 20
    /// Bytes a second; nil: no limit.
    package var copyRateMax: Int?

    package init(pauseBudget: Duration, drainLimit: Duration, endsTransactions: Bool = false) {
        self.pauseBudget = pauseBudget
        self.drainLimit = drainLimit
        self.endsTransactions = endsTransactions
    }

    init(_ values: ResolvedSettings) {
        self.init(pauseBudget: values.duration(SettingsCatalogue.reshardPauseBudget), drainLimit: values.duration(SettingsCatalogue.reshardDrainLimit),
            endsTransactions: values.boolean(SettingsCatalogue.reshardEndTransactions))
        let (slowdown, rateMax) = (values.integer(SettingsCatalogue.reshardSlowdownMax), values.bytes(SettingsCatalogue.reshardRateMax))
        copySlowdownPercentMax = slowdown == 0 ? nil : slowdown
        copyRateMin = values.bytes(SettingsCatalogue.reshardRateMin)
        copyRateMax = rateMax == 0 ? nil : rateMax
    }

    func check() throws(ConfigError) {
        if drainLimit >= pauseBudget {
            throw ConfigError(SettingsCatalogue.reshardDrainLimit.name, .inconsistent("must be less than \(SettingsCatalogue.reshardPauseBudget.name)"))
        }
        if let copyRateMax, copyRateMax < copyRateMin {
            throw ConfigError(SettingsCatalogue.reshardRateMax.name, .inconsistent("must not be less than \(SettingsCatalogue.reshardRateMin.name)"))
        }
    }
}
