import ControlAPI
import Logging
import ServerConfig
import Testing

@Suite struct ConfigLoaderTests {
    private func router(
        _ yaml: String? = nil, environment: [String: String] = [:], flags: [String] = []
    ) throws(ConfigError) -> RouterSettings {
        let file = yaml.map { (text: $0, name: "router.yaml") }
        return try RouterSettings(ConfigLoader(role: .router).load(file: file, environment: environment, flags: flags))
    }

    private func failure(_ yaml: String? = nil, environment: [String: String] = [:], flags: [String] = []) -> ConfigError? {
        do {
            _ = try router(yaml, environment: environment, flags: flags)
            return nil
        } catch {
            return error
        }
    }

    @Test func aFlagWinsOverAVariableAndThatOverTheFile() throws {
        let yaml = "catalog: sqlite:c\nwire:\n  port: 1\npool: {size_max: 7}\nhttp: {port: 2}\n"
        let environment = ["PGMOSAIC_ROUTER_WIRE_PORT": "3", "PGMOSAIC_ROUTER_HTTP_PORT": "4", "HOME": "/root"]
        let settings = try router(yaml, environment: environment, flags: ["--wire-port", "5"])
        #expect(settings.wirePort == 5 && settings.httpPort == 4 && settings.poolSizeMax == 7)
    }

    @Test func aFlagMayCarryItsValueBehindAnEqualsSign() throws {
        #expect(try router(flags: ["--catalog=sqlite:a=b", "--wire-port=9"]).catalog == "sqlite:a=b")
    }

    @Test func unitsOfDurationsAndSizesAreRead() throws {
        let settings = try router("catalog: sqlite:c\npool: {wait_timeout: 1500ms, idle_timeout: 2h}\nhttp: {body_max: 3MiB}\nstatement: {timeout: 0}")
        #expect(settings.poolWaitTimeout == .milliseconds(1500) && settings.poolIdleTimeout == .seconds(7200))
        #expect(settings.httpBodyMax == 3 << 20 && settings.statementTimeout == .zero)
    }

    @Test func levelsOfSubsystemsAreAListAndAnythingElseIsRefused() throws {
        #expect(try router("catalog: sqlite:c\nlog: {level: error, levels: \"health=debug, rest=warning\"}").logLevels == [.health: .debug, .rest: .warning])
        #expect(try router("catalog: sqlite:c").logLevels.isEmpty)
        for wrong in ["health", "health=", "=debug", "health=loud", "pool=debug", "rest=debug,", "rest=debug,rest=info", "rest=debug=info", " "] {
            #expect(failure("catalog: sqlite:c\nlog: {levels: \"\(wrong)\"}")?.description.contains("log.levels") == true, "\(wrong)")
        }
    }

    @Test func certificatesThatNeedEachOtherAreGivenTogether() throws {
        func manager(_ yaml: String) -> String? {
            do throws(ConfigError) {
                _ = try ManagerSettings(ConfigLoader(role: .manager).load(file: (text: "catalog: sqlite:c\nsecrets: {key_file: k}\n" + yaml, name: "m.yaml"), environment: [:], flags: []))
                return nil
            } catch {
                return error.description
            }
        }
        #expect(manager("http: {tls_client_ca_file: a}")?.contains("http.tls_client_ca_file: needs http.tls_certificate_file") == true)
        #expect(manager("leader: {certificate_file: a}")?.contains("leader.certificate_file: needs leader.key_file") == true)
        #expect(manager("leader: {key_file: a}")?.contains("leader.key_file: needs leader.certificate_file") == true)
        #expect(manager("http: {tls_client_ca_file: a, tls_certificate_file: b, tls_key_file: c}\nleader: {certificate_file: d, key_file: e}") == nil)
        #expect(failure("catalog: sqlite:c\nhttp: {tls_client_ca_file: a, auth: none}")?.description.contains("http.tls_client_ca_file: needs") == true)
    }

    @Test func aMissingCatalogIsSaidWithTheWaysToGiveIt() {
        #expect(failure()?.description == "catalog (flag --catalog, variable PGMOSAIC_ROUTER_CATALOG): this setting has no default and must be given")
    }

    @Test func unknownNamesAreRefusedWhereverTheyStandWithTheClosestOne() {
        #expect(failure("catalog: sqlite:c\nwire: {prot: 5}")?.description == "router.yaml:2: wire.prot: no such setting; did you mean wire.port?")
        #expect(failure("catlog: sqlite:c")?.description == "router.yaml:1: catlog: no such setting; did you mean catalog?")
        #expect(failure(flags: ["--log-levle", "debug"])?.description == "flag --log-levle: no such setting; did you mean --log-level?")
        #expect(
            failure(environment: ["PGMOSAIC_ROUTER_POOL_SIZE": "1"])?.problem == .unknown(suggestion: "PGMOSAIC_ROUTER_POOL_SIZE_MAX")
                || failure(environment: ["PGMOSAIC_ROUTER_POOL_SIZE": "1"])?.problem == .unknown(suggestion: "PGMOSAIC_ROUTER_POOL_SIZE_MIN"))
        #expect(failure(flags: ["--entirely-different", "1"])?.problem == .unknown(suggestion: nil))
    }

    @Test func theManagersVariablesAreNotTheRouters() throws {
        let settings = try router(environment: [
            "PGMOSAIC_MANAGER_NONSENSE": "1", "PGMOSAIC_ROUTER_URL": "http://x", "PGMOSAIC_URL": "http://y", "PGMOSAIC_ROUTER_CATALOG": "sqlite:c",
        ])
        #expect(settings.catalog == "sqlite:c")
    }

    @Test(arguments: [
        ("wire: {port: 70000}", "router.yaml:1: wire.port: expected an integer from 0 to 65535"),
        ("wire: {port: ten}", "router.yaml:1: wire.port: expected an integer from 0 to 65535"),
        ("log: {level: loud}", "router.yaml:1: log.level: expected one of: trace, debug, info, notice, warning, error, critical"),
        ("pool: {wait_timeout: 10}", "router.yaml:1: pool.wait_timeout: expected a duration such as 250ms, 30s, 5m or 1h, from 1ms to 1h"),
        ("http: {body_max: 5MB}", "router.yaml:1: http.body_max: expected a size such as 4096, 64KiB or 10MiB, from 1KiB to 1GiB"),
        ("wire: {port: [1]}", "router.yaml:1: wire.port: expected one value"),
        ("- a\n- b", "router.yaml: expected settings, one \"name: value\" a line"),
    ])
    func aBadValueIsNamedWithItsPlaceAndWhatWasExpected(yaml: String, message: String) {
        #expect(failure(yaml, environment: ["PGMOSAIC_ROUTER_CATALOG": "sqlite:c"])?.description == message)
    }

    @Test func textThatIsNotYAMLIsOneLine() {
        let message = failure("catalog: [")?.description ?? ""
        #expect(message.hasPrefix("router.yaml: not YAML: ") && !message.contains("\n"))
    }

    @Test func anEmptyFileGivesNothing() throws {
        #expect(try router("", flags: ["--catalog", "sqlite:c"]).wirePort == 6432)
        #expect(try router("# only a comment\n", flags: ["--catalog", "sqlite:c"]).wirePort == 6432)
    }

    @Test func aFlagWithoutValueAndAStrayWordAreRefused() {
        #expect(failure(flags: ["--wire-port"])?.problem == .malformed("its value is missing"))
        #expect(failure(flags: ["wire-port"])?.problem == .malformed("expected a flag such as --log-level"))
    }

    @Test func settingsThatDoNotGoTogetherAreRefused() {
        let pool = failure(flags: ["--catalog", "sqlite:c", "--pool-size-min", "30"])
        #expect(pool?.description == "pool.size_min: 30 is more than pool.size_max (20)")
        let tls = failure(flags: ["--catalog", "sqlite:c", "--tls-mode", "require"])
        #expect(tls?.description == "tls.mode: require needs tls.certificate_file and tls.key_file")
    }

    @Test func onlyACatalogLocationThatExistsInThisVersionIsTaken() throws {
        #expect(try CatalogLocation("sqlite:/a:b") == .sqlite(path: "/a:b"))
        for url in ["postgres://u@h/d?sslmode=verify-full", "postgresql://u@h/d"] { #expect(try CatalogLocation(url) == .postgres(url: url)) }
        for url in ["etcd://a,b:2380", "etcds://u@a?password=env:X"] { #expect(try CatalogLocation(url) == .etcd(url: url)) }
        for text in ["", "sqlite:", "etcd:http://x", "/var/lib/x", "postgres:/x"] { #expect(throws: ConfigError.self) { try CatalogLocation(text) } }
    }
}
