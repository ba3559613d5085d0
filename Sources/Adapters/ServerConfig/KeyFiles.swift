/// The files of `secrets.other_key_files`.
enum KeyFiles {
    static let countMax = 16

    static func list(_ values: ResolvedSettings) -> [String] {
        values.text(SettingsCatalogue.secretsOtherKeyFiles).split(separator: ",").map { String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
            .filter { !$0.isEmpty }
    }

    /// Without a key that seals, others make no sense: passwords would be taken in and could not be kept.
    static func check(_ values: ResolvedSettings) throws(ConfigError) {
        let files = list(values)
        if files.isEmpty { return }
        let name = SettingsCatalogue.secretsOtherKeyFiles.name
        guard values.path(SettingsCatalogue.secretsKeyFile) != nil else { throw ConfigError(name, .inconsistent("needs secrets.key_file")) }
        guard files.count <= countMax else { throw ConfigError(name, .inconsistent("names more than \(countMax) files")) }
    }
}
