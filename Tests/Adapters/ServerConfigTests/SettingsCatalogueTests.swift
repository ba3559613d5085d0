import Logging
import ServerConfig
import Testing

@Suite struct SettingsCatalogueTests {
    @Test(arguments: ServerRole.allCases) func namesFlagsAndVariablesAreEachUnique(role: ServerRole) {
        let settings = SettingsCatalogue.settings(of: role)
        #expect(Set(settings.map(\.name)).count == settings.count)
        #expect(Set(settings.map(\.flag)).count == settings.count)
        #expect(Set(settings.map { $0.environmentName(for: role) }).count == settings.count)
    }

    @Test(arguments: ServerRole.allCases) func everyDefaultIsAValueThatItsSettingTakes(role: ServerRole) throws {
        for setting in SettingsCatalogue.settings(of: role) {
            guard let value = setting.defaultValue else { continue }
            let flags = ["--catalog", "sqlite:c", setting.flag, value.description]
            let resolved = try ConfigLoader(role: role).load(flags: flags)
            let shown = resolved.listing(of: role).first { $0.name == setting.name }?.value
            #expect(setting.name == "catalog" || shown == value.description, "\(setting.name)")
        }
    }

    @Test(arguments: ServerRole.allCases) func everySettingIsExplainedInASentence(role: ServerRole) {
        for setting in SettingsCatalogue.settings(of: role) {
            #expect(setting.description.hasSuffix("."), "\(setting.name)")
            #expect(!setting.description.contains("|"), "\(setting.name): a bar would break the reference's table")
        }
    }

    /// Reads every typed field, so that an accessor of the wrong kind cannot stay unseen.
    @Test func theTypedSettingsHaveTheCataloguesDefaults() {
        let router = RouterSettings.defaults(catalog: "sqlite:c")
        #expect(router.wirePort == 6432 && router.httpPort == 8080 && router.wireHost == "127.0.0.1" && router.httpHost == "127.0.0.1")
        #expect(router.wireAuth == .scram && router.tlsMode == .disable && router.poolSizeMax == 20 && router.httpBodyMax == 10 << 20)
        #expect(router.snapshotFile == nil && router.database == nil && router.logLevel == .info && router.logFormat == .auto)
        let manager = ManagerSettings.defaults(catalog: "sqlite:c")
        #expect(manager.httpPort == 8081 && manager.httpHost == "127.0.0.1" && manager.probeTimeout == .seconds(5))
    }
}
