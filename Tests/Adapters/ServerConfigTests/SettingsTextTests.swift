import Testing

@testable import ServerConfig

/// Settings as text: for logs, and for whoever prints them as a whole.
@Suite struct SettingsTextTests {
    private func settings(_ role: ServerRole, _ flags: String...) throws -> ResolvedSettings { try ConfigLoader(role: role).load(flags: flags) }

    @Test(arguments: ["postgres://app:Geheimnis@host/catalog", "postgres://app@host/catalog?password=Geheimnis", "etcd://app:Ge@/heimnis@host", "Geheimnis"])
    func thePasswordOfTheCatalogIsNotShown(catalog: String) throws {
        let router = try settings(.router, "--catalog", catalog)
        let manager = try settings(.manager, "--catalog", catalog)
        let location = try? CatalogLocation(catalog)
        var texts = ["\(router)", String(reflecting: router), "\(try RouterSettings(router))", String(reflecting: try ManagerSettings(manager)), String(reflecting: location)]
        for value in [router as Any, try RouterSettings(router), try ManagerSettings(manager), location as Any, [router]] {
            var text = ""
            dump(value, to: &text)
            texts.append(text)
        }
        texts += router.listing(of: .router).map(\.value)
        let change = try settings(.router, "--catalog", "sqlite:c").reloading(router)
        texts += (change.applied + change.needRestart).map(\.description)
        #expect(change.needRestart.map(\.name) == ["catalog"])
        for text in texts { #expect(!text.contains("heimnis"), "\(text)") }
    }

    @Test func aPlaceIsShownWhereItHoldsNoPassword() throws {
        let before = try settings(.router, "--catalog", "sqlite:/a", "--auth-secret", "env:A")
        let change = before.reloading(try settings(.router, "--catalog", "sqlite:/b", "--auth-secret", "file:/b"))
        #expect(change.needRestart.map(\.description).sorted() == ["auth.secret: env:A -> file:/b", "catalog: sqlite:/a -> sqlite:/b"])
        let wrong = before.reloading(try settings(.router, "--catalog", "postgres://u@h/d", "--auth-secret", "Geheimnis"))
        #expect(wrong.needRestart.map(\.description).sorted() == ["auth.secret: env:A -> ***", "catalog: sqlite:/a -> postgres://***"])
    }

    @Test func theFirstAdministratorIsShownWithoutThePassword() {
        let administrator = FirstAdministrator(name: "ada", password: "Geheimnis")
        var text = "\(administrator) \(String(reflecting: administrator))"
        dump(administrator, to: &text)
        #expect(text.contains("ada") && !text.contains("Geheimnis"))
    }
}
