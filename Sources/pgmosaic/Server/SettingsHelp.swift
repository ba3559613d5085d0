import ServerConfig

/// The settings part of `router --help` and `manager --help`.
enum SettingsHelp {
    static func discussion(of role: ServerRole) -> String {
        """
        A setting is given in the YAML file, as a variable of the environment, or as a flag; the flag wins, then the variable. These are the same:
          \(example(of: role).yaml)
          \(example(of: role).variable)
          \(example(of: role).flag)

        \(role == .router ? routerExample : managerExample)

        SETTINGS (each with its default; docs/reference/settings.md has the bounds):
        \(SettingsCatalogue.settings(of: role).map(entry).joined(separator: "\n"))
        """
    }

    private static func entry(_ declaration: SettingDeclaration) -> String {
        let value = declaration.defaultValue.map { $0.description.isEmpty ? "empty" : $0.description } ?? "must be given"
        return "  \(declaration.flag) (\(value))\n" + wrapped(declaration.description, indent: "      ")
    }

    /// Broken at blanks before the 78th column: ArgumentParser would break longer lines too, and lose their indentation.
    private static func wrapped(_ text: String, indent: String) -> String {
        var lines: [String] = []
        var line = indent
        for word in text.split(separator: " ") {
            if line.count + word.count >= 78, line != indent {
                lines.append(line)
                line = indent
            }
            line += (line == indent ? "" : " ") + word
        }
        return (lines + [line]).joined(separator: "\n")
    }

    private static func example(of role: ServerRole) -> (yaml: String, variable: String, flag: String) {
        let setting = role == .router ? SettingsCatalogue.wirePort : SettingsCatalogue.managerHTTPPort
        let parts = setting.name.split(separator: ".", maxSplits: 1).map(String.init)
        let value = setting.defaultValue?.description ?? ""
        return ("\(parts[0]): {\(parts[1]): \(value)}", "\(setting.environmentName(for: role))=\(value)", "\(setting.flag) \(value)")
    }

    private static let routerExample = """
        A router on a catalog that a manager of the same machine keeps:
          pgmosaic router --catalog sqlite:/var/lib/pgmosaic/catalog.sqlite \\
            --secrets-key-file /etc/pgmosaic/secrets.key
        """
    private static let managerExample = """
        A manager that makes its catalog and the key of its secrets on first use:
          pgmosaic manager --catalog sqlite:/var/lib/pgmosaic/catalog.sqlite \\
            --secrets-key-file /etc/pgmosaic/secrets.key
        """
}
