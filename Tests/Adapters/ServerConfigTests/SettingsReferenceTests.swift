import Foundation
import ServerConfig
import Testing

/// docs/reference/settings.md says what the catalogue says. To write it anew:
/// `PGMOSAIC_UPDATE_DOCS=1 swift test --filter SettingsReferenceTests`
@Suite struct SettingsReferenceTests {
    static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("docs/reference/settings.md")

    @Test func theReferencePageIsTheCatalogue() throws {
        let page = Self.page()
        if ProcessInfo.processInfo.environment["PGMOSAIC_UPDATE_DOCS"] != nil {
            try page.write(to: Self.file, atomically: true, encoding: .utf8)
        }
        let written = try String(contentsOf: Self.file, encoding: .utf8)
        #expect(written == page, "docs/reference/settings.md differs; write it anew with PGMOSAIC_UPDATE_DOCS=1")
    }

    static func page() -> String {
        """
        # Settings

        Every setting of `pgmosaic router` and `pgmosaic manager`, from `Sources/Adapters/ServerConfig/SettingsCatalogue.swift`;
        a test keeps this page equal to it.

        A setting is given in three ways, and the first that gives it counts: as a flag, as a variable of the environment, in the YAML
        file that `--config` names. `pool.size_max` of a router is `--pool-size-max 20`, `PGMOSAIC_ROUTER_POOL_SIZE_MAX=20`, and

        ```yaml
        pool:
          size_max: 20
        ```

        A name that is no setting is refused wherever it stands (flags, file, variables that begin with `PGMOSAIC_ROUTER_` or
        `PGMOSAIC_MANAGER_`), with the closest name there is; so is a value out of its bounds. The server then ends with status 78.
        Durations are written with a unit (`250ms`, `30s`, `5m`, `1h`; `0` is zero), sizes in bytes or with `KiB`, `MiB`, `GiB`.

        A router takes up what "reload" says yes to on SIGHUP; see [operations](../guide/operations.md).

        \(section("Router", .router))

        \(section("Manager", .manager))

        """
    }

    private static func section(_ title: String, _ role: ServerRole) -> String {
        let rows = SettingsCatalogue.settings(of: role).map { setting in
            let value = setting.defaultValue.map { $0.description.isEmpty ? "empty" : "`\($0)`" } ?? "none: must be given"
            let reload = role != .router ? "" : " \(SettingsCatalogue.reloadable.contains(setting) ? "yes" : "no") |"
            return "| `\(setting.name)` | `\(setting.environmentName(for: role))` | \(kind(setting.kind)) | \(value) |\(reload) \(setting.description) |"
        }
        let head = role == .router ? "| setting | variable | value | default | reload | meaning |\n|---|---|---|---|---|---|\n" : "| setting | variable | value | default | meaning |\n|---|---|---|---|---|\n"
        return "## \(title)\n\n" + head + rows.joined(separator: "\n")
    }

    private static func kind(_ kind: SettingDeclaration.Kind) -> String {
        switch kind {
        case .integer(let bounds): "\(bounds.lowerBound) to \(bounds.upperBound)"
        case .duration(let bounds): "duration, \(SettingValue.describe(bounds.lowerBound)) to \(SettingValue.describe(bounds.upperBound))"
        case .bytes(let bounds): "size, \(SettingValue.describe(bytes: bounds.lowerBound)) to \(SettingValue.describe(bytes: bounds.upperBound))"
        case .boolean: "`true` or `false`"
        case .text: "text"
        case .path: "path"
        case .choice(let choices): choices.map { "`\($0)`" }.joined(separator: ", ")
        }
    }
}
